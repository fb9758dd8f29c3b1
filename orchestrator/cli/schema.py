"""`schema`: for editors."""

from __future__ import annotations

from argparse import Namespace

from .parser import Commands


def add(commands: Commands) -> None:
    """`schema` and its argument."""
    parser = commands.add(
        "schema",
        _schema,
        does="the JSON Schema of a workflow or config file, for editors",
        examples=("atlas-cutover schema workflow > workflow.schema.json",),
    )
    parser.add_argument(
        "which", choices=("workflow", "config"), metavar="workflow|config", help="which file the schema is for"
    )


def _schema(args: Namespace) -> int:
    import json

    if args.which == "workflow":
        from ..files.workflow_file import workflow_schema as schema
    else:
        from ..files.config import config_schema as schema
    print(json.dumps(schema(), indent=2))
    return 0
