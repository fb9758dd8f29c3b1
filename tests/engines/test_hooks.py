from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from orchestrator.core.events import HookFinished
from orchestrator.core.hook_facts import HookFacts
from orchestrator.core.no_return import InCharge
from orchestrator.core.outcomes import Outcome
from orchestrator.core.vars import Vars
from orchestrator.core.workflow import Migration, Wave
from orchestrator.engines import hooks
from orchestrator.engines.hooks import OUTPUT_BYTES, hook_environment, keeping_hooks
from orchestrator.machine.kept_groups import KeptGroups
from orchestrator.machine.programs import program_to_start
from orchestrator.text.redaction import Redactor

ORDERS = Migration(name="orders", group_id="7e68e12770616e75e6df43d0", live_migration_id="a659ce44c03ca1e348b1e992")
CANARY = Wave(name="canary", migrations=(ORDERS,))
PATH = {"PATH": os.environ["PATH"]}

Answer = TypeVar("Answer")

pytestmark = pytest.mark.anyio


async def run_hook(argv: tuple[str, ...], **options: Any) -> HookFinished:
    """Run *argv* as a hook that does not outlive this process."""
    environ = options.pop("environment")
    async with keeping_hooks(PATH) as kept:
        return await hooks.run_hook(argv, kept=kept, environment=lambda: environ, **options)


async def python(code: str, *arguments: str, **options: Any) -> HookFinished:
    """Run *code* as a hook."""
    defaults: dict[str, Any] = {
        "hook": "before",
        "timeout": 50.0,
        "directory": ".",
        "environment": PATH,
        "now": lambda: 1000.0,
    }
    return await run_hook((sys.executable, "-c", code, *arguments), **(defaults | options))


def is_alive(pid: int) -> bool:
    """Whether process *pid* is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def whole_line(path: Path) -> str:
    """What is in *path*, once it ends with a line's end."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return text if text.endswith("\n") else ""


async def until(ask: Callable[[], Answer]) -> Answer:
    """What *ask* answers, once that is true."""
    with anyio.fail_after(60):
        while not (answer := ask()):  # noqa: ASYNC110 - what another process does is no event of ours
            await anyio.sleep(0.01)
    return answer


@pytest.fixture
async def skip_time(anyio_backend: object, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the loop's clock jump forward, so that a time limit passes when a test wants it to."""
    loop = asyncio.get_running_loop()
    real = loop.time
    skipped = [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + skipped[0])

    def skip(seconds: float) -> None:
        skipped[0] += seconds

    return skip


async def out_of_time(code: str, mark: Path, skip: Callable[[float], None]) -> HookFinished:
    """Run *code* as a hook whose time is up as soon as it has written a line into *mark*."""
    results = []

    async def run() -> None:
        results.append(await python(code, str(mark), timeout=90.0))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await until(lambda: whole_line(mark))
        skip(100.0)
    return results[0]


async def test_a_hook_that_ends_well_is_told_with_its_output() -> None:
    """Both its outputs, in the order in which it wrote them."""
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); print('three')"
    done = await python(code, wave="canary", migration="orders")
    assert done.ok
    assert (done.at, done.hook, done.exit_code, done.error) == (1000.0, "before", 0, None)
    assert (done.wave, done.migration, done.argv[1]) == ("canary", "orders", "-c")
    assert done.output == "one\ntwo\nthree"
    assert 0 < done.seconds < 10


async def test_a_program_that_others_may_write_is_not_started(tmp_path: Path) -> None:
    """It may have been put there since the run began: each start looks at it again."""
    program = tmp_path / "hook"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n", encoding="utf-8")
    program.chmod(0o777)
    ended = await run_hook(
        (str(program),), hook="before", timeout=50.0, directory=tmp_path, environment=PATH, now=lambda: 1000.0
    )
    assert "can be written by everybody" in (ended.error or "")
    assert (ended.exit_code, (tmp_path / "ran").exists()) == (None, False)
    program.chmod(0o755)
    ended = await run_hook(
        (str(program),), hook="before", timeout=50.0, directory=tmp_path, environment=PATH, now=lambda: 1000.0
    )
    assert (ended.exit_code, (tmp_path / "ran").exists()) == (0, True)


