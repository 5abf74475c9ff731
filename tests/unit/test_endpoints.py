"""URLs of the services, compared with botocore's endpoint rules."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader
from botocore.session import Session

from message_sender.aws.endpoints import (
    CONNECT_PARTICIPANT,
    DYNAMODB,
    EVENTBRIDGE,
    KMS,
    SQS,
    STEP_FUNCTIONS,
    Service,
    endpoint_url,
)

MODELS = {
    CONNECT_PARTICIPANT: "connectparticipant",
    DYNAMODB: "dynamodb",
    EVENTBRIDGE: "events",
    KMS: "kms",
    SQS: "sqs",
    STEP_FUNCTIONS: "stepfunctions",
}
LOADER = Loader()
PARTITIONS: dict[str, Any] = LOADER.load_data("partitions")
REGIONS = {
    partition["id"]: [region for region in partition["regions"] if "global" not in region]
    for partition in PARTITIONS["partitions"]
}
WITH_CONNECT = {
    partition for partition in REGIONS if Session().get_available_regions("connectparticipant", partition)
}


@pytest.mark.parametrize("service", MODELS, ids=lambda service: service.variable)
@pytest.mark.parametrize("fips", [False, True], ids=["", "fips"])
@pytest.mark.parametrize("dual_stack", [False, True], ids=["", "dual-stack"])
def test_every_endpoint_equals_botocores(service: Service, fips: bool, dual_stack: bool) -> None:
    provider = EndpointProvider(LOADER.load_service_model(MODELS[service], "endpoint-rule-set-1"), PARTITIONS)
    environ = {
        "AWS_USE_FIPS_ENDPOINT": str(fips).lower(),
        "AWS_USE_DUALSTACK_ENDPOINT": str(dual_stack).lower(),
    }
    regions = [region for partition in WITH_CONNECT for region in REGIONS[partition]]

    expected = {
        region: provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack).url
        for region in regions
    }

    assert len(expected) > 30
    assert {region: endpoint_url(service, region=region, environ=environ) for region in regions} == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
        (
            {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1/", "AWS_ENDPOINT_URL": "https://x"},
            "http://127.0.0.1:1",
        ),
        ({"AWS_ENDPOINT_URL_EVENTBRIDGE": "https://x"}, "https://sqs.eu-central-1.amazonaws.com"),
        (
            {"AWS_ENDPOINT_URL": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://sqs.eu-central-1.amazonaws.com",
        ),
    ],
)
def test_the_variables_of_the_aws_sdks_set_the_endpoint(environ: dict[str, str], expected: str) -> None:
    assert endpoint_url(SQS, region="eu-central-1", environ=environ) == expected


@pytest.mark.parametrize("service", MODELS, ids=lambda service: service.variable)
def test_each_service_uses_the_variable_that_botocore_reads(service: Service) -> None:
    model = LOADER.load_service_model(MODELS[service], "service-2")

    variable = model["metadata"]["serviceId"].replace(" ", "_").upper()

    url = endpoint_url(service, region="eu-central-1", environ={f"AWS_ENDPOINT_URL_{variable}": "https://x"})
    assert url == "https://x"


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("https://vpce-1.example", "https://vpce-1.example"),
        ("HTTPS://Vpce-1.Example:8443/", "HTTPS://Vpce-1.Example:8443"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ("https://x/stage/v1.2/", "https://x/stage/v1.2"),
        ("https://x/..a/.b/c../...", "https://x/..a/.b/c../..."),
        ("http://localhost:4566", "http://localhost:4566"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://127.255.0.9:1", "http://127.255.0.9:1"),
        ("http://[::1]:65535/a", "http://[::1]:65535/a"),
    ],
)
def test_an_endpoint_with_tls_or_on_this_machine_is_accepted(url: str, used: str) -> None:
    assert endpoint_url(SQS, region="eu-central-1", environ={"AWS_ENDPOINT_URL": url}) == used


UNSAFE = {
    "no scheme": ["vpce-1.example", "vpce-1.example:443", "//vpce-1.example", "localhost:4566", "/path"],
    "other schemes": [
        "ftp://x",
        "ws://localhost",
        "file:///etc/passwd",
        "https:/x",
        "https:x",
        "xhttps://x",
        "http\N{LATIN SMALL LETTER LONG S}://x",
    ],
    "plain HTTP": [
        *("http://x", "http://10.0.0.1", "http://0.0.0.0", "http://[::]", "http://[::2]", "http://128.0.0.1"),
        *("http://localhost.example", "http://127.0.0.1.example", "http://x.localhost", "http://localhost."),
        *("http://169.254.170.2", "http://[::ffff:127.0.0.1]", "http://[fd00:ec2::23]"),
    ],
    "numbers": [
        *("http://127.1", "http://2130706433", "http://0x7f.1", "http://0x7f000001", "http://0177.0.0.1"),
        *("http://127.0.0.01", "https://256.1.1.1", "https://1.2.3.4.5", "https://example.0x7f"),
    ],
    "user information": [
        *("https://user@x", "https://user:hunter2@x", "https://@x", "https://:@x", "http://127.0.0.1@x"),
        *("http://localhost:hunter2@x", "https://x\\@y", "https://x@"),
    ],
    "query": ["https://x?", "https://x?a=hunter2", "https://x/?a", "https://x/a?b/c"],
    "fragment": ["https://x#", "https://x#hunter2", "https://x/#a", "https://x/a#b/c"],
    "host": [
        *("https://", "https:///", "https:///a", "https://:443", "https://.", "https://.x", "https://x..y"),
        *(
            "https://-x",
            "https://x-",
            "https://x_y",
            "https://ü",
            "https://x.",
            "https://x\N{CYRILLIC SMALL LETTER A}",
        ),
        *(
            "https://[]",
            "https://[::1",
            "https://::1",
            "https://\N{KELVIN SIGN}",
            "https://[127.0.0.1]",
            "https://[1:2]",
            "https://[::1%25lo]",
        ),
        *("https://" + "a" * 64, "https://" + "a." * 127 + "a", "https://%78", "https://*.x", "https://x,y"),
    ],
    "port": [
        *(
            "https://x:",
            "https://x:0",
            "https://x:65536",
            "https://x:99999999",
            "https://x:-1",
            "https://x:+1",
        ),
        *(
            "https://x:a",
            "https://x:1:2",
            "https://x:0443",
            "https://x:\N{ARABIC-INDIC DIGIT ONE}",
            "https://x: 1",
        ),
    ],
    "white space and control characters": [
        *(
            " https://x",
            "https://x ",
            "https://x\n",
            "https://x\r\n",
            "https://x/\n",
            "https://x/\x00",
            "https://x/a b",
        ),
        *(
            "https://\tx",
            "https://x/\x7f",
            "https://x/\x85",
            "https://x/\N{NO-BREAK SPACE}",
            "\nhttps://x",
            "https://x\x1b",
        ),
    ],
    "path": [
        *("https://x//", "https://x//a", "https://x/a//b", "https://x/a//", "https://x/.", "https://x/./a"),
        *(
            "https://x/..",
            "https://x/../a",
            "https://x/a/./b",
            "https://x/a/../b",
            "https://x/a/.",
            "https://x/a/..",
        ),
        *(
            "https://x/a/../",
            "https://x/%2e/a",
            "https://x/a%2Fb",
            "https://x/%",
            "https://x/ä",
            "https://x/\\a",
        ),
        *(
            'https://x/"',
            "https://x/<a>",
            "https://x/[a]",
            "https://x/{a}",
            "https://x/a|b",
            "https://x/a^",
            "https://x/`",
        ),
    ],
}


@pytest.mark.parametrize("url", [url for urls in UNSAFE.values() for url in urls])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
def test_an_unsafe_endpoint_is_refused_and_its_value_is_not_quoted(variable: str, url: str) -> None:
    with pytest.raises(ValueError) as refusal:
        endpoint_url(SQS, region="eu-central-1", environ={variable: url})

    assert str(refusal.value).startswith(f"the environment variable {variable} must be an https:// URL")
    assert "hunter2" not in str(refusal.value)


def test_an_unsafe_endpoint_of_another_service_is_ignored() -> None:
    environ = {
        "AWS_ENDPOINT_URL_SFN": "http://x",
        "AWS_ENDPOINT_URL": "http://y",
        "AWS_ENDPOINT_URL_SQS": "https://z",
    }

    assert endpoint_url(SQS, region="eu-central-1", environ=environ) == "https://z"
