"""Where credentials come from: the command line, the environment, the config file, a file it names, a profile of the Atlas CLI.

Within one set there is one kind. Of kinds in different places the nearest place's counts; two in one place are a mistake. Of one kind,
each key is the nearest place's that has it. A set that has a name is the config file's alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..core.errors import InputError, Problem
from ..core.settings import (
    CLIENT_ID_VARIABLE,
    CLIENT_SECRET_VARIABLE,
    PRIVATE_KEY_VARIABLE,
    PROFILE_VARIABLE,
    PUBLIC_KEY_VARIABLE,
    ApiKey,
    CredentialSet,
    Secret,
    ServiceAccount,
)
from ..machine.trusted_files import read_bytes
from .atlas_profiles import Profile, ProfileError, config_toml, has_profile, read_profile
from .input_file import decode, why_unreadable
from .scalars import parse_key
from .yaml_file import KeyPath


class CredentialKind(StrEnum):
    """What a set of credentials may be, as messages call it."""

    ACCOUNT = "a service account"
    API_KEY = "an API key"
    PROFILE = "a profile"


FIELDS = {
    CredentialKind.ACCOUNT: {"client_id": CLIENT_ID_VARIABLE, "client_secret": CLIENT_SECRET_VARIABLE},
    CredentialKind.API_KEY: {"public_key": PUBLIC_KEY_VARIABLE, "private_key": PRIVATE_KEY_VARIABLE},
}
VARIABLES = {name: variable for pair in FIELDS.values() for name, variable in pair.items()} | {
    "profile": PROFILE_VARIABLE
}
WITH_FILES = frozenset({"client_secret", "public_key", "private_key"})
DEFAULT_PROFILE = "default"
_READABLE_BY_OTHERS = 0o044


class CredentialsReader:
    """Reads sets of credentials.

    Args:
        environ: The environment.
        wrong: Is told of mistakes, by the key's path.
        problem: Makes a problem of what is missing at a key's path.
        placed: Makes the name of a file that stands at a key's path absolute; None: it is nowhere, and that has been told.
        unset: The variables in the config file that are not set, by the key's path.
        origins: Where a value came from that is not in the config file, by the key's path; is added to.
        config: The config file.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        wrong: Callable[[KeyPath, str], None],
        problem: Callable[[KeyPath, str], Problem],
        placed: Callable[[KeyPath, str], Path | None],
        unset: Mapping[KeyPath, str],
        origins: dict[KeyPath, tuple[str, str]],
        config: Path | None,
    ) -> None:
        self._environ = environ
        self._wrong = wrong
        self._problem = problem
        self._placed = placed
        self._unset = unset
        self._origins = origins
        self._config = config
        self.warnings: list[str] = []
        self.profiles: dict[str | None, Profile] = {}
        """The profiles that were read, by the name of their set; None: that of `atlas`."""

    def of_atlas(self, given: Mapping[str, Any], *, nearest: Mapping[str, Any]) -> CredentialSet:
        """The set that holds where a workflow names none.

        Args:
            given: What stands under `atlas`.
            nearest: What of it goes before the environment: `--profile`, or what a program gives.
        """
        path: KeyPath = ("atlas",)
        if kinds := self._kinds_of(nearest):
            if not self._is_one_kind(path, kinds):
                return CredentialSet()
            (kind,) = kinds
            return (
                self._of_profile(path, nearest["profile"])
                if kind is CredentialKind.PROFILE
                else self._of_pair(path, given, kind)
            )
        return self._of_environment_or_file(path, given)

    def _of_environment_or_file(self, path: KeyPath, given: Mapping[str, Any]) -> CredentialSet:
        near, far = self._kinds_of_environment(), self._kinds_of(given)
        if len(near) > 1:
            first, second = (next(iter(names)) for names in list(near.values())[:2])
            self._origins[*path, first] = ("environment", VARIABLES[first])
            self._wrong(
                (*path, first),
                f"stands beside {VARIABLES[second]}: {' and '.join(near)} in one place; set one of the two",
            )
            return CredentialSet()
        if not self._is_one_kind(path, far):
            return CredentialSet()
        kind = next(iter(near or far), None)
        if near and far and kind not in far:
            variable = VARIABLES[next(iter(near[kind or CredentialKind.PROFILE]))]
            self.warnings.append(
                f"{next(iter(far))} in {self._config} is not used: {variable} in the environment goes before it"
            )
            given = {}
        match kind:
            case None:
                return self._of_default_profile(path) or self._of_pair(path, given, self._kind_unset(path))
            case CredentialKind.PROFILE:
                name = given.get("profile")
                if CredentialKind.PROFILE in near:
                    if name not in (None, self._environ[PROFILE_VARIABLE]):
                        self._tell_unused((*path, "profile"), PROFILE_VARIABLE)
                    self._origins[*path, "profile"] = ("environment", PROFILE_VARIABLE)
                    name = self._environ[PROFILE_VARIABLE]
                assert name is not None
                return self._of_profile(path, name)
            case _:
                return self._of_pair(path, given, kind)

    def named(self, name: str, given: Mapping[str, Any]) -> CredentialSet:
        """The set *name* of `credentials`, of which *given* stands in the config file."""
        path: KeyPath = ("credentials", name)
        kinds = self._kinds_of(given)
        if not self._is_one_kind(path, kinds):
            return CredentialSet()
        kind = next(iter(kinds), None)
        if kind is CredentialKind.PROFILE:
            return self._of_profile(path, given["profile"], name=name)
        if kind is None and (kind := self._kind_unset(path)) is None:
            self._wrong(path, "is empty: expected client_id and client_secret, public_key and private_key, or profile")
            return CredentialSet()
        return self._of_pair(path, given, kind)

    # -- which kind --------------------------------------------------------------------------------------------------

    def _kinds_of_environment(self) -> dict[CredentialKind, list[str]]:
        found: dict[CredentialKind, list[str]] = {}
        for kind, names in (
            *((kind, list(pair)) for kind, pair in FIELDS.items()),
            (CredentialKind.PROFILE, ["profile"]),
        ):
            if there := [name for name in names if self._environ.get(VARIABLES[name])]:
                found[kind] = there
        return found

    def _kinds_of(self, given: Mapping[str, Any]) -> dict[CredentialKind, list[str]]:
        """The kinds in the config file, with the keys that were given of each."""
        found: dict[CredentialKind, list[str]] = {}
        for kind, pair in FIELDS.items():
            names = [name for key in pair for name in (key, f"{key}_file") if _is_text(given.get(name))]
            if names:
                found[kind] = names
        if _is_text(given.get("profile")):
            found[CredentialKind.PROFILE] = ["profile"]
        return found

    def _is_one_kind(self, path: KeyPath, kinds: Mapping[CredentialKind, list[str]]) -> bool:
        if len(kinds) < 2:
            return True
        first, second = (names[0] for names in list(kinds.values())[:2])
        self._wrong((*path, first), f"stands beside {second}: {' and '.join(kinds)} in one place; give one of them")
        return False

    def _kind_unset(self, path: KeyPath) -> CredentialKind | None:
        """The kind of which the config file names variables that are not set."""
        return next((kind for kind, pair in FIELDS.items() if any((*path, name) in self._unset for name in pair)), None)

    # -- one kind ----------------------------------------------------------------------------------------------------

    def _of_pair(self, path: KeyPath, given: Mapping[str, Any], kind: CredentialKind | None) -> CredentialSet:
        """A service account or an API key, of which both halves are needed."""
        pair = FIELDS[kind or CredentialKind.API_KEY]
        usual = path == ("atlas",)
        problems: list[Problem] = []
        found: dict[str, tuple[Secret, str]] = {}
        for name, variable in pair.items():
            value = self._value(path, name, given, variable if usual else None, problems)
            if value is not None:
                found[name] = value
        if kind is None and usual:
            problems.append(
                self._problem(
                    path,
                    f"there are no credentials: beside an API key, a service account ({CLIENT_ID_VARIABLE} and "
                    f"{CLIENT_SECRET_VARIABLE}) or a profile of the Atlas CLI (--profile) will do",
                )
            )
        source = ", ".join(dict.fromkeys(source for _, source in found.values()))
        if len(found) < len(pair):
            return CredentialSet(source=source, given=kind is not None, problems=tuple(problems))
        (one, _), (other, _) = (found[name] for name in pair)
        if kind is CredentialKind.ACCOUNT:
            return CredentialSet(credentials=ServiceAccount(client_id=one.reveal(), client_secret=other), source=source)
        return CredentialSet(credentials=ApiKey(public_key=one, private_key=other), source=source)

    def _value(
        self, path: KeyPath, name: str, given: Mapping[str, Any], variable: str | None, problems: list[Problem]
    ) -> tuple[Secret, str] | None:
        """A half, and where it comes from; where it is missing, *problems* say so."""
        here, key, file = (*path, name), given.get(name), given.get(f"{name}_file")
        if not isinstance(key, str | None) or not isinstance(file, str | None) or "" in (key, file):
            return None  # the model tells it
        if file is not None and (key is not None or here in self._unset):
            self._wrong(here, f"stands beside {name}_file; give one of the two")
            return None
        named = (*path, f"{name}_file") if file is not None else here
        if file is not None:
            secret = self._from_file(named, name, file)
        else:  # it is looked at also where the environment goes before it: what is wrong there is to be mended
            secret = None if key is None else self._checked(here, name, key)
        by_program = here in self._origins or named in self._origins
        if variable and not by_program and (value := self._environ.get(variable)):
            if secret is not None and secret.reveal() != value.strip():
                self._tell_unused(named, variable)
            self._origins[here] = ("environment", variable)
            secret = self._checked(here, name, value)
            source = self._source(here)
            if key is not None:
                del self._origins[here]  # what else is wrong there is wrong in the file
            return None if secret is None else (secret, source)
        if key is None and file is None:
            where, unset = ".".join(map(str, path)), self._unset.get(here)
            why = f"is missing: {unset} is not set or empty; " if unset else "is missing: "
            ways = f"{name} or {name}_file under {where} in the config file" if name in WITH_FILES else f"{name} there"
            problems.append(self._problem(here, f"{why}set {variable}, or {ways}" if variable else f"{why}give {ways}"))
        return None if secret is None else (secret, self._source(named))

    def _tell_unused(self, path: KeyPath, variable: str) -> None:
        """Warn that what the config file has at *path* is not used, as *variable* goes before it."""
        self.warnings.append(
            f"{'.'.join(map(str, path))} in {self._config} is not used: {variable} in the environment goes before it"
        )

    def _source(self, path: KeyPath) -> str:
        """Where the value at *path* comes from."""
        if path not in self._origins:
            return f"{self._config}: {'.'.join(map(str, path))}"
        file, key = self._origins[path]
        return key if file == "command line" else f"{file}: {key}"

    def _checked(self, path: KeyPath, name: str, value: str) -> Secret | None:
        if wrong := misplaced(name, value):
            self._wrong(path, wrong)
            return None
        try:
            return Secret(parse_key(value))
        except ValueError as error:
            self._wrong(path, str(error))
            return None

    def _from_file(self, path: KeyPath, name: str, named: str) -> Secret | None:
        file = self._placed(path, named)
        if file is None:
            return None
        try:
            text = decode(read_bytes(file), str(file)).rstrip("\r\n")
        except InputError:
            self._wrong(path, "names a file that is not UTF-8 text")
            return None
        except (OSError, ValueError) as error:
            self._wrong(path, f"the file it names {why_unreadable(error)}")
            return None
        if not text:
            self._wrong(path, "names a file that is empty, expected a key in it")
            return None
        self.warn_if_readable(file, f"the key file {file}")
        return self._checked(path, name, text)

    # -- profiles ----------------------------------------------------------------------------------------------------

    def _of_profile(self, path: KeyPath, wanted: str, *, name: str | None = None) -> CredentialSet:
        source = self._source((*path, "profile"))
        try:
            return self._profile(wanted, source, name=name)
        except ProfileError as error:
            told = self._problem((*path, "profile"), f"the Atlas CLI's profile {wanted!r} {error}")
            return CredentialSet(source=source, problems=(told,))

    def _of_default_profile(self, path: KeyPath) -> CredentialSet | None:
        """The profile that the Atlas CLI uses where none is named, if it has one; None otherwise."""
        try:
            file = config_toml(self._environ)
        except ProfileError:
            return None  # where nobody lives, the Atlas CLI has no profiles
        if self._kind_unset(path):
            return None
        try:
            if not has_profile(DEFAULT_PROFILE, file):
                return None
            return self._profile(DEFAULT_PROFILE, "nothing else is given", name=None)
        except ProfileError as error:
            told = self._problem(
                path, f"there are no credentials, and the Atlas CLI's profile {DEFAULT_PROFILE!r} {error}"
            )
            return CredentialSet(given=False, problems=(told,))

    def _profile(self, wanted: str, source: str, *, name: str | None) -> CredentialSet:
        file = config_toml(self._environ)
        profile = self.profiles[name] = read_profile(wanted, file)
        self.warn_if_readable(file, f"the Atlas CLI's {file}", unless=len(profile.keychain) > 0)
        keychain = " and the system's keychain" if profile.keychain else ""
        credentials: ApiKey | ServiceAccount
        for key, text in (("client_id", profile.client_id), ("public_key", profile.public_key)):
            if text is not None and (wrong := misplaced(key, text)):
                raise ProfileError(f"is not usable: its {key} {wrong}")
        for key, text in profile.secrets().items():
            try:
                parse_key(text)
            except ValueError as error:
                raise ProfileError(f"is not usable: its {key}: {error}") from None
        if profile.client_id is not None and profile.client_secret is not None:
            credentials = ServiceAccount(client_id=profile.client_id, client_secret=Secret(profile.client_secret))
        else:
            credentials = ApiKey(
                public_key=Secret(profile.public_key or ""), private_key=Secret(profile.private_key or "")
            )
        return CredentialSet(
            credentials=credentials,
            source=f"profile {wanted} of {file}{keychain} ({source})",
            org_id=profile.org_id,
            project_id=profile.project_id,
        )

    def warn_if_readable(self, file: Path, subject: str, *, unless: bool = False) -> None:
        """Warn that others can read *file*, which holds a secret, on systems that can tell."""
        if not unless and os.name == "posix" and file.stat().st_mode & _READABLE_BY_OTHERS:
            self.warnings.append(f"{subject} can be read by others than its owner: chmod 600 {file}")


def misplaced(name: str, value: str) -> str | None:
    """Why *value* cannot be what *name* says, where its beginning tells; None: it does not tell that."""
    if name in FIELDS[CredentialKind.API_KEY] and value.startswith("mdb_sa_"):
        key = "client_secret" if value.startswith("mdb_sa_sk_") else "client_id"
        what = "secret" if key == "client_secret" else "id"
        return f"is a service account's {what}, no API key: it goes into {key} ({VARIABLES[key]})"
    if name == "client_id" and value.startswith("mdb_sa_sk_"):
        return "is a service account's secret: it goes into client_secret, and its id (mdb_sa_id_...) here"
    if name == "client_secret" and value.startswith("mdb_sa_id_"):
        return "is a service account's id: it goes into client_id, and its secret (mdb_sa_sk_...) here"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