async def test_a_program_that_comes_after_the_look_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that was found elsewhere than where it was looked for: what was looked at is started, or nothing is."""
    look = program_to_start
    good, bad = tmp_path / "good", tmp_path / "bad"
    for place in (good, bad):
        place.mkdir()

    def put(directory: Path, text: str) -> None:
        (directory / "tool").write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (directory / "tool").chmod(0o755)

    def looked(program: str, directory: Path, path: str | None) -> Path:
        try:
            return look(program, directory, path)
        finally:
            put(bad, f"touch {tmp_path}/ran")

    monkeypatch.setattr("orchestrator.engines.hooks.program_to_start", looked)
    for argv, ended in (((str(bad / "tool"),), None), (("tool",), 7)):
        (bad / "tool").unlink(missing_ok=True)
        put(good, "exit 7")
        done = await run_hook(
            argv,
            hook="before",
            timeout=50.0,
            directory=tmp_path,
            environment={"PATH": f"bad:{good}"},
            now=lambda: 1000.0,
        )
        assert (done.exit_code, done.argv, (tmp_path / "ran").exists()) == (ended, argv, False)


async def test_a_secret_in_a_command_goes_no_further() -> None:
    """Neither from its words, nor from its output, nor from why it did not start."""
    options: dict[str, Any] = {"redact": Redactor(["topsecret"]).text}
    ended = await python("import sys; print(sys.argv)", "--key=topsecret", **options)
    assert (ended.exit_code, "topsecret" in f"{ended}", ended.argv[-1]) == (0, False, "--key=[redacted]")
    ended = await run_hook(
        ("/nowhere/topsecret",),
        hook="before",
        timeout=50.0,
        directory=".",
        environment=PATH,
        now=lambda: 1000.0,
        **options,
    )
    assert (ended.exit_code, "topsecret" in f"{ended}") == (None, False)


async def test_a_hook_that_fails_is_a_result() -> None:
    """Its exit code is kept."""
    done = await python("raise SystemExit(7)")
    assert (done.ok, done.exit_code, done.error) == (False, 7, None)


async def test_a_hook_that_is_killed_says_by_what() -> None:
    """As a shell would number it."""
    done = await python("import os; os.kill(os.getpid(), 9)")
    assert (done.exit_code, done.error) == (137, "killed by SIGKILL")


async def test_no_shell_reads_the_arguments() -> None:
    """They arrive as they are."""
    words = ["$HOME", "`id`", "a b", "; exit 9", "*", ""]
    done = await python("import sys, json; print(json.dumps(sys.argv[1:]))", *words)
    assert json.loads(done.output) == words


async def test_a_hook_reads_nothing_and_is_its_own_session() -> None:
    """Ctrl-C on the terminal is not for it, and it cannot eat the operator's input."""
    done = await python("import os, sys; print(repr(sys.stdin.read()), os.getsid(0) == os.getpid())")
    assert done.output == "'' True"


async def test_a_hook_runs_in_its_directory(tmp_path: Path) -> None:
    """A relative command is found from there."""
    script = tmp_path / "hook"
    script.write_text("#!/bin/sh\npwd\n", encoding="utf-8")
    script.chmod(0o700)
    done = await run_hook(
        ("./hook",), hook="before", timeout=120, directory=tmp_path, environment=PATH, now=lambda: 1000.0
    )
    assert done.output.endswith(tmp_path.name)


