"""Who Atlas says is asking: the API key's roles and access list, as the root resource tells them.

Source: the OpenAPI file's `SystemStatus`, `ApiKey` and `CloudAccessRoleAssignment`. Of a service account it tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OWNER = "ORG_OWNER"
"""The role that the cutover needs."""


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


def identity(document: dict[str, Any]) -> Identity:
    """What *document*, a `SystemStatus`, tells."""
    key = document.get("apiKey")
    if not isinstance(key, dict):
        return Identity()
    roles, access = key.get("roles"), key.get("accessList")
    return Identity(
        roles=tuple(filter(None, map(_role, roles))) if isinstance(roles, list) and roles else None,
        access_list=tuple(filter(None, map(_address, access))) if isinstance(access, list) else None,
    )


def _role(item: Any) -> Role | None:
    if not isinstance(item, dict) or not isinstance(item.get("roleName"), str):
        return None
    org, group = item.get("orgId"), item.get("groupId")
    return Role(
        name=item["roleName"],
        org_id=org if isinstance(org, str) else None,
        group_id=group if isinstance(group, str) else None,
    )


def _address(item: Any) -> str | None:
    found = (item.get("cidrBlock") or item.get("ipAddress")) if isinstance(item, dict) else item
    return found if isinstance(found, str) else None
