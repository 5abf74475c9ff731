"""Names of a stage. Needs no CDK, because commands for a deployed stack import it."""

import re
from typing import Final

MESSAGES_SUFFIX = "-messages.fifo"
"""The end of the name of the messages queue. No other physical name leaves fewer characters for the stage."""

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

_PREFIX = "ConnectMessageSender-"

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_LONGEST_QUEUE_NAME = 80
_LONGEST_STAGE = _LONGEST_QUEUE_NAME - len(_PREFIX) - len(MESSAGES_SUFFIX)


def stack_name(stage: str) -> str:
    """Return the name of the stack of a stage.

    Raises:
        ValueError: The name cannot be a part of names of resources. The text is the rule.
    """
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9-]{{0,{_LONGEST_STAGE - 1}}}", stage):
        raise ValueError(
            f"the name of a stage has 1 to {_LONGEST_STAGE} letters, digits and hyphens, does not begin "
            f"with a hyphen, and is a part of a queue's name of at most {_LONGEST_QUEUE_NAME} characters"
        )
    return f"{_PREFIX}{stage}"
