"""From arguments to an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from .parser import build_parser

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h: outside of the contract's codes."""


def run_command(arguments: list[str]) -> int:
    """Carry the command in *arguments* out and return the exit code; usage errors exit with 2 by themselves."""
    _open_missing_streams()
    parsed = build_parser().parse_args(arguments)
    module = import_module(f".{parsed.module}", __package__)
    from ..errors import CutoverError

    try:
        return int(module.execute(parsed))
    except CutoverError as error:
        with suppress(OSError):
            print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, `| head` for example
        return 0
    except Exception:  # noqa: BLE001 - a bug of ours must not look like a migration that failed
        with suppress(OSError):
            traceback.print_exc()
            print(
                f"internal error (exit code {INTERNAL_ERROR}): the journal is intact, `status` shows it",
                file=sys.stderr,
            )
        return INTERNAL_ERROR
    finally:
        _let_go_of_broken_streams()


def _open_missing_streams() -> None:
    """Where a standard stream was closed before the start, put /dev/null: a file or socket must not get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _let_go_of_broken_streams() -> None:
    """What cannot be written any more goes to /dev/null: else Python would fail to flush it, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
