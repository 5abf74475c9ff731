import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

import app
from tests.infra.template import Configure, Synthesize

CDK_JSON = Path(app.__file__).with_name("cdk.json")


@pytest.fixture(scope="session")
def context() -> dict[str, Any]:
    """The context of `cdk.json`, which only the CLI reads by itself."""
    context: dict[str, Any] = json.loads(CDK_JSON.read_text())["context"]
    return context


@pytest.fixture(scope="session")
def configure(context: dict[str, Any]) -> Configure:
    def configure(stage: str, **options: object) -> dict[str, Any]:
        stages = {stage: context["stages"][stage] | options}
        return context | {"stage": stage, "stages": stages, "aws:cdk:bundling-stacks": []}

    return configure


@pytest.fixture(scope="session")
def synthesize(configure: Configure) -> Synthesize:
    def synthesize(stage: str, **options: object) -> Template:
        return Template.from_stack(app.build(cdk.App(context=configure(stage, **options))))

    return synthesize


@pytest.fixture(scope="session")
def dev(synthesize: Synthesize) -> Template:
    return synthesize("dev")


@pytest.fixture(scope="session")
def prod(synthesize: Synthesize) -> Template:
    return synthesize("prod")


@pytest.fixture(scope="session", params=["dev", "prod"])
def template(request: pytest.FixtureRequest) -> Template:
    """Each stage in turn, for what holds in all of them."""
    stage: Template = request.getfixturevalue(request.param)
    return stage


@pytest.fixture(scope="session")
def asset(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment package as the CDK stages it."""
    assembly = tmp_path_factory.mktemp("cdk.out")
    app.build(cdk.App(context=context, outdir=str(assembly)))
    (asset,) = assembly.glob("asset.*")
    return asset
