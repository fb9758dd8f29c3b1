"""Outputs that take nothing more: nobody waits for them, but for so long at the end."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.machine.outlet import Outlet

PIPE = 4096  # bytes that a pipe of the least size takes
PATIENCE = 0.1


class Reader:
    """The other end of a pipe that takes no more than 4 KiB unread."""

    def __init__(self) -> None:
        self.end, self.written_to = os.pipe()
        fcntl.fcntl(self.written_to, fcntl.F_SETPIPE_SZ, PIPE)

    def read(self, count: int) -> bytes:
        """Exactly *count* bytes, when they have come."""
        data = b""
        while len(data) < count:
            data += os.read(self.end, count - len(data))
        return data


@pytest.fixture
def reader() -> Iterator[Reader]:
    """A pipe and who reads it, who is gone afterwards: so nothing waits for ever."""
    pipe = Reader()
    yield pipe
    os.close(pipe.end)


def outlet_to(reader: Reader, room: int = 100_000) -> Outlet:
    """An outlet of little patience to *reader*."""
    return Outlet(reader.written_to, room=room, owned=True, patience=PATIENCE)


@pytest.mark.anyio
async def test_an_event_loop_never_waits_and_learns_when_there_is_no_room(reader: Reader) -> None:
    """What was taken arrives in its order once somebody reads; what there was no room for does not, nor a part of it."""
    outlet = outlet_to(reader, room=20_000)
    lines = [f"{number:07}\n".encode() for number in range(10_000)]
    accepted = []
    for line in lines:
        try:
            outlet.put(line)
        except BlockingIOError as error:
            assert "takes nothing more" in str(error)  # noqa: PT017 - it is raised when there is no room, whenever that is
        else:
            accepted.append(line)
        outlet.settle()
    assert outlet.behind
    assert accepted == lines[: len(accepted)]
    assert 20_000 <= 8 * len(accepted) <= 20_000 + PIPE
    assert reader.read(8 * len(accepted)) == b"".join(accepted)
    assert outlet.close()
    assert not outlet.behind


def test_who_has_no_event_loop_waits_as_long_as_something_is_taken(reader: Reader) -> None:
    """A slow reader gets all, though it takes longer than patience lasts."""
    outlet = outlet_to(reader, room=PIPE)
    read, paused = [], threading.Event()

    def slowly() -> None:
        for _ in range(20):
            paused.wait(PATIENCE / 4)
            read.append(reader.read(PIPE))

    thread = threading.Thread(target=slowly)
    thread.start()
    data = [bytes([65 + number]) * PIPE for number in range(20)]
    for piece in data:
        outlet.put(piece)
    outlet.settle()
    assert outlet.close()
    thread.join()
    assert read == data


def test_patience_ends_once_and_begins_anew_when_something_is_taken(reader: Reader) -> None:
    """Who has waited in vain does not wait again before anything has been taken."""
    outlet = outlet_to(reader)
    outlet.put(b"x" * 3 * PIPE)
    with pytest.raises(TimeoutError, match=r"it took nothing for 0\.1 s"):
        outlet.settle()
    for _ in range(1000):  # would take as many tenths of a second
        with pytest.raises(TimeoutError):
            outlet.settle()
    assert reader.read(3 * PIPE) == b"x" * 3 * PIPE
    outlet.settle()
    outlet.put(b"y" * 3 * PIPE)
    assert not outlet.close()


def test_a_reader_that_has_gone_is_told_and_what_comes_after_is_tried(reader: Reader) -> None:
    """Its error is that of whoever waits for what was written."""
    gone, written_to = os.pipe()
    os.close(gone)
    outlet = Outlet(written_to, owned=True, patience=PATIENCE)
    for _ in range(2):
        outlet.put(b"line\n")
        with pytest.raises(BrokenPipeError):
            outlet.settle()
    os.dup2(reader.written_to, written_to)
    outlet.put(b"heard\n")
    outlet.settle()
    assert outlet.close()
    assert reader.read(6) == b"heard\n"


def test_an_output_that_another_program_has_set_to_wait_for_nothing_gets_all(reader: Reader) -> None:
    """Terminals are shared, with their flags."""
    os.set_blocking(reader.written_to, False)
    outlet = outlet_to(reader)
    outlet.put(b"z" * 10 * PIPE)
    assert reader.read(10 * PIPE) == b"z" * 10 * PIPE
    assert outlet.close()


def test_a_file_is_written_in_whole_lines(tmp_path: Path) -> None:
    """So that another process may add to the same file."""
    path = tmp_path / "log"
    outlet = Outlet(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), owned=True)
    for number in range(1000):
        outlet.put(f"{number}\n".encode())
        outlet.put(b"")
    assert outlet.close()
    assert path.read_text(encoding="ascii").split() == [str(number) for number in range(1000)]


def test_signals_are_for_other_threads(reader: Reader) -> None:
    """One that has to end the process in a certain place is not taken in another."""
    before = {thread.native_id for thread in threading.enumerate()}
    outlet = outlet_to(reader)
    outlet.put(b"a")
    reader.read(1)
    (writer,) = {thread.native_id for thread in threading.enumerate()} - before
    status = Path(f"/proc/self/task/{writer}/status").read_text(encoding="ascii")
    (blocked,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk"))
    assert all(blocked >> (number - 1) & 1 for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT))
    assert outlet.close()


def test_where_no_thread_can_be_had_it_is_written_at_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's limit of processes is reached."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        outlet = outlet_to(reader)
    outlet.put(b"line\n")
    assert reader.read(5) == b"line\n"
    outlet.settle()
    assert outlet.close()
