"""The pipeline in `examples/pipeline/deploy.yml` fits the project, and its drift check ends as it should."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # published without types

from ops.__main__ import parse

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "examples" / "pipeline" / "deploy.yml").read_text(encoding="utf-8"))
JOBS: dict[str, dict[str, Any]] = PIPELINE["jobs"]
STEPS = [(job, step) for job, stated in JOBS.items() for step in stated["steps"]]
SCRIPTS = [(job, step["run"]) for job, step in STEPS if "run" in step]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def step(job: str, name: str) -> dict[str, Any]:
    [found] = [each for each in JOBS[job]["steps"] if each.get("name") == name]
    return dict(found)


def position(job: str, text: str) -> int:
    """Return the place of the step of a job that uses or runs something."""
    return next(
        place
        for place, each in enumerate(JOBS[job]["steps"])
        if text in each.get("uses", "") + each.get("run", "")
    )


def test_every_make_target_exists() -> None:
    targets = {
        word
        for _, script in SCRIPTS
        for command in re.findall(r"^make (.+)$", script, re.MULTILINE)
        for word in command.split()
        if "=" not in word
    }

    assert targets >= {"synth", "deploy"}
    assert {
        target for target in targets if not re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE)
    } == set()


def test_every_command_of_ops_is_accepted() -> None:
    commands = [
        command.split()
        for _, script in SCRIPTS
        for command in re.findall(r"-m ops (.+)$", script, re.MULTILINE)
    ]

    assert [command[0] for command in commands] == ["preflight", "smoke"]
    for command in commands:
        parse([word.strip('"').replace("$", "") for word in command], {})


def test_a_job_may_get_a_token_for_aws_and_read_the_code() -> None:
    assert PIPELINE["permissions"] == {}
    assert [stated["permissions"] for stated in JOBS.values()] == [
        {"id-token": "write", "contents": "read"},
        {"id-token": "write", "contents": "read"},
        {"id-token": "write"},
    ]


def test_every_action_has_a_major_version_and_those_of_ci_have_the_same() -> None:
    used = {each["uses"] for _, each in STEPS if "uses" in each}
    ci = dict(re.findall(r"uses: (\S+)@(\S+)", (ROOT / ".github/workflows/ci.yml").read_text()))
    versions = dict(each.split("@") for each in used)

    assert all(re.fullmatch(r"(actions|aws-actions)/[a-z-]+@v\d+", each) for each in used)
    assert {name: versions[name] for name in ci} == ci


def test_only_the_protected_environment_gets_the_role_that_deploys() -> None:
    roles = {
        job: each["with"]["role-to-assume"]
        for job, each in STEPS
        if each.get("uses", "").startswith("aws-actions/")
    }

    assert JOBS["deploy"]["environment"] == "prod"
    assert {job for job, role in roles.items() if "DEPLOY" in role} == {"deploy"}
    assert {job for job, role in roles.items() if "REVIEW" in role} == {"review", "drift"}


def test_there_is_no_secret_and_no_value_of_an_event_in_a_script() -> None:
    text = yaml.safe_dump(PIPELINE)

    assert "secrets." not in text
    assert not any("${{" in script for _, script in SCRIPTS)


@pytest.mark.parametrize("job", ["review", "deploy"])
def test_packages_are_installed_before_there_are_credentials(job: str) -> None:
    installs = "make synth" if job == "review" else "make .venv/.installed node_modules/.installed"

    assert position(job, installs) < position(job, "configure-aws-credentials")


def test_what_was_reviewed_is_deployed() -> None:
    commands = [script for job, script in SCRIPTS if job == "deploy"]
    uploaded = JOBS["review"]["steps"][position("review", "upload-artifact")]["with"]
    downloaded = JOBS["deploy"]["steps"][position("deploy", "download-artifact")]["with"]

    assert JOBS["deploy"]["needs"] == "review"
    assert (
        position("review", "make synth")
        < position("review", "cdk diff")
        < position("review", "upload-artifact")
    )
    assert uploaded["name"] == downloaded["name"]
    assert "make deploy ASSEMBLY=cdk.out" in commands
    assert not any("synth" in command for command in commands)


def test_the_smoke_test_is_after_the_deployment() -> None:
    assert position("deploy", "make deploy") < position("deploy", "-m ops smoke")


def test_a_failed_command_of_a_pipe_fails_its_step() -> None:
    # GitHub runs `bash -e` by default, and with `shell: bash` also `-o pipefail`:
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
    assert PIPELINE["defaults"]["run"]["shell"] == "bash"


# Answers one status more with each call
AWS = """#!/bin/sh
case "$2" in
    detect-stack-drift) [ "$4" = ConnectMessageSender-prod ] && echo a1b2 ;;
    describe-stack-drift-detection-status) sed -n 1p statuses; sed -i.bak 1d statuses ;;
    describe-stack-resource-drifts) echo "- - MessageQueuesMessagesECF1F791" ;;
esac
"""
RUNNING = "DETECTION_IN_PROGRESS\tNOT_CHECKED\tNone"


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([RUNNING, RUNNING, "DETECTION_COMPLETE\tIN_SYNC\tNone"], 0),
        (["DETECTION_COMPLETE\tDRIFTED\tNone"], 1),
        (
            [
                RUNNING,
                "DETECTION_FAILED\tIN_SYNC\tFailed to detect drift on resources [SenderFunction8A49F898]",
            ],
            1,
        ),
        ([""], 1),
    ],
    ids=["in sync", "drifted", "not every resource", "no answer"],
)
def test_the_drift_check_fails_unless_everything_is_in_sync(
    tmp_path: Path, statuses: list[str], code: int
) -> None:
    for name, text in {"aws": AWS, "sleep": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "statuses").write_text("".join(f"{status}\n" for status in statuses))
    script = step("drift", "Compare the resources with the template")["run"]

    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "STAGE": "prod",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == code
    summary = (tmp_path / "summary").read_text()
    assert f"ConnectMessageSender-prod: {statuses[-1]}" in summary
    assert "MessageQueuesMessagesECF1F791" in summary


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        (["STAGE=prod"], ["--context", "stage=prod"]),
        (
            ["STAGE=prod", "ASSEMBLY=my assembly"],
            [
                *("--context", "stage=prod", "--app", "my assembly", "--require-approval", "never"),
                "ConnectMessageSender-prod",
            ],
        ),
    ],
    ids=["asks", "from an assembly"],
)
def test_make_deploys_an_assembly_without_a_question(
    tmp_path: Path, variables: list[str], arguments: list[str]
) -> None:
    [recipe] = re.findall(r"^deploy: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    (tmp_path / "cdk").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >arguments\n')
    (tmp_path / "cdk").chmod(0o755)
    head = MAKEFILE.partition("export PYTHON")[0]
    (tmp_path / "Makefile").write_text(f"{head}\nexport STAGE ?= dev\nCDK := ./cdk\ndeploy:\n{recipe}")

    subprocess.run(["make", "--silent", "deploy", *variables], cwd=tmp_path, check=True, timeout=30)

    assert (tmp_path / "arguments").read_text().splitlines() == ["deploy", *arguments]