@pytest.mark.parametrize(
    ("argv", "directory", "error"),
    [
        (("no-such-command-anywhere",), ".", "did not start: no-such-command-anywhere: No such file or directory"),
        (("/dev/null",), ".", "did not start: /dev/null: Permission denied"),
        (("true",), "/nowhere/at/all", "did not start: /nowhere/at/all: No such file or directory"),
        (("true", "nul\0byte"), ".", "did not start: embedded null byte"),
        (("x" * 300,), ".", f"did not start: {'x' * 300}: No such file or directory"),
        ((f"./{'x' * 300}",), "/", f"did not start: /{'x' * 300}: File name too long"),
    ],
)
async def test_a_hook_that_cannot_start_is_a_result(argv: tuple[str, ...], directory: str, error: str) -> None:
    """It says what is missing."""
    done = await run_hook(argv, hook="before", timeout=120, directory=directory, environment=PATH, now=lambda: 1000.0)
    assert (done.ok, done.exit_code, done.error, done.output) == (False, None, error, "")


async def test_whatever_keeps_a_hook_from_starting_is_that_hooks_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an error that nobody has thought of, met while the program is looked at, or while it is said why it did not start."""

    def fails(*_: object) -> Path:
        raise PermissionError(13, "Permission denied", "/closed/tool")

    monkeypatch.setattr(hooks, "program_to_start", fails)
    monkeypatch.setattr(hooks, "oddity", fails)
    done = await run_hook(("tool",), hook="before", timeout=5, directory=".", environment=PATH, now=lambda: 1000.0)
    assert (done.ok, done.exit_code, done.error) == (False, None, "did not start: /closed/tool: Permission denied")


async def test_a_hook_that_nobody_would_end_after_the_death_of_this_process_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could run on beside whoever goes on with the run; a `before` hook that fails means no PUT."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/no/such/python")
        ended = await run_hook(
            ("touch", "ran"), hook="before", timeout=50, directory=tmp_path, environment=PATH, now=lambda: 1000.0
        )
    assert (ended.error or "").startswith("did not start: the process that would end it if this one died ")
    assert (ended.exit_code, (tmp_path / "ran").exists()) == (None, False)


async def test_a_hook_is_out_of_its_keepers_hands_as_soon_as_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while more of its output is waited for: its number may be another's, and what it left behind goes on."""
    monkeypatch.setattr(hooks, "LAST_OUTPUT", 600.0)
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    let_go = anyio.Event()

    class Watched(KeptGroups):
        def let_go(self, group: int) -> None:
            super().let_go(group)
            let_go.set()

    kept = Watched(environ=PATH, grace=5.0, giving_up=5.0)
    options: dict[str, Any] = {"hook": "before", "timeout": 50.0, "directory": ".", "now": lambda: 1000.0}

    async def run() -> None:
        await hooks.run_hook((sys.executable, "-c", code), environment=lambda: PATH, kept=kept, **options)
        raise AssertionError("it waits for more output")

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        with anyio.fail_after(60):
            await let_go.wait()
        group.cancel_scope.cancel()
    await kept.close()


async def test_a_hook_is_told_no_more_than_it_can_be_started_with() -> None:
    """An endless reason or message of Atlas's would keep the one from starting that undoes what was done."""
    facts = HookFacts(reason="because " * 40_000, error_message="x" * 200_000)
    environment = hook_environment(PATH, run_id="r", workflow="w", rehearsal=False, facts=facts)
    done = await run_hook(
        ("true",), hook="after_failure", timeout=50.0, directory=".", environment=environment, now=lambda: 1000.0
    )
    assert done.exit_code == 0, done.error


async def test_what_a_hook_is_told_is_made_when_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the machine has what it takes to start it: who is in charge may be another by then."""
    monkeypatch.setattr(hooks, "_SHORTAGE_PAUSE", 0.01)
    lacks = iter((True, True, False))

    def pipe() -> tuple[int, int]:
        if next(lacks):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        monkeypatch.undo()
        return os.pipe()

    monkeypatch.setattr(os, "pipe", pipe)
    asked: list[bool] = []

    def environment() -> dict[str, str]:
        asked.append(next(lacks, None) is None)
        return PATH

    options: dict[str, Any] = {"hook": "before", "timeout": 50.0, "directory": ".", "now": lambda: 1000.0}
    async with keeping_hooks(PATH) as kept:
        done = await hooks.run_hook(("true",), environment=environment, kept=kept, **options)
    assert (done.exit_code, asked) == (0, [True])


FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("waiting", flush=True)
with open(sys.argv[1], "w") as file:
    print(os.getpid(), child.pid, file=file)
time.sleep(60)
"""
DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
print("ready", file=open(sys.argv[1], "w"), flush=True)
time.sleep(60)
"""
TIDY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("tidied", flush=True), sys.exit(0)))
print("ready", file=open(sys.argv[1], "w"), flush=True)
time.sleep(60)
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL follows SIGTERM at once: also where nobody takes a dead orphan away, which keeps its group in being."""
    monkeypatch.setattr(hooks, "TERMINATION", 0.2)


