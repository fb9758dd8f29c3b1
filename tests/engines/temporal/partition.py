"""A worker that is cut off, in a network namespace of its own, while it cuts jobs over; another one goes on.

    unshare --map-root-user --net python -m tests.engines.temporal.partition DIRECTORY FROM...

FROM: `temporal`, `atlas`, or both. The worker reaches each of them by an interface of its own, which is taken down: what is sent then
is lost without a word, both ways. It comes up again when the other worker has ended the night. Prints how often each PUT was
received and carried out, the outcomes, and what of the first worker was left, as JSON.

The same module is the program of all processes, as `python -m tests.engines.temporal.partition worker ...`: plain http to other hosts
than this one's own loopback is refused in earnest, and here there are only namespaces.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio

from orchestrator.__main__ import main
from orchestrator.files import config_model
from orchestrator.simulator import server as simulated

from ..house import house, wave, workflow
from .cluster import LEASE, until
from .fleet import fleet
from .servers import server
from .test_nights import own, quick

PLACES = {"temporal": "10.98.1", "atlas": "10.98.2"}
"""By who is there, the first three numbers of its network: .1 is who is there, .2 the worker that is cut off."""
NAMES = ["a", "b", "c", "d", "e", "f"]
PROGRAM = ("tests.engines.temporal.partition",)


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(("ip", *arguments), check=True, timeout=20)


def join(holder: int) -> None:
    """Join the namespace of the process *holder* to both places."""
    for place, network in PLACES.items():
        ip("link", "add", place, "type", "veth", "peer", "name", f"{place}-far", "netns", str(holder))
        ip("addr", "add", f"{network}.254/24", "dev", place)
        ip("addr", "add", f"{network}.1/32", "dev", "lo")
        ip("link", "set", place, "up")
        inside = ("nsenter", "--target", str(holder), "--net", "ip")
        for arguments in (
            ("addr", "add", f"{network}.2/24", "dev", f"{place}-far"),
            ("link", "set", f"{place}-far", "up"),
            ("route", "replace", f"{network}.1/32", "via", f"{network}.254"),
        ):
            subprocess.run((*inside, *arguments), check=True, timeout=20)


async def play(directory: Path, cut: list[str]) -> None:
    """The whole story."""
    ip("link", "set", "lo", "up")
    plan = own(workflow(wave("one", *NAMES)))
    scenario = replace(quick(2.0), repeat_puts=True)
    holder = subprocess.Popen(("unshare", "--net", "sh", "-c", "echo; exec sleep 600"), stdout=subprocess.PIPE)  # noqa: ASYNC220
    try:
        assert holder.stdout is not None
        holder.stdout.readline()  # it has its namespace
        join(holder.pid)
        async with house(directory / "atlas", plan, scenario) as it:
            with (
                server(directory / "server", f"{PLACES['temporal']}.1") as temporal,
                fleet(directory, temporal, it) as those,
            ):
                await temporal.connect()
                apart = ("--target", str(holder.pid), "--net")
                first = those.worker(PROGRAM, prefix=("nsenter", *apart))
                await those.serves(1)
                arguments = ("run", str(those.write(plan)), "--engine", "temporal", "--yes", "--format", "json")
                run = those.begin(*arguments, program=PROGRAM)
                await until(lambda: any(it.puts(name) for name in NAMES), within=150.0)
                for place in cut:
                    ip("link", "set", place, "down")
                those.worker(PROGRAM)
                if cut == ["atlas"]:  # it still owns the budget, and reads on when Atlas is there again
                    await anyio.sleep(2.0 * LEASE)
                    ip("link", "set", "atlas", "up")
                done = await those.end(run)
                for place in cut:
                    ip("link", "set", place, "up")
                await anyio.sleep(LEASE)  # what it may have held back would come now
                sys.stdout.write(
                    json.dumps(
                        {
                            "code": done.code,
                            "outcomes": done.outcomes,
                            "received": {name: it.puts(name) for name in NAMES},
                            "carried out": {name: it.seen(name)["puts_processed"] for name in NAMES},
                            "429": it.atlas.record()["requests"]["by_status"].get("429", 0),
                            "first worker": first.poll(),
                        }
                    )
                )
    finally:
        holder.kill()
        holder.wait()


def anywhere(host: str) -> bool:
    """Any host will do."""
    return True


def listening(host: str, port: int) -> socket.socket:
    """A socket at the simulator's address."""
    return socket.create_server((f"{PLACES['atlas']}.1", port))


if __name__ == "__main__":
    setattr(config_model, "is_loopback", anywhere)  # noqa: B010
    if sys.argv[1] in ("worker", "run"):
        main()
    setattr(simulated, "_listen", listening)  # noqa: B010
    anyio.run(play, Path(sys.argv[1]), sys.argv[2:])
