"""`worker`: serves the runs of a Temporal cluster."""

from __future__ import annotations

from argparse import Namespace

from .parser import Commands, add_profile


def add(commands: Commands) -> None:
    """`worker` and its arguments."""
    parser = commands.add(
        "worker",
        _worker,
        does="serve the runs that a Temporal cluster works on, until SIGTERM",
        examples=(
            "atlas-cutover worker",
            "atlas-cutover worker --config /etc/atlas-cutover/config.yaml --log-format json",
        ),
    )
    add_profile(parser)


def _worker(args: Namespace) -> int:
    import signal
    import sys
    from contextlib import ExitStack
    from functools import partial

    import structlog

    from ..machine.descriptors import raise_limit
    from ..machine.loops import run_loop
    from ..observers.log.sink import configure_logging
    from ..operations.own_inputs import refuse_overwriting
    from ..operations.serve_runs import serve_runs
    from .inputs import read_settings
    from .signals import signalled
    from .streams import log_format

    settings = read_settings(args)
    refuse_overwriting((), settings)
    raise_limit()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a worker that was stopped right before a PUT left
    with ExitStack() as stack:
        stack.enter_context(
            configure_logging(
                level=settings.logging.level,
                format=log_format(settings.logging.format, sys.stderr),
                file=settings.logging.file,
                secrets=settings.redactor,
                stream=sys.stderr,
            )
        )
        log = structlog.get_logger()
        run_loop(partial(serve_runs, settings, interruptions=signalled, say=log.info, warn=log.warning, guarded=True))
    return 0
