"""The name of a stage and of its stack. Needs no CDK, because commands for a deployed stack import it."""

import re

MESSAGES_SUFFIX = "-messages.fifo"
"""The end of the name of the messages queue. No other physical name leaves fewer characters for the stage."""

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
