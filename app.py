"""Synthesize the stack of one stage: `cdk synth`, or `cdk synth -c stage=prod`."""

import os

import aws_cdk as cdk

from infra.options import InvalidOptionsError, StageOptions
from infra.stack import ConnectMessageSender

DEFAULT_STAGE = "dev"


def build(app: cdk.App) -> ConnectMessageSender:
    """Add the stack of the stage that the context names.

    Raises:
        InvalidOptionsError: The stage is unknown, or its options are not valid or not complete.
    """
    named = app.node.try_get_context("stage")
    stage = DEFAULT_STAGE if named is None else named
    options = StageOptions.of_stage(stage, app.node.try_get_context("stages"))
    _check_complete(stage, options)
    stack = ConnectMessageSender(app, stage=stage, options=options)
    # The CDK CLI sets this variable. It refuses credentials of another account, unless they may assume the
    # deploy role, and its message does not name the account of the stage.
    own_account = os.environ.get("CDK_DEFAULT_ACCOUNT")
    if own_account and options.account not in {None, own_account}:
        cdk.Annotations.of(stack).add_info(
            f"The stage {stage} is for account {options.account}. Your credentials are for {own_account}"
        )
    return stack


def _check_complete(stage: str, options: StageOptions) -> None:
    """Refuse a stage that keeps its data and does not say where it lives and who gets its alarms."""
    if missing := options.missing:
        needed = ", ".join(f"{name} ({rule})" for name, rule in missing.items())
        raise InvalidOptionsError(f"stages.{stage} has retain_data, so it needs {needed}")


def main(app: cdk.App) -> None:
    """Synthesize, or end with one line that says what is wrong in `cdk.json`."""
    try:
        build(app)
    except InvalidOptionsError as error:
        raise SystemExit(f"cdk.json: {error}") from None
    app.synth()


if __name__ == "__main__":
    main(cdk.App())
