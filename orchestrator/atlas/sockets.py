"""Sockets that leave nothing on its way: what this side has given up, its kernel gives up, too.

A closed socket goes on by itself: the kernel keeps sending what was not acknowledged, for minutes, so that a PUT which
timed out in an outage arrives when the outage ends, maybe beside a second one. Two options prevent that:

* `SO_LINGER` with zero seconds: closing resets the connection and drops what was not sent, whoever closes it (a process
  that is killed included);
* `TCP_USER_TIMEOUT` (RFC 5482): data that stays unacknowledged for so long ends the connection, also while this process
  is stopped or hangs.

An answer that has been read is not harmed by a reset, and nothing is written without an answer being read.
"""

from __future__ import annotations

import socket
import struct
import sys

import aiohttp

_RESET = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds
_TCP_RXT_CONNDROPTIME = 0x80  # macOS, netinet/tcp.h: as TCP_USER_TIMEOUT, in seconds; Python has no name for it


def socket_factory(give_up_after: float) -> aiohttp.SocketFactoryType:
    """What makes the sockets of a connector: their kernel gives up *give_up_after* seconds without acknowledgement.

    Linux and macOS can be told so. Elsewhere a socket is still reset when it is closed.
    """

    def make(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            _limit_unacknowledged(made, give_up_after)
        except OSError:
            made.close()
            raise
        return made

    return make


def _limit_unacknowledged(made: socket.socket, seconds: float) -> None:
    if sys.platform == "linux":
        milliseconds = min(max(1, round(seconds * 1000)), 2**31 - 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    elif sys.platform == "darwin":
        made.setsockopt(socket.IPPROTO_TCP, _TCP_RXT_CONNDROPTIME, max(1, int(seconds)))
