"""How many of a wave's migrations stand where. Kept event by event, so that a decision costs the number of waves.

`Facets` are what the rules of a run want to know of one migration; the `Counts` of a wave are the sum of its
migrations' facets. `RunState.apply` says which migrations have moved, and its `Census` takes their old facets out and the
new ones in when somebody asks: who reads a journal of thousands of events asks once, at its end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from .migration import BEFORE_THE_PUT, UNDER_WAY, MigrationState, Phase, after_hook_left, undo_left
from .outcomes import Outcome
from .workflow import Hooks


class Facets(NamedTuple):
    """What counts about one migration; each is 0 or 1.

    *waiting*: selected, and its PUT may still leave. *under_way*: selected, and its PUT may have been carried out.
    *doubts*: in doubt, selected or not. *keeps_wave_open*: in doubt or under way, selected or not, or ended in doubt and not looked
    at again in this session. *ended_badly*: ended without SUCCESS, selected or not. *slots*: holds one of the wave's slots.
    *owing*: selected, complete at Atlas or ended, and `verify` or `after_…` hooks are left to be run.
    *undoing*: a `before` hook has prepared a cutover that has not been requested, and `after_failure` would undo it.
    """

    waiting: int = 0
    under_way: int = 0
    doubts: int = 0
    keeps_wave_open: int = 0
    ended_badly: int = 0
    slots: int = 0
    owing: int = 0
    undoing: int = 0


def facets_of(
    state: MigrationState, hooks: Hooks, *, selected: bool, withdrawn: bool = False, soaks: bool = False
) -> Facets:
    """The facets of a migration with these *hooks*, *selected* for this session or not.

    *withdrawn*: its PUT may not leave in this session any more, if it has not. *soaks*: its verification waits for the other
    cutovers of its wave, so it keeps no slot from them.
    """
    phase = state.phase
    withdrawn = (withdrawn or state.skipped is not None) and phase in BEFORE_THE_PUT
    under_way = phase in UNDER_WAY
    verifying = phase is Phase.VERIFYING
    owing = verifying or after_hook_left(state, hooks) is not None
    works = under_way or (verifying and not soaks)
    return Facets(
        waiting=int(selected and phase in BEFORE_THE_PUT and not withdrawn),
        under_way=int(selected and under_way),
        doubts=int(phase is Phase.DOUBT),
        keeps_wave_open=int(under_way or (not selected and state.outcome is Outcome.IN_DOUBT)),
        ended_badly=int(state.outcome not in (None, Outcome.SUCCESS)),
        slots=int(
            (selected and works)
            or (state.admitted and not withdrawn and not verifying and (phase is not Phase.FINISHED or owing))
        ),
        owing=int(selected and owing),
        undoing=int(bool(undo_left(state, on_failure=len(hooks.after_failure)))),
    )


@dataclass(slots=True)
class Counts:
    """The sum of the facets of a wave's migrations."""

    waiting: int = 0
    under_way: int = 0
    doubts: int = 0
    keeps_wave_open: int = 0
    ended_badly: int = 0
    slots: int = 0
    owing: int = 0
    undoing: int = 0

    def add(self, facets: Facets, sign: int = 1) -> None:
        """Take *facets* in, or with *sign* -1 out."""
        self.waiting += sign * facets.waiting
        self.under_way += sign * facets.under_way
        self.doubts += sign * facets.doubts
        self.keeps_wave_open += sign * facets.keeps_wave_open
        self.ended_badly += sign * facets.ended_badly
        self.slots += sign * facets.slots
        self.owing += sign * facets.owing
        self.undoing += sign * facets.undoing


@dataclass(slots=True)
class _Move:
    """A migration that stands otherwise than it was counted, with what else its facets follow from."""

    counted: MigrationState
    now: MigrationState
    hooks: Hooks
    selected: bool
    withdrawn: bool
    soaks: bool

    def facets(self, state: MigrationState) -> Facets:
        return facets_of(state, self.hooks, selected=self.selected, withdrawn=self.withdrawn, soaks=self.soaks)


class Census:
    """The counts of a wave, brought up to date when they are asked for."""

    __slots__ = ("_counts", "_moves")

    def __init__(self, counts: Counts | None = None) -> None:
        self._counts = counts or Counts()
        self._moves: dict[str, _Move] = {}

    def add(self, facets: Facets) -> None:
        """Count one more migration."""
        self._counts.add(facets)

    def move(
        self,
        name: str,
        before: MigrationState,
        after: MigrationState,
        hooks: Hooks,
        *,
        selected: bool,
        withdrawn: bool,
        soaks: bool,
    ) -> None:
        """Migration *name*, which was counted as in *before*, is in *after* now; the rest is as for `facets_of`."""
        self._moves[name] = _Move(before, after, hooks, selected, withdrawn, soaks)

    def moved_on(self, name: str, after: MigrationState) -> bool:
        """Whether migration *name*, which is in *after* now, had moved already since somebody asked: then that is all to be known."""
        move = self._moves.get(name)
        if move is None:
            return False
        move.now = after
        return True

    @property
    def counts(self) -> Counts:
        """How many stand where now."""
        if self._moves:
            for move in self._moves.values():
                self._counts.add(move.facets(move.counted), -1)
                self._counts.add(move.facets(move.now))
            self._moves.clear()
        return self._counts

    def copy(self) -> Census:
        """The same, to change."""
        return Census(replace(self.counts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Census) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # it changes
