"""What is said of a `--profile` that changes nothing."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import pytest

from orchestrator.cli.inputs import say_if_profile_is_unused

from ..builders import workflow


def test_a_profile_that_nothing_uses_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Where each migration names other credentials, or nothing is asked of Atlas; and not where it is used."""
    own = workflow(("orders",))
    args = Namespace(profile="ops")
    say_if_profile_is_unused(args, own)
    assert not capsys.readouterr().err
    say_if_profile_is_unused(args, own, asks=False)
    assert capsys.readouterr().err == "warning: --profile ops is not used: nothing is asked of Atlas here\n"
    orders = replace(own.waves[0].migrations[0], credentials="eu")
    theirs = replace(own, waves=(replace(own.waves[0], migrations=(orders,)),))
    say_if_profile_is_unused(args, theirs)
    assert "--profile ops is not used: every migration of retail-eu names credentials" in capsys.readouterr().err
    say_if_profile_is_unused(Namespace(profile=None), theirs, asks=False)
    assert not capsys.readouterr().err
