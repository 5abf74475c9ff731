import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cdk_nag
import pytest

import app
from tests.infra.template import ACKNOWLEDGED, CHANGED, EVERYTHING, FILLED_IN, Synthesize, Template

CDK_JSON = Path(app.__file__).with_name("cdk.json")

Share = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def context() -> dict[str, Any]:
    """The context of `cdk.json`, which only the CLI reads by itself, filled in. No package is built."""
    context: dict[str, Any] = json.loads(CDK_JSON.read_text())["context"]
    context["stages"]["prod"] |= FILLED_IN
    return context | {"aws:cdk:bundling-stacks": []}


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Share:
    """Return a folder that the first process to ask for it fills. Processes of one test run share it."""
    base = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        base = base.parent

    def share(name: str, fill: Callable[[Path], None]) -> Path:
        folder = base / name
        with base.joinpath("lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = tmp_path_factory.mktemp(name)
                fill(unfinished)
                unfinished.rename(folder)
        return folder

    return share


@pytest.fixture(scope="session")
def synthesize(context: dict[str, Any], share: Share) -> Synthesize:
    templates: dict[str, Template] = {}

    def synthesize(stage: str, **options: object) -> Template:
        # A stage that is not in cdk.json lists no option: all have their defaults
        stages = {stage: context["stages"].get(stage, {}) | options}
        key = hashlib.sha256(json.dumps(stages).encode()).hexdigest()[:12]
        if key not in templates:
            changed = context | {"stage": stage, "stages": stages}
            assembly = share(f"cdk.out.{key}", lambda folder: synthesize_into(folder, changed))
            templates[key] = Template(assembly)
        return templates[key]

    return synthesize


def synthesize_into(
    folder: Path, context: dict[str, Any], *, add: Callable[[cdk.Stack], object] = lambda _: None
) -> None:
    """Synthesize a stage as `synthesize_checked` does.

    Args:
        add: Called with the stack before the synthesis.
    """
    application = cdk.App(context=context, outdir=str(folder))
    add(app.build(application))
    synthesize_checked(application)


def synthesize_checked(application: cdk.App) -> None:
    """Synthesize an application with the rules of cdk-nag and of the CDK. The report has their findings."""
    packs = (cdk_nag.AwsSolutionsChecks(application), cdk_nag.ServerlessChecks(application))
    cdk.Validations.of(application).add_plugins(*packs)
    acknowledged = [
        (rule, construct.node.path)
        for construct in application.node.find_all()
        for entry in construct.node.metadata
        if entry.type == cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule in entry.data
    ]
    Path(application.outdir, ACKNOWLEDGED).write_text(json.dumps(acknowledged))
    try:
        application.synth()
    except RuntimeError as error:
        if not str(error).startswith("ValidationFailed"):
            raise


@pytest.fixture(scope="session")
def dev(synthesize: Synthesize) -> Template:
    return synthesize("dev")


@pytest.fixture(scope="session")
def prod(synthesize: Synthesize) -> Template:
    return synthesize("prod")


@pytest.fixture(scope="session")
def changed(synthesize: Synthesize) -> Template:
    """The stage dev with another value for every option, but for any account and Region."""
    return synthesize("dev", **EVERYTHING | CHANGED | {"account": None, "region": None})


@pytest.fixture(scope="session", params=["dev", "prod"])
def template(request: pytest.FixtureRequest) -> Template:
    """Each stage in turn, for what holds in all of them."""
    stage: Template = request.getfixturevalue(request.param)
    return stage


@pytest.fixture(scope="session")
def asset(context: dict[str, Any], share: Share) -> Path:
    """The deployment package of the stage dev, as the CDK stages it."""
    return staged("asset", context, share)


@pytest.fixture(scope="session")
def asset_with_tracer(context: dict[str, Any], share: Share) -> Path:
    """The same for the tracing of subsegments: the largest package."""
    return staged("asset-with-tracer", context, share, tracing="subsegments")


def staged(name: str, context: dict[str, Any], share: Share, **options: object) -> Path:
    bundled = {name: value for name, value in context.items() if name != "aws:cdk:bundling-stacks"}
    bundled["stages"] = {"dev": context["stages"]["dev"] | options}

    assembly = share(name, lambda folder: build(cdk.App(context=bundled, outdir=str(folder))))

    [asset] = assembly.glob("asset.*")
    return asset


def build(application: cdk.App) -> None:
    app.build(application)
