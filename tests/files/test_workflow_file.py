from __future__ import annotations

import gc
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import InputError
from orchestrator.core.run import fold
from orchestrator.core.window import AbsoluteWindow, RecurringWindow
from orchestrator.core.workflow import NO_HOOKS, Gate, Hooks, Workflow, from_json, to_json
from orchestrator.files.workflow_file import load_workflow, workflow_schema
from orchestrator.files.yaml_file import read_yaml
from orchestrator.reports.model import build

from ..builders import run_started

ROOT = Path(__file__).parents[2]
GROUP = "7e68e12770616e75e6df43d0"
JOB = "a659ce44c03ca1e348b1e992"
VALID = jsonschema.Draft202012Validator(workflow_schema())
HEAD = f"version: 1\nname: w\ndefaults: {{group_id: {GROUP}}}\n"

Load = Callable[[str], Workflow]
Mistakes = Callable[[str], list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a workflow from its text."""

    def load(text: str) -> Workflow:
        (tmp_path / "w.yaml").write_text(text, encoding="utf-8")
        return load_workflow(tmp_path / "w.yaml")

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Mistakes:
    """The mistakes in a workflow's text, as lines, without the directory."""

    def mistakes(text: str) -> list[str]:
        with pytest.raises(InputError) as caught:
            load(text)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return mistakes


def wave(keys: str = "", migration: str = "", head: str = HEAD) -> str:
    """A workflow of one wave with one migration, with more *keys* on the wave and on the *migration*."""
    return (
        f"{head}waves:\n  - name: a\n{keys}    migrations:\n      - {{name: m, live_migration_id: {JOB}{migration}}}\n"
    )


def test_a_short_workflow_gets_every_default(load: Load, tmp_path: Path) -> None:
    """What is not written has the documented default."""
    workflow = load(wave())
    (only,) = workflow.waves
    (migration,) = only.migrations
    assert (workflow.name, workflow.window, workflow.hooks) == ("w", None, NO_HOOKS)
    assert (only.name, only.concurrency, only.max_failures, only.approval, only.hooks) == (
        "a",
        None,
        None,
        False,
        NO_HOOKS,
    )
    assert (migration.name, migration.group_id, migration.live_migration_id) == ("m", GROUP, JOB)
    assert (migration.gate, migration.timeout, migration.hooks) == (Gate(max_lag=10, timeout=1800), 7200, NO_HOOKS)
    assert workflow.sha256 == hashlib.sha256((tmp_path / "w.yaml").read_bytes()).hexdigest()
    assert workflow.directory == str(tmp_path)
    assert from_json(json.loads(json.dumps(to_json(workflow)))) == workflow


def test_the_nearest_setting_wins(load: Load) -> None:
    """A migration's word counts more than its wave's, and the wave's more than the defaults'."""
    other = "0" * 23 + "1"
    workflow = load(f"""\
version: 1
name: w
defaults: {{group_id: {GROUP}, timeout: 1h, gate: {{max_lag: 20s, timeout: 40m}}, hooks: {{before: [[d]]}}}}
waves:
  - name: a
    timeout: 2m
    gate: {{max_lag: 3}}
    migrations:
      - {{name: m1, live_migration_id: {"1" * 24}}}
      - {{name: m2, live_migration_id: {"2" * 24}, timeout: PT5S, gate: {{timeout: 1m}}, hooks: {{after_success: [x, y]}}}}
      - {{name: m3, live_migration_id: {"3" * 24}, group_id: {other}, gate: off, hooks: {{}}}}
  - name: b
    group_id: {other}
    gate: no
    hooks: {{before: [[b, 1], [c]], timeout: 5}}
    migrations:
      - {{name: m4, live_migration_id: {"4" * 24}}}
      - {{name: m5, live_migration_id: {"5" * 24}, gate: {{max_lag: 0}}}}
      - {{name: m6, live_migration_id: {"6" * 24}, gate: on}}
""")
    m1, m2, m3, m4, m5, m6 = (migration for _, migration in workflow.migrations())
    assert (m1.group_id, m1.timeout, m1.gate) == (GROUP, 120, Gate(max_lag=3, timeout=2400))
    assert m1.hooks == Hooks(before=(("d",),))
    assert (m2.timeout, m2.gate, m2.hooks) == (5, Gate(max_lag=3, timeout=60), Hooks(after_success=(("x", "y"),)))
    assert (m3.group_id, m3.gate, m3.hooks) == (other, None, NO_HOOKS)
    assert (m4.group_id, m4.gate, m4.hooks) == (other, None, Hooks(before=(("b", "1"), ("c",)), timeout=5))
    assert (m5.gate, m6.gate) == (Gate(max_lag=0, timeout=2400), Gate(max_lag=20, timeout=2400))


@pytest.mark.parametrize("word", ["off", "no", "false", "Off", "NO", "False", "'off'"])
def test_gate_off_is_no_gate(load: Load, word: str) -> None:
    """Every way to say no means no gate, however YAML types it."""
    assert load(wave(migration=f", gate: {word}")).waves[0].migrations[0].gate is None


@pytest.mark.parametrize(
    ("limit", "expected"), [("0", 0), ("2", 2), ("10%", 1), ("8.3%", 0), ("100%", 12), ("0%", 0), ("'25%'", 3)]
)
def test_a_percentage_is_floored_to_migrations(load: Load, limit: str, expected: int) -> None:
    """A share of twelve migrations is a whole number of them."""
    rows = "".join(f"      - {{name: m{i}, live_migration_id: {i:024x}}}\n" for i in range(12))
    text = f"{HEAD}waves:\n  - name: a\n    max_failures: {limit}\n    concurrency: 3\n    approval: yes\n    migrations:\n"
    (only,) = load(text + rows).waves
    assert (only.max_failures, only.concurrency, only.approval) == (expected, 3, True)


def test_hooks_of_wave_and_run_stand_apart(load: Load) -> None:
    """`wave_hooks` and `run_hooks` run once; those of defaults hold for waves that have none."""
    text = f"""\
version: 1
name: w
run_hooks: {{before: [[r]]}}
defaults: {{group_id: {GROUP}, wave_hooks: {{before: [[d]]}}}}
waves:
  - name: a
    wave_hooks: {{after_failure: [[w]]}}
    migrations: [{{name: m1, live_migration_id: {"1" * 24}}}]
  - name: b
    migrations: [{{name: m2, live_migration_id: {"2" * 24}}}]
"""
    workflow = load(text)
    assert workflow.hooks == Hooks(before=(("r",),))
    assert [each.hooks for each in workflow.waves] == [Hooks(after_failure=(("w",),)), Hooks(before=(("d",),))]
    assert all(migration.hooks == NO_HOOKS for _, migration in workflow.migrations())


def test_windows_are_read_from_unquoted_times(load: Load) -> None:
    """Dates and sexagesimal times of YAML are text, and need no quotes."""
    window = "window: {opens: 2026-11-28T01:00:00+01:00, closes: 2026-11-28T04:00:00Z}\n"
    assert load(wave(head=HEAD + window)).window == AbsoluteWindow(opens=1795824000, closes=1795838400)
    window = "window: {from: 22:00, to: 04:00, days: [Sun, sat], timezone: Europe/Berlin}\n"
    assert load(wave(head=HEAD + window)).window == RecurringWindow(
        start="22:00", end="04:00", days=("sat", "sun"), timezone="Europe/Berlin"
    )


def test_a_window_may_have_a_reserve_and_exceptions(load: Load) -> None:
    """Dates are text and need no quotes; they are kept in their order."""
    window = "window: {opens: 2026-11-28T01:00:00+01:00, closes: 2026-11-28T04:00:00Z, reserve: 30m}\n"
    assert load(wave(head=HEAD + window)).window == AbsoluteWindow(opens=1795824000, closes=1795838400, reserve=1800)
    window = "{from: 22:00, to: 04:00, days: [sat], timezone: UTC, reserve: 90, except: [2026-12-31, 2026-12-24]}"
    workflow = load(wave(head=f"{HEAD}window: {window}\n"))
    assert workflow.window == RecurringWindow(
        start="22:00", end="04:00", days=("sat",), timezone="UTC", reserve=90, except_on=("2026-12-24", "2026-12-31")
    )
    assert from_json(json.loads(json.dumps(to_json(workflow)))) == workflow


@given(st.from_regex(r"([0-9]{24}|0{10}[0-9]{14}|[0-9]{22}e5)", fullmatch=True))
def test_ids_like_numbers_stay_ids(tmp_path_factory: pytest.TempPathFactory, job: str) -> None:
    """An id of digits only, with leading zeros or like a power of ten is what stands in the file."""
    path = tmp_path_factory.mktemp("w") / "w.yaml"
    path.write_text(wave().replace(JOB, job))
    assert load_workflow(path).waves[0].migrations[0].live_migration_id == job


def test_migrations_come_from_a_csv_file_too(load: Load, tmp_path: Path) -> None:
    """Rows follow the listed migrations; the group may be left out; a BOM, CRLF, quotes and blank lines are fine."""
    other = "0" * 24
    rows = f'\ufeffname,group_id,live_migration_id\r\n"one, two",,{"1" * 24}\r\n\r\n three ,{other},{"0" * 20}1e05\r\n'
    (tmp_path / "rest.csv").write_bytes(rows.encode())
    workflow = load(wave("    migrations_file: rest.csv\n    gate: {max_lag: 1s}\n"))
    assert [(m.name, m.group_id, m.live_migration_id) for _, m in workflow.migrations()] == [
        ("m", GROUP, JOB),
        ("one, two", GROUP, "1" * 24),
        ("three", other, "0" * 20 + "1e05"),
    ]
    assert {m.gate for _, m in workflow.migrations()} == {Gate(max_lag=1)}
    assert workflow.sha256 == hashlib.sha256((tmp_path / "w.yaml").read_bytes()).hexdigest()


def test_a_csv_file_without_group_column_uses_the_default(load: Load, tmp_path: Path) -> None:
    """Columns may stand in any order, and group_id be absent."""
    (tmp_path / "rest.csv").write_text(f"live_migration_id,name\n{JOB},m\n")
    workflow = load(f"{HEAD}waves:\n  - {{name: a, migrations_file: rest.csv}}\n")
    assert [m.group_id for _, m in workflow.migrations()] == [GROUP]


def test_variables_are_merged_and_come_from_csv_files_too(load: Load, tmp_path: Path) -> None:
    """From the top level, defaults, wave and migration the nearest of each; an empty cell says nothing."""
    (tmp_path / "rest.csv").write_text(
        f"NAME,LIVE_MIGRATION_ID,Group_ID,SIZE,Owner\na,{'1' * 24},,XL,\nb,{'2' * 24},,,ada\n"
    )
    workflow = load(f"""\
version: 1
name: w
vars: {{owner: ops, region: eu, nothing: }}
defaults: {{group_id: {GROUP}, vars: {{size: S}}}}
waves:
  - name: w1
    vars: {{region: 07}}
    migrations:
      - {{name: m, live_migration_id: {JOB}, vars: {{Size: "", extra: yes}}}}
    migrations_file: rest.csv
""")
    assert workflow.vars.as_dict() == {"owner": "ops", "region": "eu"}
    assert workflow.waves[0].vars.as_dict() == {"owner": "ops", "region": "07", "size": "S"}
    assert {m.name: m.vars.as_dict() for _, m in workflow.migrations()} == {
        "m": {"owner": "ops", "region": "07", "size": "", "extra": "yes"},
        "a": {"owner": "ops", "region": "07", "size": "XL"},
        "b": {"owner": "ada", "region": "07", "size": "S"},
    }
    assert from_json(json.loads(json.dumps(to_json(workflow)))) == workflow


def test_forecasts_tell_migrations_apart_by_the_variable_that_is_named(load: Load, tmp_path: Path) -> None:
    """Else by `size`, however it is written, where any has it; else by none. A run remembers it."""
    (tmp_path / "rest.csv").write_text(f"name,live_migration_id,SIZE,tier\na,{'b' * 24},XL,gold\n")
    csv = f"version: 1\nname: w\n{{}}defaults: {{{{group_id: {GROUP}}}}}\nwaves: [{{{{name: v, migrations_file: rest.csv}}}}]\n"
    assert load(csv.format("")).forecast_by == "size"
    named = load(csv.format("forecast_by: Tier\n"))
    assert named.forecast_by == "Tier"
    assert from_json(json.loads(json.dumps(to_json(named)))).forecast_by == "Tier"
    assert load(wave()).forecast_by is None


def test_forecasts_by_a_variable_that_no_migration_has_are_a_mistake(mistakes: Mistakes) -> None:
    """It asks whether another is meant."""
    (line,) = mistakes(wave(head=f"{HEAD}forecast_by: szie\nvars: {{size: S}}\n"))
    assert "forecast_by: no migration has a variable 'szie'; did you mean 'size'?" in line
    (line,) = mistakes(wave(head=f"{HEAD}forecast_by: size\n"))
    assert "forecast_by: no migration has a variable 'size'; none of them has any" in line


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{cluster-name: a}", "vars.cluster-name: cannot be the name of a variable; type cluster_name (letters"),
        ("{'héllo wörld': a}", "vars.'héllo wörld': cannot be the name of a variable; type h_llo_w_rld (letters"),
        ("{'€': a}", "vars.'€': cannot be the name of a variable; type a name such as cluster (letters"),
        ("{size: [1]}", "vars.size: expected text, not a list"),
        ("{size: {a: b}}", "vars.size: expected text, not a mapping"),
        ('{size: "a\\0b"}', "vars.size: expected text of at most 1,000 characters, and no NUL in it, not 'a\\x00b'"),
        ("{size: " + "x" * 1001 + "}", "vars.size: expected text of at most 1,000 characters"),
        ("{size: a, Size: b}", "vars: 'size' and 'Size' are one variable to a hook, CUTOVER_VAR_SIZE; keep one"),
        ("orders", "vars: expected a mapping, not 'orders'"),
        ("[a]", "vars: expected a mapping, not a list"),
    ],
)
def test_a_variable_has_to_be_one_of_an_environment(mistakes: Mistakes, given: str, expected: str) -> None:
    """With what to type instead; wherever it stands."""
    (line,) = mistakes(wave(head=f"{HEAD}vars: {given}\n"))
    assert line.startswith(f"w.yaml:4: {expected}")
    (line,) = mistakes(wave(migration=f", vars: {given}"))
    assert line.startswith(f"w.yaml:7: waves[0].migrations[0].{expected}")


