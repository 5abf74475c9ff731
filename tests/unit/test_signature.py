"""Signatures, compared with the test vectors of AWS and with botocore."""

from __future__ import annotations

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.aws.credentials import Credentials
from message_sender.aws.endpoints import SQS, endpoint_url, is_safe_url
from message_sender.aws.signature import signed
from tests.support.botocore_signature import botocore_authorization

# From "aws-sig-v4-test-suite" of AWS: POST requests without a query, as the function makes them
HOST = {"Host": "example.amazonaws.com"}
FORM = "application/x-www-form-urlencoded"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD"
    "8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q"
    "6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabI"
    "Qwj2ICCR/oLxBA=="
)


@pytest.mark.parametrize(
    ("headers", "body", "token", "names", "signature"),
    [
        pytest.param(
            *({}, b"", None, "host;x-amz-date"),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
        pytest.param(
            *({"My-Header1": "value1"}, b"", None, "host;my-header1;x-amz-date"),
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            id="post-header-key-sort",
        ),
        pytest.param(
            *({"My-Header1": "VALUE1"}, b"", None, "host;my-header1;x-amz-date"),
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            id="post-header-value-case",
        ),
        pytest.param(
            *({}, b"", TOKEN, "host;x-amz-date;x-amz-security-token"),
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            id="post-sts-header-before",
        ),
        pytest.param(
            *({"Content-Type": FORM}, b"Param1=value1", None, "content-type;host;x-amz-date"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            *(
                {"Content-Type": f"{FORM}; charset=utf8"},
                b"Param1=value1",
                None,
                "content-type;host;x-amz-date",
            ),
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
            id="post-x-www-form-urlencoded-parameters",
        ),
    ],
)
def test_a_signature_equals_the_published_one(
    headers: dict[str, str], body: bytes, token: str | None, names: str, signature: str
) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)

    answer = signed(
        HOST | headers,
        body,
        path="/",
        region="us-east-1",
        service="service",
        credentials=credentials,
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )

    assert answer["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert answer["X-Amz-Date"] == "20150830T123600Z"
    assert answer.get("X-Amz-Security-Token") == token


visible = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1, max_size=40)
names = st.from_regex(r"X-[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True).filter(
    # botocore does not sign the first one, and both signers add the others
    lambda name: name.lower() not in {"x-amzn-trace-id", "x-amz-date", "x-amz-security-token"}
)
values = st.text(string.ascii_letters + string.digits + string.punctuation + " \t", max_size=60)
segments = st.from_regex(r"[A-Za-z0-9~._!$&'()*+,;=:@%-]{0,12}", fullmatch=True)
endpoints = st.lists(segments, max_size=3).map(lambda parts: "/".join(("http://localhost:8080", *parts)))


@given(
    headers=st.dictionaries(names, values, max_size=5).filter(
        lambda headers: len({name.lower() for name in headers}) == len(headers)
    ),
    body=st.binary(max_size=300),
    endpoint=endpoints.filter(is_safe_url),
    token=st.none() | visible,
    access_key=st.text(string.ascii_uppercase, min_size=16, max_size=20),
    secret_key=visible,
    region=st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1"]),
    service=st.sampled_from(["events", "sqs", "states"]),
    now=st.integers(946_684_800, 4_102_444_799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
def test_a_signature_equals_botocores_for_any_request(
    headers: dict[str, str],
    body: bytes,
    endpoint: str,
    token: str | None,
    access_key: str,
    secret_key: str,
    region: str,
    service: str,
    now: datetime,
) -> None:
    credentials = Credentials(access_key, secret_key, token)
    url = endpoint_url(SQS, region=region, environ={"AWS_ENDPOINT_URL": endpoint}) + "/"

    ours = signed(
        headers | {"Host": "localhost:8080"},
        body,
        path=url.removeprefix("http://localhost:8080"),
        region=region,
        service=service,
        credentials=credentials,
        now=now,
    )

    assert ours["Authorization"] == botocore_authorization(
        headers, body, url=url, region=region, service=service, credentials=credentials, now=now
    )
