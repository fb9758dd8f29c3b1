"""The operator's word, before a session begins."""

from __future__ import annotations

import sys
import termios
from argparse import Namespace
from contextlib import suppress
from dataclasses import dataclass

from ..core.consent import Intention
from ..core.errors import InputError
from ..core.settings import Settings
from ..machine.outlet import is_behind
from .outputs import tell
from .question import question


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the operator has confirmed, and nothing else may be done (*confirmed*), or is asked about while the session works (*asked*).

    *unasked*: there was nothing to ask about, so nothing may be cut over.
    """

    confirmed: Intention | None = None
    asked: Intention | None = None
    unasked: bool = False


def _is_asked(args: Namespace) -> bool:
    """Whether the operator is asked before something is cut over."""
    return not args.yes and (_can_ask() or args.command == "run")


def consent_to_follow(args: Namespace) -> Consent:
    """The operator's consent where a run is over, or others work on it: nothing begins of which they would have been asked."""
    return Consent(unasked=_is_asked(args))


def _answer_to(words: str) -> str:
    """What is typed when *words* can have been read. A terminal may take nothing for now (Ctrl-S), and nothing begins before the answer."""
    while True:
        with suppress(OSError, termios.error):  # what was typed before is no answer to this
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
        with suppress(TimeoutError):
            tell(words, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer or not is_behind(sys.stderr):
            return answer
        words = "\nwhat was typed before the question could be read is no answer; type it now: "


def consent_to(args: Namespace, intention: Intention, settings: Settings, *, beforehand: bool = False) -> Consent:
    """The operator's consent to *intention*; nobody is asked where no PUT can leave, or who has said `--yes`.

    What a run has under way is not kept waiting for an answer, so then the session asks; *beforehand*: it cannot.

    Raises:
        InputError: It was not confirmed, or there is no terminal for that.
    """
    if not _is_asked(args):
        return Consent()
    if not intention.may_put:
        return Consent(confirmed=intention)
    if not _can_ask():
        raise InputError("cutovers cannot be undone: there is no terminal to confirm on, so --yes is needed")
    if intention.run_id and (intention.follows or intention.repeats) and not beforehand:
        return Consent(asked=intention)
    name = intention.workflow.name
    try:
        answer = _answer_to("\n".join(question(intention, settings)))
    except KeyboardInterrupt:
        tell("\nnot confirmed; nothing was sent", file=sys.stderr)
        raise
    if answer.strip() != name:
        ended = "" if answer.endswith("\n") else "\n"
        raise InputError(f"{ended}not confirmed; nothing was sent")
    return Consent(confirmed=intention)
