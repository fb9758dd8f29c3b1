"""Who Atlas says is asking: the API key's roles and access list, as the root resource tells them.

Source: the OpenAPI file's `SystemStatus`, `ApiKey` and `CloudAccessRoleAssignment`. Of a service account it tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..text.escaping import one_line
from .wire import told

OWNER = "ORG_OWNER"
"""The role that the cutover needs."""
LONGEST_NAME = 200  # characters of a role's name, an id or an address; those of Atlas are shorter by far


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The role *name* in the organisation *org_id*, or in the project *group_id* of one."""

    name: str
    org_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is told of who asks; None: nothing is told of it."""

    roles: tuple[Role, ...] | None = None
    access_list: tuple[str, ...] | None = None

    @property
    def lacks_owner(self) -> bool:
        """Whether Atlas tells the roles, and the one that the cutover needs is not among them."""
        return self.roles is not None and all(role.name != OWNER for role in self.roles)

    @property
    def organisations(self) -> tuple[str, ...]:
        """The ids of the organisations that the roles are in."""
        return tuple(dict.fromkeys(role.org_id for role in self.roles or () if role.org_id is not None))


def identity(document: dict[str, Any], *, clean: Callable[[str], str]) -> Identity:
    """What *document*, a `SystemStatus`, tells. *clean* takes secrets out of its texts, which a server that echoes them may have there."""
    key = document.get("apiKey")
    if not isinstance(key, dict):
        return Identity()
    roles, access = key.get("roles"), key.get("accessList")
    return Identity(
        roles=tuple(filter(None, map(partial(_role, clean), roles))) if isinstance(roles, list) and roles else None,
        access_list=tuple(filter(None, map(partial(_address, clean), access))) if isinstance(access, list) else None,
    )


def _role(clean: Callable[[str], str], item: Any) -> Role | None:
    if not isinstance(item, dict) or (name := _name(clean, item.get("roleName"))) is None:
        return None
    return Role(name=name, org_id=_name(clean, item.get("orgId")), group_id=_name(clean, item.get("groupId")))


def _address(clean: Callable[[str], str], item: Any) -> str | None:
    return _name(clean, (item.get("cidrBlock") or item.get("ipAddress")) if isinstance(item, dict) else item)


def _name(clean: Callable[[str], str], value: Any) -> str | None:
    """*value* where it is text: without secrets, not too long, and on one line."""
    text = told(value, clean, longest=LONGEST_NAME)
    return None if text is None else one_line(text)
