from __future__ import annotations

import pytest

from orchestrator.core.errors import BusyError, CutoverError, InputError, JournalError, Problem
from orchestrator.core.outcomes import EXIT_MEANINGS, ExitCode, RemoteStatus, is_known, normalise


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("PENDING", RemoteStatus.PENDING),
        ("NEW", RemoteStatus.PENDING),
        ("WORKING", RemoteStatus.PENDING),
        ("QUEUED", RemoteStatus.PENDING),
        (None, RemoteStatus.PENDING),
        ("SUCCESS", RemoteStatus.SUCCESS),
        ("COMPLETE", RemoteStatus.SUCCESS),
        ("FAILED", RemoteStatus.FAILED),
        ("EXPIRED", RemoteStatus.FAILED),
    ],
)
def test_every_word_of_the_api_pages_has_its_meaning(word: str | None, meaning: RemoteStatus) -> None:
    """The words of both APIs come down to the three of v1.0, and none of them deserves a warning."""
    assert normalise(word) is meaning
    assert is_known(word)


@pytest.mark.parametrize("word", ["", "complete", "Failed", "DONE", "SUCCESS "])
def test_a_word_nobody_knows_is_pending_and_worth_a_warning(word: str) -> None:
    """A new word, or one in another case, ends nothing: the job is read again."""
    assert normalise(word) is RemoteStatus.PENDING
    assert not is_known(word)


def test_exit_codes_are_those_of_the_contract() -> None:
    """Schedulers rely on the numbers."""
    assert {code.name: int(code) for code in ExitCode} == {
        "SUCCESS": 0,
        "FAILED": 1,
        "INVALID": 2,
        "INCOMPLETE": 3,
        "IN_DOUBT": 4,
        "BUSY": 5,
        "UNREACHABLE": 6,
        "SIGINT": 130,
        "SIGTERM": 143,
    }


@pytest.mark.parametrize(("error", "code"), [(InputError, 2), (JournalError, 2), (BusyError, 5)])
def test_every_error_knows_its_exit_code(error: type[CutoverError], code: int) -> None:
    """Whoever catches the root of the tree can end the process rightly."""
    assert error("x").exit_code == code


def test_a_problem_says_file_line_and_key_as_far_as_it_has_them() -> None:
    """A file without lines, and a mistake without key, leave no stray colons."""
    assert str(Problem(file="w.yaml", line=3, key="waves", message="is empty")) == "w.yaml:3: waves: is empty"
    assert str(Problem(file="w.yaml", line=0, key="", message="is absent")) == "w.yaml: is absent"


def test_an_input_error_lists_all_its_problems() -> None:
    """Every mistake is shown at once."""
    problems = [Problem(file="w.yaml", line=n, key="k", message="wrong") for n in (1, 2)]
    error = InputError(problems=iter(problems))
    assert error.problems == tuple(problems)
    assert str(error) == "w.yaml:1: k: wrong\nw.yaml:2: k: wrong"


def test_exit_code_3_says_nothing_of_hooks() -> None:
    """A `before` hook of the run that fails starts nothing: that no live migration failed is true, and that nothing did is not."""
    assert EXIT_MEANINGS[ExitCode.INCOMPLETE].startswith("no live migration failed, but some cutovers were not started")
