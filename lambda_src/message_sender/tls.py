"""The TLS context of all connections, and the certificate authorities that it trusts.

It trusts the authorities of the runtime, or those of `AWS_CA_BUNDLE`. Reading all of them takes an eighth of
a cold start, and AWS's endpoints need only Amazon's five. So the package has these in a file. They are loaded
first, and the others when a certificate does not lead to them.
"""

from __future__ import annotations

from pathlib import Path
from ssl import (
    PROTOCOL_TLS_CLIENT,
    VERIFY_X509_PARTIAL_CHAIN,
    VERIFY_X509_STRICT,
    SSLCertVerificationError,
    SSLContext,
    TLSVersion,
    get_default_verify_paths,
)
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

from message_sender.settings import CA_BUNDLE_RULE

if TYPE_CHECKING:
    from typing import Self

AMAZON_ROOTS: Final = Path(__file__).with_name("amazon_roots.pem")
"""Written by the build of the package (`infra/python_asset.py`)."""

_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
"""The codes of `X509_V_ERR_` for a chain that leads to no trusted authority. Source: OpenSSL manual,
"X509_STORE_CTX_get_error"."""


def tls_context(ca_bundle: str | None, amazon_roots: Path) -> SSLContext:
    """Return one context for all connections.

    Args:
        ca_bundle: A file of certificates that replaces the one of the runtime.
        amazon_roots: The file with Amazon's roots. If it is missing, or one is not trusted anyway, all
            authorities are loaded now.

    Raises:
        ValueError: A certificate in the file is damaged. The text names the variable. With Amazon's roots in
            the file, another damaged certificate is found when it is first needed: as one that is not
            trusted.
    """
    bundle = ca_bundle or get_default_verify_paths().cafile
    try:
        if bundle is not None and _certificates(amazon_roots) <= _certificates(Path(bundle)):
            return AmazonFirst(amazon_roots, ca_bundle)
    except OSError:
        pass  # no roots, or no bundle
    try:
        return _with_all(ca_bundle)
    except OSError:  # an SSLError is one
        raise ValueError(CA_BUNDLE_RULE) from None


class AmazonFirst(SSLContext):
    """A context that trusts Amazon's roots, and can return one that trusts all authorities."""

    def __new__(cls, _amazon_roots: Path, _ca_bundle: str | None) -> Self:
        return super().__new__(cls, PROTOCOL_TLS_CLIENT)

    def __init__(self, amazon_roots: Path, ca_bundle: str | None) -> None:
        self._ca_bundle = ca_bundle
        self._lock = Lock()
        self.complete: SSLContext | None = None
        _restrict(self)
        self.load_verify_locations(cafile=amazon_roots)

    def load_all(self) -> SSLContext:
        """Return the context that trusts all authorities. The first call builds it, and the others wait.

        Another context, because other threads may use this one.

        Raises:
            OSError: The file of certificates cannot be read any more, or one is damaged.
        """
        with self._lock:
            if self.complete is None:
                self.complete = _with_all(self._ca_bundle)
            return self.complete


class Connection(HTTPSConnection):
    """A connection that is made again, with all authorities, if the first ones do not include the issuer."""

    def connect(self) -> None:
        context, timeout, started = self.ssl_context, self.timeout, monotonic()
        if not isinstance(context, AmazonFirst):
            return super().connect()
        if context.complete is not None:
            self.ssl_context = context.complete
            return super().connect()
        try:
            return super().connect()
        except SSLCertVerificationError as error:
            self.close()
            if error.verify_code not in _UNKNOWN_ISSUER:
                raise
            try:
                self.ssl_context = context.load_all()
            except OSError:
                raise error from None
        # Both attempts share the time to connect
        if timeout is not None:
            self.timeout = timeout - (monotonic() - started)
            if self.timeout <= 0:
                raise ConnectTimeoutError(self, "No time for a second attempt to connect")
        super().connect()
        self.timeout = timeout
        self.sock.settimeout(timeout)
        return None


def _with_all(ca_bundle: str | None) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    _restrict(context)
    if ca_bundle is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca_bundle)
    return context


def _restrict(context: SSLContext) -> None:
    """Make a context as strict as the ones of urllib3 and `ssl.create_default_context`.

    Both of these would write all session keys to the file that SSLKEYLOGFILE names.
    """
    context.minimum_version = TLSVersion.TLSv1_2
    context.verify_flags |= VERIFY_X509_PARTIAL_CHAIN | VERIFY_X509_STRICT
    context.hostname_checks_common_name = False


def _certificates(file: Path) -> set[bytes]:
    """Return the certificates of a file, in base64.

    OpenSSL skips a certificate with another text in its first line, such as `#`.
    """
    lines = b"\n" + file.read_bytes().replace(b"\r", b"")
    _, *found = lines.split(b"\n-----BEGIN CERTIFICATE-----\n")
    bodies = [(each + b"\n").partition(b"\n-----END CERTIFICATE-----\n")[0] for each in found]
    return {body.replace(b"\n", b"") for body in bodies}
