"""Workers that begin at once: each is forked by a process that has loaded all that they need, and is a process of its own.

    python -m tests.engines.temporal.nursery

On stdin, a line for each: JSON with `arguments` of the command and a `log` file. On stdout, a line for each: its process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from orchestrator.__main__ import main


@dataclass(slots=True)
class Forked:
    """A worker, as far as tests have to do with one."""

    pid: int

    def poll(self) -> int | None:
        """None: it lives. Nobody learns how it has ended."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return -1
        return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As when its machine is lost."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> None:
        """It is waited for by who has forked it."""


@dataclass(slots=True)
class Nursery:
    """The process that forks them."""

    process: subprocess.Popen[str]

    def worker(self, arguments: Sequence[str], log: Path) -> Forked:
        """Begin one."""
        requests, answers = self.process.stdin, self.process.stdout
        assert requests is not None
        assert answers is not None
        requests.write(json.dumps({"arguments": list(arguments), "log": str(log)}) + "\n")
        requests.flush()
        return Forked(int(answers.readline()))


@contextmanager
def nursery(environment: Mapping[str, str]) -> Iterator[Nursery]:
    """One while the context lasts; whoever has its workers ends them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.temporal.nursery"],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Nursery(process)
    finally:
        process.communicate()


def _be_a_worker(arguments: Sequence[str], log: str) -> NoReturn:
    """What a forked process does."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output, nothing = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), os.open(os.devnull, os.O_RDONLY)
        for stream, file in ((0, nothing), (1, output), (2, output)):
            os.dup2(file, stream)
        sys.argv = ["atlas-cutover", *arguments]
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - told, and the process ends
        traceback.print_exc()
    os._exit(code)


def _serve(requests: IO[str]) -> None:
    import orchestrator.cli.main
    import orchestrator.engines.temporal.worker
    import orchestrator.operations.serve_runs  # noqa: F401 - so that those who are forked have it

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in requests:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be_a_worker(request["arguments"], request["log"])
        print(pid, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve(sys.stdin)
