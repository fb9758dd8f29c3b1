"""`auth`: which credentials there are, and whether Atlas takes them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outputs import tell, tell_whole
from .parser import Commands, add_format, add_profile

if TYPE_CHECKING:
    from ..operations.auth import Found, Seen

NAMES = 40  # of roles, organisations and addresses on a line; `--format json` has them all


def add(commands: Commands) -> None:
    """`auth` and its arguments."""
    parser = commands.add(
        "auth",
        _auth,
        does="which credentials there are and where they come from, never a secret; --online: what Atlas says of them",
        examples=("atlas-cutover auth", "atlas-cutover auth retail.yaml --online", "atlas-cutover auth --profile ops"),
    )
    parser.add_argument(
        "workflow", type=Path, nargs="?", metavar="WORKFLOW", help="also whether each of its projects can be read"
    )
    parser.add_argument(
        "--online", action="store_true", help="ask Atlas (GETs only): organisation, roles, access list, projects"
    )
    add_profile(parser)
    add_format(parser)


def _auth(args: Namespace) -> int:
    """Print the sets; exit 0 when those that are needed are there, and with `--online` are taken."""
    import json
    import sys
    from dataclasses import asdict
    from functools import partial

    from ..files.workflow_file import load_workflow
    from ..machine.loops import run_loop
    from ..operations.auth import find, look
    from .inputs import read_settings

    settings = read_settings(args)
    workflow = None if args.workflow is None else load_workflow(args.workflow, credentials=settings.credentials)
    found = find(settings, workflow)
    seen = run_loop(partial(look, settings, workflow)) if args.online else None
    if args.format == "json":
        sets = [
            {**asdict(one), "atlas": next((_told(each) for each in seen or () if each.name == one.name), None)}
            for one in found
        ]
        tell_whole(json.dumps({"base_url": settings.atlas.base_url, "sets": sets}, indent=2))
    else:
        _print(settings.atlas.base_url, found, seen)
    missing = [one for one in found if one.kind is None and (one.needed or workflow is None)]
    for problem in dict.fromkeys(problem for one in missing for problem in one.problems):
        tell(str(problem), file=sys.stderr)
    if missing:
        return 2
    concerned = {one.name for one in found if one.needed or workflow is None}
    return 6 if any(not one.usable for one in seen or () if one.name in concerned) else 0


def _told(seen: Seen) -> dict[str, Any]:
    """What Atlas said, for another program."""
    from dataclasses import asdict

    return {
        "usable": seen.usable,
        "error": seen.error,
        "organisations": list(seen.identity.organisations),
        "roles": None if seen.identity.roles is None else [role.name for role in seen.identity.roles],
        "access_list": None if seen.identity.access_list is None else list(seen.identity.access_list),
        "projects": [asdict(project) for project in seen.projects],
    }


def _print(base_url: str, found: list[Found], seen: list[Seen] | None) -> None:
    from .tables import print_table

    tell(f"credentials for {base_url}")
    rows = [(one.name or "atlas", one.kind or "none", one.who or "-", one.source or "-") for one in found]
    print_table(("SET", "KIND", "WHO", "FROM"), rows)
    for each in seen or ():
        _print_seen(each, next(one for one in found if one.name == each.name))


def _print_seen(seen: Seen, found: Found) -> None:
    from ..text.counts import names_listed

    name, who = seen.name or "atlas", seen.identity
    if seen.error is not None:
        tell(f"{name}: not usable: {seen.error}")
        return
    organisations = who.organisations or ((found.org_id,) if found.org_id else ())
    tell(f"{name}: taken by Atlas; organisation {names_listed(organisations, NAMES) or 'not told'}")
    if who.roles is None:
        tell(f"{name}: roles not told; the cutover needs Organization Owner")
    else:
        lacks = "; the cutover needs ORG_OWNER" if who.lacks_owner else ""
        tell(f"{name}: roles {names_listed([role.name for role in who.roles], NAMES)}{lacks}")
    if who.access_list is not None:
        tell(f"{name}: access list {names_listed(who.access_list, NAMES) or 'empty'}")
    for project in seen.projects:
        tell(
            f"{name}: project {project.group_id} {'readable' if project.readable else f'not readable: {project.error}'}"
        )
