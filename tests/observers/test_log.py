from __future__ import annotations

import asyncio
import errno
import fcntl
import io
import json
import logging
import os
import pty
import re
import shlex
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC
from pathlib import Path
from typing import Any, TextIO, cast

import pytest

from orchestrator.core import event_json
from orchestrator.core.errors import InputError
from orchestrator.core.events import (
    ApplicationWaiting,
    ApprovalWaiting,
    CutoverRequested,
    Event,
    HookFinished,
    HookStarted,
    MigrationFinished,
    StatusChanged,
    StatusPolled,
    WaveRejected,
)
from orchestrator.core.observer import Sink
from orchestrator.core.outcomes import Outcome
from orchestrator.core.run import APPROVAL_TIMEOUT
from orchestrator.machine.outlet import Outlet, Unhindered
from orchestrator.machine.ownership import refuse_foreign_links
from orchestrator.observers.log.console import ConsoleRenderer
from orchestrator.observers.log.entries import Entries, level_of
from orchestrator.observers.log.sentences import sentence
from orchestrator.observers.log.sink import configure_logging

from .examples import AT, EVENTS, GROUP, ORDERS, PATH, TIMESTAMP, WORKFLOW, running

SECRET = "5f1d9a0c-private-key"
HEAD = {"timestamp": TIMESTAMP, "run_id": "20261128-010000-3f9a1c", "workflow": "retail-eu"}
JOB = {"wave": "canary", "migration": "orders", "group_id": GROUP, "live_migration_id": ORDERS}
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "run_started": (
        "info",
        {
            "base_url": "https://cloud.mongodb.com/api/atlas/v2",
            "rehearsal": False,
            "selected": 9,
            "who": "ada@night (pid 7)",
            "version": "0.1.0",
            "workflow_sha256": "ab" * 32,
            "waves": 2,
            "migrations": 9,
            "approves": False,
        },
    ),
    "forecast_made": (
        "info",
        {
            "cutovers": 1,
            "runs": 1,
            "ends_p50": "2026-11-28T01:03:00.250Z",
            "ends_p90": "2026-11-28T01:03:00.250Z",
            "fits": None,
            "stops_fitting": None,
            "sentences": [
                (
                    "forecast from 1 cutover of 1 earlier run (fewer than 10 cutovers: it may be far off), "
                    "for jobs that are ready when their turn comes"
                ),
                "forecast: the last wave has ended by 2026-11-28 01:03:00 UTC (p50), 2026-11-28 01:03:00 UTC (p90)",
            ],
        },
    ),
    "run_resumed": (
        "info",
        {
            "selected": 1,
            "retry_failed": True,
            "who": "ada@night (pid 8)",
            "settle": 30.0,
            "base_url": "",
            "approves": False,
        },
    ),
    "run_finished": (
        "info",
        {
            "outcome": "FAILED",
            "exit_code": 1,
            "unfinished": True,
            "keep_claims": False,
            "requests": {"total": 3, "by_status": {"200": 3}, "retries": 0},
        },
    ),
    "run_paused": ("info", {"who": "ada@night", "reason": ""}),
    "run_unpaused": ("info", {"who": "ada@night", "reason": ""}),
    "confirmation_waiting": ("info", {"who": "ada@night"}),
    "cutovers_confirmed": ("info", {"who": "ada@night"}),
    "run_aborted": ("info", {"who": "ada@night", "successor": None, "reason": ""}),
    "credentials_refused": ("warning", {"credentials": "eu", "reason": "Atlas refuses it"}),
    "cutovers_stopped": ("info", {"reason": "the window closed"}),
    "window_changed": ("info", {"window": {"opens": AT + 60, "closes": AT + 3600}}),
    "window_waiting": ("info", {"opens": AT + 60, "closes": AT + 3600, "last_start": AT + 1800}),
    "window_opened": ("info", {"closes": AT + 3600, "opens": None, "last_start": AT + 3600}),
    "clock_set": ("warning", {"by": -40.0}),
    "application_waiting": ("warning", JOB | {"seconds": 120.0, "reason": "the run is paused"}),
    "approval_waiting": ("info", {"wave": "rest"}),
    "wave_approved": ("info", {"wave": "rest", "who": "grace@night", "reason": ""}),
    "wave_rejected": ("info", {"wave": "rest", "who": "grace@night", "reason": "not tonight"}),
    "wave_soaking": ("info", {"wave": "rest", "until": AT + 900}),
    "verification_started": ("info", JOB | {"status": "COMPLETE"}),
    "verification_failed": ("error", {"wave": "rest", "reason": "./check did not pass within 10m"}),
    "migration_skipped": ("info", JOB | {"who": "ada@night", "reason": "no longer needed"}),
    "migration_retried": ("info", JOB | {"who": "ada@night", "reason": ""}),
    "gate_changed": ("info", JOB | {"max_lag": 60.0, "timeout": 1800.0, "who": "ada@night", "reason": "it is late"}),
    "wave_started": ("info", {"wave": "rest", "migrations": 8, "concurrency": 4}),
    "wave_finished": ("info", {"wave": "rest", "counts": {"SUCCESS": 7, "FAILED": 1}}),
    "hook_started": ("debug", JOB | {"hook": "before", "argv": ["./stop", "writes"]}),
    "hook_finished": (
        "warning",
        JOB
        | {
            "hook": "before",
            "argv": ["./stop", "writes"],
            "exit_code": 3,
            "seconds": 1.5,
            "output": "no\nway",
            "error": None,
            "interrupted": False,
        },
    ),
    "rate_limited": (
        "warning",
        JOB | {"method": "GET", "path": PATH, "scope": GROUP, "retry_after": 55.0, "detail": "retry after 55 seconds"},
    ),
    "budget_waiting": ("info", {"scope": GROUP, "requests": 12, "wait": 48.0}),
    "request_retried": ("warning", JOB | {"method": "GET", "path": PATH, "reason": "503", "attempt": 2, "wait": 1.5}),
    "jobs_seen_before": ("warning", {"reported_lag": 2, "was_ready": 0, "lag_gone": ["orders"]}),
    "gate_waiting": (
        "info",
        JOB
        | {
            "status": "WORKING",
            "ready": True,
            "lag": 34.0,
            "max_lag": 10.0,
            "note": None,
            "lag_gone": False,
            "unread": False,
        },
    ),
    "gate_opened": ("info", JOB | {"status": "WORKING", "ready": True, "lag": 4.0, "note": None}),
    "cutover_requested": ("info", JOB),
    "cutover_accepted": ("info", JOB | {"http_status": 202, "status": None, "evidence": "answer"}),
    "cutover_in_doubt": ("warning", JOB | {"reason": "connection reset", "settle": 4.0, "elsewhere": ""}),
    "cutover_refused": (
        "warning",
        JOB | {"http_status": 403, "reason": "PUT /cutover: 403 NO_ROLE", "settle": 4.0},
    ),
    "cutover_not_begun": ("info", JOB | {"reason": "still ready, with lag", "sent": True, "http_status": None}),
    "cutover_admitted": ("debug", JOB),
    "status_polled": ("debug", JOB | {"status": "WORKING", "ready": True, "lag": 4.0, "error": None, "took": 0.0}),
    "status_changed": (
        "info",
        JOB | {"status": "COMPLETE", "previous": "WORKING", "lag": None, "lag_gone": None, "unread": False},
    ),
    "migration_finished": (
        "error",
        JOB
        | {
            "outcome": "FAILED",
            "status": "FAILED",
            "error_message": "oplog gone",
            "polls": 4,
            "lag_gone": None,
            "unread": False,
        },
    ),
}


