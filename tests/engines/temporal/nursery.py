"""Workers and commands that begin at once: each is forked by a process that has loaded all that they need, and is a process of its own.

    python -m tests.engines.temporal.nursery

On stdin, a line for each: JSON with `arguments` of the command, its `environment`, and the files `out` and `err`. On stdout, a line for
each: its process id. When it has ended, the file that is called as `err` with `.code` behind it has its exit code.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

from orchestrator.__main__ import main

ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class Forked:
    """A process, as far as tests have to do with one. *args*: its command."""

    pid: int
    args: Sequence[str]
    out: Path
    err: Path

    def poll(self) -> int | None:
        """Its exit code, negative where a signal has ended it; None: it lives."""
        with suppress(FileNotFoundError, ValueError):  # being written
            return int(_code(self.err).read_text())
        return None

    @property
    def returncode(self) -> int | None:
        """The same."""
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """As when its machine is lost."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code, once it has ended."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(list(self.args), timeout)
            time.sleep(0.02)
        return code

    def communicate(self, timeout: float = 60.0) -> tuple[str, str]:
        """What it has said, once it has ended."""
        self.wait(timeout)
        return self.out.read_text(), self.err.read_text()


@cache
def _nursery() -> subprocess.Popen[str]:
    """The process that forks them; it ends with this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.temporal.nursery"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def forked(arguments: Sequence[str], environment: Mapping[str, str], *, out: Path, err: Path) -> Forked:
    """Begin a process that does what the command with *arguments* does, and writes to these files."""
    requests, answers = _nursery().stdin, _nursery().stdout
    assert requests is not None
    assert answers is not None
    request = {"arguments": list(arguments), "environment": dict(environment), "out": str(out), "err": str(err)}
    _code(err).unlink(missing_ok=True)
    err.touch()  # whoever looks into it before the process has come so far finds nothing
    requests.write(json.dumps(request) + "\n")
    requests.flush()
    return Forked(int(answers.readline()), tuple(arguments), out, err)


def _code(err: Path) -> Path:
    return err.with_name(f"{err.name}.code")


def _become(request: Mapping[str, Any]) -> NoReturn:
    """What a forked process does."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        files = [os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in ("out", "err")]
        for stream, file in enumerate([os.open(os.devnull, os.O_RDONLY), *files]):
            os.dup2(file, stream)
            os.close(file)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = ["atlas-cutover", *request["arguments"]]
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - told, and the process ends
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(requests: IO[str]) -> None:
    import orchestrator.cli.main
    import orchestrator.cli.run
    import orchestrator.engines.temporal.worker
    import orchestrator.operations.serve_runs  # noqa: F401 - so that those who are forked have it

    errs: dict[int, Path] = {}

    def reap(*_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                code = _code(errs.pop(ended[0]))
                written = code.with_suffix(".written")
                with suppress(FileNotFoundError):  # the test's directory has gone
                    written.write_text(str(os.waitstatus_to_exitcode(ended[1])))
                    written.rename(code)

    signal.signal(signal.SIGCHLD, reap)
    for line in requests:
        request = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _become(request)
        errs[pid] = Path(request["err"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        print(pid, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve(sys.stdin)
