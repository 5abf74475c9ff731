"""What the documents say is what the code does."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from jsonschema import Draft7Validator

from infra.api_models import GATEWAY_ERRORS, QUEUE_FAILED
from infra.contract import REQUEST_SCHEMA
from infra.options import StageOptions, json_schema
from message_sender.errors import DeliveryError
from message_sender.request import MAX_TEXT
from scripts.render_contract import ERRORS, OPTIONS_SCHEMA, REFERENCE, REQUESTS, RESULTS
from scripts.render_contract import PAGES as GENERATED
from tests.simulation.fault_profiles import Fault
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenarios import SCENARIOS
from tests.support.errors import leaves
from tests.support.schemas import RESULT_SCHEMA

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
STACK = REFERENCE / "stack.md"
HOW_TO = DOCS / "how-to"
PAGES = [ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += sorted(DOCS.rglob("*.md"))
# A decision names what there was on its day, and the changelog what there was in a release
LASTING = [page for page in PAGES if page.name != "CHANGELOG.md" and page.parent != DECISIONS]


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_tables_of_the_reference_are_up_to_date(page: Path) -> None:
    document = page.read_text(encoding="utf-8")

    assert document == GENERATED[page](document), "run `make docs`"


def test_a_block_without_its_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 blocks `request fields`"):
        GENERATED[REQUESTS]("# Requests\n")


def test_json_schema_of_the_options_is_up_to_date() -> None:
    assert json.loads(OPTIONS_SCHEMA.read_text()) == json_schema(), "run `make docs`"


def test_the_example_of_a_result_keeps_the_schema() -> None:
    [example] = re.findall(r'```json\n(\{"Version".*?)\n```', RESULTS.read_text(), re.DOTALL)

    Draft7Validator(RESULT_SCHEMA).validate(json.loads(example))


def test_every_code_has_a_section_and_no_other_section_is_called_like_a_code() -> None:
    sections = re.findall(r"^## (\w+)$", ERRORS.read_text(), re.MULTILINE)

    assert sections == [leaf.__name__.removesuffix("Error") for leaf in leaves(DeliveryError)]


def test_every_code_of_the_api_is_on_the_page_of_errors() -> None:
    codes = {error.code for error in (*GATEWAY_ERRORS.values(), QUEUE_FAILED)}

    assert {code for code in codes if f"`{code}`" not in ERRORS.read_text()} == set()


def test_every_log_message_is_on_the_page_of_the_stack() -> None:
    source = (ROOT / "lambda_src/message_sender/observability.py").read_text()
    [table] = re.findall(r"^\| `message` \| Level .*?\n\n", STACK.read_text(), re.MULTILINE | re.DOTALL)

    listed = re.findall(r"^\| `([A-Z][^`]+)` \|", table, re.MULTILINE)

    assert sorted(listed) == sorted(set(re.findall(r'_logger\.\w+\(\s*"([^"]+)"', source)))


def test_every_json_that_can_be_pasted_is_a_request() -> None:
    pages = [(HOW_TO / name).read_text() for name in ("send-messages.md", "wait-in-step-functions.md")]
    text = "\n".join(pages)
    arguments = re.findall(r"--(?:data|payload|input) '(\{.*?\})'", text, re.DOTALL)
    entries = [
        entry
        for found in re.findall(r"<<'?END'?\n(\[.*?)\nEND\n", text, re.DOTALL)
        for entry in json.loads(found)
    ]

    requests = [json.loads(argument) for argument in arguments]
    requests += [json.loads(entry["Detail"]) for entry in entries]

    assert entries
    assert len(requests) >= 4
    for request in requests:
        assert set(request) >= {"ConnectionToken", "ContentType", "Content", "ClientToken"}
        assert set(request) <= set(REQUEST_SCHEMA["properties"])


PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(file: str) -> dict[str, str]:
    return {name.lower(): version for name, version in PIN.findall((ROOT / file).read_text())}


@pytest.mark.parametrize(
    "file", ["requirements-tools.txt", "requirements-dev.txt", "lambda_src/requirements.txt"]
)
def test_the_requirements_agree(file: str) -> None:
    ours, theirs = pins("requirements.txt"), pins(file)

    shared = ours.keys() & theirs.keys()

    assert len(shared) >= 5
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-tracing.txt"])
def test_the_asset_has_no_requirement_that_the_tests_do_not_run_with(file: str) -> None:
    assert pins(f"lambda_src/{file}").items() <= pins("requirements-dev.txt").items()


def test_the_lambda_runtime_of_the_local_stack_has_the_botocore_of_the_tests() -> None:
    assert pins("sandbox/requirements-runtime.txt")["botocore"] == pins("requirements-dev.txt")["botocore"]


def test_the_version_is_one() -> None:
    from message_sender import __version__  # noqa: PLC0415  # what is tested

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings, as the usual hosts make them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https://)([^)#]*)(?:#([^)]+))?\)", without_code(page))

    targets = [(page.parent / path if path else page, anchor) for path, anchor in links]

    assert [str(target) for target, _ in targets if not target.exists()] == []
    assert [anchor for target, anchor in targets if anchor and anchor not in anchors(target)] == []


def test_the_longest_request_is_on_the_page_of_requests() -> None:
    assert f"at most {MAX_TEXT:,} characters" in REQUESTS.read_text()


def test_the_explanation_of_the_simulation_says_how_much_it_does() -> None:
    page = (DOCS / "explanation" / "simulation.md").read_text()

    for row, number in {
        "kinds of faults": len(Fault),
        "named situations, such as an outage or three times the quota": len(SCENARIOS),
        "mutants": len(MUTANTS),
    }.items():
        assert f"| {row} | {number} |" in page
    assert f" {len(Fault)} kinds of faults" in (ROOT / "README.md").read_text()


def test_every_decision_is_in_the_index_once() -> None:
    index = (DECISIONS / "README.md").read_text()
    files = [page.name for page in DECISIONS.iterdir() if page.name != "README.md"]

    listed = re.findall(r"\]\(([^)#]+\.md)\)", index)

    assert files
    assert sorted(name for name in listed if "/" not in name) == sorted(files), "link it in README.md"


def test_every_page_that_the_code_names_is_there() -> None:
    folders = ["benchmarks", "infra", "lambda_src", "ops", "sandbox", "scripts", "tests", ".github"]
    files = [file for folder in folders for file in (ROOT / folder).rglob("*")]
    files += [ROOT / name for name in ("Makefile", "app.py", "cdk.json", "package.json", "pyproject.toml")]
    suffixes = {"", ".json", ".md", ".py", ".yml"}

    named = {
        (str(file.relative_to(ROOT)), page)
        for file in files
        if file.suffix in suffixes and file.is_file()
        for page in re.findall(r"\bdocs/[\w/-]+\.(?:md|json|svg)", file.read_text(encoding="utf-8"))
    }

    assert len(named) >= 10
    assert [(file, page) for file, page in sorted(named) if not (ROOT / page).is_file()] == []


@pytest.mark.parametrize("page", LASTING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_target_of_make_is_there(page: Path) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    named = re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE)

    assert set(named) <= set(targets)


@pytest.mark.parametrize("page", LASTING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())

    assert [name for name in named if not (ROOT / name).is_file()] == []


# Where the AWS CLI calls a service differently than botocore
SERVICES = {"deploy": "codedeploy"}
GLOBAL_OPTIONS = {"endpoint-url", "output", "query", "cli-binary-format"}


def commands_of_the_aws_cli(page: Path) -> list[list[str]]:
    """Return the words of each command, `make` lines and the like aside."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))
    inline = re.findall(r"`(aws [^`]+)`", without_code(page))
    joined = re.sub(r"\s#\s.*$", "", blocks.replace("\\\n", " "), flags=re.MULTILINE)
    starts = [match.end() for match in re.finditer(r"(?:^|\$\(|; |  )aws (?=[a-z])", joined, re.MULTILINE)]
    return [_words(text) for text in [*(joined[start:] for start in starts), *(text[4:] for text in inline)]]


