"""Writes layers/common/authorities: for each region, the authorities that its databases and proxies may have.

Usage: authorities.py global-bundle.pem amazon-roots.pem

The first file is https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem, which says who certifies
Aurora; the second the roots at https://www.amazontrust.com/repository, who certify RDS Proxy and the APIs of
AWS. A function that trusts the few of its own region reads them in a millisecond; all of them, or all that
the system trusts, take thirty to fifty. A new region, or a new root, is a new run of this.
"""

import re
import ssl
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

AUTHORITIES = Path("layers/common/authorities")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
# Those before are of 2019 and have expired; those between are no roots.
ROOT = re.compile(r"Amazon RDS ([a-z]+-[a-z-]+-\d) Root CA (?:RSA2048|RSA4096|ECC384) G1")


def main(bundle: Path, roots: Path) -> None:
    """Write a file for each region that the bundle has roots of."""
    regions: defaultdict[str, list[str]] = defaultdict(list)
    for certificate in CERTIFICATE.findall(bundle.read_text("ascii")):
        if root := ROOT.fullmatch(_common_name(certificate)):
            regions[root[1]].append(certificate.strip())
    shared = [certificate.strip() for certificate in CERTIFICATE.findall(roots.read_text("ascii"))]
    AUTHORITIES.mkdir(exist_ok=True)
    for region, own in regions.items():
        (AUTHORITIES / f"{region}.pem").write_text("\n".join([*own, *shared]) + "\n", "ascii")


def _common_name(certificate: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    [known] = context.get_ca_certs()
    # ssl gives the subject as ((("countryName", "US"),), (("commonName", "..."),), ...).
    subject: Any = known["subject"]
    return str(next(value for ((field, value),) in subject if field == "commonName"))


main(Path(sys.argv[1]), Path(sys.argv[2]))