def logged(
    *happened: Event,
    format: str = "json",  # noqa: A002
    level: str = "debug",
    rehearsal: bool = False,
) -> str:
    """What the log shows of *happened* in a run that has begun."""
    stream = io.StringIO()
    state = running(rehearsal=rehearsal)
    with configure_logging(
        level=level, format=format, file=None, secrets=[SECRET], stream=stream, environ={}, zone=UTC
    ) as log:
        sink = log.sink()
        for event in happened:
            sink(event, state)
    return stream.getvalue()


def test_the_examples_are_complete() -> None:
    """There is an example and an expectation for every kind of event."""
    assert {event.name for event in EVENTS} == set(event_json.EVENTS) == set(OWN)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_json_line_has_the_contracts_fields_and_the_events_own(event: Event) -> None:
    """One object on one line, with exactly the expected keys and values."""
    text = logged(event)
    level, own = OWN[event.name]
    assert text.count("\n") == 1
    assert json.loads(text) == HEAD | {"level": level, "event": event.name} | own


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_the_contracts_fields_come_first_and_in_order(event: Event) -> None:
    """A person who reads JSON lines finds time, level, event and ids at the same place."""
    keys = list(json.loads(logged(event)))
    first = [*HEAD, *JOB]
    first[1:1] = ["level", "event"]
    known = [key for key in first if key in keys]
    assert keys[: len(known)] == known


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (Outcome.SUCCESS, "info"),
        (Outcome.FAILED, "error"),
        (Outcome.TIMED_OUT, "warning"),
        (Outcome.IN_DOUBT, "warning"),
        (Outcome.NOT_STARTED, "warning"),
    ],
)
def test_the_level_of_an_end_follows_its_outcome(outcome: Outcome, level: str) -> None:
    """FAILED is an error, what a person should look at a warning."""
    event = MigrationFinished(at=AT, migration="orders", outcome=outcome, status=None)
    assert json.loads(logged(event))["level"] == level


