"""What is installed is pinned and checked, and what is given to others is the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pinned(lock: Path) -> dict[str, tuple[str, int]]:
    """The versions in *lock*, with the number of hashes of each."""
    found = {}
    for entry in lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if entry.startswith("#"):
            continue
        name, mark, rest = entry.partition("==")
        assert mark, f"{lock.name}: {entry}"
        found[name.lower().replace("_", "-")] = (rest.split()[0], len(HASH.findall(rest)))
    return found


def name_of(requirement: str) -> str:
    """The distribution that *requirement* names."""
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_everything_that_is_installed_has_a_version_and_hashes(lock: Path) -> None:
    """So that pip takes no other file for it; and no index is named."""
    assert all(hashes for _, hashes in pinned(lock).values())
    assert "://" not in lock.read_text(encoding="utf-8")


def test_what_the_project_needs_is_in_the_locks() -> None:
    """Dependencies, extras, and what builds it, in one version everywhere."""
    extras = PROJECT["project"]["optional-dependencies"]
    runtime, all_, dev = (pinned(ROOT / "requirements" / f"{name}.txt") for name in ("runtime", "all", "dev"))
    for requirement in PROJECT["project"]["dependencies"]:
        assert name_of(requirement) in runtime, requirement
    for extra, requirements in extras.items():
        for name in map(name_of, requirements):
            assert name in dev or name == "atlas-cutover", (extra, name)
            assert extra in ("dev", "bench") or name in all_ or name == "atlas-cutover", (extra, name)
    for requirement in PROJECT["build-system"]["requires"]:
        name, _, version = requirement.partition("==")
        assert runtime[name][0] == version
    assert {name: dev[name] for name in runtime} == runtime
    assert {name: all_[name] for name in runtime} == runtime


def test_what_examples_take_from_others_is_named_by_digest() -> None:
    """Actions by commit and base images by digest, each with the version that a reader wants to know."""
    examples = ROOT / "examples"
    used = [line for path in examples.rglob("*.yml") for line in path.read_text().splitlines() if "uses:" in line]
    based = [
        line
        for path in examples.rglob("Dockerfile*")
        for line in path.read_text().splitlines()
        if line.startswith(("ARG BASE=", "FROM ")) and "${BASE}" not in line
    ]
    assert used
    assert based
    assert [line for line in used if not re.search(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []
    assert [line for line in based if not re.search(r"\S+:[\w.-]+@sha256:[0-9a-f]{64}$", line)] == []


def test_an_image_is_made_of_the_program_alone() -> None:
    """Neither keys nor state of a checkout get into it, and it names what the Dockerfile takes."""
    ignored, *taken = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert ignored == "*"
    assert {line for line in taken if line.startswith("!")} == {
        "!orchestrator", "!requirements", "!pyproject.toml", "!README.md", "!LICENSE"
    }  # fmt: skip


def test_what_is_built_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    """From copies of other times and modes, in other directories."""
    built = []
    for number, mode in enumerate((0o022, 0o077)):
        copy = tmp_path / str(number) / "checkout"
        shutil.copytree(ROOT / "orchestrator", copy / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy / name)
        for path in copy.rglob("*"):
            os.utime(path, (1e9 + number, 1e9 + number))
            path.chmod((0o777 if path.is_dir() else 0o666) & ~mode)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / str(number))],
            cwd=copy,
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
            capture_output=True,
            check=True,
        )
        [wheel] = (tmp_path / str(number)).glob("*.whl")
        built.append((wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()))
    assert built[0] == built[1]


FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([FINE], 0, "1 of 1 packages looked up, 0 known vulnerabilities"),
        ([FINE, BAD], 1, "b 2: CVE-2026-1, mended in 2.1"),
        ([FINE, UNKNOWN], 1, "c: not looked up: not found"),
        ([UNKNOWN, UNKNOWN], 0, "skipped: the database of vulnerabilities knows none of the 2 packages"),
        (None, 0, "skipped: the database of vulnerabilities could not be asked (no route to it)"),
    ],
)
def test_an_audit_that_could_look_nothing_up_does_not_say_that_all_is_well(
    tmp_path: Path, packages: list[Any] | None, code: int, said: str
) -> None:
    """pip-audit says so where its database knows none of the packages, as where only a mirror is reached."""
    tool = tmp_path / "pip-audit"
    answer = (
        "echo no route to it >&2; exit 1" if packages is None else f"echo '{json.dumps({'dependencies': packages})}'"
    )
    tool.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    tool.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / "requirements" / "audit.py"), str(tool), "dev.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout
