"""Look for known vulnerabilities in what is installed, and say how much of it could be looked up: silence of a database is no health.

    python requirements/audit.py PIP_AUDIT REQUIREMENTS

pip-audit itself says "No known vulnerabilities found" where it was told of none of the packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")


def main(pip_audit: str, requirements: str) -> int:
    """Run it. The exit code: 0 where nothing is known, or nothing could be looked up; 1 where something is, or a part was not looked up."""
    done = subprocess.run(
        [pip_audit, *_OPTIONS, "--requirement", requirements], capture_output=True, text=True, check=False
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        print(f"skipped: the database of vulnerabilities could not be asked ({last[0]})")
        return 0
    return told(packages)


def told(packages: list[dict[str, Any]]) -> int:
    """Say what is known of *packages*, as pip-audit lists them; the exit code."""
    unknown = [each for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        print(
            f"skipped: the database of vulnerabilities knows none of the {len(packages)} packages here, so it was not reached"
        )
        return 0
    found = [(each, flaw) for each in packages for flaw in each.get("vulns", ())]
    for each, flaw in found:
        mended = ", ".join(flaw.get("fix_versions", ())) or "no version yet"
        print(f"{each['name']} {each['version']}: {flaw['id']}, mended in {mended}")
    for each in unknown:
        print(f"{each['name']}: not looked up: {each['skip_reason']}")
    print(f"{len(packages) - len(unknown)} of {len(packages)} packages looked up, {len(found)} known vulnerabilities")
    return 1 if found or unknown else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
