"""`simulate`: the simulated Atlas as a process of its own."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.speeds import SIMULATOR_SPEED
from .parser import Commands, add_simulator_options

if TYPE_CHECKING:
    from ..core.workflow import Workflow
    from ..simulator import Scenario


def add(commands: Commands) -> None:
    """`simulate` and its options."""
    parser = commands.add(
        "simulate",
        _simulate,
        does="a simulated Atlas on loopback; prints its base URL first",
        examples=("atlas-cutover simulate --port 0 --workflow retail.yaml --speed 10",),
    )
    parser.add_argument("--workflow", type=Path, metavar="FILE", help="its live migrations are the jobs")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="0 (default): any free one")
    parser.add_argument("--api", choices=("v2", "v1.0"), default="v2", help="which base URL to print")
    add_simulator_options(parser, default_speed=SIMULATOR_SPEED, only="")


def _simulate(args: Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    from ..core.errors import InputError
    from ..core.settings import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, PRIVATE_KEY_VARIABLE, PUBLIC_KEY_VARIABLE
    from ..files.workflow_file import load_workflow
    from ..machine.loops import run_loop
    from ..simulator import simulate

    keys = _pair(PUBLIC_KEY_VARIABLE, PRIVATE_KEY_VARIABLE)
    account = _pair(CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE)
    if keys is None and account is None:
        raise InputError(
            f"the simulator takes its keys from the environment: set {PUBLIC_KEY_VARIABLE} and {PRIVATE_KEY_VARIABLE} "
            f"to any text, or {CLIENT_ID_VARIABLE} and {CLIENT_SECRET_VARIABLE}"
        )
    workflow = load_workflow(args.workflow) if args.workflow else None

    async def serve() -> None:
        await simulate(
            workflow=workflow,
            keys=keys,
            account=account,
            scenario=read_scenario(args, args.workflow, workflow),
            speed=checked_speed(args.speed, default=SIMULATOR_SPEED),
            host=args.host,
            port=args.port,
            api=args.api,
        )

    run_loop(serve)
    return 0


def _pair(one: str, other: str) -> tuple[str, str] | None:
    """The values of two variables of the environment, without a line end behind them; None: neither is set."""
    from ..core.errors import InputError

    values = os.environ.get(one, "").rstrip("\r\n"), os.environ.get(other, "").rstrip("\r\n")
    if any(values) and not all(values):
        raise InputError(f"{one} and {other} belong together: set both, or neither")
    return values if all(values) else None


def read_scenario(args: Namespace, file: Path | None, workflow: Workflow | None) -> Scenario:
    """The scenario that was named, else the one that lies beside the workflow *file*, else one without faults."""
    from ..simulator import Scenario, load_scenario

    if args.scenario is not None:
        return load_scenario(args.scenario, workflow=workflow)
    beside = file.with_name(f"{file.stem}.scenario.yaml") if file is not None else None
    if beside is not None and os.path.exists(beside):  # noqa: PTH110 - which raises nothing where the name is too long
        return load_scenario(beside, workflow=workflow)
    return Scenario()


def checked_speed(speed: float | None, *, default: float) -> float:
    """*speed*, if time passes with it; *default* where none was given."""
    from ..core.arguments import number
    from ..core.speeds import HIGHEST_SPEED

    return default if speed is None else number("--speed", speed, over=0, most=HIGHEST_SPEED)
