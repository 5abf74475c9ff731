"""`python -m sandbox.app`, an app for the CDK CLI: the stage dev of cdk.json, with every optional feature.

`cdk deploy` leaves them off, because they cost something on AWS. Here you can try them.
"""

from __future__ import annotations

import aws_cdk as cdk

from app import DEFAULT_STAGE, main

FEATURES = {"sealed_tokens": True, "outcome_lookup": True, "maximum_age_minutes": 60}


def with_features(app: cdk.App) -> cdk.App:
    """Switch the features on in the context of the app."""
    stages = app.node.try_get_context("stages")
    app.node.set_context("stages", {**stages, DEFAULT_STAGE: {**stages[DEFAULT_STAGE], **FEATURES}})
    return app


if __name__ == "__main__":
    main(with_features(cdk.App()))
