"""What a run has its batches do: errands, each one activity. They outlive the execution of the run that has begun them.

A run sends each batch one message at a time, and all that comes up meanwhile with the next. An errand is an intent the moment that
it is said here: Temporal commits the message, and what the run has recorded with it, before any batch or worker hears of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, FailureError

from . import forms, names
from .alarm import now
from .batch import Batch
from .forms import Failed, Json, Returned

MIGRATIONS_PER_BATCH = 100
_MAX_ERRANDS_PER_BATCH = 400  # its history must not outgrow what Temporal keeps; then another takes its place


@dataclass(slots=True, kw_only=True)
class Errand:
    """One activity. *whose*: a migration's name, or what else it is for. *notes*: what whoever wants it has to know when it returns.

    *bell* rings when something has become of it. *call_off_sent*: its batch was told not to do it; *call_off_confirmed*: and has done
    what there is to do.
    """

    number: int
    kind: str
    batch: str
    whose: str
    notes: Json
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    call_off_sent: bool = False
    call_off_confirmed: bool = False
    returned: Returned | None = None


@dataclass(slots=True, kw_only=True)
class _Line:
    """The run's line to one batch. *said*, *heard*: messages. *given*: errands, *open*: those not noted yet.

    *begun*: the batch has been; *over*: it is to end. *hushed*: it was asked to be quiet, and is told nothing; *quiet*: it is.
    """

    batch: str
    batch_key: str
    said: int = 0
    heard: int = 0
    given: int = 0
    open: int = 0
    begun: bool = False
    hushed: bool = False
    quiet: bool = False
    over: bool = False
    to_say: list[Json] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None


class Errands:
    """All errands of a session that have not returned. *session*: whose they are; *lease*: how long a worker may be silent."""

    def __init__(self, session: forms.Session, lease: float) -> None:
        self.session = session
        self._lease = lease
        self._numbers = self._batches = 0
        self._open: dict[int, Errand] = {}
        self._lines: dict[str, _Line] = {}
        self._serving: dict[str, _Line] = {}  # by batch_key
        self._left: dict[str, Errand] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._hushing = False

    # -- giving ------------------------------------------------------------------------------------------------------

    def begin(  # noqa: PLR0913 - what is to be done, for whom, and by when
        self,
        kind: str,
        whose: str,
        batch_key: str,
        task: forms.Task | forms.HookTask,
        *,
        queue: str,
        to_close: float,
        to_start: float | None = None,
        notes: Json | None = None,
        bell: asyncio.Event | None = None,
    ) -> Errand:
        """Have the activity *kind* done, which is *task*, by the batch of *batch_key*; *to_start*, *to_close*: its timeouts in seconds.

        What has a *to_start* is not begun by a batch that hears of it long after.
        """
        line = self._line(batch_key)
        self._numbers += 1
        line.given += 1
        line.open += 1
        errand = Errand(
            number=self._numbers,
            kind=kind,
            batch=line.batch,
            whose=whose,
            notes=notes or {},
            bell=bell or asyncio.Event(),
        )
        self._open[errand.number] = errand
        told = replace(task, task=self._task_of(errand))
        item = {"number": errand.number, "kind": kind, "task": forms.plain(told), "queue": queue}
        self._say(line, "begin", **item, to_start=to_start, to_close=to_close, lease=self._lease, at=now())
        return errand

    def _task_of(self, errand: Errand) -> str:
        """What *errand* is called where it is done: no other one of any session is called so."""
        return f"{self.session.first}/{errand.number}"

    def call_off(self, errand: Errand) -> None:
        """Let *errand* not be done, if that can still be helped. It returns all the same."""
        if not errand.call_off_sent:
            errand.call_off_sent = True
            self._say(self._lines[errand.batch], "call off", number=errand.number)

    def left(self) -> list[str]:
        """For whom there are errands that an earlier execution of the run has begun."""
        return list(self._left)

    def left_for(self, whose: str) -> Errand | None:
        """The errand that an earlier execution of the run has begun for *whose*, for who goes on with it."""
        return self._left.pop(whose, None)

    def noted(self, errand: Errand) -> Returned:
        """What has come of *errand*, which is done with."""
        assert errand.returned is not None
        del self._open[errand.number]
        line = self._lines.get(errand.batch)
        if line is not None:
            line.open -= 1
            if self._serving.get(line.batch_key) is not line:
                self._end_if_idle(line)
        return errand.returned

    # -- what batches say ----------------------------------------------------------------------------------------------

    def take_in(self, message: forms.Message) -> bool:
        """Take *message* of a batch in; False: it is of another session."""
        line = self._lines.get(message.batch)
        if line is None:
            return False
        if message.number > line.heard:
            line.heard = message.number
            for item in forms.unpacked(message.body):
                self._take(line, item)
        return True

    def _take(self, line: _Line, item: Json) -> None:
        if item["item"] == "quiet":
            line.quiet = True
            return
        errand = self._open.get(item["number"])
        if errand is None:
            return
        if item["item"] == "called off":
            errand.call_off_confirmed = True
        else:
            errand.returned = self._believed(errand, _returned(item))
        errand.bell.set()

    def _believed(self, errand: Errand, returned: Returned) -> Returned:
        """*returned*, unless its result is another's: then it is not known what has come of *errand*."""
        if returned.failed is not None:
            return returned
        if forms.of_task(returned.result, self._task_of(errand)):
            return replace(returned, result=returned.result["what"])
        return replace(returned, result=None, failed=Failed.ANOTHERS)

    # -- saying it -----------------------------------------------------------------------------------------------------

    def _line(self, batch_key: str) -> _Line:
        """The line to the batch that serves *batch_key*; a batch that has had enough to do is followed by another."""
        line = self._serving.get(batch_key)
        if line is None or line.given >= _MAX_ERRANDS_PER_BATCH:
            self._batches += 1
            batch = names.batch_id(self.session.workflow, self.session.first, self._batches)
            before, line = line, _Line(batch=batch, batch_key=batch_key)
            self._lines[batch] = self._serving[batch_key] = line
            if before is not None:
                self._end_if_idle(before)
        return line

    def _end_if_idle(self, line: _Line) -> None:
        if not line.open and not line.over:
            line.over = True
            self._say(line, "end")

    def _say(self, line: _Line, item: str, **facts: Any) -> None:
        line.to_say.append({"item": item, **facts})
        self._speak(line)

    def _speak(self, line: _Line) -> None:
        """Have said to a batch what there is to say."""
        if self._has_to_speak(line) and _is_idle(line):
            line.sending = asyncio.create_task(self._send(line))

    def _has_to_speak(self, line: _Line) -> bool:
        return not line.hushed and bool(line.to_say or (self._hushing and not line.over))

    async def _send(self, line: _Line) -> None:
        try:
            if not line.begun:
                begun = await workflow.start_child_workflow(
                    Batch.run,
                    forms.BatchOrder(batch=line.batch, session=self.session),
                    id=line.batch,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                )
                line.begun = True
                self._watches.append(asyncio.create_task(self._watch(line, begun)))
            while self._has_to_speak(line):
                items, line.to_say = line.to_say, []
                if self._hushing and not line.over:
                    items.append({"item": "hush"})
                    line.hushed = True
                line.said += 1
                message = forms.Message(batch=line.batch, number=line.said, body=forms.packed(items))
                await workflow.get_external_workflow_handle_for(Batch.run, line.batch).signal(Batch.errands, message)
        except FailureError as error:
            self._lost(line, f"its batch is closed: {error}")

    async def _watch(self, line: _Line, batch: workflow.ChildWorkflowHandle[Any, Any]) -> None:
        """A batch that somebody has terminated does nothing more."""
        try:
            await batch
        except ChildWorkflowError as error:
            self._lost(line, f"its batch was closed: {error.cause or error}")

    def _lost(self, line: _Line, why: str) -> None:
        """It is not known what a batch has done of what it had to do, and nothing more will be heard of it."""
        line.over = True
        line.to_say = []
        if self._serving.get(line.batch_key) is line:
            del self._serving[line.batch_key]
        for errand in self._open.values():
            if errand.batch == line.batch and errand.returned is None:
                errand.returned = Returned(number=errand.number, failed=Failed.LOST, detail=why)
                errand.bell.set()

    async def end(self) -> None:
        """End all batches, when nothing is left to do."""
        for line in self._lines.values():
            self._end_if_idle(line)
        await workflow.wait_condition(lambda: all(_is_idle(line) and not line.to_say for line in self._lines.values()))

    # -- going on with an empty history --------------------------------------------------------------------------------

    def hush(self) -> None:
        """Ask the batches to say nothing until the run speaks to them again; it says nothing more to them after that."""
        self._hushing = True
        for line in self._lines.values():
            self._speak(line)

    @property
    def is_quiet(self) -> bool:
        """Whether no batch says anything, and nothing is on its way to one."""
        return self.is_idle and all(line.quiet or line.over for line in self._lines.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way to a batch."""
        return all(_is_idle(line) for line in self._lines.values())

    def speak(self) -> None:
        """Speak with the batches again."""
        self._hushing = False
        for line in self._lines.values():
            if line.hushed:
                line.hushed = line.quiet = False
                line.to_say.insert(0, {"item": "speak"})
            self._speak(line)

    def carried(self) -> Json:
        """What the run takes along."""
        return {
            "numbers": self._numbers,
            "batches": self._batches,
            "open": [_kept(each, _OF_AN_ERRAND) for each in self._open.values()],
            "lines": [_kept(each, _OF_A_LINE) for each in self._lines.values() if each.to_say or not each.over],
            "serving": {batch_key: line.batch for batch_key, line in self._serving.items()},
        }

    def take_up(self, carried: Json) -> None:
        """The inverse of `carried`, for who has begun nothing yet."""
        self._numbers, self._batches = carried["numbers"], carried["batches"]
        for kept in carried["lines"]:
            self._lines[kept["batch"]] = _Line(**_known(kept, _OF_A_LINE))
        self._serving = {batch_key: self._lines[batch] for batch_key, batch in carried["serving"].items()}
        for kept in carried["open"]:
            known = _known(kept, _OF_AN_ERRAND)
            returned = known.pop("returned")
            errand = Errand(**known, returned=None if returned is None else _returned(returned))
            self._open[errand.number] = self._left[errand.whose] = errand


_OF_AN_ERRAND = {
    **{name: name for name in ("number", "kind", "batch", "whose", "notes")},
    "off": "call_off_sent",
    "is_off": "call_off_confirmed",
    "returned": "returned",
}
_OF_A_LINE = {
    "batch": "batch",
    "place": "batch_key",
    **{name: name for name in ("said", "heard", "given", "open", "begun", "hushed", "over", "to_say")},
}
"""What the run takes along of each: by the key that it is kept under, the name that it has here."""


def _kept(it: Errand | _Line, names_here: dict[str, str]) -> Json:
    return {key: forms.plain(getattr(it, name)) for key, name in names_here.items()}


def _known(kept: Json, names_here: dict[str, str]) -> Json:
    """The inverse of `_kept`: by their names here."""
    return {names_here[key]: value for key, value in kept.items()}


def _returned(data: Json) -> Returned:
    failed = data.get("failed")
    return Returned(
        number=data["number"],
        result=data.get("result"),
        failed=None if failed is None else Failed(failed),
        detail=data.get("detail", ""),
    )


def _is_idle(line: _Line) -> bool:
    return line.sending is None or line.sending.done()