def test_an_unknown_status_is_a_warning() -> None:
    """A word that the API pages do not list is not passed over."""
    event = StatusChanged(at=AT, migration="orders", status="FROBBED", previous="WORKING")
    assert json.loads(logged(event))["level"] == "warning"


def test_polls_are_silent_above_debug() -> None:
    """At info there is no `status_polled`."""
    assert logged(StatusPolled(at=AT, migration="orders", status="WORKING"), level="info") == ""


def test_the_level_leaves_out_what_is_below_it() -> None:
    """At error only errors are shown."""
    assert [json.loads(line)["event"] for line in logged(*EVENTS, level="error").splitlines()] == [
        "verification_failed",
        "migration_finished",
    ]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_rehearsal_is_marked_in_every_entry(event: Event) -> None:
    """In both forms."""
    assert json.loads(logged(event, rehearsal=True))["rehearsal"] is True or event.name == "run_started"
    assert "rehearsal" in logged(event, rehearsal=True, format="console").lower() or event.name == "run_started"


def with_secret(event: Event) -> list[Event]:
    """*event* once for each of its texts, with the secret in that one."""
    found: list[Event] = []
    for field in fields(event):
        value = getattr(event, field.name)
        planted: Any
        if isinstance(value, Outcome) or field.name in {
            "migration",
            "migrations",
            "workflow",
            "outcome",
            "reported_lag",
            "was_ready",
            "selected",
            "polls",
        }:
            continue  # shown as another field, as a number, or not at all
        if isinstance(event, (HookStarted, HookFinished, ApplicationWaiting)) and field.name == "wave":
            continue  # the migration's own is shown
        if isinstance(value, str) or value is None:
            planted = f"before {SECRET} after"
        elif isinstance(value, tuple):
            planted = (*value, SECRET)
        elif isinstance(value, dict):
            planted = value | {SECRET: [{"deep": SECRET}]}
        else:
            continue
        if value is None and field.name in {"lag", "max_lag", "ready", "http_status", "exit_code"}:
            continue
        found.append(replace(event, **{field.name: planted}))
    return found


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_key_is_in_no_entry(event: Event, format: str) -> None:  # noqa: A002
    """Whatever field of whatever event it got into."""
    for planted in with_secret(event):
        text = logged(planted, format=format)
        assert text
        assert SECRET not in text
    assert format == "console" or all("[redacted]" in logged(planted) for planted in with_secret(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_the_console_says_time_level_event_and_a_sentence(event: Event) -> None:
    """A line that a person can read at 2 in the morning, without colour where there is no terminal."""
    first = logged(event, format="console").splitlines()[0]
    assert re.match(rf"01:00:00 UTC (debug|info |warn |error) {event.name}( \S+( \(\w+/\w+\))?)?: \S", first)
    assert "\x1b" not in first


def test_the_console_shortens_ids_and_tells_what_happened() -> None:
    """The last digits tell migrations apart."""
    assert logged(EVENTS[-1], format="console") == (
        "01:00:00 UTC error migration_finished canary/orders (df43d0/b1e992): FAILED: oplog gone\n"
    )


@pytest.mark.parametrize("width", [80, 60, 120])
def test_a_line_breaks_at_words_on_a_terminal(width: int) -> None:
    """No line is longer than the terminal is wide, no word is cut, and nothing is lost; a pipe gets whole lines."""
    render = ConsoleRenderer(colour=False, zone=UTC, columns=lambda: width)
    whole = ConsoleRenderer(colour=False, zone=UTC)
    for event in EVENTS:
        entry = json.loads(logged(event, format="json"))
        broken, line = render(entry).splitlines(), whole(entry).splitlines()
        text = [each for each in broken if not each.startswith("         | ")]
        assert " ".join(" ".join(text).split()) == " ".join(line[0].split())
        assert all(len(each) <= width or " " not in each.strip() for each in text)


def test_the_console_shows_a_hooks_last_lines() -> None:
    """Each on its own line below the entry."""
    hook = next(event for event in EVENTS if event.name == "hook_finished")
    assert logged(hook, format="console").splitlines()[1:] == ["         | no", "         | way"]


EVIL = "\x1b[2J\x07done\r\n01:00:00 info  forged\x9b31m\u202e\u2028\x00"


@pytest.mark.parametrize("format", ["json", "console"])
def test_atlas_text_cannot_steer_the_terminal(format: str) -> None:  # noqa: A002
    """Control characters, line ends and direction marks arrive as visible escapes."""
    event = MigrationFinished(
        at=AT, migration="orders", outcome=Outcome.FAILED, status=EVIL, error_message=EVIL, polls=1
    )
    text = logged(event, format=format)
    assert text.count("\n") == 1
    assert text.strip().isprintable()
    assert format == "console" or json.loads(text)["error_message"] == EVIL


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


@pytest.mark.parametrize(
    ("environ", "coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(environ: dict[str, str], coloured: bool) -> None:
    """NO_COLOR and a dumb terminal are respected."""
    stream = Terminal()
    with configure_logging(
        level="info", format="console", file=None, secrets=[], stream=stream, environ=environ, zone=UTC
    ) as log:
        log.sink()(EVENTS[-1], running())
    assert ("\x1b[" in stream.getvalue()) is coloured


@pytest.mark.parametrize("umask", [0o022, 0o777])
def test_the_file_gets_json_lines_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    """Also when the console is for a person, and it is appended to; whatever the umask takes."""
    path = tmp_path / "run.log"
    for _ in range(2):
        stream = io.StringIO()
        before = os.umask(umask)
        try:
            opened = configure_logging(level="info", format="console", file=path, secrets=[SECRET], stream=stream)
        finally:
            os.umask(before)
        with opened as log:
            log.sink()(replace(EVENTS[-1], error_message=SECRET), running())  # type: ignore[call-arg]
        assert not stream.getvalue().startswith("{")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["error_message"] for line in lines] == ["[redacted]", "[redacted]"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_opened_is_a_mistake_of_input(tmp_path: Path) -> None:
    """Said before anything is sent."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"log file .*pipe: cannot be opened: it is a pipe that nobody reads"):
        configure_logging(level="info", format="json", file=tmp_path / "pipe", secrets=[])
    with pytest.raises(InputError, match=r"log file .*: cannot be opened"):
        configure_logging(level="info", format="json", file=tmp_path / "no" / "log", secrets=[])


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make something somebody else's")


@AS_ROOT
def test_a_link_that_somebody_else_has_planted_is_not_logged_through(tmp_path: Path) -> None:
    """What it leads to is ours, and would get the log's lines at its end; a link of our own is an operator's choice."""
    victim, link = tmp_path / "victim", tmp_path / "log"
    victim.write_text("mine\n", encoding="utf-8")
    link.symlink_to(victim)
    os.lchown(link, 12345, 12345)
    with pytest.raises(InputError, match="belongs to user 12345"):
        configure_logging(level="info", format="json", file=link, secrets=[])
    assert victim.read_text(encoding="utf-8") == "mine\n"
    os.lchown(link, 0, 0)
    configure_logging(level="info", format="json", file=link, secrets=[]).__enter__().__exit__(None, None, None)


def test_a_link_that_is_there_for_the_opening_alone_gets_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write the log's directory takes it away whenever links are looked for."""
    victim, log = tmp_path / "victim", tmp_path / "log"
    victim.write_text("mine\n", encoding="utf-8")
    look = refuse_foreign_links

    def exchanging(file: Path) -> os.stat_result | None:
        log.unlink(missing_ok=True)
        log.touch()
        found = look(file)
        log.unlink()
        log.symlink_to(victim)
        return found

    monkeypatch.setattr("orchestrator.observers.log.file.refuse_foreign_links", exchanging)
    with pytest.raises(InputError, match="was exchanged while it was opened"):
        configure_logging(level="info", format="json", file=log, secrets=[])
    assert victim.read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize(
    "planted", [pytest.param("theirs", marks=AS_ROOT), pytest.param("by a link", marks=AS_ROOT), "open"]
)
def test_a_file_that_somebody_else_could_write_gets_no_log(tmp_path: Path, planted: str) -> None:
    """Whoever put it there could write in it, or would read what goes on; so could they by a link further up."""
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "log"
    log.write_text("before\n", encoding="utf-8")
    log.chmod(0o666 if planted == "open" else 0o600)
    if planted == "theirs":
        os.chown(log, 12345, 12345)
    (tmp_path / "link").symlink_to("logs")
    if planted == "by a link":
        os.lchown(tmp_path / "link", 12345, 12345)
    refused = r"can be written by everybody .*: chmod o-w" if planted == "open" else "belongs to user 12345"
    with pytest.raises(InputError, match=rf"log file .*link/log: .*{refused}"):
        configure_logging(level="info", format="json", file=tmp_path / "link" / "log", secrets=[])
    assert log.read_text(encoding="utf-8") == "before\n"


def test_a_second_name_for_another_file_gets_no_log_where_others_may_add_names(tmp_path: Path) -> None:
    """Some systems let anybody link to a file of ours; in a directory of our own a second name is our own choice."""
    victim, log = tmp_path / "victim", tmp_path / "logs" / "log"
    victim.write_text("mine\n", encoding="utf-8")
    log.parent.mkdir()
    os.link(victim, log)
    configure_logging(level="info", format="json", file=log, secrets=[]).close()
    log.parent.chmod(0o777)
    with pytest.raises(InputError, match=r"log file .*/log: lies in .*/logs, which can be written by everybody"):
        configure_logging(level="info", format="json", file=log, secrets=[])
    log.unlink()
    configure_logging(level="info", format="json", file=log, secrets=[]).close()


def test_a_device_gets_the_log_whoever_may_write_it() -> None:
    """`/dev/null` and `/dev/stderr` are for everybody."""
    configure_logging(level="info", format="json", file=Path("/dev/null"), secrets=[]).close()


@pytest.mark.parametrize(
    ("owner", "mode", "refused"),
    [
        pytest.param(12345, 0o666, r"belongs to user 12345", marks=AS_ROOT),
        pytest.param(12345, 0o600, r"belongs to user 12345", marks=AS_ROOT),
        (None, 0o622, r"can be written by everybody \(mode 0622\): chmod o-w"),
        (None, 0o600, None),
        (None, 0o644, None),
    ],
)
def test_a_pipe_gets_the_log_where_it_is_ours(
    tmp_path: Path, owner: int | None, mode: int, refused: str | None
) -> None:
    """Whoever made it has the log, as far as he likes to read; whoever may write there puts lines of his own among ours."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(mode)
    if owner is not None:
        os.chown(pipe, owner, owner)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if refused is None:
            configure_logging(level="info", format="json", file=pipe, secrets=[]).close()
        else:
            with pytest.raises(InputError, match=rf"log file .*pipe: .*{refused}"):
                configure_logging(level="info", format="json", file=pipe, secrets=[])
    finally:
        os.close(read)


@AS_ROOT
def test_a_terminal_of_somebody_else_gets_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """He would see it all. One that this process was started on is meant, whosever it is: `sudo` leaves it to who has logged in."""
    shown_to, terminal = pty.openpty()
    name = Path(os.ttyname(terminal))
    os.chown(name, 12345, 12345)
    try:
        with pytest.raises(InputError, match="belongs to user 12345"):
            configure_logging(level="info", format="json", file=name, secrets=[])
        monkeypatch.setattr("orchestrator.observers.log.file._STANDARD", (terminal,))
        configure_logging(level="info", format="json", file=name, secrets=[]).close()
    finally:
        os.close(terminal)
        os.close(shown_to)


@pytest.mark.parametrize(("level", "format"), [("loud", "json"), ("info", "xml")])
def test_unknown_words_are_mistakes_of_input(level: str, format: str) -> None:  # noqa: A002
    """The message lists what is allowed."""
    with pytest.raises(InputError, match="expected one of"):
        configure_logging(level=level, format=format, file=None, secrets=[])


def test_a_full_disk_is_reported_once_and_hurts_nothing() -> None:
    """The entries still go to the stream."""
    stream = io.StringIO()
    with configure_logging(level="info", format="json", file=Path("/dev/full"), secrets=[], stream=stream) as log:
        sink = log.sink()
        for _ in range(3):
            sink(CutoverRequested(at=AT, migration="orders"), running())
    names = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert names == ["log_file_failed", *["cutover_requested"] * 3]


def test_a_file_that_cannot_be_closed_hurts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A network's file system may say only then that the disk is full: the run is over, and its exit code stands."""
    close = os.close

    def full(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stream = io.StringIO()
    log = configure_logging(level="info", format="json", file=tmp_path / "log", secrets=[], stream=stream)
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", full)
        log.close()
    said = json.loads(stream.getvalue())
    assert (said["event"], said["error"]) == ("log_file_failed", os.strerror(errno.ENOSPC))


def in_a_loop(sink: Sink, count: int) -> None:
    """Log *count* entries where nobody may wait."""

    async def log() -> None:
        for _ in range(count):
            sink(CutoverRequested(at=AT, migration="orders"), running())
            await asyncio.sleep(0)

    asyncio.run(log())


def whole(descriptor: int) -> list[str]:
    """The lines of a pipe, until nobody writes to it any more."""
    with open(descriptor, encoding="utf-8") as reader:
        return reader.read().splitlines()


def stalled() -> tuple[int, int]:
    """Both ends of a pipe that takes 4 KiB before somebody reads."""
    read, written_to = os.pipe()
    fcntl.fcntl(written_to, fcntl.F_SETPIPE_SZ, 4096)
    return read, written_to


def test_a_file_that_takes_nothing_keeps_no_run_waiting_and_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other output says so once; what there was no room for is counted where it would stand."""
    monkeypatch.setattr("orchestrator.observers.log.sink.ROOM", 10_000)
    path, stream = tmp_path / "log", io.StringIO()
    os.mkfifo(path, 0o600)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with (
        ThreadPoolExecutor() as reader,
        configure_logging(level="info", format="json", file=path, secrets=[], stream=stream) as log,
    ):
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 4096)
        in_a_loop(log.sink(), 200)
        os.set_blocking(read, True)
        filed = reader.submit(whole, read)
        log.sink()(CutoverRequested(at=AT, migration="orders"), running())
    *before, lacking, last = map(json.loads, filed.result())
    assert {entry["event"] for entry in (*before, last)} == {"cutover_requested"}
    assert (lacking["event"], lacking["lost"] + len(before)) == ("log_entries_lost", 200)
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    (failed,) = (entry for entry in said if entry["event"] == "log_file_failed")
    assert failed["error"].startswith("it takes nothing more")
    assert len(said) == 202


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_terminal_that_takes_nothing_keeps_no_run_waiting_and_says_what_it_lacks(format: str) -> None:  # noqa: A002
    """Ctrl-S, an ssh connection that hangs: once it goes on, it says how many entries are missing, and where."""
    read, written_to = stalled()
    outlet = Outlet(written_to, room=10_000, owned=True)
    with open(written_to, "w", encoding="utf-8", closefd=False) as terminal, ThreadPoolExecutor() as reader:
        stream = cast("TextIO", Unhindered(terminal, outlet))
        with configure_logging(level="info", format=format, file=None, secrets=[], stream=stream) as log:
            in_a_loop(log.sink(), 500)
            said = reader.submit(whole, read)
            log.sink()(CutoverRequested(at=AT, migration="orders"), running())
        assert outlet.close()
    *before, lacking, last = said.result()
    assert "cutover_requested" in last
    if format == "json":
        lost = json.loads(lacking)["lost"]
    else:
        (lost,) = map(int, re.findall(r"log_entries_lost: (\d+) entries are missing here", lacking))
    assert lost + len(before) == 500


def test_a_file_loses_nothing_of_what_a_loop_says_in_one_go(tmp_path: Path) -> None:
    """And has it in its order."""
    with configure_logging(level="info", format="json", file=tmp_path / "log", secrets=[], stream=io.StringIO()) as log:
        sink = log.sink()

        async def flood() -> None:
            for number in range(5000):
                sink(CutoverRequested(at=AT + number, migration="orders"), running())

        asyncio.run(flood())
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    times = [json.loads(line)["timestamp"] for line in lines]
    assert len(set(times)) == 5000
    assert times == sorted(times)


def test_a_closed_stream_hurts_nothing() -> None:
    """A run goes on when whoever read its log is gone."""
    stream = io.StringIO()
    with configure_logging(level="info", format="json", file=None, secrets=[], stream=stream) as log:
        sink = log.sink()
        stream.close()
        sink(CutoverRequested(at=AT, migration="orders"), running())


def test_what_libraries_log_joins_the_stream_at_warning() -> None:
    """Redacted like everything else, with tracebacks; and it ends with the setup."""
    stream = io.StringIO()
    before = list(logging.getLogger().handlers)
    with configure_logging(level="info", format="json", file=None, secrets=[SECRET], stream=stream, clock=lambda: AT):
        logging.getLogger("aiohttp.client").info("nothing")
        try:
            raise RuntimeError(SECRET)  # noqa: TRY301 - a traceback is wanted
        except RuntimeError:
            logging.getLogger("asyncio").exception("Authorization: %s", "Digest x")
    [entry] = map(json.loads, stream.getvalue().splitlines())
    assert entry.pop("exception").endswith("RuntimeError: [redacted]")
    assert entry == {
        "timestamp": TIMESTAMP,
        "level": "error",
        "event": "library_message",
        "logger": "asyncio",
        "message": "Authorization: [redacted]",
    }
    assert logging.getLogger().handlers == before


def test_numbers_that_json_lacks_become_text() -> None:
    """NaN does not make a line that no parser takes."""
    entry = json.loads(logged(StatusPolled(at=AT, migration="orders", lag=float("nan"))), parse_constant=pytest.fail)
    assert entry["lag"] == "NaN"


def test_a_wave_in_a_command_is_quoted() -> None:
    """Its name may have spaces and quotes in it."""
    fields = {"event": "approval_waiting", "run_id": "20261128-010000-3f9a1c", "wave": "the last 'ones'"}
    command = sentence(fields, None).partition("waits for approval: ")[2].strip("`")
    assert shlex.split(command) == ["atlas-cutover", "approve", "20261128-010000-3f9a1c", "the last 'ones'"]
    # nothing else is offered: who reads it may have no terminal on which the run listens


def test_an_approval_that_expires_is_logged_with_when_and_that_nobody_gave_it_as_a_warning() -> None:
    """Among the problems, as nobody has decided that; a person's no is none, and names who it was."""
    waiting = ApprovalWaiting(at=AT, wave="rest")
    patient = running(replace(WORKFLOW, waves=(WORKFLOW.waves[0], replace(WORKFLOW.waves[1], approval_timeout=600.0))))
    patient.apply(waiting)
    fields = Entries().entry(waiting, logging.INFO, patient)
    assert fields["expires_at"] == AT + 600
    assert sentence(fields, UTC).endswith("rest`; it counts as rejected Sat 2026-11-28 01:10:00 UTC")
    late, no = (
        WaveRejected(at=AT, wave="rest", who=who, reason="nobody approved it within 10m")
        for who in (APPROVAL_TIMEOUT, "ada")
    )
    assert [level_of(event) for event in (late, no)] == [logging.WARNING, logging.INFO]
    told = [sentence(Entries().entry(event, logging.INFO, patient), UTC) for event in (late, no)]
    assert told[0].startswith("nobody approved it within 10m, so it counts as rejected: neither this wave")
    assert told[1].startswith("rejected by ada (nobody approved it within 10m): neither this wave")


def test_commands_in_lines_find_the_same_state_directory() -> None:
    """What is shown on the terminal of a run with `--state-dir` works in another shell; the JSON lines have the facts alone."""
    waiting = next(event for event in EVENTS if event.name == "approval_waiting")
    entry = json.loads(logged(waiting, format="json"))
    line = ConsoleRenderer(colour=False, zone=UTC, options=" --state-dir '/a b'")(entry)
    assert f"`atlas-cutover approve {entry['run_id']} {entry['wave']} --state-dir '/a b'`" in line


def test_an_entry_that_is_a_sentence_is_told_as_one() -> None:
    """Without the name of its one field."""
    entry = {"timestamp": "2026-11-28T01:00:00.000Z", "level": "warning", "event": "approval_unclear", "wave": "rest"}
    line = ConsoleRenderer(colour=False, zone=UTC)({**entry, "detail": "not approved: type 2"})
    assert line == "01:00:00 UTC warn  approval_unclear rest: not approved: type 2"


def test_a_rehearsals_window_is_said_to_be_no_real_one() -> None:
    """Who reads the log of a rehearsal does not take it for the night."""
    opened = next(event for event in EVENTS if event.name == "window_opened")
    assert "does not wait for its window, which opens at once" in logged(opened, rehearsal=True, format="console")
    assert "at once" not in logged(opened, format="console")


def test_the_last_moment_of_a_window_with_a_reserve_is_said() -> None:
    """Beside its close, which is later."""
    waiting = next(event for event in EVENTS if event.name == "window_waiting")
    said = logged(waiting, format="console")
    assert "cutovers may start until" in said
    assert ", and the window closes " in said


def test_a_library_that_says_the_same_a_thousand_times_is_heard_once() -> None:
    """And a minute later again, with how often it was."""
    stream = io.StringIO()
    with configure_logging(level="info", format="json", file=None, secrets=[], stream=stream):
        handler = logging.getLogger().handlers[-1]
        for number in range(1001):
            record = logging.LogRecord("asyncio", logging.ERROR, "selector_events.py", 180, "no files left", None, None)
            record.created = 1e9 + (number / 100 if number < 1000 else 70)
            handler.emit(record)
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [entry.get("repeated") for entry in entries] == [None, 999]
