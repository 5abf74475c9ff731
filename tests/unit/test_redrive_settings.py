"""The variables of `make redrive` and `make republish`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ops.dead_letters import DeadLetterQueue
from ops.redrive_policy import Rules
from ops.settings import RedriveSettings, RepublishSettings, SettingsError


def test_a_redrive_shows_what_it_would_do_with_the_dead_letters_of_a_day_unless_told_otherwise() -> None:
    settings = RedriveSettings.from_environ({})

    assert settings == RedriveSettings(
        stage="dev",
        queue=DeadLetterQueue.DEAD_LETTER,
        rules=Rules(codes=None, codes_required=False, max_age=timedelta(days=1), settle=False),
        dry_run=True,
    )


def test_every_variable_of_a_redrive_counts() -> None:
    settings = RedriveSettings.from_environ(
        {
            "STAGE": "prod",
            "QUEUE": "rejected",
            "CODE": "AccessDenied, ServiceValidation",
            "MAX_AGE": "90m",
            "MAYBE_DELIVERED": "leave",
            "SETTLE": "yes",
            "DISCARD": "yes",
            "DRY_RUN": "no",
        }
    )

    assert settings == RedriveSettings(
        stage="prod",
        queue=DeadLetterQueue.REJECTED,
        rules=Rules(
            codes=frozenset({"AccessDenied", "ServiceValidation"}),
            codes_required=True,
            max_age=timedelta(minutes=90),
            settle=True,
            discard=True,
            leave_maybe_delivered=True,
        ),
        dry_run=False,
    )


@pytest.mark.parametrize("stage", ["feature/abc", "a" * 46, "-a", "$(touch x)", "a b", "٣"])
@pytest.mark.parametrize("settings", [RedriveSettings, RepublishSettings])
def test_a_stage_that_no_stack_can_have_is_refused(
    settings: type[RedriveSettings | RepublishSettings], stage: str
) -> None:
    with pytest.raises(SettingsError, match=r"^STAGE is .+; the name of a stage has 1 to 45 letters"):
        settings.from_environ({"STAGE": stage})


@pytest.mark.parametrize(
    ("text", "age"),
    [("0m", timedelta()), ("2h", timedelta(hours=2)), ("3d", timedelta(days=3))],
)
def test_an_age_is_a_number_and_its_unit(text: str, age: timedelta) -> None:
    assert RedriveSettings.from_environ({"MAX_AGE": text}).rules.max_age == age


def test_an_empty_variable_is_none() -> None:
    names = ["STAGE", "QUEUE", "CODE", "MAX_AGE", "MAYBE_DELIVERED", "SETTLE", "DISCARD", "DRY_RUN"]
    variables = dict.fromkeys(names, "")

    assert RedriveSettings.from_environ(variables) == RedriveSettings.from_environ({})
    assert RepublishSettings.from_environ(variables) == RepublishSettings.from_environ({})


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"QUEUE": "messages"}, "make redrive QUEUE=dead-letter|events|rejected"),
        ({"MAX_AGE": "2"}, "make redrive MAX_AGE=90m"),
        ({"MAX_AGE": "-1h"}, "make redrive MAX_AGE=90m"),
        ({"DRY_RUN": "false"}, "DRY_RUN is 'false'. It is yes or no"),
        ({"SETTLE": "1"}, "SETTLE is '1'. It is yes or no"),
        ({"DISCARD": "true"}, "DISCARD is 'true'. It is yes or no"),
        ({"MAYBE_DELIVERED": "no"}, "MAYBE_DELIVERED is 'no'. It is leave or try"),
        ({"QUEUE": "rejected", "DRY_RUN": "no"}, "make redrive QUEUE=rejected CODE="),
        ({"QUEUE": "rejected", "DRY_RUN": "no", "CODE": " , "}, "CODE names none"),
    ],
)
def test_what_is_wrong_is_told_with_the_line_that_mends_it(variables: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        RedriveSettings.from_environ(variables)

    assert complaint in str(raised.value)


def test_rejected_letters_can_be_discarded_without_a_code() -> None:
    settings = RedriveSettings.from_environ({"QUEUE": "rejected", "DISCARD": "yes", "DRY_RUN": "no"})

    assert settings.rules.discard
    assert settings.rules.codes is None


def test_results_are_only_shown_unless_they_are_to_be_published() -> None:
    assert RepublishSettings.from_environ({}) == RepublishSettings(stage="dev", dry_run=True)
    assert RepublishSettings.from_environ({"STAGE": "prod", "DRY_RUN": "no"}) == RepublishSettings(
        stage="prod", dry_run=False
    )