async def test_a_hook_that_runs_out_of_time_ends_with_all_it_started(
    tmp_path: Path, impatient: None, skip_time: Callable[[float], None]
) -> None:
    """Its child too, and what it had written is kept."""
    done = await out_of_time(FAMILY, tmp_path / "mark", skip_time)
    assert (done.ok, done.exit_code, done.error) == (False, None, "ran out of time (1m30s) and was ended")
    assert done.output == "waiting"
    for pid in whole_line(tmp_path / "mark").split():
        await until(lambda pid=pid: not is_alive(int(pid)))  # type: ignore[misc]


async def test_a_cancelled_run_ends_its_hook(tmp_path: Path, impatient: None) -> None:
    """Nothing is left behind when the program stops."""
    mark = tmp_path / "mark"
    async with anyio.create_task_group() as group:
        group.start_soon(python, FAMILY, str(mark))
        family = (await until(lambda: whole_line(mark))).split()
        group.cancel_scope.cancel()
    for pid in family:
        await until(lambda pid=pid: not is_alive(int(pid)))  # type: ignore[misc]


async def test_a_hook_that_is_cancelled_as_it_begins_ends_with_all_it_started(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been started, and nobody has it yet to end it."""
    mark = tmp_path / "mark"
    started = anyio.open_process
    begun: list[anyio.abc.Process] = []

    async def cancelled_meanwhile(*argv: Any, **options: Any) -> anyio.abc.Process:
        begun.append(await started(*argv, **options))
        await until(lambda: whole_line(mark))
        group.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint()
        return begun[0]

    monkeypatch.setattr(anyio, "open_process", cancelled_meanwhile)
    async with anyio.create_task_group() as group:
        group.start_soon(python, FAMILY, str(mark))
    assert begun[0].returncode is not None
    for pid in whole_line(mark).split():
        await until(lambda pid=pid: not is_alive(int(pid)))  # type: ignore[misc]


async def test_a_hook_that_is_killed_is_waited_for_however_little_time_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine its end is seen later; who does not wait for it leaves a process that nobody takes away."""
    monkeypatch.setattr(hooks, "TERMINATION", 0.0)
    mark = tmp_path / "mark"
    started = anyio.open_process
    begun: list[anyio.abc.Process] = []

    async def noted(*argv: Any, **options: Any) -> anyio.abc.Process:
        begun.append(await started(*argv, **options))
        return begun[0]

    monkeypatch.setattr(anyio, "open_process", noted)
    async with anyio.create_task_group() as group:
        group.start_soon(python, DEAF, str(mark))
        await until(lambda: whole_line(mark))
        group.cancel_scope.cancel()
    assert begun[0].returncode == -signal.SIGKILL


async def test_a_hook_that_ignores_the_asking_is_made_to_end(
    tmp_path: Path, impatient: None, skip_time: Callable[[float], None]
) -> None:
    """SIGKILL follows SIGTERM."""
    done = await out_of_time(DEAF, tmp_path / "mark", skip_time)
    assert (done.exit_code, done.output) == (None, "deaf")


async def test_a_hook_may_tidy_up_when_it_is_asked_to_end(tmp_path: Path, skip_time: Callable[[float], None]) -> None:
    """What it says then is kept; it failed all the same."""
    done = await out_of_time(TIDY, tmp_path / "mark", skip_time)
    assert (done.ok, done.exit_code, done.output) == (False, None, "tidied")


async def test_a_flood_of_output_is_read_and_its_end_kept() -> None:
    """The hook does not block on a full pipe, and the event stays small."""
    code = "import sys; sys.stdout.write('x' * 5_000_000); print('the end')"
    done = await python(code)
    assert done.ok
    first, _, kept = done.output.partition("\n")
    assert first == f"[{5_000_000 + 8 - OUTPUT_BYTES} bytes before this were dropped]"
    assert kept.endswith("xthe end")
    assert len(kept) == OUTPUT_BYTES - 1


async def test_output_that_is_cut_begins_with_a_whole_character() -> None:
    """Not with half of one."""
    done = await python("import sys; sys.stdout.buffer.write('ä€😀'.encode() * 9000)")
    kept = done.output.partition("\n")[2]
    assert set(kept) == set("ä€😀")


async def test_output_that_is_no_text_or_steers_a_terminal_is_made_harmless() -> None:
    """Bytes that are not UTF-8, colours, bells, carriage returns."""
    code = r"import sys; sys.stdout.buffer.write(b'a\xffb\x1b[31mred\x1b[0m\x07\x00\r\nc\td\x1b]0;title\x07e')"
    done = await python(code)
    assert done.output == "a\N{REPLACEMENT CHARACTER}bred\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\nc\tde"


async def test_secrets_in_the_output_are_made_unreadable() -> None:
    """By the function that is given, before the event exists."""
    done = await python("print('my key is s3cret')", redact=lambda text: text.replace("s3cret", "[redacted]"))
    assert done.output == "my key is [redacted]"


async def test_a_secret_is_unreadable_where_the_output_is_cut() -> None:
    """All of it but its first character lies within what is kept."""
    key = "5f0c1a5e-0000-4000-8000-made-up-key0"
    code = f"import sys; sys.stdout.write('{key}' + 'x' * {OUTPUT_BYTES - len(key) + 1})"
    done = await python(code, redact=lambda text: text.replace(key, "[redacted]"))
    assert key[1:] not in done.output
    assert done.output.endswith("x" * 1000)


async def test_what_a_hook_leaves_behind_does_not_hold_the_run(tmp_path: Path) -> None:
    """A background process that keeps the pipe open is not waited for."""
    pids = tmp_path / "pids"
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, file=open(sys.argv[1], 'w'))\n"
        "print('left')"
    )
    done = await python(code, str(pids))
    assert (done.ok, done.output) == (True, "left")
    assert done.seconds < 30  # what it left behind ends after 60
    os.kill(int(pids.read_text(encoding="utf-8")), signal.SIGKILL)


