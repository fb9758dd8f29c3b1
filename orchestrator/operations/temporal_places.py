"""Where runs are at Temporal, and with which key they are spoken to there."""

from __future__ import annotations

import os
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from ..core.errors import BusyError, InputError, TemporalError
from ..core.settings import TEMPORAL_ADDRESS_VARIABLE, TEMPORAL_KEY_VARIABLE, Secret, Settings, Temporal
from ..store.journal import RunRow

if TYPE_CHECKING:
    from ..engines.temporal.service import Found, Remote


def temporal_of(row: RunRow, settings: Settings | None = None) -> tuple[Temporal, str]:
    """The cluster that works on the run *row*, as it was begun; and why no key goes there, where there is one (empty: it does).

    The address comes from the journal, which may have been handed over by anybody. So a key goes there only where the one who
    has the key has named the address: in *settings*, or for verbs without any, in the environment.
    """
    from ..engines.temporal.service import from_json

    assert row.temporal is not None
    place = from_json(row.temporal, None)
    if settings is not None:
        key, named = settings.temporal.api_key, settings.temporal.address
    else:
        text = os.environ.get(TEMPORAL_KEY_VARIABLE, "").strip()
        key, named = Secret(text) if text else None, os.environ.get(TEMPORAL_ADDRESS_VARIABLE) or Temporal().address
    if key is None:
        return place, ""
    if named.lower() != place.address.lower():
        return place, (
            f"The key for Temporal was not sent to {place.address}, which the journal names for run {row.run_id}, and the config does "
            f"not: if that is where the key belongs, set temporal.address, or {TEMPORAL_ADDRESS_VARIABLE}={place.address}"
        )
    if place.in_clear:
        return place, (
            f"The key for Temporal was not sent to {place.address}, as run {row.run_id} was begun without TLS, and everybody on the way "
            f"could read it: end the run (`atlas-cutover abort {row.run_id}`), and begin it with temporal.tls: true"
        )
    return replace(place, api_key=key), ""


async def remote_of_run(row: RunRow, settings: Settings | None = None) -> Remote:
    """Where the run *row* is, spoken to with the key of *settings* (None: of the environment), if that is meant for this address.

    Raises:
        InputError: The extra is not installed.
        TemporalError: Temporal does not answer.
    """
    place, withheld = temporal_of(row, settings)
    try:
        return await remote_of(place, row.workflow, rehearsal=row.rehearsal)
    except TemporalError as error:
        raise TemporalError(f"{error}. {withheld}" if withheld else str(error)) from None


async def remote_of(place: Temporal, workflow: str, *, rehearsal: bool) -> Remote:
    """The runs of *workflow* at *place*.

    Raises:
        InputError: The extra is not installed.
        TemporalError: Temporal does not answer.
    """
    try:
        from ..engines.temporal import names, service
    except ModuleNotFoundError as error:
        raise InputError(
            f"engine temporal needs the extra `temporal` ({error.name} is not installed): `pip install 'atlas-cutover[temporal]'`"
        ) from None
    return service.Remote(await service.connect(place), names.run_workflow_id(workflow, rehearsal=rehearsal))


def refuse_strangers(found: Found, remote: Remote) -> None:
    """Raise where *found*, which is open under the name of a run, is none: nothing is begun beside it, and nothing of it is followed.

    Raises:
        BusyError: It is not.
    """
    if not found.run_id:
        address = remote.client.service_client.config.target_host
        named = f"--address {quote(address)} -n {quote(remote.client.namespace)} -w {quote(remote.workflow_id)}"
        raise BusyError(
            f"a workflow that is open at Temporal has the name of this one's runs, {remote.workflow_id}, and is none of them (its memo names no run): "
            f"nothing was begun. See whose it is (`temporal workflow describe {named}`): until its owner ends it, or, where it is nobody's, "
            f"`temporal workflow terminate {named}` does, runs of this workflow cannot begin there"
        )
