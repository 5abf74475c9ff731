"""Names of a sender and of a stage. Needs no CDK, because commands for a deployed stack import it."""

import re
from typing import Final

MESSAGES_SUFFIX: Final = "-messages.fifo"
"""The end of the name of the messages queue. No other physical name leaves fewer characters for the name."""

ROLLBACK_ALARMS: Final = ("UnhandledErrors", "TimeoutsAndCrashes", "ResultPublishFailures")
"""The alarms that stop a roll-out: they show a bad version within minutes, and end by themselves.

CodeDeploy stops a deployment while one of its alarms is on, whatever the cause. So these are not here:

- alarms on queues (`DeadLetters`): one old dead letter would stop every deployment, that of the fix included
- `MessagesFailed`: an outage of Amazon Connect would undo a good version. A bad version's messages fail only
  after the retry window, when the roll-out is over
- alarms on rejected messages: a producer could stop a deployment. So `UnhandledErrors` counts no
  unsupported events

https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups-configure-advanced-options.html
"""

PARAMETERS: Final = "/connect-message-sender"
"""The path under which the Systems Manager parameters of each sender are, in a folder with its name."""

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_LONGEST_QUEUE_NAME: Final = 80
LONGEST_NAME: Final = _LONGEST_QUEUE_NAME - len(MESSAGES_SUFFIX)
"""Characters of the name of a sender."""

_PREFIX: Final = "ConnectMessageSender-"
_LONGEST_STAGE: Final = LONGEST_NAME - len(_PREFIX)


def parameter_path(name: str) -> str:
    """Return the path of the Systems Manager parameters of a sender, without a slash at its end."""
    return f"{PARAMETERS}/{name}"


def check_name(name: object) -> None:
    """Check the name of a sender, the first part of all names that it gives.

    Raises:
        ValueError: The name cannot be a part of names of resources. The text is the rule.
    """
    if not _is_name(name, LONGEST_NAME):
        raise ValueError(
            f"the name of a sender has 1 to {LONGEST_NAME} letters, digits and hyphens, does not begin with "
            f"a hyphen, and is a part of a queue's name of at most {_LONGEST_QUEUE_NAME} characters"
        )


def stack_name(stage: str) -> str:
    """Return the name of the stack of a stage. It is also the name of its sender.

    Raises:
        ValueError: The name cannot be a part of names of resources. The text is the rule.
    """
    if not _is_name(stage, _LONGEST_STAGE):
        raise ValueError(
            f"the name of a stage has 1 to {_LONGEST_STAGE} letters, digits and hyphens, does not begin "
            f"with a hyphen, and is a part of a queue's name of at most {_LONGEST_QUEUE_NAME} characters"
        )
    return f"{_PREFIX}{stage}"


def _is_name(text: object, longest: int) -> bool:
    pattern = rf"[A-Za-z0-9][A-Za-z0-9-]{{0,{longest - 1}}}"
    return isinstance(text, str) and re.fullmatch(pattern, text) is not None
