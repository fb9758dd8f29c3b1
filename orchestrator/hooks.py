"""Commands that operators hang on a cutover: run without a shell, watched, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import anyio
from anyio.abc import Process

from .events import HookFinished

OUTPUT_LIMIT = 4096  # bytes of output that are kept: the last ones
KILL_GRACE = 5.0  # seconds between asking a hook to end and making it
_KEY_VARIABLES = frozenset({"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PRIVATE_API_KEY"})


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Target(_Named, Protocol):
    @property
    def group_id(self) -> str: ...
    @property
    def live_migration_id(self) -> str: ...


def hook_environment(
    environ: Mapping[str, str],
    *,
    run_id: str,
    workflow: str,
    rehearsal: bool,
    wave: _Named | None,
    migration: _Target | None,
    outcome: str | None,
    secrets: tuple[str, ...],
) -> dict[str, str]:
    """The environment of a hook: *environ* without the API keys, and the contract's variables (empty where unknown)."""
    clean = {
        name: value
        for name, value in environ.items()
        if name not in _KEY_VARIABLES and not any(secret and secret in value for secret in secrets)
    }
    return clean | {
        "CUTOVER_RUN_ID": run_id,
        "CUTOVER_WORKFLOW": workflow,
        "CUTOVER_WAVE": wave.name if wave else "",
        "CUTOVER_MIGRATION": migration.name if migration else "",
        "CUTOVER_GROUP_ID": migration.group_id if migration else "",
        "CUTOVER_LIVE_MIGRATION_ID": migration.live_migration_id if migration else "",
        "CUTOVER_OUTCOME": outcome or "",
        "CUTOVER_REHEARSAL": "true" if rehearsal else "false",
    }


async def run_hook(
    argv: tuple[str, ...],
    *,
    hook: str,
    timeout: float,
    directory: str,
    environment: Mapping[str, str],
    wave: str | None = None,
    migration: str | None = None,
    now: Callable[[], float],
) -> HookFinished:
    """Run *argv* in *directory* for at most *timeout* seconds; whatever happens to it is in the event.

    It gets a process group of its own, which is ended as a whole when time is up or the caller is cancelled, so that
    nothing it started stays behind.
    """
    started = anyio.current_time()
    tail = bytearray()
    error: str | None = None
    code: int | None = None
    try:
        process = await anyio.open_process(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        error = f"{argv[0]} could not be started: {problem}"
    else:
        try:
            with anyio.move_on_after(timeout) as scope:
                await _drain(process, tail)
                code = await process.wait()
            if scope.cancelled_caught:
                error = f"{argv[0]} did not end within {timeout:g} s"
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
    return HookFinished(
        at=now(),
        hook=hook,
        argv=tuple(argv),
        exit_code=code,
        seconds=round(anyio.current_time() - started, 3),
        output=_clean(tail),
        error=error,
        wave=wave,
        migration=migration,
    )


async def _drain(process: Process, tail: bytearray) -> None:
    assert process.stdout is not None
    async for chunk in process.stdout:
        tail += chunk
        del tail[:-OUTPUT_LIMIT]


async def _end(process: Process) -> None:
    """End the process group, first with a word, then by force; the process is reaped and its pipes are closed."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with anyio.move_on_after(KILL_GRACE):
            await process.wait()
    _signal(process, signal.SIGKILL)  # what the hook left running in its group
    await process.aclose()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _clean(output: bytes | bytearray) -> str:
    text = bytes(output).decode(errors="replace")
    return "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else "" for c in text).strip()