async def test_no_file_descriptor_is_left_open() -> None:
    """Whether the hook started or not."""
    await python("pass")
    before = open_files()
    await python("pass")
    await run_hook(("no-such",), hook="before", timeout=1, directory=".", environment=PATH, now=lambda: 0.0)
    assert open_files() == before


async def test_the_environment_is_the_contracts(keys: Any) -> None:
    """What there is about the migration and its variables, what else there is, and no key under any name."""
    around = {
        "PATH": "/bin",
        "LANG": "C",
        "MONGODB_ATLAS_PUBLIC_API_KEY": "x",
        "MONGODB_ATLAS_PRIVATE_API_KEY": "y",
        "MONGODB_ATLAS_OTHER_API_KEY": "z",
        "MONGODB_ATLAS_CLIENT_SECRET": "of another organisation",
        "MONGODB_ATLAS_PRIVATE_KEY": "x",
        "MONGODB_ATLAS_ACCESS_TOKEN": "x",
        "MCLI_PRIVATE_API_KEY": "x",
        "TF_VAR_client_secret": "x",
        "TF_VAR_mongodbatlas_private_key": "x",
        "TEMPORAL_API_KEY": "x",
        "TEMPORAL_TLS_KEY": "x",
        "TEMPORAL_CLIENT_TLS_KEY_DATA": "x",
        "TEMPORAL_TLS_CLIENT_KEY_DATA": "x",
        "TEMPORAL_GRPC_META_AUTHORIZATION": "x",
        "temporal_grpc_meta_x_team": "x",
        "TEMPORAL_CODEC_AUTH": "x",
        "TF_VAR_private_key": "of a server",
        "NIGHT_KEY": keys.private,
        "NIGHT_USER": keys.public,
        "NIGHT_USER_OF_A_FILE": f"{keys.public}\n",
        "NIGHT_URL": f"https://{keys.public}:{keys.private}@host",
        "CUTOVER_WAVE": "stale",
        "CUTOVER_VAR_OWNER": "of the run whose hook has started this one",
    }
    environment = hook_environment(
        around,
        run_id="r1",
        workflow="retail-eu",
        rehearsal=True,
        wave=CANARY,
        migration=ORDERS,
        facts=HookFacts(
            outcome=Outcome.FAILED,
            remote_status="EXPIRED",
            lag=2.5,
            error_message="too \0 late \ud83d",
            reason="the window closed",
            in_charge=InCharge.SOURCE,
            vars=Vars(("cluster", "Size"), ("orders-eu", "")),
        ),
        secrets=keys,
    )
    assert environment == {
        "PATH": "/bin",
        "LANG": "C",
        "TF_VAR_private_key": "of a server",
        "CUTOVER_RUN_ID": "r1",
        "CUTOVER_WORKFLOW": "retail-eu",
        "CUTOVER_WAVE": "canary",
        "CUTOVER_MIGRATION": "orders",
        "CUTOVER_GROUP_ID": ORDERS.group_id,
        "CUTOVER_LIVE_MIGRATION_ID": ORDERS.live_migration_id,
        "CUTOVER_OUTCOME": "FAILED",
        "CUTOVER_REHEARSAL": "true",
        "CUTOVER_REMOTE_STATUS": "EXPIRED",
        "CUTOVER_LAG_SECONDS": "2.5",
        "CUTOVER_ERROR_MESSAGE": "too   late ?",
        "CUTOVER_REASON": "the window closed",
        "CUTOVER_IN_CHARGE": "source",
        "CUTOVER_VAR_CLUSTER": "orders-eu",
        "CUTOVER_VAR_SIZE": "",
    }


