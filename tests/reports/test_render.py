from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from orchestrator.core.errors import InputError
from orchestrator.machine.own_files import replace_file
from orchestrator.reports import render as render_module
from orchestrator.reports.render import FORMATS, check_output_path, render, run_reports, write_all

from .conftest import Ending, MakeReport


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_names_every_migration(suffix: str, report_of: MakeReport) -> None:
    """A small run is whole in each format."""
    text = render(report_of({"canary": {"orders-eu": Ending()}, "rest": {"customers_2": Ending()}}), suffix)
    assert "orders-eu" in text
    assert "customers_2" in text


@pytest.mark.parametrize("suffix", [".json", ".md", ".html", ".csv", ".xml"])
def test_every_format_marks_a_rehearsal(suffix: str, report_of: MakeReport) -> None:
    """Nobody takes a rehearsal for the real thing."""
    real = render(report_of({"w": {"a": Ending()}}), suffix)
    rehearsed = render(report_of({"w": {"a": Ending()}}, rehearsal=True), suffix)
    assert rehearsed != real
    assert "rehears" in rehearsed.lower()


def test_reports_at_the_end_of_a_run(report_of: MakeReport, tmp_path: Path) -> None:
    """JSON, Markdown and HTML are written into a directory that is made for them, for their owner alone."""
    written, failed = write_all(report_of({"w": {"a": Ending()}}), (), own=run_reports(tmp_path, "x"))
    assert failed == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs", tmp_path / "runs" / "x")} == {0o700}
    assert [path.name for path in written] == ["report.json", "report.md", "report.html"]
    assert sorted(path.name for path in (tmp_path / "runs" / "x").iterdir()) == sorted(p.name for p in written)


def test_a_written_report_is_readable_by_others(report_of: MakeReport, tmp_path: Path) -> None:
    """The temporary file's narrow mode does not stay."""
    path = tmp_path / "out.csv"
    old = os.umask(0o027)
    try:
        write_all(report_of({"w": {"a": Ending()}}), [path])
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_report_and_nothing_else(report_of: MakeReport, tmp_path: Path) -> None:
    """What cannot take the report's place does not lie about either."""
    path = tmp_path / "out.json"
    path.mkdir()
    (path / "kept").touch()
    written, [(failed, error)] = write_all(report_of({"w": {"a": Ending()}}), [path])
    assert (written, failed, error.filename) == ([], path, str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_suffixes_may_be_capital(report_of: MakeReport, tmp_path: Path) -> None:
    """`REPORT.CSV` is a CSV."""
    path = tmp_path / "REPORT.CSV"
    check_output_path(path)
    write_all(report_of({"w": {"a": Ending()}}), [path])
    assert path.read_text(encoding="utf-8").startswith("\ufeffrun_id,")  # with the mark that Excel wants


def test_unknown_suffixes_are_refused_before_the_run(tmp_path: Path) -> None:
    """The message names those that are known."""
    with pytest.raises(InputError, match=r"report\.pdf: .*\.json \.md \.html \.xml \.csv"):
        check_output_path(tmp_path / "report.pdf")


def test_missing_directories_are_refused_before_the_run(tmp_path: Path) -> None:
    """A typo in a path is found before the first cutover, not after the last."""
    with pytest.raises(InputError, match="no directory"):
        check_output_path(tmp_path / "typo" / "report.json")


def test_a_directory_is_no_output_file(tmp_path: Path) -> None:
    """A directory whose name ends in a known suffix is told apart."""
    (tmp_path / "x.json").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        check_output_path(tmp_path / "x.json")


def test_a_pipe_and_an_impossible_name_are_refused_before_the_run(tmp_path: Path) -> None:
    """As a directory is: the report would be lost after the night."""
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(InputError, match=r"x\.json: it is no regular file"):
        check_output_path(tmp_path / "x.json")
    with pytest.raises(InputError, match="File name too long"):
        check_output_path(tmp_path / f"{'x' * 300}.json")
    with pytest.raises(InputError, match="File name too long"):
        check_output_path(tmp_path / ("x" * 300) / "x.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_directories_are_refused_before_the_run(tmp_path: Path) -> None:
    """So is a directory of somebody else."""
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="not writable"):
        check_output_path(tmp_path / "x.json")


def test_a_file_system_that_hangs_keeps_no_other_report_and_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report_of: MakeReport
) -> None:
    """It is told of that one why it is not there, and that it may be yet."""
    answers = threading.Event()

    def hangs(path: Path, data: bytes, *, mode: int | None) -> None:
        if "mount" in path.name:
            assert answers.wait(60)
        replace_file(path, data, mode=mode)

    monkeypatch.setattr(render_module, "replace_file", hangs)
    monkeypatch.setattr(render_module, "PATIENCE", 0.02)
    monkeypatch.setattr(render_module, "LAST_PATIENCE", 2.0)
    first, last = tmp_path / "mount.json", tmp_path / "here.xml"
    own = run_reports(tmp_path / "state", "20261128T000000Z-5f3a")
    written, [(path, error)] = write_all(report_of({"w": {"a": Ending()}}), [first, last], own=own)
    assert (written, path) == ([*own, last], first)
    assert all(each.exists() for each in written)
    assert error.strerror == "the file system does not answer; it may be written yet, when it does"
    answers.set()
