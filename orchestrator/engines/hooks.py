"""Hooks: commands of the operator's around a cutover, run without a shell, without the keys, and never for ever.

    environment = hook_environment(os.environ, run_id=..., workflow=..., ...)
    async with keeping_hooks(without_keys(os.environ, keys)) as kept:
        finished = await run_hook(
            argv, hook="before", timeout=300, directory=..., environment=environment, now=time.time, kept=kept
        )

A hook and all that it starts are one process group. When its time is up, or the run is cancelled, the group is asked to
end (SIGTERM) and `TERMINATION` seconds later made to (SIGKILL); when this process dies, by its keeper (`machine/kept_groups`).
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from subprocess import DEVNULL

import anyio
import anyio.abc

from ..core.events import HookFinished
from ..core.hook_facts import HookFacts
from ..core.settings import KEY_VARIABLE, WITHHELD_VARIABLE, holds_key
from ..core.vars import HOOK_PREFIX, variable_key
from ..core.workflow import Argv, Migration, Wave
from ..machine.encoding import as_given
from ..machine.kept_groups import KeptGroups, keeping
from ..machine.ownership import refuse_foreign_directory
from ..machine.programs import oddity, program_to_start
from ..machine.threads import beside
from ..text.durations import format_duration
from ..text.escaping import lines_of_text

OUTPUT_BYTES = 4096
"""So much of the end of a hook's output is kept; the rest is read and dropped, so that the hook never blocks on it."""

TERMINATION = 5.0
"""Seconds between SIGTERM and SIGKILL."""

GIVING_UP = 5.0
"""Seconds from SIGKILL until a hook is given up that the kernel does not let go of."""

LAST_OUTPUT = 0.2
"""Seconds in which output may still come after the hook itself has ended: something it left behind may hold the pipe."""

_CHUNK = 65536
_MARGIN = 4096  # longer than any secret: where an output is cut, no part of one is left that nobody would know for it
_GROUP_CHECK = 0.02
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
_SHORTAGE_PAUSE = 0.5
_LONGEST_TEXT = 8192  # characters; Linux lets a variable have 128 KiB, and all of them together little more than that


NOTHING_KNOWN = HookFacts()


def hook_environment(
    environ: Mapping[str, str],
    *,
    run_id: str,
    workflow: str,
    rehearsal: bool,
    wave: Wave | None = None,
    migration: Migration | None = None,
    facts: HookFacts = NOTHING_KNOWN,
    secrets: Iterable[str] = (),
) -> dict[str, str]:
    """The environment of a hook: *environ* without the keys, and the ``CUTOVER_…`` variables.

    All of these are always set; one that does not apply is empty. ``CUTOVER_REHEARSAL`` is ``true`` or ``false``. Each of the
    workflow's variables is one as well, ``CUTOVER_VAR_`` before its name in capitals; those of another run, where this program is run by
    a hook itself, are not passed on.

    Args:
        environ: The environment of this process.
        run_id: The run.
        workflow: The workflow's name.
        rehearsal: Whether the run is a rehearsal.
        wave: The wave that the hook, or its migration, belongs to; None: the hook is the run's.
        migration: The migration that it belongs to.
        facts: What is known when the hook is about to run.
        secrets: The keys: a variable that holds one of them is left out whatever its name, and so is every
            variable that is called as those of keys are (`KEY_VARIABLE`, `WITHHELD_VARIABLE`), whatever its value.
    """
    clean = {name: value for name, value in without_keys(environ, secrets).items() if not name.startswith(HOOK_PREFIX)}
    own = {f"{HOOK_PREFIX}{variable_key(name)}": value for name, value in facts.vars.items()}
    return clean | {
        "CUTOVER_RUN_ID": run_id,
        "CUTOVER_WORKFLOW": workflow,
        "CUTOVER_WAVE": wave.name if wave else "",
        "CUTOVER_MIGRATION": migration.name if migration else "",
        "CUTOVER_GROUP_ID": migration.group_id if migration else "",
        "CUTOVER_LIVE_MIGRATION_ID": migration.live_migration_id if migration else "",
        "CUTOVER_OUTCOME": str(facts.outcome or ""),
        "CUTOVER_REHEARSAL": "true" if rehearsal else "false",
        "CUTOVER_REMOTE_STATUS": _text(facts.remote_status),
        "CUTOVER_LAG_SECONDS": "" if facts.lag is None else f"{facts.lag:g}",
        "CUTOVER_ERROR_MESSAGE": _text(facts.error_message),
        "CUTOVER_REASON": _text(facts.reason),
        "CUTOVER_IN_CHARGE": str(facts.in_charge),
        **own,
    }


