"""What is on its way over loopback between two connections of one event loop: bytes, greetings and goodbyes.

The kernel delivers most of it before the call that sends it returns. The rest can be asked for: a connection knows what
it has sent and its other side has not acknowledged, and an acknowledgement that is put off comes when it is asked for.
"""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary


class Loopback:
    """The connections of one loop. *stirred*: one has begun or ended since `in_flight` was asked, or may have."""

    def __init__(self) -> None:
        self.stirred = False
        self._all_are_known = sys.platform == "linux"
        self._by_names: WeakValueDictionary[tuple[Any, Any], socket.socket] = (
            WeakValueDictionary()
        )  # own, and the other
        self._sent: set[socket.socket] = set()

    def add(self, sock: socket.socket) -> None:
        """Watch a connection that has been made."""
        self.stirred = True
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        if type(sock) is not socket.socket:
            self._all_are_known = False
            return
        sock.__class__ = _Watched
        _WATCHED_BY[sock] = self
        with suppress(OSError):  # the other side has gone already
            self._by_names[sock.getsockname(), sock.getpeername()] = sock

    def note(self, sock: socket.socket) -> None:
        """*sock* has sent something."""
        self._sent.add(sock)

    def in_flight(self) -> bool:
        """Whether something may have been sent that has not arrived."""
        stirred, self.stirred = self.stirred, False
        self._sent = {sock for sock in self._sent if sock.fileno() >= 0 and self._is_waited_for(sock)}
        return stirred or not self._all_are_known or bool(self._sent)

    def _is_waited_for(self, sock: socket.socket) -> bool:
        if not _unacknowledged(sock):
            return False
        try:
            other = self._by_names.get((sock.getpeername(), sock.getsockname()))
        except OSError:  # there is no other side any more
            return False
        if other is None or other.fileno() < 0:
            return True
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return _unacknowledged(sock)


_WATCHED_BY: WeakKeyDictionary[socket.socket, Loopback] = WeakKeyDictionary()


class _Watched(socket.socket):
    """A socket that says when it sends, and when it ends."""

    __slots__ = ()

    def send(self, *args: Any) -> int:
        _WATCHED_BY[self].note(self)
        return super().send(*args)

    def sendmsg(self, *args: Any) -> int:
        _WATCHED_BY[self].note(self)
        return super().sendmsg(*args)

    def shutdown(self, how: int) -> None:
        _WATCHED_BY[self].note(self)
        super().shutdown(how)

    def close(self) -> None:
        _WATCHED_BY[self].stirred = True
        super().close()


def _unacknowledged(sock: socket.socket) -> bool:
    return any(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
