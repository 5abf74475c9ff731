"""Each mutant fails the check that is there for it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.scenarios import slow_service

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.change for mutant in MUTANTS])
def test_a_mutant_fails_its_check(mutant: Mutant, seed: int) -> None:
    failed = mutant.failed_checks(seed)

    assert mutant.check in failed
    assert failed == [mutant.check] or not mutant.alone


@pytest.mark.filterwarnings("ignore")  # such a function has no metrics, and Powertools warns about that
def test_sqs_moves_messages_if_the_function_fails_on_every_batch(seed: int) -> None:
    with patch("message_sender.event_sources.sqs.SqsSource.handle", side_effect=KeyError):
        assert "moved by SQS" in slow_service(seed)


def _with_other_parameters(_: object) -> Callable[[object], None]:
    return lambda _other: None


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("message_sender.event_sources.sqs.SqsSource.renamed", AttributeError),
        ("message_sender.event_sources.sqs.SqsSource._outcome", TypeError),
    ],
)
def test_a_mutant_whose_original_has_changed_is_an_error(target: str, error: type[Exception]) -> None:
    mutant = Mutant("x", slow_service, "x", target, _with_other_parameters)

    with pytest.raises(error), mutant.applied():
        pass
