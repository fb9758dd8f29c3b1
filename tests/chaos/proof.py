"""Verification and steering of a chaos night: hooks that prove cutovers good, and people who change their minds meanwhile.

`verify.sh` says "not yet" to each migration's first question, and afterwards what the night has decided about it: `unproven/NAME`
is there or not. The first hook of some is killed (`dying/NAME`). It writes down whom it has proven good, so that a SUCCESS that nothing has proven can be seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..loaded import Process
from .harness import ChaosNight

UNPROVEN, DYING, ASKED, PROVEN = "unproven", "dying", "asked", "proven"
AGAIN = ("UNVERIFIED", "NOT_STARTED")
"""Outcomes of what people take up again: verified once more, or no longer skipped."""

SCRIPT = """#!/bin/sh
set -eu
[ -e "dying/$CUTOVER_MIGRATION" ] && { rm "dying/$CUTOVER_MIGRATION"; kill -9 $$; }
[ -e "unproven/$CUTOVER_MIGRATION" ] && exit 1
[ -e "asked/$CUTOVER_MIGRATION" ] || { : >"asked/$CUTOVER_MIGRATION"; exit 75; }
: >"proven/$CUTOVER_MIGRATION"
"""
SOAK = "2s"


def with_proof(plan: dict[str, Any], directory: Path, unproven: Sequence[str], dying: Sequence[str]) -> dict[str, Any]:
    """*plan* with a `verify` hook for each migration and a soak for the second wave.

    *unproven* are not good at first; the first hook of each of *dying* is killed.
    """
    for name in (UNPROVEN, DYING, ASKED, PROVEN):
        (directory / name).mkdir(parents=True)
    script = directory / "verify.sh"
    script.write_text(SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    for kind, names in ((UNPROVEN, unproven), (DYING, dying)):
        for name in names:
            (directory / kind / name).touch()
    first, second, *others = plan["waves"]
    return {
        **plan,
        "defaults": {
            **plan["defaults"],
            "hooks": {"verify": [["./verify.sh"]], "verify_every": "1s", "verify_timeout": "5m"},
        },
        "waves": [first, {**second, "soak": SOAK}, *others],
    }


@dataclass(slots=True, kw_only=True)
class People:
    """Those who ask for something in another shell, at any moment. Whether it is taken or refused, nothing breaks."""

    night: ChaosNight
    rng: random.Random
    names: Sequence[str]
    asked: list[tuple[str, Process]] = field(default_factory=list)

    def ask(self, *, most: int = 2) -> None:
        """Up to *most* of them ask, while a session begins or none works on the run."""
        if (run_id := self.night.run_id()) is None:
            return
        for _ in range(self.rng.randint(0, most)):
            command = self.rng.choice([("skip",), ("skip",), ("retry",), ("retry",), ("gate", "--max-lag", "20s")])
            self._start(command[0], run_id, self.rng.choice(self.names), *command[1:])

    def make_good(self) -> None:
        """What was skipped is taken up again, and what was not good has become so and is verified again."""
        for kind in (UNPROVEN, DYING):  # what was skipped has not been verified before
            for file in (self.night.directory / kind).iterdir():
                file.unlink()
        for _, process in self.asked:  # what was asked late may have taken one up again already
            process.wait(60)
        for entry in self.night.report()["migrations"]:
            if entry["outcome"] in AGAIN:
                self._start("retry", self.night.run_id() or "", entry["name"]).wait(60)

    def problems(self) -> list[str]:
        """Commands that ended neither well nor with a mistake told, and what is called SUCCESS without proof."""
        ended = [(command, process.wait(60)) for command, process in self.asked]
        return [f"wrong: {command} ended with {code}" for command, code in ended if code not in (0, 2)] + [
            f"wrong: {entry['name']} is SUCCESS, and nothing has proven it good"
            for entry in self.night.report()["migrations"]
            if entry["outcome"] == "SUCCESS" and not (self.night.directory / PROVEN / entry["name"]).exists()
        ]

    def _start(self, *command: str) -> Process:
        process = self.night.start(*command, "--reason", "chaos")
        self.asked.append((" ".join(command), process))
        return process
