"""The auditor is independent: it knows the documents, and no code of the function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from message_sender import errors, request
from message_sender.event_sources.api_gateway import STATUS
from message_sender.result import DETAIL_TYPES, RESULT_SOURCE
from tests.simulation import contract

ROOT: Final = Path(__file__).parents[2]
_IMPORT: Final = """
import sys

class NoFunction:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"message_sender", "infra", "ops", "connect_message_sender"}:
            raise ImportError(f"{name} is not for the auditor")

sys.meta_path.insert(0, NoFunction())
import tests.simulation.%s
"""


@pytest.mark.parametrize("module", ["invariants", "contact_centre", "workload"])
def test_checks_and_workloads_import_no_code_of_the_function(module: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _IMPORT % module], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert found.returncode == 0, found.stderr


def test_a_module_that_imports_the_function_fails_this_test() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _IMPORT % "function"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "is not for the auditor" in found.stderr


def test_the_documents_give_the_derived_client_tokens() -> None:
    text = (ROOT / "docs/reference/requests.md").read_text(encoding="utf-8")

    assert f"`{contract.DERIVED}`" in text
    assert f"`{contract.PARTS}`" in text
    arn, source_id = "arn:aws:sqs:eu-central-1:000000000000:messages.fifo", "1d3e"
    assert contract.derived_client_token(arn, source_id) == request.derive_client_token(arn, source_id)
    assert contract.client_token_of_part("order-1", 10) == request.client_token_of_part("order-1", 10)


def test_the_documents_give_the_limits() -> None:
    text = (ROOT / "docs/reference/requests.md").read_text(encoding="utf-8")

    for limit in (contract.MOST_PARTS, contract.MOST_BYTES, contract.MOST_CHARACTERS):
        assert f"{limit:,}" in text


def test_the_documents_list_the_codes_of_the_function() -> None:
    statuses = {error.__name__.removesuffix("Error"): status for error, status in STATUS.items()}

    assert {name: code.status for name, code in contract.CODES.items()} == statuses
    assert {name for name in contract.CODES if issubclass(_error(name), errors.RejectedError)} == (
        contract.REJECTIONS
    )
    assert (contract.RESULT_SOURCE, set(contract.DETAIL_TYPES.values())) == (
        RESULT_SOURCE,
        set(DETAIL_TYPES.values()),
    )


def _error(name: str) -> type[Exception]:
    found: type[Exception] = getattr(errors, f"{name}Error")
    return found


@pytest.mark.parametrize(
    ("code", "http_status", "fitting"),
    [
        ("AccessDenied", 403, True),
        ("AccessDenied", None, False),
        ("ServiceUnavailable", 503, True),
        ("ServiceUnavailable", 404, False),
        ("ConnectionFailed", None, True),
        ("ConnectionFailed", 200, False),
        ("Expired", None, True),
        ("KeyUnavailable", 400, False),
    ],
)
def test_a_status_fits_some_codes(code: str, http_status: int | None, fitting: bool) -> None:
    assert contract.fits(code, http_status) == fitting
