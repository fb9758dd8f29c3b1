"""Whatever Atlas or a workflow says, every format stays what it is."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core.outcomes import Outcome
from orchestrator.reports.formats.html import embedded
from orchestrator.reports.formats.markdown import escape
from orchestrator.reports.model import RunReport, build
from orchestrator.reports.render import render
from orchestrator.reports.words import lines, plain

from ..strength import examples
from .conftest import START, Ending, make_state

NASTY = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]>&lt;\x00\x1b[31mred\x1b[0m\x9b1m",
    "a | b \\| c \\",
    "`code` ``more``",
    "=HYPERLINK(1)",
    "@channel #12 https://evil.example www.evil.example [x](javascript:1) ![i](//evil) <b>",
    "line\r\nline\u2028line\x85",
    "half \ud83d face \ufffe \u202e",
    "{{ 7 * 7 }} {% raw %}",
    "\t=1+1",
]
FOREIGN = st.one_of(st.sampled_from(NASTY), st.text(st.characters(), max_size=40))


def report_with(name: str, message: str) -> RunReport:
    """The report of a run whose every text is foreign."""
    waves = {
        f"wave {name}": {f"{name} a": Ending(Outcome.FAILED, message), f"{name} b": Ending()},
        "rest": {"plain": Ending(Outcome.IN_DOUBT, message)},
    }
    return build(make_state(waves, name=name, stopped=message), now=START)


class Tags(HTMLParser):
    """The elements and the embedded data of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.data = ""
        self.inside_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note *tag* and the names of *attrs*."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.inside_data = ("id", "data") in attrs

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - it overrides
        """Nothing after the end of an element belongs to it."""
        self.inside_data = False

    def handle_data(self, data: str) -> None:
        """Keep the embedded JSON."""
        if self.inside_data:
            self.data += data


def parsed(text: str) -> Tags:
    """What a browser would find in *text*."""
    tags = Tags()
    tags.feed(text)
    tags.close()
    return tags


@settings(max_examples=examples(40), deadline=None)
@given(FOREIGN, FOREIGN)
@example(NASTY[0], NASTY[1])
def test_html_keeps_its_elements(name: str, message: str) -> None:
    """No text becomes an element or an attribute, and the embedded data can be read."""
    harmless = parsed(render(report_with("name", "message"), ".html"))
    nasty = parsed(render(report_with(name, f"It said: {message}"), ".html"))
    assert nasty.tags == harmless.tags
    assert nasty.attributes == harmless.attributes
    assert [job[0] for job in json.loads(nasty.data)["jobs"]][2] == "plain"


@given(st.recursive(FOREIGN, lambda inner: st.lists(inner, max_size=3)))
def test_embedded_json_ends_no_element_and_means_the_same(data: object) -> None:
    """`<` and `&` are escapes inside strings, so the value stays."""
    text = embedded(data)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == data


@settings(max_examples=examples(60), deadline=None)
@given(FOREIGN, FOREIGN)
def test_markdown_tables_keep_their_columns(name: str, message: str) -> None:
    """Every row has as many cells as the head of its table."""
    columns = 0
    for line in render(report_with(name, message), ".md").split("\n"):
        if not line.startswith("|"):
            columns = 0
            continue
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        columns = columns or cells
        assert cells == columns, line


@given(FOREIGN)
def test_markdown_escapes_what_would_become_something(text: str) -> None:
    """No HTML, code, emphasis, link, mention or line break is left."""
    escaped = escape(text)
    assert not re.search(r"[<>\n\r]|(?<!\\)(?:\\\\)*[`*\[\]|~]", escaped)
    assert not re.search(r"[@#](?!\u200b)|(?<!\\)://|www\.", escaped)


@pytest.mark.parametrize("name", ["orders-eu", "customers_2", "a.b.c", "crm (old)", "x+y", "50%"])
def test_markdown_leaves_ordinary_names_as_they_are(name: str) -> None:
    """So that a ticket can be searched for them."""
    assert escape(name) == name


@settings(max_examples=examples(60), deadline=None)
@given(FOREIGN, FOREIGN)
def test_junit_stays_xml(name: str, message: str) -> None:
    """Characters that XML forbids are gone, and the counts are right."""
    root = ET.fromstring(render(report_with(name, message), ".xml").encode())  # noqa: S314 - we wrote it
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    assert len(root.findall("testsuite/testcase")) == 3


@settings(max_examples=examples(60), deadline=None)
@given(FOREIGN, FOREIGN)
@example("a", "x;=1+1; @sum(a1)")
@example("a", """x;"=cmd|' /C calc'!A0;"" +1;y""")
def test_csv_keeps_its_columns_and_has_no_formula(name: str, message: str) -> None:
    """One row a migration, and no cell that a spreadsheet would calculate, also one that separates cells by `;`."""
    text = render(report_with(name, message), ".csv")
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=";"):
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells), cells
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert len(rows) == 3
    for row in rows:
        assert len(row) == len(head)
        parts = [part for cell in row for part in cell.split(";")]
        assert not any(part.lstrip().startswith(("=", "+", "-", "@")) for part in parts)


@given(FOREIGN)
def test_plain_text_steers_no_terminal(text: str) -> None:
    """One line, without control characters; with `lines`, the lines are kept."""
    for shown in (plain(text), *lines(text).split("\n")):
        assert all(c.isprintable() or c in "\u200c\u200d" for c in shown), repr(shown)


def test_sequences_for_terminals_vanish_whole() -> None:
    """A colour leaves no `[31m` behind, and text in other scripts stays."""
    assert plain("\x1b[31mred\x1b[0m \x1b]0;title\x07müller 注文") == "red müller 注文"


def test_a_sequence_without_its_end_takes_no_other_line_along() -> None:
    """It may be the one that says why."""
    assert lines("\x1b]0;stopping\nERROR: 3 writers\r\nleft").split("\n") == ["", "ERROR: 3 writers", "left"]
