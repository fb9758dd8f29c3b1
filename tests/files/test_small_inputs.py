"""Small inputs that nobody means: what is wrong is told at its place, with what to type, and once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.core.errors import InputError
from orchestrator.files import csv_file, yaml_file
from orchestrator.files.config import load_settings
from orchestrator.files.scalars import parse_name
from orchestrator.files.workflow_file import load_workflow, read_workflow
from orchestrator.files.yaml_file import MAX_VALUES

from ..strength import examples

GROUP = "7e68e12770616e75e6df43d0"
GOOD = f"""version: 1
name: n
defaults: {{group_id: {GROUP}}}
waves:
  - name: one
    migrations:
      - {{name: a, live_migration_id: a659ce44c03ca1e348b1e992}}
"""


def told(text: str | bytes, directory: Path = Path()) -> list[str]:
    """What is said of a workflow file with this *text*."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InputError) as wrong:
        read_workflow(data, name="w.yaml", directory=directory)
    return str(wrong.value).replace(f"{directory}/", "").splitlines()


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("name: n", "name:\u00a0n", "2: is not valid YAML: column 6 is a no-break space (U+00A0), which YAML takes for a letter: type a space"),
        ("- name: one", "-\u00a0name: one", "5: is not valid YAML: column 4 is a no-break space (U+00A0), which YAML takes for a letter: type a space"),
        ("- name: one", "-\u200bname: one", "5: is not valid YAML: column 4 is a zero width space (U+200B), which YAML takes for a letter: take it away"),
        ("    migrations", "\u00a0   migrations", "6: '\\xa0   migrations': unknown key; its character 1 is a no-break space (U+00A0); type a space"),
        ("- name: one", "-\tname: one", "5: is not valid YAML: column 4 is a tab after a dash: type a space"),
        ("    migrations", "\tmigrations", "6: is not valid YAML: a tab cannot indent, use spaces"),
        ("name: n", "name: @n", "2: is not valid YAML: column 7 is '@', with which no plain value begins: put the value in quotes"),
        ("name: n", "name: `n", "2: is not valid YAML: column 7 is '`', with which no plain value begins: put the value in quotes"),
        ("name: n", "name: a: b", "2: is not valid YAML: mapping values are not allowed here: column 8 is a second colon; put the value in quotes"),
        ("name: n", "name:n", "2: is not valid YAML: column 6 follows a colon directly: put a space between a key's colon and its value"),
        ("- name", "-name", "5: is not valid YAML: column 4 follows a dash directly: put a space between them"),
        ("- name", "\u2013 name", "5: is not valid YAML: column 3 is '\u2013' (U+2013, en dash), and an item of a list begins with a plain one: type '-'"),
        ("name: n", 'name: "n', "2: is not valid YAML: the quote that begins here is not closed, or text comes after its end"),
        ("name: n", "name: {n", "2: is not valid YAML: the bracket that opens here is not closed, or a comma is missing before line 3"),
        ("name: n", 'name: "\\ud83d x"', "2: is not valid YAML: an escape such as \\ud83d is half of a character: write both halves, or the character itself"),
        ("name: n", "name: n\u2028x", "2: holds a line separator (U+2028), which ends a line for YAML alone: take it away"),
        ("name: n", "name: n\u0085x", "2: holds a next line control (U+0085), which ends a line for YAML alone: take it away"),
        ("waves:", "w\u0430ves:", "4: 'w\u0430ves': unknown key; its character 2 is '\u0430' (U+0430, cyrillic small letter a); type 'a'"),
        ("name: one", "name: o\u00a0ne", "5: waves[0].name: expected a name of 1 to 100 printable characters, no spaces around it (its character 2 is a no-break space (U+00A0); type a space), not 'o\\xa0ne'"),
    ],
)  # fmt: skip
def test_what_yaml_stumbles_over_is_named_at_its_place(good: str, bad: str, said: str) -> None:
    """The line that has to be corrected, not the one where the parser gave up; the column; what to type."""
    assert f"w.yaml:{said}" in told(GOOD.replace(good, bad))


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("a659", "\u0430659", "its character 1 is '\u0430' (U+0430, cyrillic small letter a); type 'a'"),
        ("a659", "\uff41659", "its character 1 is '\uff41' (U+FF41, fullwidth latin small letter a); type 'a'"),
        ("c03c", "cO3c", "its character 10 is 'O'; type '0'"),
        ("e348", "e34l", "its character 18 is 'l'; type '1'"),
        ("ce44", "\u00a0ce44", "its character 5 is a no-break space (U+00A0), which does not belong here: take it away"),
        ("e992}", "e992\u00a0}", "its character 25 is a no-break space (U+00A0), which does not belong here: take it away"),
        ("ce44", "\u200bce44", "its character 5 is a zero width space (U+200B), which does not belong here: take it away"),
        ("ce44", "gce4", "its character 5 is 'g', which is none"),
        ("e992", "e99", "23 characters were given"),
    ],
)  # fmt: skip
def test_a_character_that_is_no_digit_of_an_id_is_named(good: str, bad: str, said: str) -> None:
    """The first one, where it is and what is meant."""
    [line] = told(GOOD.replace(good, bad))
    assert line.startswith(
        "w.yaml:7: waves[0].migrations[0].live_migration_id: expected 24 lower-case hexadecimal digits "
    )
    assert f"({said}), not " in line


