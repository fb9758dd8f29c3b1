"""What holds for every night of cutovers: its steps with their commands, owners and troubles, and the decisions on the way. Facts alone.

Commands are those of `atlas-cutover`; `{path}` is the workflow's file. A command inside a sentence stands between backquotes and begins with `!`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.workflow import Wave

DAY = 86_400.0

AGAIN = "plan {path} --runbook {file} --overwrite"
"""Writes the page again."""

ROLES = (
    ("operator", "starts and steers the run, and alone types commands"),
    ("decider", "says go or no before each wave that waits for approval, and when to stop"),
    (
        "application",
        "stops and starts writers where no hook does, and says whether the application works on the new cluster",
    ),
    ("Atlas", "looks at jobs and clusters in the Atlas UI, and extends a job's time there (Organization Owner)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: *ahead* seconds before the window opens (None: when it comes to that), who does it, what is to be seen, and what can go *wrong*."""

    title: str
    owner: str
    does: str
    commands: tuple[str, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()
    ahead: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """*what* may happen in a wave for which this *holds*, and what is to be done *then*."""

    what: str
    then: str
    holds: Callable[[Wave], bool] = lambda _: True


BEFORE = (
    Step(
        ahead=7 * DAY,
        title="Files and credentials",
        owner="operator",
        commands=("check {path}", "auth {path} --online"),
        does="Both end with exit code 0. `check` reads workflow and config without sending anything; `auth --online` asks Atlas who you are, with which role, and whether every project can be read.",
        wrong=(
            ("exit code 2", "the message names file, line and key: correct it"),
            (
                "exit code 6",
                "address not on the access list, wrong secret, a role below Organization Owner, or a project of another organization: the message says which",
            ),
            ("a warning that something is missing *on this machine*", "install it, or run where it is"),
        ),
    ),
    Step(
        ahead=7 * DAY,
        title="From now on once a day: is every job there?",
        owner="operator, Atlas",
        commands=("plan {path} --online",),
        does="Every job is there, and its lag falls. It remembers when it saw each job ready first: Atlas lets a job expire 120 hours after it became ready, so none should become ready {ready} without having its time extended in the Atlas UI.",
        wrong=(
            ("`not found`", "a wrong id or project in the workflow: correct it"),
            (
                "`failed or expired`",
                "the job is over: start a new live migration in Atlas, and put its id into the workflow",
            ),
            (
                "`without the lag it had before`",
                "somebody else may have begun its cutover: ask who, and look at it in the Atlas UI; let no writer return to the source before that",
            ),
            ("a job *will have been ready for 120 hours* before the window closes", "extend its time in the Atlas UI"),
            (
                "a lag that grows",
                "the source writes faster than the migration host copies: look at that host; with such a lag the gate will not open",
            ),
        ),
    ),
    Step(
        ahead=3 * DAY,
        title="Rehearse, with everybody who will be there",
        owner="operator, decider, application",
        commands=(
            "run {path} --rehearse",
            "status --watch  # In a second shell",
        ),
        does=(
            "Against a simulated Atlas, ten times as fast, without keys; it does not wait for the window. **Hooks are really run**: they find `CUTOVER_REHEARSAL=true` in their environment. Practise what you may need: approve and reject a "
            "wave, `pause` and `unpause`, `skip` one, Ctrl-C and then `resume`. The commands are below, the run's id is what `status` shows."
        ),
        wrong=(
            ("a hook fails", "its output is in the report: mend it now, not in the night"),
            ("a rehearsal is left unfinished", "it holds nothing up: no real run ever continues it"),
        ),
    ),
    Step(
        ahead=DAY,
        title="The last plan",
        owner="operator, decider",
        commands=("plan {path}", AGAIN),
        does=(
            "Read the plan together: waves, hooks, forecast. From now on the workflow file stays as it is, since a run that has begun is not continued as something else. See that credentials outlive the night, that the disk "
            "of the state directory has room, and that everybody knows when to be there."
        ),
        wrong=(
            ("the night does not fit its window", "more at once (`concurrency`), fewer migrations, or a longer window"),
            (
                "there is no forecast, or it is made of few cutovers",
                "reckon with 3 to 5 minutes for a cutover, 10 and more for a large cluster (Atlas's own figures), and begin with a small wave",
            ),
            ("`run` would continue an unfinished run", "that is an earlier night's: `status` shows what of it is left"),
        ),
    ),
    Step(
        ahead=3600.0,
        title="Can all be cut over?",
        owner="operator, Atlas",
        commands=(
            "tmux new -s cutover  # So that a lost connection ends nothing",
            "plan {path} --online",
            "serve  # In a second window of tmux, the status page",
        ),
        does="`plan --online` ends with exit code 0: all jobs are ready, with little lag.",
        wrong=(
            (
                "exit code 3: some are not ready",
                "they may be until their turn: their gate waits. Decide now whether to go without them (`skip`, once the run has begun)",
            ),
            (
                "exit code 1: one cannot be cut over",
                "the last lines say which and why; leave it out of the night, or call it off",
            ),
        ),
    ),
)

START = (
    Step(
        ahead=900.0,
        title="Start",
        owner="operator",
        commands=(
            "run {path}",
            "status  # In a second shell, the list of runs, with the id of this one",
            "export RUN_ID=20261128-000000-3f9a1c  # In that shell, with the id that it shows in place of this one",
        ),
        does=(
            "It names what will get a PUT, and wants the workflow's name typed. Then it waits for the window by itself. From here on `status $RUN_ID` says what is where, what holds the run up, and which command lets it go on."
            "{last_start}"
        ),
        wrong=(
            ("exit code 2", "nothing was sent: the message says what to correct"),
            ("exit code 5", "the same run is being driven elsewhere, or another one holds a job: leave it alone"),
            (
                "exit code 6",
                "Atlas was not reached or refused the credentials; nothing was sent: cure it and start again",
            ),
        ),
    ),
)

WAVE_TROUBLE = (
    Trouble(
        what="a migration waits at its gate (`at the gate`)",
        then="its job is not ready, or lags: wait, or `!gate $RUN_ID NAME --max-lag 60s` (its application stands still for longer then), or `!skip $RUN_ID NAME`",
        holds=lambda wave: any(m.gate is not None for m in wave.migrations),
    ),
    Trouble(
        what="`FAILED` and nothing was sent (gate, `before` hook)",
        then="the source is in charge, unless `status` calls it *in doubt*: then look at the job in the Atlas UI before any writer returns. Cure the cause, then `!retry $RUN_ID NAME`",
    ),
    Trouble(
        what="`FAILED`, as its PUT was refused",
        then="nothing of this run has begun: the source is in charge, unless `status` calls it *in doubt*. Look at the job in the Atlas UI; once the cause is cured, another run cuts it over",
    ),
    Trouble(
        what="`FAILED` at Atlas after its PUT",
        then="look at both clusters before any writer is let in anywhere; a new live migration is needed",
    ),
    Trouble(
        what="`UNVERIFIED`",
        then="it *is* cut over: mend the application on the new cluster, then `!retry $RUN_ID NAME` verifies it again. No writer goes back to the source",
        holds=lambda wave: bool(wave.hooks.verify) or any(m.hooks.verify for m in wave.migrations),
    ),
    Trouble(
        what="`TIMED_OUT` or `IN_DOUBT`",
        then="look at the job in the Atlas UI; until you know, no writer goes anywhere, and nothing is sent by hand",
    ),
)

AFTERWARDS = (
    Step(
        title="The run has ended: its exit code and its summary",
        owner="operator",
        commands=("status $RUN_ID",),
        does="0: all is SUCCESS. 1: something failed, timed out or is not verified. 3: some were not started. 4: something is in doubt, and a person looks at it now. The summary names each, and the command that goes on.",
        wrong=(
            (
                "something is `UNDER_WAY`",
                "`!resume $RUN_ID`, at once: it follows what Atlas has accepted, and sends no PUT for it",
            ),
            (
                "some were not started, and the window is over",
                "set the next window in the workflow file; `!run {path}` goes on with them",
            ),
        ),
    ),
    Step(
        title="Do the applications work?",
        owner="application",
        does="Not only `SUCCESS`: look at errors, latency and writes on the new clusters when the morning's load comes.",
    ),
    Step(
        title="The report",
        owner="operator, decider",
        commands=("report $RUN_ID --output night.html --output night.md --output night.csv",),
        does="It has every cutover and downtime, every hook and decision with its reason, and *forecast and fact*: what the next night will be reckoned with.",
    ),
    Step(
        title="Clean up",
        owner="operator, Atlas",
        commands=(f"{AGAIN}  # If there is another night", "runs prune --rehearsals  # What the rehearsals have left"),
        does="Take the line out of the scheduler, if one started the run. Delete the service account, or take its role. Keep the state directory until nobody has a question any more: it is the record of what was sent, and what the next forecast is made from.",
    ),
)

DECISIONS = (
    ("see what is where", "`!status $RUN_ID`, every migration with its lag: `!status $RUN_ID --all`"),
    ("let a wave start", "`!approve $RUN_ID WAVE --reason 'who said so'`"),
    ("not let it start, nor those after it", "`!reject $RUN_ID WAVE --reason 'why'`; `approve` takes that back"),
    ("hold everything that has not begun", "`!pause $RUN_ID --reason 'why'`, and to go on `!unpause $RUN_ID`"),
    ("leave one migration out", "`!skip $RUN_ID NAME --reason 'why'`"),
    ("take it up again, or verify it again", "`!retry $RUN_ID NAME --reason 'why'`"),
    ("let one with more lag go", "`!gate $RUN_ID NAME --max-lag 60s --reason 'why'`"),
    ("end the run for good, after what is under way", "`!abort $RUN_ID --reason 'why'`"),
    (
        "stop the program, and go on later",
        "Ctrl-C once; what Atlas has accepted goes on there. `!resume $RUN_ID` goes on",
    ),
)

TROUBLE = (
    (
        "the program, its terminal or its machine died",
        "`!resume $RUN_ID`: no PUT is repeated without evidence that the first did nothing",
    ),
    (
        "the connection to Atlas is gone",
        "it waits and reads on; what Atlas has accepted goes on there. Nothing is to be done but to mend the network",
    ),
    (
        "somebody pressed *cut over* in the Atlas UI meanwhile",
        "the run reads the job before its PUT, and sends none to one that is being cut over or is complete",
    ),
    (
        "nobody can say whether a cutover began (`IN_DOUBT`)",
        "look at the job in the Atlas UI. *Ready for cutover*: it did not. *Cutting over* or *complete*: it did. `!resume $RUN_ID` reads it again",
    ),
    (
        "it becomes clear that the window will not do",
        "nothing has to be done: no cutover starts from its last moment on, those under way are followed to their end, and in the next window `!run {path}` goes on with the rest",
    ),
    (
        "an application has to go back",
        "only on the side *nothing sent* (above). On every other side the source is out of date from the cutover on",
    ),
    (
        "Atlas itself does not behave",
        "a ticket at MongoDB's support, with project and live migration ids (below) and the times in the report",
    ),
)
