"""`python -m tests.forking SOCKET`: the process that has loaded the program, and forks for those who ask; `tests.loaded` says why.

It loads when the first one asks at SOCKET, a descriptor that listens, and ends with its stdin.
"""

from __future__ import annotations

import atexit
import codecs
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import runpy
import selectors
import signal
import socket
import sys
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from .loaded import Order

ENOUGH = 1 << 20
"""Bytes; no order is nearly as long."""


def load() -> None:
    """Import all of the program, and what it loads when it works; make what each run of it would make anew: the report's template."""
    import orchestrator
    from orchestrator.reports.formats import html

    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    # A fork that works as another user may not be able to read them any more.
    for late in ("anyio._backends._asyncio", "anyio._core._signals"):
        importlib.import_module(late)
    codecs.lookup("utf-8-sig")
    html._template()
    gc.collect()
    gc.freeze()  # so that a fork's collector copies no page of what was loaded


def serve(door: socket.socket) -> Order | None:
    """Fork for each order of those who come in by *door*: returns it in the fork, and None here when stdin has ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(door, selectors.EVENT_READ)
        asking: set[socket.socket] = set()
        under_way: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor that tells of its end
        loaded = False
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    for each in (*asking, *(word for _, word in under_way.values())):
                        each.close()
                    return None
                if key.fileobj is door:
                    if not loaded:
                        load()
                        loaded = True
                    came, _ = door.accept()
                    asking.add(came)
                    selector.register(came, selectors.EVENT_READ)
                    continue
                if key.fd in under_way:
                    pid, word = under_way.pop(key.fd)
                    tell(word, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    word.close()
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                data, descriptors, _, _ = socket.recv_fds(key.fileobj, ENOUGH, 4)
                if not data:
                    selector.unregister(key.fileobj)
                    asking.discard(key.fileobj)
                    key.fileobj.close()
                    continue
                *streams, told = descriptors
                word = socket.socket(fileno=told)
                if (pid := os.fork()) == 0:
                    for fd, (_, other) in under_way.items():
                        os.close(fd)
                        other.close()
                    for each in (word, door, *asking):
                        each.close()
                    order = Order(**json.loads(data))
                    become(order, streams)
                    return order
                tell(word, pid)
                for fd in streams:
                    os.close(fd)
                ends = os.pidfd_open(pid)
                under_way[ends] = pid, word
                selector.register(ends, selectors.EVENT_READ)


def tell(word: socket.socket, number: int) -> None:
    """Say *number* to whoever has ordered; one who was killed is no more there to hear it."""
    with suppress(BrokenPipeError, ConnectionResetError):
        word.send(str(number).encode())


def become(order: Order, streams: list[int]) -> None:
    """Make this fork what a new process with *order* would be, on *streams* as its three standard ones."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    if order.terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C typed there is a signal to the program
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if order.lacking:
        give_up(order.lacking)
    if order.user is not None:
        os.setgroups([])
        os.setresgid(order.user, order.user, order.user)
        os.setresuid(order.user, order.user, order.user)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.environ)
    time.tzset()
    random.seed()
    sys.argv[:] = [order.module, *order.argv]
    sys.path[0] = order.cwd
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = stream(1, "strict", line_buffering=os.isatty(1))
    sys.stderr = stream(2, "backslashreplace", line_buffering=True)


def give_up(capabilities: Sequence[int]) -> None:
    """Lose them, as `setpriv --bounding-set` loses them for the program that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    for number in capabilities:
        if libc.prctl(24, number, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")
    if libc.capget(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for which in range(3):  # effective, permitted, inheritable: the lower half of each
        for number in capabilities:
            sets[which] &= ~(1 << number)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def stream(fd: int, errors: str, *, line_buffering: bool) -> io.TextIOWrapper:
    """A standard stream as the interpreter makes it, also where it is told not to buffer any."""
    raw = io.FileIO(fd, "w", closefd=False)
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding="utf-8",
        errors=errors,
        line_buffering=line_buffering,
        write_through=unbuffered,
    )


def end(code: object) -> NoReturn:
    """End as an interpreter with `SystemExit` of *code* does, without taking down what was loaded."""
    if code is None or isinstance(code, int):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        with suppress(OSError, ValueError):  # what cannot be said is told of in the interpreter's own way
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit((code or 0) & 0xFF)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        ordered = serve(asked)
    if ordered is not None:
        try:
            runpy.run_module(ordered.module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            end(ended.code)
