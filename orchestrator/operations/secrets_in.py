"""A workflow holds no keys: it is kept in the journal, shown in reports and on the page, and its hooks' commands are in every `ps`."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import InputError, Problem
from ..core.settings import NOTIFY_URLS, Settings
from ..core.vars import Vars
from ..core.workflow import HookKind, Hooks, Workflow
from ..text.redaction import Redactor
from ..text.tokens_in import secret_parts


def refuse_secrets(workflow: Workflow, settings: Settings) -> None:
    """Return when nothing that is secret in *settings*, or looks so, stands in *workflow*.

    Raises:
        InputError: Something does; each place is told, and no value.
    """
    redactor = settings.redactor
    places: dict[str, str] = {}
    for place, text in _texts(workflow):
        if redactor.holds_secret(text):
            places[place] = f"{_CONFIGURED} ({_holder(text, settings)})"
        elif redactor.looks_secret(text):
            places.setdefault(place, _LIKE_ONE)
    if places:
        file = workflow.file or "workflow"
        raise InputError(
            problems=[Problem(file=file, line=0, key=place, message=f"{what}{_WHY}") for place, what in places.items()]
        )


_CONFIGURED = "holds a key, secret or token that is configured here"
_LIKE_ONE = "holds what looks like a key, secret or token"
_WHY = ", and would be kept in the journal and shown in reports: take it out, and let the hook read it from a file of its own"


def _holder(text: str, settings: Settings) -> str:
    """Where the secret in *text* is configured: a short password of a notification's address may be a harmless name's beginning."""
    for place, secrets in settings.secrets_by_place().items():
        values = [secret.reveal() for secret in secrets]
        if place == NOTIFY_URLS:
            values = [part for url in values for part in secret_parts(url)]
        if Redactor(values).holds_secret(text):
            return place
    return "a proxy's address, or another variable of the environment"


def _texts(workflow: Workflow) -> Iterator[tuple[str, str]]:
    """Every text that somebody has written there, with its place."""
    yield "name", workflow.name
    named: set[tuple[str, ...]] = set()
    yield from _of_vars("vars", workflow.vars, named)
    if workflow.forecast_by is not None:
        yield "forecast_by", workflow.forecast_by
    yield from _of_hooks("run_hooks", workflow.hooks)
    seen: set[Hooks] = set()
    for wave in workflow.waves:
        place = f"wave {wave.name!r}"
        yield "waves", wave.name
        yield from _of_hooks(f"wave_hooks of {place}", wave.hooks)
        yield from _of_vars(f"vars of {place}", wave.vars, named)
        for number, migration in enumerate(wave.migrations, 1):
            yield f"{place}: name of its migration {number}", migration.name
            if migration.hooks not in seen:  # thousands have the same ones
                seen.add(migration.hooks)
                yield from _of_hooks(f"hooks of migration {migration.name!r}", migration.hooks)
            if migration.vars is not wave.vars:
                yield from _of_vars(f"vars of migration {migration.name!r}", migration.vars, named)


def _of_vars(place: str, variables: Vars, named: set[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """*named*: the names that were given out, which thousands of migrations share."""
    if variables.names not in named:
        named.add(variables.names)
        yield from ((f"{place}: name of variable {number}", name) for number, name in enumerate(variables.names, 1))
    yield from ((f"{place}: {name}", value) for name, value in variables.items())


def _of_hooks(place: str, hooks: Hooks) -> Iterator[tuple[str, str]]:
    for kind in HookKind:
        yield from ((f"{place}: {kind}", word) for argv in hooks.of(kind) for word in argv)
