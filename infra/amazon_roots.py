"""Amazon's root authorities, which issue the certificates of AWS's endpoints.

The build takes them from a bundle of public authorities that is installed on this machine, and knows them by
their fingerprints. So every bundle gives the same bytes. Source: https://www.amazontrust.com/repository/
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

_FINGERPRINTS = (
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",  # Amazon Root CA 1
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",  # Amazon Root CA 2
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",  # Amazon Root CA 3
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",  # Amazon Root CA 4
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",  # Starfield Services Root CA - G2
)

_BUNDLES = (("pip", "_vendor/certifi/cacert.pem"), ("certifi", "cacert.pem"), ("botocore", "cacert.pem"))

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def amazon_roots() -> str | None:
    """Return the five certificates as PEM, in the order above. None if no bundle on this machine has all."""
    for bundle in _bundles():
        with suppress(OSError, ValueError):
            found = [ssl.PEM_cert_to_DER_cert(pem) for pem in _CERTIFICATE.findall(bundle.read_text("utf-8"))]
            by_fingerprint = {sha256(certificate).hexdigest(): certificate for certificate in found}
            if by_fingerprint.keys() >= {*_FINGERPRINTS}:
                return "".join(ssl.DER_cert_to_PEM_cert(by_fingerprint[each]) for each in _FINGERPRINTS)
    return None


def _bundles() -> Iterator[Path]:
    """Yield the bundles of pip, of packages that are often beside the CDK, and of the system."""
    for package, file in _BUNDLES:
        spec = find_spec(package)  # imports nothing
        for folder in spec.submodule_search_locations or () if spec else ():
            yield Path(folder, file)
    if system := ssl.get_default_verify_paths().cafile:
        yield Path(system)
