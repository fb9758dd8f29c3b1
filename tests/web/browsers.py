"""The page and a run as processes of their own, for a real browser to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..loaded import Order, Process, loaded_program

WORKFLOW = """\
version: 1
name: retail-eu
defaults: {group_id: 7e68e12770616e75e6df43d0}
waves:
  - name: canary
    migrations:
      - {name: orders, live_migration_id: a659ce44c03ca1e348b1e992}
  - name: rest
    approval: true
    migrations:
      - {name: billing, live_migration_id: a659ce44c03ca1e348b1e993}
      - {name: archive, live_migration_id: a659ce44c03ca1e348b1e994}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A page that is being served: *address* opens it, once; *process* serves what is in *state_dir*."""

    address: str
    process: Process
    state_dir: Path

    @property
    def origin(self) -> str:
        """Without the code."""
        return self.address.partition("/?")[0].rstrip("/")


@contextmanager
def program(*arguments: str) -> Iterator[Process]:
    """The program with *arguments*, killed at the end of the block where it still runs; its stdout is a pipe."""
    with started(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def started(*arguments: str) -> Process:
    """The program with *arguments*."""
    loaded = loaded_program()
    if loaded is None:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with Path(os.devnull).open("wb") as nothing:
        order = Order(argv=arguments, cwd=str(Path.cwd()), environ=dict(os.environ))
        return loaded.start(order, stderr=nothing.fileno())


@contextmanager
def site(state_dir: Path, *arguments: str) -> Iterator[Site]:
    """The page of the runs in *state_dir*."""
    given = ("serve", "--port", "0", "--state-dir", str(state_dir), *arguments)
    with program(*given) as process:
        assert process.stdout is not None
        yield Site(address=process.stdout.readline().strip(), process=process, state_dir=state_dir)


@contextmanager
def rehearsal(state_dir: Path) -> Iterator[Process]:
    """A rehearsal of `WORKFLOW`, many times as fast as it would be."""
    file = state_dir.parent / "retail.yaml"
    file.write_text(WORKFLOW, encoding="utf-8")
    with program("run", str(file), "--rehearse", "--speed", "50", "--state-dir", str(state_dir)) as process:
        yield process