def test_a_character_that_json_writes_as_two_escapes_is_read() -> None:
    """As any JSON writer does with what is beyond U+FFFF; an escaped backslash before it stays one."""
    assert (
        read_workflow(GOOD.replace("name: n", 'name: "\\ud83d\\ude80"').encode(), name="w", directory=Path()).name
        == "\U0001f680"
    )
    both = GOOD.replace("name: n", 'name: "\\\\ud83d \\uD83D\\uDE80"')
    assert read_workflow(both.encode(), name="w", directory=Path()).name == "\\ud83d \U0001f680"


def test_a_file_of_windows_in_utf_16_is_told_as_that() -> None:
    """Not as a byte that does not belong there."""
    assert told(GOOD.encode("utf-16")) == [
        "w.yaml:1: is not UTF-8 but UTF-16, as some programs of Windows write it; save the file as UTF-8"
    ]


def with_csv(directory: Path, text: str) -> str:
    """A workflow whose migrations are in a CSV file of this *text*."""
    (directory / "rest.csv").write_text(text)
    return "version: 1\nname: n\nwaves: [{name: one, migrations_file: rest.csv}]\n"


def test_a_wrong_group_is_one_mistake(tmp_path: Path) -> None:
    """It is there, so it is not missing; 20,000 of them are counted."""
    row = "a{0},7e68e12770616e75e6df43dO,{0:024x}\n"
    head = "name,group_id,live_migration_id\n"
    [line] = told(with_csv(tmp_path, head + row.format(1)), tmp_path)
    assert line.startswith(
        "rest.csv:2: group_id: expected 24 lower-case hexadecimal digits (its character 24 is 'O'; type '0')"
    )
    many = told(with_csv(tmp_path, head + "".join(map(row.format, range(20_000)))), tmp_path)
    assert len(many) == 51
    assert many[-1].endswith("rest.csv: 950 more mistakes up to line 1001, and the rest is not looked at")


def test_so_many_mistakes_that_not_all_are_looked_at_are_told_as_that(tmp_path: Path) -> None:
    """A number that is told is the number of all, or it says that there are more."""
    same = "".join(f"a,7e68e12770616e75e6df43d0,{number:024x}\n" for number in range(3_000))
    twice = told(with_csv(tmp_path, f"name,group_id,live_migration_id\n{same}"), tmp_path)
    assert twice[-1].endswith("rest.csv: 950 more mistakes up to line 1002, and the rest is not looked at")
    unknown = told("version: 1\nname: n\nwaves: []\n" + "".join(f"k{n}: 1\n" for n in range(3_000)), tmp_path)
    assert (unknown[0].partition(": ")[2], len(unknown)) == ("has 3,000 mistakes in all", 50)


@pytest.mark.parametrize(
    "secret", ["0123abcd-4567-89ab-cdef-0123456789ab", "root:$6$abc$def:19000:0:99999:7:::", "a b c"]
)
def test_a_file_that_is_something_else_is_not_shown(tmp_path: Path, secret: str) -> None:
    """It may be a key: somebody mistook the file, or has named it in a workflow that others check."""
    [line] = told(with_csv(tmp_path, f"{secret}\nmore\n"), tmp_path)
    assert line == (
        "rest.csv:1: is no list of migrations: its first line has neither name nor live_migration_id; "
        "expected the header name,group_id,live_migration_id"
    )
    assert secret not in "".join(told(f"'{secret}'\n"))


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "sep=;\r"])
def test_a_line_that_tells_spreadsheets_the_separator_is_heeded(tmp_path: Path, first: str) -> None:
    """It is no header; the lines of mistakes are those of the file."""
    text = f"{first}\nname;group_id;live_migration_id\na;{GROUP};a659ce44c03ca1e348b1e992\n"
    workflow = read_workflow(with_csv(tmp_path, text).encode(), name="w", directory=tmp_path)
    assert [(m.name, m.group_id) for _, m in workflow.migrations()] == [("a", GROUP)]
    [line] = told(with_csv(tmp_path, text.replace("a659", "x659")), tmp_path)
    assert line.startswith("rest.csv:3: live_migration_id: ")