@pytest.mark.parametrize("journaled", [False, True])
def test_variables_cost_less_than_a_kilobyte_for_each_migration(tmp_path: Path, journaled: bool) -> None:
    """From the file, or the journal, to the report: what each adds is its values."""
    names = ("cluster", "region", "size", "owner", "ticket")

    def row(number: int) -> str:
        return ",".join(f"{name}-of-migration-{number}" for name in names)

    def memory(*, with_vars: bool) -> int:
        rows = [f"m{n},{n + 1:024x}{',' + row(n) if with_vars else ''}\n" for n in range(500)]
        head = "name,live_migration_id" + (f",{','.join(names)}" if with_vars else "") + "\n"
        (tmp_path / "rest.csv").write_text(head + "".join(rows))
        (tmp_path / "w.yaml").write_text(f"{HEAD}waves:\n  - {{name: a, migrations_file: rest.csv}}\n")
        del rows
        tracemalloc.start()
        try:
            workflow = load_workflow(tmp_path / "w.yaml")
            if journaled:
                workflow = from_json(json.loads(json.dumps(to_json(workflow))))
            report = build(fold("r", [run_started(workflow)]), now=0.0)
            gc.collect()
            assert len(report.migrations) == 500
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    memory(with_vars=True)  # what is made once and kept
    assert (memory(with_vars=True) - memory(with_vars=False)) / 500 < 1_000


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(mistakes: Mistakes, tmp_path: Path) -> None:
    """YAML, single keys, what holds between them and CSV files: one reading shows everything."""
    (tmp_path / "rest.csv").write_text(f"name,live_migration_id\nm,{JOB}\nx,{JOB[:-1]}\n\n,{'1' * 24},\n")
    text = f"""\
version: 2
nme: shop
defaults: {{group_id: {GROUP.upper()}, timeout: 5x}}
waves:
  - name: canary
    concurrency: 0
    concurrency: 1
    migrations:
      - {{name: m, live_migration_id: {JOB}, gate: {{maxlag: 5s}}}}
      - {{name: canary, live_migration_id: {"2" * 24}, group_id: {"3" * 24}}}
  - name: empty
  - name: rest
    group_id: {GROUP}
    migrations: [{{name: k, live_migration_id: {JOB}}}]
    migrations_file: rest.csv
  - {{name: gone, migrations_file: gone.csv}}
"""
    assert mistakes(text) == [
        "rest.csv:2: live_migration_id: the live migration a659ce44c03ca1e348b1e992 is listed twice, first in w.yaml:14",
        "rest.csv:2: name: the name 'm' is taken; it was first given to a migration in w.yaml:9",
        "rest.csv:3: live_migration_id: expected 24 lower-case hexadecimal digits (23 characters were given), not 'a659ce44c03ca1e348b1e99'",
        "rest.csv:5: has 3 columns, expected 2: name,live_migration_id",
        "rest.csv:5: name: expected a name of 1 to 100 printable characters, no spaces around it, not ''",
        "w.yaml:1: name: is required, but missing",
        "w.yaml:1: version: expected 1, the only version of the format, not '2'",
        "w.yaml:2: nme: unknown key; did you mean 'name'?",
        "w.yaml:3: defaults.group_id: expected 24 lower-case hexadecimal digits (write its letters in lower case), not '7E68E12770616E75E6DF43D0'",
        "w.yaml:3: defaults.timeout: expected a duration such as 90s, 1m30s, 2h or PT90S, not '5x'",
        "w.yaml:6: waves[0].concurrency: expected a whole number of at least 1, not '0'",
        "w.yaml:7: waves[0].concurrency: is given twice, first in line 6",
        "w.yaml:9: waves[0].migrations[0].gate.maxlag: unknown key; did you mean 'max_lag'?",
        "w.yaml:10: waves[0].migrations[1].name: the name 'canary' is taken; it was first given to a wave in w.yaml:5",
        "w.yaml:11: waves[1]: the wave is empty; expected migrations or migrations_file",
        "w.yaml:16: waves[3].migrations_file: 'gone.csv' does not exist",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "w.yaml:1: expected a mapping, not nothing"),
        ("[1]", "w.yaml:1: expected a mapping, not a list"),
        (HEAD + "waves: []\n", "w.yaml:4: waves: expected at least one wave"),
        (HEAD + "waves:\n", "w.yaml:4: waves: expected a list, not nothing"),
        (HEAD + "waves: [{name: a, migrations: []}]\n", "w.yaml:4: waves[0].migrations: the wave is empty"),
        (HEAD + "waves: [{name: a, migrations: 3}]\n", "w.yaml:4: waves[0].migrations: expected a list, not '3'"),
        (HEAD + "waves: [3]\n", "w.yaml:4: waves[0]: expected a mapping, not '3'"),
        (wave(migration=", group: x"), "w.yaml:7: waves[0].migrations[0].group: unknown key; did you mean 'group_id'?"),
        (
            wave(migration=", zzz: x"),
            "w.yaml:7: waves[0].migrations[0].zzz: unknown key; allowed: credentials, gate, group_id, hooks",
        ),
        (wave(migration=", gate: "), "w.yaml:7: waves[0].migrations[0].gate: expected a mapping such as {max_lag: 10s"),
        (
            wave(migration=", gate: [1]"),
            "w.yaml:7: waves[0].migrations[0].gate: expected a mapping such as {max_lag: 10s",
        ),
        (
            wave(migration=", gate: soon"),
            "w.yaml:7: waves[0].migrations[0].gate: expected a mapping such as {max_lag: 10s",
        ),
        (
            wave(migration=", timeout: 0"),
            "w.yaml:7: waves[0].migrations[0].timeout: expected a duration longer than 0s",
        ),
        (wave(migration=", hooks: [x]"), "w.yaml:7: waves[0].migrations[0].hooks: expected a mapping, not a list"),
        (
            wave(migration=", hooks: {before: x}"),
            "w.yaml:7: waves[0].migrations[0].hooks.before: expected a list of comm",
        ),
        (
            wave(migration=", hooks: {before: [[]]}"),
            "w.yaml:7: waves[0].migrations[0].hooks.before: command 1 is empty",
        ),
        (
            wave(migration=", hooks: {before: [a, [b]]}"),
            "w.yaml:7: waves[0].migrations[0].hooks.before: command 1 is 'a'",
        ),
        (
            wave(migration=", hooks: {before: [[a, {b: c}]]}"),
            "w.yaml:7: waves[0].migrations[0].hooks.before: command 1 h",
        ),
        (
            wave(migration=', hooks: {before: [["a\\0"]]}'),
            "w.yaml:7: waves[0].migrations[0].hooks.before: command 1 holds",
        ),
        (
            wave(migration=', hooks: {before: [""]}'),
            "w.yaml:7: waves[0].migrations[0].hooks.before: command 1 names no",
        ),
        (wave("    concurrency: 1.5\n"), "w.yaml:6: waves[0].concurrency: expected a whole number of at least 1, not"),
        (
            wave("    max_failures: 101%\n"),
            "w.yaml:6: waves[0].max_failures: expected a whole number such as 3, or a pe",
        ),
        (
            wave("    max_failures: -1\n"),
            "w.yaml:6: waves[0].max_failures: expected a whole number such as 3, or a perce",
        ),
        (
            wave("    approval: maybe\n"),
            "w.yaml:6: waves[0].approval: expected true, false, or a mapping such as {timeout: 30m}",
        ),
        (wave("    migrations_file: ''\n"), "w.yaml:6: waves[0].migrations_file: expected text without control"),
        (wave("    migrations_file: .\n"), "w.yaml:6: waves[0].migrations_file: "),
        (wave().replace("name: m", "name: ' m'"), "w.yaml:7: waves[0].migrations[0].name: expected a name of 1 to 100"),
        (
            wave().replace("name: m", 'name: "m\\n"'),
            "w.yaml:7: waves[0].migrations[0].name: expected a name of 1 to 100",
        ),
        (
            wave().replace("name: m", "name: " + "m" * 101),
            "w.yaml:7: waves[0].migrations[0].name: expected a name of 1",
        ),
        (wave().replace("name: m", "name: "), "w.yaml:7: waves[0].migrations[0].name: expected a name, not nothing"),
        (
            wave(head="version: 1\nname: w\n"),
            "w.yaml:6: waves[0].migrations[0].group_id: is required, but missing; give",
        ),
        (wave(head=HEAD.replace("1\n", "1.0\n", 1)), "w.yaml:1: version: expected 1, the only version of the format"),
    ],
)
def test_a_mistake_names_its_place_and_what_is_allowed(mistakes: Mistakes, text: str, expected: str) -> None:
    """One mistake is one line, in plain words."""
    (line,) = mistakes(text)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("{opens: 2026-11-28T01:00:00, closes: 2026-11-28T04:00:00Z}", "window.opens: expected a time with its offset"),
        ("{opens: 2026-11-28, closes: 2026-11-28T04:00:00Z}", "window.opens: expected a time with its offset"),
        ("{opens: soon, closes: 2026-11-28T04:00:00Z}", "window.opens: expected a time with its offset"),
        ("{opens: 2026-11-28T04:00:00Z, closes: 2026-11-28T05:00:00+01:00}", "window: it has to open before it closes"),
        ("{opens: 2026-11-28T04:00:00Z}", "window.closes: is required, but missing"),
        ("{from: 1:00, to: 04:00, days: [sat], timezone: UTC}", "window.from: expected a time of day from"),
        ("{from: 01:00, to: 24:00, days: [sat], timezone: UTC}", "window.to: expected a time of day from"),
        ("{from: 01:00, to: 04:00, days: [], timezone: UTC}", "window.days: expected a list of days of mon, tue"),
        ("{from: 01:00, to: 04:00, days: sat, timezone: UTC}", "window.days: expected a list of days of mon, tue"),
        ("{from: 01:00, to: 04:00, days: [caturday], timezone: UTC}", "window.days: 'caturday' is not a day; allowed"),
        ("{from: 01:00, to: 04:00, days: [sat, sat], timezone: UTC}", "window.days: 'sat' is given twice"),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: Europe/Berln}", "window.timezone: expected a time zone such as Europe/Berlin, not 'Europe/Berln'"),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: ../etc/passwd}", "window.timezone: expected a time zone"),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: localtime}", "window.timezone: expected a time zone such as Europe/Berlin, not 'localtime'"),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: ESTT}", "window.timezone: expected a time zone such as "),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: Factory}", "window.timezone: expected a time zone such as Europe/Berlin, not 'Factory'"),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: Europe}", "window.timezone: expected a time zone"),
        ("{from: 01:00, to: 04:00, days: [sat], timezone: UTC, opens: 2026-11-28T04:00:00Z}", "window.closes: is requi"),
        ("{form: 01:00, to: 04:00, days: [sat], timezone: UTC}", "window.form: unknown key; did you mean 'from'?"),
        ("always", "window: expected a mapping, not 'always'"),
        ("{opens: 2026-11-28T04:00:00Z, closes: 2026-11-28T05:00:00Z, reserve: 1h}", "window: its reserve of 1h has to be shorter than the window, which is open for 1h"),
        ("{from: 23:00, to: 01:00, days: [sat], timezone: UTC, reserve: 3h}", "window: its reserve of 3h has to be shorter than the window, which is open for 2h"),
        ("{from: 23:00, to: 01:00, days: [sat], timezone: UTC, reserve: soon}", "window.reserve: expected a duration such as 90s"),
        ("{from: 23:00, to: 01:00, days: [sat], timezone: UTC, except: 2026-12-24}", "window.except: expected a list of days such as [2026-12-24"),
        ("{from: 23:00, to: 01:00, days: [sat], timezone: UTC, except: [2026-12-32]}", "window.except: '2026-12-32' is not a day; expected such as"),
        ("{from: 23:00, to: 01:00, days: [sat], timezone: UTC, except: [24.12.2026]}", "window.except: '24.12.2026' is not a day"),
        ("{from: 23:00, to: 01:00, days: [sat], timezone: UTC, except: [2026-12-24, 2026-12-24]}", "window.except: '2026-12-24' is given twice"),
        ("{opens: 2026-11-28T04:00:00Z, closes: 2026-11-28T05:00:00Z, except: [2026-12-24]}", "window.except: unknown key; allowed: closes, opens, reserve"),
    ],
)  # fmt: skip
def test_a_window_has_to_be_clear(mistakes: Mistakes, window: str, expected: str) -> None:
    """Times without offset, unknown zones and days, and windows that never open are mistakes."""
    assert any(line.startswith(f"w.yaml:4: {expected}") for line in mistakes(wave(head=f"{HEAD}window: {window}\n")))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (b"", "r.csv: is empty, expected the header name,group_id,live_migration_id"),
        (b"name,live_migration_id\n", "r.csv: has no migrations below its header"),
        (b"name;group_id;live_migration_id\n", "r.csv:1: its columns are separated by ';', expected commas"),
        (b"name,live_migration\nx,y\n", "r.csv:1: the column live_migration_id is missing; expected the header name"),
        (b"name,name,live_migration_id\n", "r.csv:1: the column name is given twice"),
        (b"name,NAME,live_migration_id\n", "r.csv:1: the column name is given twice"),
        (b"name,live_migration_id,size,SIZE\n", "r.csv:1: the column size is given twice"),
        (b"name,live_migration_id" + b",v" * 299 + b"\n", "r.csv:1: has 301 columns, and at most 256 are read"),
        (b"name,live_migration_id,groupid\n", "r.csv:1: unknown column 'groupid'; did you mean 'group_id'? (a variable"),
        (b"name,live_migration_id,timeout\n", "r.csv:1: the column timeout would set nothing: give timeout in the workflow"),
        (b"name,live_migration_id,Cluster Name\n", "r.csv:1: the column 'Cluster Name' cannot be the name of a variable; type Cluster_Name"),
        (b"name,live_migration_id,\n", "r.csv:1: the column '' cannot be the name of a variable; type a name such as cluster"),
        (b"name,live_migration_id,size\nx," + b"1" * 24 + b"," + b"x" * 1001 + b"\n", "r.csv:2: size: expected text of at most 1,000"),
        (b'name,live_migration_id\n"x,y\n', "r.csv:2: is not valid CSV: unexpected end of data"),
        (b"name,live_migration_id\n\xe9,1\n", "r.csv:2: is not UTF-8: byte 0xe9 does not belong here"),
        (b'name,live_migration_id\n"a\nb",' + b"1" * 24 + b"\n", "r.csv:2: name: expected a name of 1 to 100 printable"),
        (b"name,live_migration_id\nx\n", "r.csv:2: has 1 columns, expected 2: name,live_migration_id"),
        (b"name,group_id,live_migration_id\nx,G," + b"1" * 24 + b"\n", "r.csv:2: group_id: expected 24 lower-case hex"),
        (b"name,live_migration_id\nx," + b"1" * 200_000 + b"\n", "r.csv:2: is not valid CSV: field larger than"),
    ],
)  # fmt: skip
def test_a_malformed_csv_file_is_a_mistake_with_its_line(
    mistakes: Mistakes, tmp_path: Path, rows: bytes, expected: str
) -> None:
    """A CSV file is checked as strictly as the workflow, row by row."""
    (tmp_path / "r.csv").write_bytes(rows)
    assert any(line.startswith(expected) for line in mistakes(f"{HEAD}waves: [{{name: a, migrations_file: r.csv}}]\n"))


