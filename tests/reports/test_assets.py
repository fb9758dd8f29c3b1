"""Style and scripts that the report shares with the status page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.core.outcomes import Outcome
from orchestrator.reports import ASSETS
from orchestrator.reports.bundle import bundled
from orchestrator.reports.formats.json_ import document
from orchestrator.reports.shape import JOB, ROW, snapshot

from ..text.test_durations import ROUGH
from .conftest import Ending, MakeReport

STATIC = Path(__file__).parents[2] / "orchestrator" / "web" / "static"
LIVE_ALONE = {"state", "note", "lag_seconds", "failed_hooks"}
"""What only a migration has whose run goes on; its hooks report.json has with those of waves and run."""

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def test_browsers_get_the_names_of_the_report(report_of: MakeReport) -> None:
    """The same fact has the same name, and the same value, in report.json, report.html and on the page."""
    report = report_of({"w": {"a": Ending(Outcome.FAILED, "no"), "b": Ending()}})
    written, sent = document(report), snapshot(report)
    assert set(JOB) | set(ROW) - LIVE_ALONE <= written["migrations"][0].keys()
    assert {
        key: sent["head"][key] for key in sent["head"] if key in ("run_id", "outcome", "exit_code", "started_at")
    } == {key: written[key] for key in ("run_id", "outcome", "exit_code", "started_at")}
    for number, migration in enumerate(written["migrations"]):
        row = dict(zip(ROW, sent["rows"][number][1:], strict=True))
        assert row == {key: migration[key] for key in ROW if key not in LIVE_ALONE} | {
            "state": migration["outcome"], "note": None, "lag_seconds": None, "failed_hooks": None
        }  # fmt: skip


def test_a_bundle_has_each_module_once_before_those_that_import_it() -> None:
    """And no import is left, which an inlined script may not have."""
    script = bundled(ASSETS, "report.js")
    order = re.findall(r'^modules\["([\w.]+)"\] = ', script, re.MULTILINE)
    assert len(order) == len(set(order))
    assert order.index("words.js") < order.index("model.js") < order.index("table.js") < order.index("report.js")
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


def test_a_module_that_cannot_be_bundled_is_refused(tmp_path: Path) -> None:
    """A report whose script does not run would be found by its reader."""
    (tmp_path / "a.js").write_text("export default 1;\n")
    with pytest.raises(ValueError, match=r"a\.js: cannot be bundled: export default"):
        bundled(tmp_path, "a.js")


def test_page_and_report_have_no_file_of_one_name() -> None:
    """They are served from one place."""
    assert not {path.name for path in ASSETS.iterdir()} & {path.name for path in STATIC.iterdir()}


@pytest.mark.parametrize("path", [*ASSETS.glob("*.js"), *STATIC.glob("*.js")], ids=lambda path: path.name)
def test_what_a_script_imports_is_there(path: Path) -> None:
    """A browser would say so at the first visit."""
    for names, module in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', path.read_text()):
        text = next(where / module for where in (ASSETS, STATIC) if (where / module).exists()).read_text()
        for name in filter(None, (name.strip() for name in names.split(","))):
            assert re.search(
                rf"^export (?:function|class|const|let) {name}\b|^export const .*\b{name} =", text, re.MULTILINE
            ), name


def test_each_picture_that_is_asked_for_is_there_and_says_one_thing() -> None:
    """What is to come has another one than what waits for a person."""
    there = set(re.findall(r'id="i-(\w+)"', (ASSETS / "symbols.svg").read_text()))
    asked: dict[str, set[str]] = {}
    for path in (ASSETS / "words.js", STATIC / "needs.js", STATIC / "waves.js"):
        for word, icon in re.findall(r'word: "([^"]+)".* icon: "(\w+)"', path.read_text()):
            asked.setdefault(icon, set()).add(word.lower())
    assert asked.keys() <= there
    assert asked["WAITING"] == {"not yet", "to come", "window not open yet"}
    assert asked["PERSON"] == {"waits for approval", "waits to be confirmed"}


@needs_node
def test_browsers_tell_durations_as_the_program_does() -> None:
    """The same table."""
    seconds = [seconds for seconds, _ in ROUGH]
    script = f"import {{ duration }} from '{(ASSETS / 'words.js').as_uri()}'; console.log(JSON.stringify({seconds}.map(duration)));"
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert json.loads(done.stdout or "null") == [text for _, text in ROUGH], done.stderr
