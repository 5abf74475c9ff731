"""URLs of the services: from the AWS SDKs' environment variables, else the public endpoints.

Checked against botocore's endpoint rules for every Region of the partitions `aws` and `aws-us-gov`, with FIPS
and dual-stack. Amazon Connect is in no other partition.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Service(NamedTuple):
    """An AWS service: its name in environment variables, and its host.

    Outside GovCloud, `-fips` behind the host asks for FIPS. Many GovCloud endpoints keep to FIPS under their
    usual name. The other attributes are the hosts that differ there, None where they do not.
    """

    variable: str
    host: str
    gov_fips: str | None = None
    gov_dual_stack: str | None = None
    gov_fips_dual_stack: str | None = None
    us_gov_west_fips: str | None = None


CONNECT_PARTICIPANT: Final = Service(
    "CONNECTPARTICIPANT", "participant.connect", gov_fips_dual_stack="participant.connect-fips"
)
EVENTBRIDGE: Final = Service("EVENTBRIDGE", "events")
KMS: Final = Service("KMS", "kms", gov_fips="kms-fips", gov_fips_dual_stack="kms-fips")
SQS: Final = Service("SQS", "sqs", gov_fips_dual_stack="sqs-fips")
DYNAMODB: Final = Service("DYNAMODB", "dynamodb", gov_fips_dual_stack="dynamodb-fips")
STEP_FUNCTIONS: Final = Service(
    "SFN",
    "states",
    gov_fips="states-fips",
    gov_dual_stack="states-fips",
    gov_fips_dual_stack="states-fips",
    us_gov_west_fips="states",
)

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# The path has no percent sign and no empty or dot segment, so its signature equals botocore's
_URL: Final = re.compile(
    rf"(?i:(?P<scheme>https?)://(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>{_LABEL}(\.{_LABEL})*)))"
    r"(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?",
    re.ASCII,
)
# A resolver may read a name that ends like this as an IPv4 address
_NUMBER_AT_THE_END: Final = re.compile(r"(\A|\.)([0-9]+|0x[0-9a-f]*)\Z")
_LOOPBACK: Final = IPv4Network("127.0.0.0/8")
_MAX_NAME: Final = 253
_MAX_PORT: Final = 65_535


def endpoint_url(service: Service, *, region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of a service's endpoint, without a trailing slash.

    `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`
    and `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` work as in the AWS SDKs.

    Args:
        region: Of the partition `aws` or `aws-us-gov`.

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
    dual_stack = _is_true(environ.get("AWS_USE_DUALSTACK_ENDPOINT"))
    host = _host(service, region, fips=_is_true(environ.get("AWS_USE_FIPS_ENDPOINT")), dual_stack=dual_stack)
    return f"https://{host}.{region}.{'api.aws' if dual_stack else 'amazonaws.com'}"


def is_safe_url(url: str, *, plain_http_hosts: Collection[str] = ()) -> bool:
    """Return whether secrets may be sent to a URL: an `https://` URL, or `http://` within this machine.

    Args:
        plain_http_hosts: More IP addresses that `http://` may name.
    """
    parts = _URL.fullmatch(url)
    if parts is None or int(parts["port"] or 0) > _MAX_PORT:
        return False
    is_https = parts["scheme"].lower() == "https"
    name = (parts["name"] or "").lower()
    if name and not _NUMBER_AT_THE_END.search(name):
        return len(name) <= _MAX_NAME and (is_https or name == "localhost")
    try:
        address = IPv4Address(name) if name else IPv6Address(parts["ipv6"])
    except ValueError:
        return False
    return is_https or address in _LOOPBACK or str(address) in {"::1", *plain_http_hosts}


def _host(service: Service, region: str, *, fips: bool, dual_stack: bool) -> str:
    if not region.startswith("us-gov-"):
        return f"{service.host}-fips" if fips else service.host
    if fips and dual_stack:
        return service.gov_fips_dual_stack or service.host
    if fips:
        west = service.us_gov_west_fips if region == "us-gov-west-1" else None
        return west or service.gov_fips or service.host
    return (service.gov_dual_stack if dual_stack else None) or service.host


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() == "true"