SIZE = examples(1_000_000)
"""Characters, about."""

JUNK = {
    "keys": "".join(f"key{number}: x\n" for number in range(SIZE // 8)),
    "tags": GOOD + "  - !t x\n" * (SIZE // 8),
    "waves": "version: 1\nname: n\nwaves:\n" + "- {a: b}\n" * (SIZE // 8),
    "migrations": GOOD + "".join(f"      - {{nam: b{number}}}\n" for number in range(SIZE // 16)),
    "variables": GOOD + "vars:\n" + "".join(f"  v-{number}: x\n" for number in range(SIZE // 16)),
    "brackets": "[" * SIZE,
    "one word": "a" * SIZE,
    "colons": ":" * SIZE,
    "blanks": " " * SIZE + "a: b: c",
}


@pytest.mark.parametrize("kind", JUNK)
def test_much_junk_is_told_in_a_few_lines_and_seconds(kind: str) -> None:
    """At most 50 lines and the number of what else is wrong."""
    began = time.process_time()
    lines = told(JUNK[kind])
    assert len(lines) <= 52
    assert sum(map(len, lines)) < 20_000
    assert time.process_time() - began < 20  # a quarter of it here, on a machine that is busy


def test_more_values_than_any_fleet_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they say; the limit is far, and what is counted is the same for a nearer one."""
    assert MAX_VALUES == 1_000_000
    monkeypatch.setattr(yaml_file, "MAX_VALUES", 1_000)
    assert told("[" + "[a,a,a,a,a,a,a,a,a],\n" * 101 + "]")[-1].endswith("has more than 1,000 values")
    with pytest.raises(InputError) as wrong:
        read_workflow(("[" + "[a,a,a,a,a,a,a,a,a],\n" * 99 + "]").encode(), name="w.yaml", directory=Path())
    assert "values" not in str(wrong.value)


def test_a_file_that_is_too_large_is_told_in_binary_units(tmp_path: Path) -> None:
    """67,108,865 bytes are one more than 64 MiB, and not 64 MB."""
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(InputError, match=r"large\.yaml: cannot be read: it is larger than 64 MiB"):
        load_workflow(large)


@pytest.mark.parametrize("name", ["\u3164", "\u2800", "\ufe0f\u034f", "\u115f \u115f"])
def test_a_name_that_nobody_sees_is_none(name: str) -> None:
    """Though each of its characters is printable."""
    with pytest.raises(ValueError, match=r"its character 1 is .*U\+"):
        parse_name(name)
    assert parse_name(f"a{name}b")


def test_a_list_is_read_as_far_as_it_can_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of line ends, or of commas, are told as such at once; what comes before does not hide it."""
    monkeypatch.setattr(csv_file, "MOST_LINES", 20)
    head = "name,group_id,live_migration_id\n"
    assert not csv_file.parse_csv(f"{head}x,{'5f' * 12},{'6f' * 12}\n{chr(10) * 15}", "rest.csv")[1]
    for text in ("\n" * 30, f"{head}{chr(10) * 30}"):
        [problem] = csv_file.parse_csv(text, "rest.csv")[1]
        assert problem.message == "is not valid CSV: it has more than 20 lines"
    [problem] = csv_file.parse_csv("," * 20_000, "rest.csv")[1]
    assert problem.message == "is not valid CSV: a line has more than 10,000 separators"


@pytest.mark.parametrize("key", ['"\\0x"', '"[key]"', '"\\0"'])
def test_a_key_may_be_called_anything_and_is_told_as_unknown(tmp_path: Path, key: str) -> None:
    """Also what the models' own words for a place are."""
    config, file = tmp_path / "config.yaml", tmp_path / "w.yaml"
    config.write_text(f"{key}: 1\n")
    file.write_text(f"version: 1\nname: a\n{key}: 1\nwaves: []\n")
    with pytest.raises(InputError, match=r"config\.yaml:1: .*: unknown key"):
        load_settings(config, environ={})
    with pytest.raises(InputError, match=r"w\.yaml:3: .*: unknown key"):
        load_workflow(file)


@pytest.mark.parametrize(
    ("space", "shown"), [("\u00a0", "a no-break space (U+00A0)"), ("\u3000", "an ideographic space (U+3000)")]
)
def test_a_space_that_is_none_behind_a_colon_is_one_mistake(tmp_path: Path, space: str, shown: str) -> None:
    """The key is there: it and its value were taken for one key."""
    text = f"version: 1\nname: n\nwaves: [{{name: one, migrations: [{{name:{space}a, live_migration_id: {1:024x}, group_id: {1:024x}}}]}}]\n"
    [line] = told(text, tmp_path)
    assert line.endswith(
        f"holds a key with a colon in it: its character 6 is {shown}, which YAML takes for a letter; type a space"
    )
