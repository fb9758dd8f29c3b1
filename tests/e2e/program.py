"""The program as an operator meets it: a process, its two streams, its exit code, its files."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import secrets
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..loaded import Loaded, Order, Process

ROOT = Path(__file__).parents[2]
GROUP = "7e68e12770616e75e6df43d0"
TIMEOUT = 60.0
"""Seconds; nothing here takes nearly as long unless it hangs, on a machine that is busy with other things, too."""

Waves = Mapping[str, Mapping[str, str]]
"""Wave to migration to live migration id."""


def new_id() -> str:
    """The id of a live migration that nobody has seen yet."""
    return secrets.token_hex(12)


def _take_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job, as these tests may be, ignores it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C typed there is a signal to the program


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A process that has ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Stdout as the report that `--format json` prints."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def log(self) -> list[dict[str, Any]]:
        """Stderr as log entries."""
        return [json.loads(line) for line in self.err.splitlines()]

    @property
    def events(self) -> list[str]:
        """The names of the log's events, in order."""
        return [entry["event"] for entry in self.log]

    @property
    def outcomes(self) -> dict[str, str]:
        """Migration to outcome, of `--format json`."""
        return {migration["name"]: migration["outcome"] for migration in self.report["migrations"]}


@dataclass(slots=True, kw_only=True)
class Running:
    """A process under way; its stderr is read line by line."""

    process: Process
    program: Program
    seen: list[str] = field(default_factory=list)

    def until(self, event: str) -> dict[str, Any]:
        """The next log entry called *event*; waits for it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.seen.append(line)
            entry: dict[str, Any] = json.loads(line)
            if entry["event"] == event:
                return entry
        raise AssertionError(f"no {event} in: {''.join(self.seen)}")

    def end(self) -> Done:
        """Wait for the end."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.seen += self.process.stderr  # not `communicate`, which would miss what `until` has read ahead
        out = self.process.stdout.read()
        code = self.process.wait(TIMEOUT)
        return self.program.checked(Done(code=code, out=out, err="".join(self.seen)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Runs the program in *directory*: as forks of *loaded*, or as new processes, where it is None.

    Its keys, where it has some, must never come out again. *lacking*: capabilities, by their number, that it is run without.
    *user*: the number of the user and of the group that it is run as.
    """

    directory: Path
    environ: Mapping[str, str]
    loaded: Loaded | None = None
    secrets: tuple[str, ...] = ()
    lacking: tuple[int, ...] = ()
    user: int | None = None

    @property
    def state_dir(self) -> Path:
        """Where `config.yaml` puts the state."""
        return self.directory / "state"

    def write(self, name: str, content: object) -> Path:
        """Write the file *name*: text as it is, data as JSON, which is YAML."""
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def config(self, **sections: Any) -> Path:
        """Write `config.yaml`: short waits, a state directory of its own, and *sections*."""
        polling = {"initial": "0.05", "max": "0.2"}
        return self.write("config.yaml", {"polling": polling, "state_dir": "state", **sections})

    def workflow(self, waves: Waves, name: str = "night", **more: Any) -> str:
        """Write a workflow file and return its name; *more* are keys of it, or of the wave of that name."""
        written = [
            {
                "name": wave,
                "migrations": [{"name": m, "live_migration_id": live} for m, live in migrations.items()],
                **more.pop(wave, {}),
            }
            for wave, migrations in waves.items()
        ]
        defaults = {"group_id": GROUP, **more.pop("defaults", {})}
        self.write(f"{name}.yaml", {"version": "1", "name": name, "defaults": defaults, "waves": written, **more})
        return f"{name}.yaml"

    def scenario(self, workflow: str = "night", **sections: Any) -> None:
        """Write what a rehearsal of *workflow* is like: everything quick, except for what *sections* say."""
        jobs = {
            "ready_after": "0s",
            "initial_lag": "0s",
            "ready_lag": "0s",
            "cutover": "1s",
            **sections.pop("jobs", {}),
        }
        self.write(f"{workflow}.scenario.yaml", {"jobs": jobs, **sections})

    def run(self, *arguments: str, **environ: str) -> Done:
        """Run a command to its end, without a terminal."""
        with self._process(arguments, environ) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT)
            finally:
                process.kill()
            return self.checked(Done(code=process.wait(TIMEOUT), out=out, err=err))

    def run_into(self, stdout: int, *arguments: str) -> Done:
        """As `run`, with the file descriptor *stdout* as the command's stdout."""
        with self._process(arguments, stdout=stdout) as process:
            try:
                _, err = process.communicate(timeout=TIMEOUT)
            finally:
                process.kill()
            return self.checked(Done(code=process.wait(TIMEOUT), out="", err=err))

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Running]:
        """Start a command; whatever of it is left afterwards is killed."""
        with self._process(arguments) as process:
            try:
                yield Running(process=process, program=self)
            finally:
                process.kill()

    def _process(
        self, arguments: Sequence[str], environ: Mapping[str, str] | None = None, *, stdout: int | None = None
    ) -> Process:
        whole = {**self.environ, **(environ or {})}
        if self.loaded is not None:
            order = Order(argv=arguments, cwd=str(self.directory), environ=whole, lacking=self.lacking, user=self.user)
            return self.loaded.start(order, stdout=stdout)
        assert not self.lacking, "only a fork can give them up"
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.directory,
            env=whole,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            text=True,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )

    def on_terminal(
        self,
        *arguments: str,
        prompt: str,
        answer: str,
        shell: str | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Done:
        """Run a command whose stdin and stderr are a terminal, and type *answer* when *prompt* appears there.

        *shell* is what `sh` does with the command, which is "$@" to it; *meanwhile* is called before *answer* is typed.
        """
        ours, theirs = pty.openpty()
        with self._process_on(theirs, arguments, shell) as process:
            os.close(theirs)
            shown = ""
            try:
                with suppress(OSError):  # EIO: the other end is closed
                    while True:
                        # A signal right before the program's blocking read is heard after it: Ctrl-C is pressed again.
                        pressed = not prompt and answer == "\x03"
                        while pressed and not select.select([ours], [], [], 5)[0]:
                            os.write(ours, answer.encode())
                        part = os.read(ours, 4096).decode(errors="replace")
                        if not part:
                            break
                        shown += part
                        if prompt and prompt in shown:
                            meanwhile()
                            os.write(ours, answer.encode(errors="surrogateescape"))
                            prompt = ""
                assert process.stdout is not None
                out = process.stdout.read()
                code = process.wait(TIMEOUT)
            finally:
                os.close(ours)
                process.kill()
        return self.checked(Done(code=code, out=out, err=shown))

    def _process_on(self, terminal: int, arguments: Sequence[str], shell: str | None) -> Process:
        environ = {**self.environ, "TERM": "xterm"}
        if self.loaded is not None and shell is None:
            order = Order(argv=arguments, cwd=str(self.directory), environ=environ, terminal=True)
            return self.loaded.start(order, stdin=terminal, stderr=terminal)
        argv = self.argv(*arguments)
        return subprocess.Popen(
            argv if shell is None else ["sh", "-c", shell, "sh", *argv],
            cwd=self.directory,
            env=environ,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - no threads here
        )

    def argv(self, *arguments: str) -> list[str]:
        """The command line of the program."""
        return [sys.executable, "-m", "orchestrator", *arguments]

    def checked(self, done: Done) -> Done:
        """*done*, after a look for what must never be seen: a traceback, or a key."""
        for text in (done.out, done.err):
            assert "Traceback" not in text, text
            assert not any(secret in text for secret in self.secrets), text
        return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A simulated Atlas in a process of its own, shared by many tests: each id is a job as soon as it is asked for.

    *fails* and the others give ids whose job does what their name says, each id once.
    """

    base_url: str
    keys: Mapping[str, str]
    fails: Iterator[str]
    never_ready: Iterator[str]
    slow: Iterator[str]
    loses_put: Iterator[str]

    def config(self, api: str = "v2") -> dict[str, Any]:
        """The section `atlas` of a config file."""
        return {"base_url": f"{self.base_url.removesuffix('v2')}{api}", "request_timeout": "2s", "settle": "2s"}
