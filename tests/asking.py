"""`python -I -S tests/asking.py FD ARGUMENT...`: the program with these arguments, as a fork of the process at the socket FD.

For shell scripts that call the program many times; `tests.loaded` says what a fork is. This one loads next to nothing.
"""

from __future__ import annotations

import json
import os
import socket
import sys

_, number, *argv = sys.argv
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
order = {"argv": argv, "cwd": os.getcwd(), "environ": dict(os.environ)}  # noqa: PTH109 - pathlib costs as much as all else
with socket.socket(fileno=int(number)) as orders, theirs:
    socket.send_fds(orders, [json.dumps(order).encode()], [0, 1, 2, theirs.fileno()])
ours.recv(64)  # its process id
code = int(ours.recv(64))
sys.exit(code if code >= 0 else 128 - code)