def _words(text: str) -> list[str]:
    """Split up to the end of the command, which may be that of a `$(...)`."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = []
    for word in lexer:
        command, end, _ = word.partition("\n")
        if command and command != ";":
            words.append(command)
        if end or word == ";" or (command.endswith(")") and command.count("(") < command.count(")")):
            break
    return words


@pytest.mark.parametrize("page", LASTING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_the_aws_cli_is_one_that_it_knows(page: Path) -> None:
    session = botocore.session.get_session()
    for service, command, *words in commands_of_the_aws_cli(page):
        if command == "wait" or (service == "cloudformation" and command in {"package", "deploy"}):
            continue  # made of several calls
        model = session.get_service_model(SERVICES.get(service, service))
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert command in operations, f"aws {service} {command}"
        shape = model.operation_model(operations[command]).input_shape
        known = {xform_name(name, "-") for name in shape.members} if shape else set()
        options = {word[2:].partition("=")[0].removeprefix("no-") for word in words if word.startswith("--")}
        assert options <= known | GLOBAL_OPTIONS, f"aws {service} {command}"


def test_the_commands_of_runbook_and_how_tos_are_found() -> None:
    pages = [DOCS / "runbook.md", *HOW_TO.glob("*.md")]

    found = [command for page in pages for command in commands_of_the_aws_cli(page)]

    assert len(found) >= 25
    assert ["lambda", "get-event-source-mapping", "--uuid", "$MAPPING", "--query", "State"] in found


@pytest.mark.parametrize("page", ["runbook.md", "explanation/security.md", "reference/stack.md"])
def test_every_option_that_is_named_is_there(page: str) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "lambda_src" / "message_sender").rglob("*.py"))
    options = {option.name for option in fields(StageOptions)}

    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)[`:]", (DOCS / page).read_text()))

    # The others are keys of the log and names of the code. Powertools adds the last two.
    assert named & options
    others = named - options - {"function_request_id", "xray_trace_id"}
    assert [name for name in sorted(others) if name not in sources] == []
