"""From arguments to an exit code."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.checkpoints import Checkpoint, unwatched
from .commands import build_parser
from .completion import complete_if_asked
from .outputs import tell, tell_whole
from .streams import legible_streams, unhindered_streams

if TYPE_CHECKING:
    from ..text.redaction import Redactor

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h: none of the codes that `--help` lists."""
INPUT_OUTPUT_ERROR = 74
"""EX_IOERR of sysexits.h: the answer could not be written."""
LASTING = ("run", "resume", "worker", "serve")
"""Commands whose work goes on, and whose exit code stands, whatever becomes of what they print."""


def run_command(arguments: list[str], checkpoint: Checkpoint = unwatched) -> int:
    """Carry the command in *arguments* out and return the exit code; usage errors exit with 2 by themselves."""
    _open_missing_streams()
    with legible_streams(), ExitStack() as stack:
        return _run_command(arguments, checkpoint, stack)


def _run_command(arguments: list[str], checkpoint: Checkpoint, stack: ExitStack) -> int:
    parsed = Namespace()
    try:
        parser = build_parser()
        complete_if_asked(parser)
        parsed = parser.parse_args(arguments)
        parsed.checkpoint = checkpoint
        if parsed.command in LASTING:
            stack.enter_context(unhindered_streams())
        return _carried_out(parsed)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, `| head` for example
        return 0
    except OSError as error:  # a full disk behind stdout, a file that has vanished: nothing that a traceback explains
        with suppress(OSError):
            tell(f"{error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return INPUT_OUTPUT_ERROR
    except Exception as error:  # noqa: BLE001 - a bug of ours must not look like a migration that failed
        return _explained(error, parsed)
    finally:
        _let_go_of_broken_streams()


def _explained(error: Exception, parsed: Namespace) -> int:
    """Say what went wrong with the command line *parsed*, without what is secret in it; the exit code."""
    import traceback  # `--help` does without these

    from ..core.errors import CutoverError, InputError
    from ..core.typed import with_options_in
    from ..files.own_secrets import secrets_of
    from ..text.redaction import Redactor
    from .inputs import state_options

    redactor: Redactor | None = getattr(parsed, "redactor", None)
    clean = (redactor or Redactor(secrets_of(os.environ))).text

    if isinstance(error, CutoverError):
        with suppress(OSError):
            said = "\n".join((str(error), *getattr(error, "__notes__", ())))
            with suppress(InputError):  # the working directory is gone, which a relative path among them needs
                said = with_options_in(said, state_options(parsed))
            tell(clean(said), file=sys.stderr)
        return int(error.exit_code)
    with suppress(OSError):
        tell_whole(clean("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        tell(
            f"internal error (exit code {INTERNAL_ERROR}): the journal is intact, `status` shows it",
            file=sys.stderr,
        )
    return INTERNAL_ERROR


def _carried_out(parsed: Namespace) -> int:
    from ..machine.memory import keep_from_others
    from ..machine.openssl_variables import odd_authorities

    keep_from_others()
    if (odd := odd_authorities(os.environ)) is not None:
        from ..core.errors import InputError

        raise InputError(odd)
    code = int(parsed.handler(parsed))
    if parsed.command not in LASTING:
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
