"""Where the services are: the standard environment variables of the AWS SDKs, else the public endpoints.

Checked against botocore's own endpoint rules for every Region, with FIPS and dual-stack.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


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

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# The path has no percent sign and no empty or dot segment, so its signature is the one that botocore makes
_URL: Final = re.compile(
    rf"(?i:(?P<scheme>https?)://(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>{_LABEL}(\.{_LABEL})*)))"
    r"(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?",
    re.ASCII,
)
# A resolver may read a name that ends like this as an IPv4 address
_NUMBER_AT_THE_END: Final = re.compile(r"(\A|\.)([0-9]+|0x[0-9a-f]*)\Z")
_LOOPBACK: Final = IPv4Network("127.0.0.0/8")
_LONGEST_NAME: Final = 253
_LARGEST_PORT: Final = 65_535


def endpoint_url(service: Service, *, region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of a service's endpoint, without a trailing slash.

    `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT` and
    `AWS_USE_DUALSTACK_ENDPOINT` work as in the AWS SDKs. `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` does too.

    Raises:
        ValueError: A configured URL is not safe. The text names its variable, not its value.
    """
    if not _is_true(environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")):
        for variable in (f"AWS_ENDPOINT_URL_{service.variable}", "AWS_ENDPOINT_URL"):
            if not (configured := environ.get(variable)):
                continue
            if not is_safe_url(configured):
                raise ValueError(
                    f"the environment variable {variable} must be an https:// URL, or an http:// URL of "
                    "localhost or a loopback address. It must have no user information, query, fragment or "
                    "percent sign, and no empty or dot segment in its path"
                )
            return configured.removesuffix("/")
    fips = _is_true(environ.get("AWS_USE_FIPS_ENDPOINT"))
    dual_stack = _is_true(environ.get("AWS_USE_DUALSTACK_ENDPOINT"))
    suffix, dual_stack_suffix = next(
        (suffix, dual_stack_suffix)
        for prefix, suffix, dual_stack_suffix in _PARTITIONS
        if region.startswith(prefix)
    )
    host = _host(service, region, fips=fips, dual_stack=dual_stack)
    return f"https://{host}.{region}.{dual_stack_suffix if dual_stack else suffix}"


def is_safe_url(url: str, *, plain_http_hosts: Collection[str] = ()) -> bool:
    """Return whether secrets may be sent to a URL: an `https://` URL, or `http://` within this machine.

    Args:
        plain_http_hosts: IP addresses that `http://` may name too.
    """
    parts = _URL.fullmatch(url)
    if parts is None or int(parts["port"] or 0) > _LARGEST_PORT:
        return False
    is_https = parts["scheme"].lower() == "https"
    name = (parts["name"] or "").lower()
    if name and not _NUMBER_AT_THE_END.search(name):
        return len(name) <= _LONGEST_NAME and (is_https or name == "localhost")
    try:
        address = IPv4Address(name) if name else IPv6Address(parts["ipv6"])
    except ValueError:
        return False
    return is_https or address in _LOOPBACK or str(address) in {"::1", *plain_http_hosts}


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
