from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import InputError
from orchestrator.files.yaml_file import YamlDocument, parse_yaml, read_yaml


def problems_of(text: str | bytes) -> list[str]:
    """What is wrong with *text*, as lines."""
    data = text.encode() if isinstance(text, str) else text
    try:
        return [str(problem) for problem in parse_yaml(data, "f.yaml").problems]
    except InputError as error:
        return [str(problem) for problem in error.problems]


def data_of(text: str) -> object:
    """The data in *text*, which has no mistakes."""
    document = parse_yaml(text.encode(), "f.yaml")
    assert document.problems == ()
    return document.data


@pytest.mark.parametrize(
    "scalar",
    [
        "000000000000000000000001",
        "123456789012345678901234",
        "1e5",
        "012",
        "0x10",
        "0o7",
        "12:30:00",
        "2026-11-28",
        "2026-11-28T01:00:00+01:00",
        "off",
        "yes",
        "True",
        "1_000",
        ".inf",
        "1.0",
    ],
)
def test_a_scalar_stays_the_text_that_stands_there(scalar: str) -> None:
    """Numbers, octals, sexagesimals, dates and booleans of YAML are text here."""
    assert data_of(f"key: {scalar}\n") == {"key": scalar}


@given(st.from_regex(r"[0-9][0-9a-f]{23}", fullmatch=True))
def test_ids_stay_text(text: str) -> None:
    """No id, of digits only, with leading zeros or like a power of ten, becomes a number."""
    assert data_of(f"- {text}\n") == [text]


def test_only_plain_nulls_are_none() -> None:
    """Empty, ~ and null are nothing; in quotes they are text."""
    assert data_of("{a: null, b: ~, c: , d: 'null', e: \"\", f: !!str null}") == {
        "a": None,
        "b": None,
        "c": None,
        "d": "null",
        "e": "",
        "f": "null",
    }
    assert data_of("# nothing\n") is None


def test_every_key_and_item_has_its_line() -> None:
    """Lines count from 1; a path that leads nowhere has the line of what is around it."""
    document = parse_yaml(b"\na:\n  - x: 1\n    y: [p,\n      q]\n  - z\n", "f.yaml")
    lines = {
        (): 2,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 0, "x"): 3,
        ("a", 0, "y"): 4,
        ("a", 0, "y", 1): 5,
        ("a", 1): 6,
        ("a", 1, "no"): 6,
        ("a", 7): 2,
        ("a", "x"): 2,
    }
    assert {path: document.line_of(path) for path in lines} == lines


def test_an_alias_repeats_its_data_at_its_own_line() -> None:
    """Aliases are allowed and keep the line they are used at."""
    document = parse_yaml(b"a: &x {k: [1]}\nb: *x\nc:\n  - *x\n", "f.yaml")
    assert document.data == {"a": {"k": ["1"]}, "b": {"k": ["1"]}, "c": [{"k": ["1"]}]}
    assert document.line_of(("b",)) == 2
    assert document.line_of(("c", 0)) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: is given twice, first in line 1"),
        ("w:\n  - {k: 1, k: 2}\n", "f.yaml:2: w[0].k: is given twice, first in line 2"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: holds more than one document; only one is allowed"),
        ("a:\n\tb: 1\n", "f.yaml:2: is not valid YAML: a tab cannot indent, use spaces"),
        ("a: [1,\n", "f.yaml:2: is not valid YAML: "),
        ("a: b: c\n", "f.yaml:1: is not valid YAML: mapping values are not allowed"),
        ("a: 1\nb: *x\n", "f.yaml:2: b: an alias (*…) has to name something that comes before it"),
        ("a: &x\n  - *x\n", "f.yaml:2: an alias is used inside what it names"),
        ("a: {<<: {b: 1}}\n", "f.yaml:1: a.<<: merge keys are not supported; write the keys out"),
        ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1: a: a tag (!…) is not allowed"),
        ("a: !!int 3\n", "f.yaml:1: a: a tag (!…) is not allowed"),
        ("a:\n  ? [x]\n  : 1\n", "f.yaml:2: a: a key has to be text"),
        ("{'': 1}\n", "f.yaml:1: a key has to be text"),
        ("a: 1\nb: \x07\n", "f.yaml:2: holds the control character '\\x07', which YAML does not allow"),
        (b"a: 1\nb: \xff\n", "f.yaml:2: is not UTF-8: byte 0xff does not belong here"),
        ("a: 1".encode("utf-16"), "f.yaml:1: is not UTF-8"),
        ("[" * 1000, "f.yaml:1: is nested deeper than 32 levels"),
        ("? " * 1000, "f.yaml:1: is nested deeper than 32 levels"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str | bytes, expected: str) -> None:
    """Whatever YAML allows or forbids beyond plain data is a mistake with a place."""
    problems = problems_of(text)
    assert len(problems) == 1
    assert problems[0].startswith(expected)


def test_several_mistakes_are_told_together() -> None:
    """What leaves the rest readable does not end the reading."""
    assert len(problems_of("a: 1\na: 2\nb: *x\nc: !t 1\n<<: {}\n")) == 4


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    """A few lines cannot expand into millions of values."""
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
    )
    (problem,) = problems_of(bomb)
    assert problem.endswith("its aliases expand to more than 100,000 values")


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    """Files saved by Windows editors are read."""
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\nb: 2\r\n")
    document = read_yaml(path)
    assert document == YamlDocument(data={"a": "é", "b": "2"}, lines=document.lines, file=str(path))
    assert document.line_of(("b",)) == 2


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    """Missing files, directories, impossible names and endless files are told, not raised as they come."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, message in {
        str(tmp_path / "no.yaml"): "does not exist",
        str(tmp_path): "is a directory, expected a file",
        "a\0b": "is not a usable file name",
        str(loop): "cannot be read: ",
    }.items():
        with pytest.raises(InputError) as caught:
            read_yaml(path)
        (problem,) = caught.value.problems
        assert problem.file == path
        assert problem.line == 0
        assert problem.message.startswith(message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_mistake(tmp_path: Path) -> None:
    """Permission is named as the reason."""
    path = tmp_path / "secret.yaml"
    path.touch(mode=0)
    with pytest.raises(InputError, match="permission denied"):
        read_yaml(path)


def test_read_yaml_raises_the_lesser_mistakes_too(tmp_path: Path) -> None:
    """Whoever reads a file whole gets data without mistakes or none."""
    path = tmp_path / "f.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(InputError, match="is given twice"):
        read_yaml(path)


_YAMLISH = st.text(alphabet="ab01:-?[]{},&*!|>'\"%#@` \n\t~<=.\\\0\x85\u2028é", max_size=60)


@given(st.one_of(_YAMLISH.map(str.encode), st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_are_data_or_an_input_error(data: bytes) -> None:
    """Nothing else ever comes out of a file."""
    check: list[object] = []
    with suppress(InputError):
        check.append(parse_yaml(data, "f.yaml").data)
    while check:
        match check.pop():
            case dict() as mapping:
                assert all(isinstance(key, str) for key in mapping)
                check += mapping.values()
            case list() as items:
                check += items
            case other:
                assert other is None or isinstance(other, str)
