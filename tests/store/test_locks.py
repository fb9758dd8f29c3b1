from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.core.errors import BusyError
from orchestrator.operations.work import holding
from orchestrator.store import locks
from orchestrator.store.locks import MOMENT, LockedError, holder_of, hooks_lock, lent, locked, run_lock, workflow_lock

HOLD = """
import sys
from pathlib import Path
from orchestrator.store.locks import locked
with locked(Path(sys.argv[1]), holder="ana@bastion (4711), run r1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds *path* until its standard input ends, or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    """In the words that the holder left."""
    path = run_lock(tmp_path, "r1")
    with held_elsewhere(path), pytest.raises(LockedError) as refused, locked(path, holder="me"):
        pass
    assert isinstance(refused.value, BusyError)
    assert (refused.value.holder, refused.value.path) == ("ana@bastion (4711), run r1", path)


def test_the_kernel_releases_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    """No pid guessing, no stale lock."""
    path = run_lock(tmp_path, "r1")
    with held_elsewhere(path) as process:
        assert holder_of(path) == "ana@bastion (4711), run r1"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder_of(path) is None
        with locked(path, holder="me"):
            assert holder_of(path) == "me"


def test_a_lock_that_was_lent_is_held_until_the_other_process_has_ended_too(tmp_path: Path) -> None:
    """As that of hooks, by what ends them when the one that lent it is gone."""
    path = hooks_lock(tmp_path, "night", rehearsal=False)
    with lent(path, holder="hooks of ana@bastion") as (file, descriptor):
        assert file.path == path
        other = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    assert holder_of(path) == "hooks of ana@bastion"
    other.communicate(b"")
    assert holder_of(path) is None


def test_asking_who_holds_a_lock_does_not_disturb(tmp_path: Path) -> None:
    """The holder keeps it; a free lock stays free; none is made."""
    path = run_lock(tmp_path, "r1")
    assert holder_of(path) is None
    assert not path.exists()
    with locked(path, holder="me"):
        assert [holder_of(path) for _ in range(3)] == ["me"] * 3
        with pytest.raises(LockedError), locked(path, holder="you"):
            pass
        assert holder_of(path) == "me"
    assert holder_of(path) is None
    with locked(path, holder="you"):
        assert holder_of(path) == "you"


def test_somebody_who_only_asks_at_that_moment_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Asking holds the lock for the blink of an eye, for which taking it waits."""
    path = run_lock(tmp_path, "r1")
    with locked(path, holder="before"):
        pass
    asking = os.open(path, os.O_RDWR)
    fcntl.flock(asking, fcntl.LOCK_SH)
    threading.Timer(0.005, os.close, [asking]).start()
    with locked(path, holder="me"):
        assert holder_of(path) == "me"


def test_a_shorter_name_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    """The file says who holds it, and nothing else."""
    path = run_lock(tmp_path, "r1")
    for holder in ("a very long name", "me"):
        with locked(path, holder=holder):
            assert holder_of(path) == holder


def test_a_holder_without_name_is_another_process(tmp_path: Path) -> None:
    """Between taking the lock and writing the name there is a moment."""
    path = run_lock(tmp_path, "r1")
    with locked(path, holder=""):
        assert holder_of(path) == "another process"


def test_an_error_inside_releases_the_lock(tmp_path: Path) -> None:
    """However the context ends."""
    path = run_lock(tmp_path, "r1")
    with pytest.raises(RuntimeError), locked(path, holder="me"):
        raise RuntimeError
    assert holder_of(path) is None


def test_lock_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Nobody else can hold a run up."""
    path = run_lock(tmp_path / "state", "r1")
    with locked(path, holder="me"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_workflows_and_rehearsals_have_locks_of_their_own(tmp_path: Path) -> None:
    """Whatever characters the name has, it makes one file in the directory of locks."""
    names = ("retail-eu", "../../etc/passwd", "ü" * 300)
    paths = {workflow_lock(tmp_path, name, rehearsal=rehearsal) for name in names for rehearsal in (True, False)}
    assert len(paths) == 6
    assert {path.parent for path in paths} == {tmp_path / "locks"}


def test_a_process_that_was_forked_holds_none_of_its_parents_locks(tmp_path: Path) -> None:
    """As pool workers of a program that embeds a run: they may outlive it, and nobody could go on with the run."""
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from orchestrator.store.locks import locked\n"
        "with locked(Path(sys.argv[1]), holder='ana'):\n"
        "    if not os.fork():\n"
        "        print(os.getpid(), flush=True)\n"  # by then it has let go
        "    time.sleep(60)\n"
    )
    path = tmp_path / "locks" / "run.lock"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert holder_of(path) == "ana"
            parent.kill()
            parent.wait()
            os.kill(child, 0)
            assert holder_of(path) is None
        finally:
            os.kill(child, signal.SIGKILL)


def test_who_holds_a_lock_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves a word for a run, while another program keeps the journal locked; who works on the run is not, from then on either."""
    path = run_lock(tmp_path, "r1")
    for then in (None, "ana@bastion (4711), run r1"):
        first, second, waits = ExitStack(), ExitStack(), count()
        first.enter_context(locked(path, holder="pause", briefly=True))

        def sleep(
            _seconds: float,
            *,
            first: ExitStack = first,
            second: ExitStack = second,
            waits: Iterator[int] = waits,
            then: str | None = then,
        ) -> None:
            if next(waits) == 3:  # those before are for somebody who only asks
                first.close()
                if then is not None:
                    second.enter_context(locked(path, holder=then))

        with first, second, monkeypatch.context() as quick:
            quick.setattr(locks, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
            if then is None:
                with locked(path, holder="me", patience=MOMENT):
                    assert holder_of(path) == "me"
            else:
                with pytest.raises(LockedError, match="ana@bastion"), locked(path, holder="me", patience=MOMENT):
                    pass


def test_a_moment_that_does_not_end_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as somebody who works on the run, whose end one would wait for."""
    now = [0.0]
    monkeypatch.setattr(
        locks, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: now.append(now.pop() + 1))
    )
    with (
        locked(run_lock(tmp_path, "r1"), holder="ana@bastion (4711)", briefly=True),
        pytest.raises(BusyError, match=r"run r1 is held by ana@bastion \(4711\), who works on no run .* in 10 s"),
        holding(tmp_path, "night", "r1", rehearsal=False),
    ):
        pass
    assert now[0] >= MOMENT