def without_keys(environ: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """*environ* without variables that are named as keys are, or that hold one of the *secrets*."""
    keys = tuple(key for key in secrets if key)
    return {
        name: value
        for name, value in environ.items()
        if not (KEY_VARIABLE.fullmatch(name) or WITHHELD_VARIABLE.fullmatch(name) or holds_key(name, value, keys))
    }


def keeping_hooks(
    environ: Mapping[str, str],
    *,
    descriptors: Sequence[int] = (),
    run: Callable[[Callable[[], None]], Awaitable[None]] = beside,
) -> AbstractAsyncContextManager[KeptGroups]:
    """Keep the hooks that are run while the context lasts: if this process dies, they end as those of a run that is cancelled.

    Args:
        environ: The environment of what keeps them, without keys.
        descriptors: What is open until they have ended.
        run: Does what blocks, out of the event loop's way.
    """
    return keeping(environ=environ, grace=TERMINATION, giving_up=GIVING_UP, descriptors=descriptors, run=run)


def _text(text: str | None) -> str:
    """*text* as an environment takes it: what Atlas says may hold a NUL, or half a character, and a very long one would keep the hook from starting."""
    taken = (text or "").replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    return taken if len(taken) <= _LONGEST_TEXT else f"{taken[:_LONGEST_TEXT]}…"


async def run_hook(  # noqa: PLR0913 - what a hook is, where and how long it runs, and whose it is
    argv: Argv,
    *,
    hook: str,
    timeout: float,  # noqa: ASYNC109 - running out of time is a result here, not an exception
    directory: str | Path,
    environment: Callable[[], Mapping[str, str]],
    now: Callable[[], float],
    kept: KeptGroups,
    wave: str | None = None,
    migration: str | None = None,
    redact: Callable[[str], str] = str,
) -> HookFinished:
    """Run *argv* without a shell and say how it ended; a hook that fails is no exception.

    Args:
        argv: The command and its arguments. A command without a slash is looked up on *environment*'s ``PATH``, one
            with a relative path from *directory*; what is found is started by its absolute path, which is the `$0` that it sees.
        hook: Its kind, a `HookKind`.
        timeout: Seconds after which it is ended.
        directory: Where it runs.
        environment: Gives all of its environment, as things stand when it begins; see `hook_environment`.
        now: Unix seconds, for the event.
        kept: Ends it if this process dies.
        wave: Whose hook it is.
        migration: Whose hook it is.
        redact: Makes secrets in output, command and error unreadable before it gets anywhere (`Redactor.text`).
    """
    started = anyio.current_time()
    tail = _Tail()
    exit_code: int | None
    error: str | None
    try:
        process, output = await _begin(argv, directory, environment, kept, patience=timeout)
    except (OSError, ValueError) as problem:
        exit_code, error = None, _why_not_started(argv, directory, environment(), problem)
    else:
        try:
            await _follow(process, output, tail, timeout, kept)
            exit_code, error = _ending(process.returncode, timeout, timed_out=tail.timed_out)
        finally:
            os.close(output)
    return HookFinished(
        at=now(),
        hook=hook,
        argv=tuple(map(redact, argv)),
        exit_code=exit_code,
        seconds=round(anyio.current_time() - started, 3),
        output=tail.text(redact),
        error=None if error is None else redact(error),
        wave=wave,
        migration=migration,
    )


async def _begin(
    argv: Argv,
    directory: str | Path,
    environment: Callable[[], Mapping[str, str]],
    kept: KeptGroups,
    *,
    patience: float,
) -> tuple[anyio.abc.Process, int]:
    """Start *argv*: its process, and the descriptor that its output comes out of, which the caller closes.

    While the machine lacks files, processes or memory for it, that is waited out for *patience* seconds: others end, and the
    shortage says nothing about the hook.

    Raises:
        OSError, ValueError: It cannot be started.
    """
    deadline = anyio.current_time() + patience
    while True:
        read_end = write_end = -1
        begun = False
        try:
            await kept.ready()
            read_end, write_end = os.pipe()
            os.set_blocking(read_end, False)
            # Looked at anew each time, and what was looked at is started: a search of the system's own might end elsewhere.
            # So is the environment: a shortage may have taken minutes.
            environ = {as_given(name): as_given(value) for name, value in environment().items()}
            place = Path(as_given(str(directory)))
            refuse_foreign_directory(place)  # where `make` and its like look for what they run
            program = program_to_start(argv[0], place, environ.get("PATH"))
            # Shielded: half begun it could not be ended in order, and there is little to wait for.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    (str(program), *map(as_given, argv[1:])),
                    stdin=DEVNULL,
                    stdout=write_end,
                    stderr=write_end,
                    cwd=place,
                    env=environ,
                    start_new_session=True,
                )
                begun = True
                await kept.keep(process.pid)
                return process, read_end
        except OSError as problem:
            if problem.errno not in _SHORTAGES or anyio.current_time() >= deadline:
                raise
        finally:
            for end in (write_end, -1 if begun else read_end):
                if end >= 0:
                    os.close(end)
        await anyio.sleep(_SHORTAGE_PAUSE)


