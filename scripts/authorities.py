"""Writes layers/common/authorities: the root certificates of the databases, proxies and APIs of each region.

Usage: authorities.py global-bundle.pem amazon-roots.pem

The first file is https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem with the roots of Aurora.
The second has the roots at https://www.amazontrust.com/repository, which certify RDS Proxy and AWS's APIs.
A function loads the roots of its region in a millisecond. All roots, or those of the system, would take 30 to
50 ms. Run this again for a new region or a new root.
"""

import re
import ssl
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

AUTHORITIES = Path("layers/common/authorities")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
# Roots without "G1" in the name are from 2019 and have expired. All other certificates are intermediate.
ROOT = re.compile(r"Amazon RDS ([a-z]+-[a-z-]+-\d) Root CA (?:RSA2048|RSA4096|ECC384) G1")


def main(bundle: Path, roots: Path) -> None:
    """Write a file for each region that has roots in the bundle."""
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
    [parsed] = context.get_ca_certs()
    # The subject is ((("countryName", "US"),), (("commonName", "..."),), ...).
    subject: Any = parsed["subject"]
    return str(next(value for ((field, value),) in subject if field == "commonName"))


main(Path(sys.argv[1]), Path(sys.argv[2]))