def test_a_missing_group_is_told_for_a_row(mistakes: Mistakes, tmp_path: Path) -> None:
    """A row without group needs a default."""
    (tmp_path / "r.csv").write_text(f"name,live_migration_id\nm,{JOB}\n")
    text = "version: 1\nname: w\nwaves: [{name: a, migrations_file: r.csv}]\n"
    assert mistakes(text) == ["r.csv:2: group_id: is required, but missing; give it here, on the wave or in defaults"]


def test_values_are_shown_short_and_on_one_line(mistakes: Mistakes) -> None:
    """A long or strange value does not fill the terminal, nor steer it."""
    (line,) = mistakes(wave(migration=', timeout: "\\e[31m' + "x" * 5000 + '"'))
    assert "\x1b" not in line
    assert len(line) < 250


def test_the_documented_mistakes_are_real(mistakes: Mistakes) -> None:
    """What docs/workflow.md shows is what is printed."""
    page = (ROOT / "docs" / "workflow.md").read_text(encoding="utf-8")
    text, shown = (page.split(f"```{kind}\n")[-1].split("```")[0] for kind in ("yaml", "text"))
    assert [line.replace("w.yaml", "shop.yaml") for line in mistakes(text)] == shown.splitlines()


def test_a_missing_workflow_is_a_mistake(tmp_path: Path) -> None:
    """The file itself is named where it is not there."""
    with pytest.raises(InputError, match=r"no\.yaml: does not exist"):
        load_workflow(tmp_path / "no.yaml")


