"""layers/common/authorities: the certificate authorities that the functions of each region trust."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

FILES = sorted((Path(__file__).parents[2] / "layers" / "common" / "authorities").iterdir())
# https://www.amazontrust.com/repository. Amazon bought the last one.
AMAZON = {f"Amazon Root CA {number}" for number in range(1, 5)} | {
    "Starfield Services Root Certificate Authority - G2"
}
KINDS = ("RSA2048", "RSA4096", "ECC384")
# If this fails, renew the files long before they expire.
GOOD_UNTIL = datetime(2037, 1, 1, tzinfo=UTC)

# The serial number of Starfield's certificate is 0.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_region_trusts_its_own_databases_and_amazon(file: Path) -> None:
    certificates = x509.load_pem_x509_certificates(file.read_bytes())
    own = {f"Amazon RDS {file.stem} Root CA {kind} G1" for kind in KINDS}
    assert {name(certificate) for certificate in certificates} == own | AMAZON
    assert len(certificates) == len(own | AMAZON)
    for certificate in certificates:
        certificate.verify_directly_issued_by(certificate)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert certificate.not_valid_after_utc > GOOD_UNTIL


def test_every_region_has_the_same_certificates_of_amazon() -> None:
    certificates = [found for file in FILES for found in x509.load_pem_x509_certificates(file.read_bytes())]
    assert len({found for found in certificates if name(found) in AMAZON}) == len(AMAZON)


def name(certificate: x509.Certificate) -> str:
    """Return the common name of a certificate."""
    [attribute] = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(attribute.value)
