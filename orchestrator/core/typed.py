"""The commands that people are told to type, for a shell: made here, so that each can be copied as it is. Pure.

Where a name begins with `-`, the names stand behind `--`, and every option before it: otherwise the program would take the name for options.
"""

from __future__ import annotations

import re
from shlex import quote

_BEFORE_NAMES = re.compile(r"(atlas-cutover [a-z]+ \S+)( -- .*)", re.DOTALL)
_QUOTED = re.compile(r"`(atlas-cutover [^`\n]+)`")


def names_typed(*names: str) -> str:
    """*names* as they are typed behind all options; with `--` before them where one begins with `-`."""
    words = [quote(name) for name in names]
    return " ".join(["--", *words] if any(name.startswith("-") for name in names) else words)


def about(verb: str, run_id: str, *names: str) -> str:
    """The command that asks *verb* of run *run_id*, about *names* (migrations, or a wave)."""
    return f"atlas-cutover {verb} {run_id} {names_typed(*names)}"


def resume_command(run_id: str) -> str:
    """Goes on with run *run_id*, as it is recorded."""
    return f"atlas-cutover resume {run_id}"


def status_command(run_id: str) -> str:
    """Shows how run *run_id* stands."""
    return f"atlas-cutover status {run_id}"


def mended_first(trouble: str, run_id: str) -> str:
    """*trouble* that stops run *run_id*, with what goes on once it is mended, unless it says by itself what to type."""
    return trouble if _QUOTED.search(trouble) else f"{trouble}; then `{resume_command(run_id)}` goes on with the run"


def approve_command(run_id: str, wave: str) -> str:
    """Lets *wave* of run *run_id* start."""
    return about("approve", run_id, wave)


def with_options(command: str, options: str) -> str:
    """*command* with *options* (a space before each), where they are options."""
    found = _BEFORE_NAMES.fullmatch(command)
    return command + options if found is None else f"{found[1]}{options}{found[2]}"


def with_options_in(text: str, options: str) -> str:
    """*text*, with *options* in each command that stands between backticks there."""
    return _QUOTED.sub(lambda found: f"`{with_options(found[1], options)}`", text) if options else text
