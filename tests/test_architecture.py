from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

PACKAGE = Path(orchestrator.__file__).parent

PURE = sorted(
    path.relative_to(PACKAGE).as_posix() for room in ("core", "text") for path in (PACKAGE / room).glob("*.py")
)
"""The modules that decide: same question, same answer. import-linter holds what rooms they may look into."""

ALLOWED = {
    "__future__",
    "base64",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "html",
    "html.entities",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "pathlib",
    "re",
    "shlex",
    "statistics",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "zoneinfo",
}
"""What a pure module may take from the standard library: nothing that acts, waits, looks at a clock or throws dice."""

CLOCKS = {"now", "today", "utcnow"}
"""The ways in which datetime, which they may import, looks at a clock."""


def tree_of(module: str) -> ast.Module:
    """The parsed source of a module of the package."""
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def foreign_imports(tree: ast.Module) -> set[str]:
    """Every module from outside the package that is imported anywhere in *tree*."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_nothing_that_acts(module: str) -> None:
    """Only value-like parts of the standard library, and other pure modules."""
    assert foreign_imports(tree_of(module)) <= ALLOWED


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_is_told_the_time(module: str) -> None:
    """It never asks a clock itself."""
    calls = [node.func for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)]
    assert not [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS]


def test_nothing_lies_at_the_top_but_the_face() -> None:
    """Whoever looks for a thing looks into a room."""
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


MAP = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", ["atlas", "core", "engines", "operations", "store"])
def test_the_map_has_every_module_of_a_room_and_no_other(room: str) -> None:
    """Whoever looks for a thing in docs/architecture.md finds where it is now."""
    (row,) = re.findall(rf"^\| `{room}/` \| (.*) \|$", MAP, re.MULTILINE)
    there = {path.stem for path in (PACKAGE / room).rglob("*.py") if path.stem != "__init__"}
    inside = {path.name for path in (PACKAGE / room).iterdir() if path.is_dir()}
    named = set(re.findall(r"`(\w+)/?`", row)) - inside
    assert (there - named, named - there) == (set(), set())


@pytest.mark.skipif(not (PACKAGE / "__init__.py").stat().st_size, reason="the package offers nothing yet")
def test_what_the_package_offers_is_sorted_and_there() -> None:
    """`__all__` is in order and each of its names can be had."""
    offered: list[str] = vars(orchestrator)["__all__"]
    assert list(offered) == sorted(offered)
    assert [name for name in offered if not hasattr(orchestrator, name)] == []


def test_help_pays_for_no_heavy_import() -> None:
    """`--help` answers without loading the HTTP library or the models, nor what is needed to carry a command out."""
    command = [sys.executable, "-X", "importtime", "-m", "orchestrator", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "orchestrator" in imported
    assert not imported & {"aiohttp", "anyio", "asyncio", "dataclasses", "json", "pydantic", "sqlite3"}
