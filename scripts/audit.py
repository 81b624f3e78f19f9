"""Asks OSV (https://osv.dev) for the known vulnerabilities of every version in the locks.

Exit code 1 when there is one, or when OSV answers anything that is not understood. Where it cannot be
reached, a line says that nothing was checked, and the exit code is 0: a machine without the internet has done
nothing wrong. OSV_URL names another source.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
SECONDS = 20.0


class UnreachableError(Exception):
    """No connection to the source; the message says why."""


def pins(root: Path) -> dict[tuple[str, str], list[str]]:
    """Return the locks that each version of each package stands in."""
    found: dict[tuple[str, str], list[str]] = {}
    for lock in sorted([*root.glob("requirements/*.txt"), *root.glob("*/**/requirements.txt")]):
        if any(part.startswith(".") for part in lock.relative_to(root).parts):
            continue
        for name, version in PIN.findall(lock.read_text()):
            found.setdefault((name.lower(), version), []).append(str(lock.relative_to(root)))
    return found


def vulnerabilities(url: str, packages: list[tuple[str, str]]) -> list[list[str]]:
    """Return the ids of what is known of each package.

    Raises UnreachableError, and other errors when the source answers what it should not.
    """
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages
    ]
    request = urllib.request.Request(  # noqa: S310  # the address is ours or the caller's
        f"{url}/v1/querybatch",
        json.dumps({"queries": queries}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)  # noqa: S310  # see above
    except urllib.error.HTTPError:
        raise  # it has been reached
    except OSError as error:
        raise UnreachableError(str(error)) from None
    with answer:
        results = json.load(answer)["results"]
    if len(results) != len(packages):
        raise ValueError(f"{len(results)} results for {len(packages)} versions")
    return [[known["id"] for known in result.get("vulns", [])] for result in results]


def main() -> int:
    """Check the locks and return the exit code."""
    url = os.environ.get("OSV_URL", "https://api.osv.dev")
    locks = pins(ROOT)
    packages = list(locks)
    try:
        answers = vulnerabilities(url, packages)
    except UnreachableError as error:
        sys.stdout.write(
            f"NOT CHECKED: {len(packages)} locked versions, for {url} cannot be reached ({error})\n"
        )
        return 0
    except Exception as error:  # whatever an interface that has changed may bring about
        sys.stdout.write(f"NOT CHECKED: {url} answers what is not understood: {error!r}\n")
        return 1
    known = 0
    for package, ids in zip(packages, answers, strict=True):
        if ids:
            known += len(ids)
            sys.stdout.write(f"{'=='.join(package)} in {', '.join(locks[package])}: {', '.join(ids)}\n")
    sys.stdout.write(f"{len(packages)} locked versions checked, {known} known vulnerabilities\n")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())
