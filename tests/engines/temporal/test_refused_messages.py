"""What is sent without the codec's key, in a worker's log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engines.temporal import names, refused_messages
from orchestrator.engines.temporal.codec import RefusedError
from orchestrator.engines.temporal.refused_messages import RefusedMessages

from ..house import house, wave, workflow
from .cluster import begin, until, worker
from .servers import Server, needs_temporal
from .stranger import order_a_hook
from .test_codec import with_a_key
from .test_nights import hasty, own, quick

pytestmark = pytest.mark.anyio


def record(error: Exception | None) -> logging.LogRecord:
    """What the SDK logs of a message that it could not read because of *error*."""
    failed = RuntimeError("Failed decoding arguments")
    failed.__cause__ = error
    info = (type(failed), failed, None)
    return logging.LogRecord("temporalio.activity", logging.ERROR, __file__, 1, "failed", (), info)


def test_refusals_are_told_once_in_a_while_with_how_many_there_were() -> None:
    """The first at once; what else goes wrong is logged as it is."""
    said: list[dict[str, Any]] = []
    time = [0.0]
    those = RefusedMessages(lambda event, **fields: said.append({"event": event, **fields}), now=lambda: time[0])
    for _ in range(5):
        assert not those.filter(record(RefusedError("it has no key")))
    assert those.filter(record(None))
    assert those.filter(record(TypeError("another fault")))
    time[0] = refused_messages.SAID_EVERY
    assert not those.filter(record(RefusedError("it has no key")))
    first = {"event": "temporal_refused", "detail": "an order to a worker was refused: it has no key"}
    assert said == [first, {**first, "more": 4}]


@needs_temporal
async def test_a_flood_of_messages_without_a_key_is_a_line(
    tmp_path: Path, temporal: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals and orders of hooks: each kind is told once, in words, and no traceback is logged."""
    stranger = await temporal.connect()
    client = await with_a_key(temporal, tmp_path)
    plan = own(workflow(wave("one", "a", approval=True)))
    said: list[str] = []
    with refused_messages.told(lambda event, **fields: said.append(f"{event}: {fields['detail']}")):
        async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
            run = await begin(client, it, plan)
            await run.waits_for_approval("one")
            there = stranger.get_workflow_handle(run.handle.id)
            for number in range(20):
                await there.signal("returned", {"batch": "x", "number": number, "body": "x"})
            for _ in range(2):
                await order_a_hook(stranger, names.hooks_queue(names.queue(it.settings.atlas.base_url)), ["true"])
            assert await run.steer("reject", wave="one") == [None]
            await run.result()
            await until(lambda: len(said) == 2)
    assert {each.partition(" was refused: a payload was not encrypted")[0] for each in said} == {
        "temporal_refused: a message to a run",
        "temporal_refused: an order to a worker",
    }
    assert [
        each for each in caplog.records if "Failed d" in each.getMessage() or "as failed" in each.getMessage()
    ] == []
