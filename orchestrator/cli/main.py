"""From arguments to an exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from .parser import build_parser


def run_command(arguments: list[str]) -> int:
    """Carry the command in *arguments* out and return the exit code; usage errors exit with 2 by themselves."""
    parsed = build_parser().parse_args(arguments)
    module = import_module(f".{parsed.module}", __package__)
    from ..errors import CutoverError

    try:
        return int(module.execute(parsed))
    except CutoverError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, `| head` for example
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
