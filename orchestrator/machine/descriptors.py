"""How many files this process may still open, and who may have them: connections and hooks.

A process that has used its file descriptors up cannot read an answer, write its journal or start a hook, and each of these
would look like a failure of something else. So what opens many takes no more than its share of what is left.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

RESERVE: Final = 16
"""For what comes and goes: reports, marks, name lookups, the journal of a second connection."""
ENOUGH: Final = 4096
"""More are not asked for: hooks inherit the limit, and some programs go through all numbers up to it."""
LEAST: Final = 16
"""With fewer left, not even one migration can be cut over."""
_FILES_PER_HOOK: Final = 4
_FILES_OF_KEEPER: Final = 4
"""Of what ends hooks if this process dies (`kept_groups`): one, and three more while it begins."""


def raise_limit() -> None:
    """Let this process open as many files as the system allows it, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def too_few() -> str | None:
    """Why a session cannot work with what this process may still open; None: it can."""
    left = _left() + RESERVE
    if left >= LEAST:
        return None
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        f"this process may have {allowed} files open (`ulimit -n`), of which {left} are left: journal, locks, connections and hooks "
        f"need at least {LEAST}, and a fleet a few hundred; raise the limit (`LimitNOFILE=` of systemd)"
    )


def connections_at_most(wanted: int) -> int:
    """How many connections may be open at once, of *wanted*: a third of what is left.

    Another third is for their other ends, which a rehearsal has in this process, too.
    """
    return max(1, min(wanted, _left() // 3))


def hooks_at_most(wanted: int, *, connections: int) -> int:
    """How many hooks may run at once, of *wanted*, beside so many *connections* with both ends here."""
    return max(1, min(wanted, (_left() - _FILES_OF_KEEPER - 2 * connections) // _FILES_PER_HOOK))


def _left() -> int:
    """How many more files may be opened, without the reserve. Counted at a session's start, before connections and hooks."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return ENOUGH
    return allowed - _open_now() - RESERVE


def _open_now() -> int:
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            return sum(1 for _ in Path(directory).iterdir())
        except OSError:  # not mounted here
            continue
    return 32