async def test_variables_that_do_not_apply_are_empty() -> None:
    """So that a hook may use `set -u`."""
    environment = hook_environment({}, run_id="r1", workflow="w", rehearsal=False, secrets=[""])
    assert {name for name, value in environment.items() if not value} == {
        "CUTOVER_WAVE",
        "CUTOVER_MIGRATION",
        "CUTOVER_GROUP_ID",
        "CUTOVER_LIVE_MIGRATION_ID",
        "CUTOVER_OUTCOME",
        "CUTOVER_REMOTE_STATUS",
        "CUTOVER_LAG_SECONDS",
        "CUTOVER_ERROR_MESSAGE",
        "CUTOVER_REASON",
    }
    assert environment["CUTOVER_REHEARSAL"] == "false"


async def test_a_hook_sees_its_environment_and_nothing_else() -> None:
    """Not this process's own."""
    os.environ["CUTOVER_TEST_LEAK"] = "leak"
    try:
        done = await python("import os; print(sorted(os.environ))", environment={"CUTOVER_RUN_ID": "r1"})
    finally:
        del os.environ["CUTOVER_TEST_LEAK"]
    assert "CUTOVER_RUN_ID" in done.output
    assert "LEAK" not in done.output
    assert "PATH" not in done.output


async def test_a_hook_starts_in_no_directory_that_somebody_else_can_exchange(tmp_path: Path) -> None:
    """It may be another one than when the run began: `make` would do there what somebody else has written."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for place, mode in ((shared, 0o777), (tmp_path, 0o777)):
        place.chmod(mode)
        refused = await python("", directory=str(shared))
        assert refused.exit_code is None
        assert "can be written by everybody" in (refused.error or "")
        place.chmod(0o755)
    assert (await python("", directory=str(shared))).exit_code == 0
    shared.chmod(0o1777)  # as /tmp: nobody moves what is not theirs
    assert (await python("", directory=str(shared))).exit_code == 0
