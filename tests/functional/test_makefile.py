"""Values of make's variables are text: neither make nor the shell runs what they hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

VARIABLES = [
    *("MESSAGES", "ACT", "VERBOSE", "EMULATOR_PORT", "CHAT", "CONTACT_ID", "ID", "KIND", "PORT"),
    *("SEED", "MALFORMED_EVENTS", "REPORT", "QUICK", "STAGE", "OUTPUT", "ASSEMBLY"),
]
TARGETS = [
    "demo",
    "sandbox",
    "end-chat",
    "fault",
    "participant-service",
    "transcript",
    "find",
    "simulate",
    "bench",
    "quota",
    "limits",
    "synth",
    "template",
    "sbom",
    "preflight",
    "deploy",
]
INSTALLED = [
    *(".venv/.installed", ".venv/.dev-installed", "node_modules/.installed", "node_modules/.dev-installed"),
    *(f".sandbox/venv-{name}/.installed" for name in ("emulator", "runtime", "awscli", "sbom", "audit")),
]
SOURCES = [
    *("app.py", "sandbox/app.py", "cdk.json", "package.json", "package-lock.json"),
    *("requirements.txt", "requirements-tools.txt", "requirements-dev.txt"),
    *(f"sandbox/requirements-{name}.txt" for name in ("emulator", "awscli", "runtime", "sbom")),
    *("infra/module.py", "lambda_src/module.py", "scripts/check-prerequisites.sh", "scripts/create-venv.sh"),
]
HOSTILE = [
    *(
        "$(shell touch made)",
        "${shell touch made}",
        "$$(shell touch made)",
        "$(eval X := $(shell touch made))",
    ),
    *("$(touch made)", "$$(touch made)", "`touch made`", "$(CHAT)$(shell touch made)", "\\`touch made\\`"),
    *('"; touch made; "', "'; touch made; '", "x | touch made", "x\ntouch made\n", "x\\\ntouch made"),
    *("# $X $(X) $$ $", "a b  c ", "*", "~", "-x", "ü🙂"),
]
# Appends its arguments, and the variables, to a file
STUB = "\n".join(
    (
        "#!/bin/sh",
        'printf "%s\\0" "$@" >>calls',
        *(f'printf "%s\\0" "{name}=${name}" >>calls' for name in VARIABLES),
        '[ "$2" != sandbox.progress ] || { shift 3; exec "$@"; }\n',
    )
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the Makefile whose programs only write down how they are called."""
    project = tmp_path / "project"
    for name in SOURCES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    shutil.copy(ROOT / "Makefile", project)
    for program in (".venv/bin/python", "node_modules/.bin/cdk", "programs/npm"):
        write_stub(project / program)
    for marker in (*INSTALLED, ".sandbox/cdk.out/.synthesized"):
        (project / marker).parent.mkdir(parents=True, exist_ok=True)
        (project / marker).touch()
    return project


