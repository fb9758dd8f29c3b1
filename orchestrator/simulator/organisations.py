"""Who may ask for what: organisations, each with an API key, a service account or both, and with projects of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One organisation.

    Args:
        keys: Public and private API key.
        account: Client id and secret of a service account.
        projects: The projects that it hosts; None: all those that no other one names.
        role: What its credentials may do there; only ORG_OWNER may cut over.
    """

    keys: tuple[str, str] | None = field(default=None, repr=False)
    account: tuple[str, str] | None = field(default=None, repr=False)
    projects: frozenset[str] | None = None
    role: str = "ORG_OWNER"


class Organisations:
    """All of them, by whom they are asked."""

    def __init__(self, organisations: Iterable[Organisation]) -> None:
        self._all = tuple(organisations)
        self._named = frozenset().union(*(one.projects for one in self._all if one.projects is not None))
        self.keys = dict(one.keys for one in self._all if one.keys is not None)
        self.accounts = dict(one.account for one in self._all if one.account is not None)
        self._by_user = {one.keys[0]: one for one in self._all if one.keys is not None}
        self._by_user.update({one.account[0]: one for one in self._all if one.account is not None})

    def of(self, user: str) -> Organisation | None:
        """The organisation of *user* (a public key or a client id); None: there is none (nobody was asked for credentials)."""
        return self._by_user.get(user)

    def hosts(self, user: str, group_id: str) -> bool:
        """Whether the organisation of *user* (a public key or a client id) hosts the project *group_id*."""
        projects = self._by_user[user].projects
        return group_id not in self._named if projects is None else group_id in projects