class _Tail:
    """The end of an output."""

    __slots__ = ("_data", "_dropped", "timed_out")

    def __init__(self) -> None:
        self._data = bytearray()
        self._dropped = 0
        self.timed_out = False

    def add(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > 2 * _CHUNK:
            self._cut()

    def text(self, redact: Callable[[str], str]) -> str:
        """At most the last `OUTPUT_BYTES` as text without control characters and secrets, from a whole character on."""
        self._cut()
        # Before its sequences are taken out, too: a broken one right before a secret takes the beginning of that along.
        data = redact(lines_of_text(redact(self._data.decode(errors="replace"))).rstrip("\n")).encode()
        start = max(_MARGIN if self._dropped else 0, len(data) - OUTPUT_BYTES)
        while start < len(data) and data[start] & 0xC0 == 0x80:  # inside a character
            start += 1
        kept = data[start:].decode()
        return f"[{self._dropped + start} bytes before this were dropped]\n{kept}" if start else kept

    def _cut(self) -> None:
        surplus = len(self._data) - OUTPUT_BYTES - _MARGIN
        if surplus > 0:
            self._dropped += surplus
            del self._data[:surplus]


async def _follow(process: anyio.abc.Process, read_end: int, tail: _Tail, limit: float, kept: KeptGroups) -> None:
    """Wait for the end of *process*, or bring it about; read its output all the while."""
    drained = anyio.Event()

    async def drain() -> None:
        while chunk := await _read(read_end):
            tail.add(chunk)
        drained.set()

    async with anyio.create_task_group() as group:
        group.start_soon(drain)
        try:
            with anyio.move_on_after(limit):
                await process.wait()
        finally:
            if process.returncode is None:
                tail.timed_out = True
                await _end_group(process)
            kept.let_go(process.pid)  # what it leaves running is not ended, and its number may be another's
        with anyio.move_on_after(LAST_OUTPUT):
            await drained.wait()
        group.cancel_scope.cancel()


async def _read(read_end: int) -> bytes:
    while True:
        await anyio.wait_readable(read_end)
        with suppress(BlockingIOError):
            return os.read(read_end, _CHUNK)


async def _end_group(process: anyio.abc.Process) -> None:
    """Ask the group of *process* to end, then make it. Cancellation does not hurry this, but it is bounded."""
    with anyio.CancelScope(shield=True):
        _signal_group(process.pid, signal.SIGTERM)
        with anyio.move_on_after(TERMINATION):
            while _signal_group(process.pid, 0):  # noqa: ASYNC110 - the kernel tells nobody that a group is empty
                await anyio.sleep(_GROUP_CHECK)
        _signal_group(process.pid, signal.SIGKILL)
        with anyio.move_on_after(GIVING_UP):
            await process.wait()


def _signal_group(group: int, number: int) -> bool:
    """Send signal *number* to process group *group*; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody in it has changed their user: there, but not ours to end
    return True


def _ending(returncode: int | None, limit: float, *, timed_out: bool) -> tuple[int | None, str | None]:
    if timed_out or returncode is None:
        return None, f"ran out of time ({format_duration(limit)}) and was ended"
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return 128 - returncode, f"killed by {name}"
    return returncode, None


def _why_not_started(
    argv: Argv, directory: str | Path, environment: Mapping[str, str], problem: OSError | ValueError
) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        place = os.fsdecode(problem.filename) if problem.filename is not None else argv[0]
        odd = None
        with suppress(OSError, ValueError):  # whatever keeps us from looking, what kept the hook from starting is told
            odd = oddity(argv[0], Path(directory), environment.get("PATH"))
        return f"did not start: {place}: {problem.strerror}{f' ({odd})' if odd else ''}"
    return f"did not start: {problem}"