_KEYS = st.sampled_from(["version", "name", "window", "defaults", "waves", "migrations", "gate", "hooks", "before", "x", "group_id",
    "migrations_file", "concurrency", "max_failures", "approval", "timeout", "live_migration_id", "days", "from", "opens"])  # fmt: skip
_VALUES = st.recursive(
    st.one_of(st.none(), st.sampled_from(["1", "off", "10%", JOB, "sat", "a\0b", ""]), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=5)),
    max_leaves=25,
)


@given(st.dictionaries(_KEYS, _VALUES))
def test_any_shape_is_answered_by_mistakes(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Whatever stands under the keys, the answer is mistakes with a place and without the model's own jargon."""
    path = tmp_path_factory.mktemp("w") / "w.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_workflow(path)
    assert caught.value.problems
    assert not [p for p in caught.value.problems if "pydantic" in p.message or "Input should" in p.message]


@pytest.mark.parametrize("name", ["example", "window-and-approval"])
def test_the_examples_are_valid(name: str) -> None:
    """What the project shows is right, for the loader and for editors."""
    path = ROOT / "workflows" / f"{name}.yaml"
    workflow = load_workflow(path)
    assert path.read_text().startswith("# yaml-language-server: $schema=../docs/schema/workflow.schema.json\n")
    assert len(workflow.waves) >= 3
    VALID.validate(read_yaml(path).data)


def test_the_first_example_is_worth_rehearsing() -> None:
    """At least three waves and twenty migrations, a canary first, and nothing that waits for a person or a time."""
    workflow = load_workflow(ROOT / "workflows" / "example.yaml")
    assert len(workflow.names()) >= 20
    assert (workflow.waves[0].concurrency, workflow.waves[0].max_failures) == (1, 0)
    assert workflow.window is None
    assert not any(each.approval for each in workflow.waves)


@pytest.mark.parametrize(
    "value",
    [
        {"timeout": 90}, {"timeout": 1.5}, {"timeout": "1m30s"}, {"timeout": "PT90S"}, {"timeout": None},
        {"concurrency": 3}, {"max_failures": 3}, {"max_failures": "10%"}, {"approval": True}, {"approval": "Yes"},
        {"gate": False}, {"gate": "off"}, {"gate": {"max_lag": 0, "timeout": "30m"}}, {"hooks": {"before": ["a", 1]}},
        {"hooks": {"before": [["a"], ["b"]], "timeout": 3}}, {"hooks": {"before": None}}, {"name": 7},
        {"group_id": 123456789012345678901234}, {"vars": {"size": "XL", "n": 7, "is": True, "no": None, "A_1": ""}},
    ],
)  # fmt: skip
def test_the_schema_accepts_what_the_loader_accepts(load: Load, value: dict[str, Any]) -> None:
    """An editor types scalars as YAML does; it must not mark what is right."""
    first = {"name": "a", "migrations": [{"name": "m", "live_migration_id": JOB}], **value}
    data = {"version": 1, "name": "w", "defaults": {"group_id": GROUP}, "waves": [first]}
    VALID.validate(data)
    load(json.dumps(data))


@pytest.mark.parametrize(
    "value", [{"timeout": "5x"}, {"concurrency": 0}, {"nme": 1}, {"gate": "soon"}, {"migrations": 3}]
)
def test_the_schema_refuses_what_is_plainly_wrong(value: dict[str, Any]) -> None:
    """An editor shows the usual slips."""
    first = {"name": "a", "migrations": [{"name": "m", "live_migration_id": JOB}], **value}
    with pytest.raises(jsonschema.ValidationError):
        VALID.validate({"version": 1, "name": "w", "waves": [first]})


def test_the_committed_schema_is_current() -> None:
    """docs/schema/workflow.schema.json is what `schema workflow` prints."""
    jsonschema.Draft202012Validator.check_schema(workflow_schema())
    committed = (ROOT / "docs" / "schema" / "workflow.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == workflow_schema()
