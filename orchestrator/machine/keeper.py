"""Runs a command that must not outlive whoever wanted it.

    python -I -S keeper.py GRACE COMMAND ...

Its stdin is a pipe whose other end that process has, and never writes to: the kernel closes it when the process is gone, however
that ended. Then, or on SIGTERM, the command gets SIGTERM and GRACE seconds later SIGKILL (0: that at once). Ends with the command's code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run it."""
    grace = float(sys.argv[1])
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ending.set())
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL) as child:  # noqa: S603 - the caller's command

        def wait_for_the_pipe() -> None:
            while os.read(0, 4096):
                pass
            ending.set()

        def end_it() -> None:
            ending.wait()
            if grace:
                child.terminate()
                try:
                    child.wait(grace)
                except subprocess.TimeoutExpired:
                    pass
                else:
                    return
            child.kill()

        for doing in (wait_for_the_pipe, end_it):
            threading.Thread(target=doing, daemon=True).start()
        code = child.wait()
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
