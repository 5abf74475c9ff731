"""Where the services are: the standard environment variables of the AWS SDKs, else the public endpoints.

Checked against botocore's own endpoint rules for every Region, with FIPS and dual-stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Service(NamedTuple):
    """An AWS service, as its endpoints and its environment variable name it.

    Attributes:
        host: With `-fips` behind it where FIPS is asked for. In GovCloud, where many an endpoint keeps to
            FIPS under its usual name, the other attributes say what it is.
        us_gov_west_fips_host: Where that Region differs from the other one; None where it does not.
    """

    variable: str
    host: str
    govcloud_dual_stack_host: str
    govcloud_fips_host: str
    govcloud_fips_dual_stack_host: str
    us_gov_west_fips_host: str | None = None


CONNECT_PARTICIPANT: Final = Service(
    variable="CONNECTPARTICIPANT",
    host="participant.connect",
    govcloud_dual_stack_host="participant.connect",
    govcloud_fips_host="participant.connect",
    govcloud_fips_dual_stack_host="participant.connect-fips",
)
EVENTBRIDGE: Final = Service(
    variable="EVENTBRIDGE",
    host="events",
    govcloud_dual_stack_host="events",
    govcloud_fips_host="events",
    govcloud_fips_dual_stack_host="events",
)
SQS: Final = Service(
    variable="SQS",
    host="sqs",
    govcloud_dual_stack_host="sqs",
    govcloud_fips_host="sqs",
    govcloud_fips_dual_stack_host="sqs-fips",
)
STEP_FUNCTIONS: Final = Service(
    variable="SFN",
    host="states",
    govcloud_dual_stack_host="states-fips",
    govcloud_fips_host="states-fips",
    govcloud_fips_dual_stack_host="states-fips",
    us_gov_west_fips_host="states",
)

# Region prefix: DNS suffix, dual-stack DNS suffix. The first that fits.
_PARTITIONS: Final = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("", "amazonaws.com", "api.aws"),
)


def endpoint_url(service: Service, *, region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of a service's endpoint, without a trailing slash.

    `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT` and
    `AWS_USE_DUALSTACK_ENDPOINT` work as in the AWS SDKs. `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` does too.
    """
    if not _is_true(environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")):
        configured = environ.get(f"AWS_ENDPOINT_URL_{service.variable}") or environ.get("AWS_ENDPOINT_URL")
        if configured:
            return configured.rstrip("/")
    fips = _is_true(environ.get("AWS_USE_FIPS_ENDPOINT"))
    dual_stack = _is_true(environ.get("AWS_USE_DUALSTACK_ENDPOINT"))
    suffix, dual_stack_suffix = next(
        (suffix, dual_stack_suffix)
        for prefix, suffix, dual_stack_suffix in _PARTITIONS
        if region.startswith(prefix)
    )
    host = _host(service, region, fips=fips, dual_stack=dual_stack)
    return f"https://{host}.{region}.{dual_stack_suffix if dual_stack else suffix}"


def _host(service: Service, region: str, *, fips: bool, dual_stack: bool) -> str:
    if not region.startswith("us-gov-"):
        return f"{service.host}-fips" if fips else service.host
    match fips, dual_stack:
        case True, True:
            return service.govcloud_fips_dual_stack_host
        case True, False:
            is_west = region == "us-gov-west-1"
            return (service.us_gov_west_fips_host if is_west else None) or service.govcloud_fips_host
        case False, True:
            return service.govcloud_dual_stack_host
    return service.host


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() == "true"
