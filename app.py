"""Synthesize the stack of one stage: `cdk synth`, or `cdk synth -c stage=prod`."""

import aws_cdk as cdk

from infra.options import InvalidOptionsError, StageOptions
from infra.stack import ConnectMessageSender
from infra.stage import stack_name

DEFAULT_STAGE = "dev"


def build(app: cdk.App) -> ConnectMessageSender:
    """Add the stack of the stage that the context names.

    The stage is a part of the stack's name, so that every stage can live in the same account.
    """
    named = app.node.try_get_context("stage")
    stage = DEFAULT_STAGE if named is None else named
    options = StageOptions.of_stage(stage, app.node.try_get_context("stages"))
    return ConnectMessageSender(app, stack_name(stage), stage=stage, options=options)


def main(app: cdk.App) -> None:
    """Synthesize, or end with one line that says what is wrong in `cdk.json`."""
    try:
        build(app)
    except InvalidOptionsError as error:
        raise SystemExit(f"cdk.json: {error}") from None
    app.synth()


if __name__ == "__main__":
    main(cdk.App())
