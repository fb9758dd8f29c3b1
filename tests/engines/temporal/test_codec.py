"""What travels through Temporal, hidden from who runs it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload

from orchestrator.core.errors import InputError
from orchestrator.core.settings import Temporal
from orchestrator.engines.temporal.codec import Codec, read_key
from orchestrator.engines.temporal.service import connect

from ..house import house, migration, wave, workflow
from .cluster import Server, begin, needs_temporal, worker
from .test_nights import hasty, own, quick

pytestmark = pytest.mark.anyio


async def test_what_is_hidden_can_be_read_with_the_same_key_alone() -> None:
    """Another key, or a changed payload, is told as such; what was never hidden stays as it is."""
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"orders"')
    codec = Codec(bytes(32))
    [hidden] = await codec.encode([plain])
    assert b"orders" not in hidden.SerializeToString()
    assert await codec.decode([hidden, plain]) == [plain, plain]
    with pytest.raises(ValueError, match="encrypted with another key"):
        await Codec(bytes([1] * 32)).decode([hidden])
    hidden.data = hidden.data[:-1] + bytes([hidden.data[-1] ^ 1])
    with pytest.raises(ValueError, match="encrypted with another key"):
        await codec.decode([hidden])


def test_a_key_file_holds_64_hex_digits(tmp_path: Path) -> None:
    """Anything else is a mistake, which says how to make one."""
    path = tmp_path / "codec.key"
    path.write_text("ab" * 32 + "\n")
    assert read_key(path) == bytes.fromhex("ab" * 32)
    path.write_text("ab")
    with pytest.raises(InputError, match="openssl rand -hex 32"):
        read_key(path)
    with pytest.raises(InputError, match=r"missing\.key"):
        read_key(tmp_path / "missing.key")
    with pytest.raises(InputError, match="is a device, expected a file"):
        read_key(Path("/dev/zero"))
    path.chmod(0o666)
    with pytest.raises(InputError, match="can be written by everybody"):
        read_key(path)


@needs_temporal
async def test_the_servers_database_holds_no_name_that_is_hidden(tmp_path: Path, temporal: Server) -> None:
    """A night with a codec key; only the names of workflows are there to read."""
    key = tmp_path / "codec.key"
    key.write_text("cd" * 32)
    await temporal.connect()  # it answers
    client = await connect(Temporal(address=temporal.address, codec_key_file=key))
    name = f"secretly-{uuid4().hex}"
    plan = own(workflow(wave("one", migration(name[:20]))))
    async with house(tmp_path / "atlas", plan, quick()) as built, worker(client, it := hasty(built)):
        run = await begin(client, it, plan)
        assert (await run.result())["exit_code"] == 0
        assert it.puts(name[:20]) == 1
    kept = b"".join(path.read_bytes() for path in temporal.directory.glob("temporal.db*"))
    assert plan.name.encode() in kept
    assert name[:20].encode() not in kept
