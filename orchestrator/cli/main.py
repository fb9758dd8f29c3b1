"""From arguments to an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from argparse import Namespace
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ..core.checkpoints import Checkpoint, unwatched
from .parser import build_parser

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h: outside of the contract's codes."""
INPUT_OUTPUT_ERROR = 74
"""EX_IOERR of sysexits.h: the answer could not be written."""


def run_command(arguments: list[str], checkpoint: Checkpoint = unwatched) -> int:
    """Carry the command in *arguments* out and return the exit code; usage errors exit with 2 by themselves."""
    _open_missing_streams()
    from ..core.errors import CutoverError

    try:
        parsed = build_parser().parse_args(arguments)
        parsed.checkpoint = checkpoint
        return _carried_out(import_module(f".{parsed.module}", __package__), parsed)
    except CutoverError as error:
        with suppress(OSError):
            print("\n".join((str(error), *getattr(error, "__notes__", ()))), file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, `| head` for example
        return 0
    except OSError as error:  # a full disk behind stdout, a file that has vanished: nothing that a traceback explains
        with suppress(OSError):
            print(f"{error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return INPUT_OUTPUT_ERROR
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


def _carried_out(module: ModuleType, parsed: Namespace) -> int:
    code = int(module.execute(parsed))
    if parsed.module != "run":  # a run's exit code stands, whatever becomes of its output
        sys.stdout.flush()
    return code


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
