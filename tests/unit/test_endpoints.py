"""Where the services are: compared with botocore's own endpoint rules."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader

from message_sender.endpoints import (
    CONNECT_PARTICIPANT,
    EVENTBRIDGE,
    SQS,
    STEP_FUNCTIONS,
    Service,
    endpoint_url,
)

MODELS = {
    CONNECT_PARTICIPANT: "connectparticipant",
    EVENTBRIDGE: "events",
    SQS: "sqs",
    STEP_FUNCTIONS: "stepfunctions",
}
LOADER = Loader()
PARTITIONS: dict[str, Any] = LOADER.load_data("partitions")
REGIONS = [
    region
    for partition in PARTITIONS["partitions"]
    for region in partition["regions"]
    if "global" not in region
]


@pytest.mark.parametrize("service", MODELS, ids=lambda service: service.variable)
@pytest.mark.parametrize("fips", [False, True], ids=["", "fips"])
@pytest.mark.parametrize("dual_stack", [False, True], ids=["", "dual-stack"])
def test_every_endpoint_is_the_one_that_botocore_has(service: Service, fips: bool, dual_stack: bool) -> None:
    provider = EndpointProvider(LOADER.load_service_model(MODELS[service], "endpoint-rule-set-1"), PARTITIONS)
    environ = {
        "AWS_USE_FIPS_ENDPOINT": str(fips).lower(),
        "AWS_USE_DUALSTACK_ENDPOINT": str(dual_stack).lower(),
    }

    expected = {
        region: provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack).url
        for region in REGIONS
    }

    assert len(expected) > 40
    assert {region: endpoint_url(service, region=region, environ=environ) for region in REGIONS} == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
        (
            {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1/", "AWS_ENDPOINT_URL": "http://x"},
            "http://127.0.0.1:1",
        ),
        ({"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://x"}, "https://sqs.eu-central-1.amazonaws.com"),
        (
            {"AWS_ENDPOINT_URL": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://sqs.eu-central-1.amazonaws.com",
        ),
    ],
)
def test_the_standard_variables_work_as_in_the_sdks(environ: dict[str, str], expected: str) -> None:
    assert endpoint_url(SQS, region="eu-central-1", environ=environ) == expected


@pytest.mark.parametrize("service", MODELS, ids=lambda service: service.variable)
def test_each_service_has_the_variable_that_botocore_reads(service: Service) -> None:
    model = LOADER.load_service_model(MODELS[service], "service-2")

    variable = model["metadata"]["serviceId"].replace(" ", "_").upper()

    url = endpoint_url(service, region="eu-central-1", environ={f"AWS_ENDPOINT_URL_{variable}": "http://x"})
    assert url == "http://x"