def write_stub(program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(STUB)
    program.chmod(0o755)


def make(project: Path, *targets: str, origin: str, **variables: str) -> list[str]:
    """Run make, and return what its programs were called with."""
    (project / "calls").touch()
    assigned = [f"{name}={value}" for name, value in variables.items()]
    environ = {
        name: value for name, value in os.environ.items() if name not in VARIABLES and "MAKE" not in name
    }
    environ["PATH"] = f"{project / 'programs'}:{environ['PATH']}"
    subprocess.run(
        [
            shutil.which("make") or "make",
            "--keep-going",
            *(assigned if origin == "command line" else []),
            *targets,
        ],
        cwd=project,
        env=environ | (variables if origin != "command line" else {}),
        capture_output=True,
        check=False,
        timeout=60,
    )
    return (project / "calls").read_text().split("\0")


ORIGINS = pytest.mark.parametrize("origin", ["command line", "environment"])


@ORIGINS
@pytest.mark.parametrize("value", HOSTILE)
def test_value_reaches_the_programs_as_text_and_nothing_runs(project: Path, origin: str, value: str) -> None:
    (project / value).touch()  # what MESSAGES names
    before = set(project.rglob("*"))

    calls = make(project, *TARGETS, origin=origin, **dict.fromkeys(VARIABLES, value), ANYTHING=value)

    assert {path.name for path in set(project.rglob("*")) - before} <= {"calls"}
    for option, expected in {
        "sandbox.demo": [f"--emulator-port={value}", f"--act={value}", "--verbose", "--", value],
        "sandbox.live": [f"--emulator-port={value}"],
        "end": ["--", value],
        "fault": ["--", value],
        "sandbox.participant_service": ["--introduce", f"--port={value}"],
        "transcript": ["--", value],
        "tests.simulation": [f"--{name}={value}" for name in ("seed", "messages", "events", "report")],
        "benchmarks": ["--python=python3", "--quick"],
        "benchmarks.quota": ["--quick"],
        "tests.simulation.limits": [],
        "synth": ["--quiet", "--context", f"stage={value}"],
        "preflight": [f"--stage={value}"],
        "deploy": ["--context", f"stage={value}"],
        "scripts.template": [f"--stage={value}", f"--output={value}"],
        "scripts.sbom": [f"--stage={value}"],
    }.items():
        assert option in calls
        position = calls.index(option) + 1
        assert calls[position : position + len(expected)] == expected
    # The programs read the variables from their environment too
    position = calls.index("synth")
    values = calls[calls.index(f"stage={value}", position) + 1 :][: len(VARIABLES)]
    assert values == [f"{name}={value}" for name in VARIABLES]


def test_simulation_does_not_get_the_messages_of_the_demo(project: Path) -> None:
    calls = make(project, "simulate", origin="environment")

    assert calls[calls.index("tests.simulation") + 1].startswith("MESSAGES=examples/")


@ORIGINS
@pytest.mark.parametrize("value", HOSTILE[::3])
def test_name_of_the_python_is_text(project: Path, origin: str, value: str) -> None:
    write_stub(project / "programs" / value)
    for marker in INSTALLED:
        (project / marker).unlink()
    before = {path.name for path in project.rglob("*")}

    calls = make(
        project,
        *INSTALLED,
        *("prerequisites", "bench", "synth"),
        origin=origin,
        PYTHON=value,
    )

    assert {path.name for path in project.rglob("*")} - before <= {"calls", ".installed", ".dev-installed"}
    assert calls.count("sandbox.progress") == len(INSTALLED)
    assert calls.count("venv") == 1
    assert f"--python={value}" in calls


@ORIGINS
@pytest.mark.parametrize("value", ["$(shell touch made)", "'$(touch made)'"])
@pytest.mark.parametrize("chat", [{}, {"CHAT": ""}])
def test_chat_is_that_of_the_contact_id_unless_set(
    project: Path, origin: str, value: str, chat: dict[str, str]
) -> None:
    calls = make(project, "end-chat", "transcript", origin=origin, CONTACT_ID=value, **chat)

    assert not (project / "made").exists()
    assert [calls[calls.index(command) + 2] for command in ("end", "transcript")] == [value] * 2


def test_variables_have_their_defaults(project: Path) -> None:
    (project / "examples").mkdir()
    (project / "examples" / "messages.jsonl").touch()

    calls = make(project, *TARGETS, origin="environment")

    assert calls[calls.index("sandbox.demo") + 1 :][:2] == ["--", "examples/messages.jsonl"]
    assert calls.count("stage=dev") == 2
    assert not [
        call for call in calls if call.startswith(("--emulator-port", "--seed", "--messages", "--quick"))
    ]
    assert "STAGE=dev" in calls


@pytest.mark.parametrize("name", ["name", "each", "x"])
def test_variable_of_any_name_is_text(project: Path, name: str) -> None:
    make(project, "synth", origin="command line", **{name: "$(shell touch made)"})

    assert not (project / "made").exists()


def test_missing_file_of_messages_is_named_as_it_is(project: Path) -> None:
    done = subprocess.run(
        [shutil.which("make") or "make", "messages-file", "MESSAGES=it's $(X) %s"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "make: MESSAGES=it's $(X) %s: there is no such file" in done.stderr.splitlines()


def test_no_recipe_pastes_a_variable_of_the_user() -> None:
    listed = {*re.findall(r"\b[A-Z][A-Z_]+\b", MAKEFILE.partition("'Variables'")[2].partition("\n\n")[0])}

    assert {"MESSAGES", "STAGE", "PYTHON"} < listed <= {*VARIABLES, "PYTHON"}
    for name in (*VARIABLES, "PYTHON"):
        assert not re.search(rf"(?<!\$)\$[({{]{name}[)}}:]", MAKEFILE.partition("\nexport PYTHON")[2])


def test_help_lists_every_target_in_80_columns() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE)

    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert [name for name in targets if f"  make {name} " not in done.stdout] == []
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
