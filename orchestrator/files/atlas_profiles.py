"""Profiles of the Atlas CLI: what its `config.toml` says, and what it has put into the system's keychain.

Versions 1 and 2 of the file are the same, but that with `version = 2` the Atlas CLI moves secrets to the keychain where there is one
(service `atlascli_<profile>`, user: the key's name) and leaves them in the file where there is none.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..machine.person import home_of
from ..machine.trusted_files import read_bytes
from .input_file import decode, why_unreadable
from .scalars import did_you_mean

GOVERNMENT_HOST = "https://cloud.mongodbgov.com"
EXTRA = "`pip install 'atlas-cutover[keyring]'`"
_KEYCHAIN_VERSION = 2
_DEEPEST = 500  # dots in one line: tables within tables, if it is a key
_FIELDS = ("client_id", "client_secret", "public_api_key", "private_api_key")


class ProfileError(Exception):
    """Raised when a profile cannot be used; the message goes on from the profile's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile. *file*: where it was found. *keychain*: the keys that came from the keychain."""

    name: str
    file: Path
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    public_key: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    keychain: tuple[str, ...] = ()
    base_url: str | None = None
    org_id: str | None = None
    project_id: str | None = None

    def secrets(self) -> dict[str, str]:
        """The halves of its credentials that it has, by the Atlas CLI's names for them."""
        values = (self.client_id, self.client_secret, self.public_key, self.private_key)
        return {key: value for key, value in zip(_FIELDS, values, strict=True) if value is not None}


def config_toml(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where the Atlas CLI keeps its profiles.

    Raises:
        ProfileError: In the home directory, and there is none.
    """
    config = environ.get("XDG_CONFIG_HOME") or ""
    if platform not in ("win32", "darwin") and config.startswith("/"):
        return Path(config) / "atlascli" / "config.toml"
    home = home_of(environ)
    if home is None:
        raise ProfileError("is looked for in the home directory, and this user has none: set HOME")
    if platform == "win32":
        return Path(environ.get("AppData") or str(home)) / "atlascli" / "config.toml"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "atlascli" / "config.toml"
    return home / ".config" / "atlascli" / "config.toml"


def has_profile(name: str, file: Path) -> bool:
    """Whether *file* is there and has credentials under *name*.

    Raises:
        ProfileError: It is there, and cannot be read.
    """
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):  # `_read` says what is wrong
        pass
    table = _read(file).get(name)
    return isinstance(table, dict) and any(table.get(key) for key in (*_FIELDS, "auth_type"))


def read_profile(name: str, file: Path) -> Profile:
    """The profile *name* of *file*, with what the keychain has of it.

    Raises:
        ProfileError: There is none, or its credentials are not all to be had.
    """
    document = _read(file)
    tables = sorted(key for key, value in document.items() if isinstance(value, dict))
    table = document.get(name)
    if not isinstance(table, dict):
        known = did_you_mean(name, tables) if tables else "it has none"
        raise ProfileError(f"is not in {file}; {known}")
    texts = {key: value for key, value in table.items() if isinstance(value, str) and value}
    wanted = _wanted(texts, table)
    in_keychain = {}
    for key in wanted:
        if key not in texts:
            in_keychain[key] = _from_keychain(name, key, file, version=document.get("version"))
    found = {**texts, **in_keychain}
    government = texts.get("service") == "cloudgov"
    return Profile(
        name=name,
        file=file,
        client_id=found["client_id"] if "client_id" in wanted else None,
        client_secret=found["client_secret"] if "client_id" in wanted else None,
        public_key=found["public_api_key"] if "public_api_key" in wanted else None,
        private_key=found["private_api_key"] if "public_api_key" in wanted else None,
        keychain=tuple(in_keychain),
        base_url=texts.get("base_url") or texts.get("ops_manager_url") or (GOVERNMENT_HOST if government else None),
        org_id=texts.get("org_id"),
        project_id=texts.get("project_id"),
    )


def _wanted(texts: Mapping[str, str], table: Mapping[str, Any]) -> tuple[str, str]:
    """The keys of the credentials that the profile is made with."""
    match texts.get("auth_type"):
        case "service_account":
            return "client_id", "client_secret"
        case "api_keys":
            return "public_api_key", "private_api_key"
        case "user_account":
            raise ProfileError(
                "is logged in as a person (`atlas auth login`), whose login ends within hours: make a service account, and "
                "`atlas auth login` with it, or name another profile"
            )
    if "client_id" in table or "client_secret" in table:
        return "client_id", "client_secret"
    if "public_api_key" in table or "private_api_key" in table:
        return "public_api_key", "private_api_key"
    if "access_token" in table or "refresh_token" in table:
        raise ProfileError(
            "is logged in as a person, whose login ends within hours: name one of a service account or API key"
        )
    raise ProfileError("has neither a service account nor an API key")


def _from_keychain(profile: str, key: str, file: Path, *, version: Any) -> str:
    where = f"{key} of it is not in {file}"
    if version != _KEYCHAIN_VERSION:
        raise ProfileError(f"is incomplete: {where}")
    try:
        import keyring
    except ImportError:
        raise ProfileError(
            f"keeps its secrets in the system's keychain, which needs the extra `keyring`: {EXTRA}"
        ) from None
    try:
        value = keyring.get_password(f"atlascli_{profile}", key)
    except Exception as error:  # noqa: BLE001 - each keychain has errors of its own, and a wrong choice of one others
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ProfileError(
            f"keeps its secrets in the system's keychain, which cannot be read ({why}): unlock it, or give the same credentials "
            "in the environment or the config file"
        ) from None
    if not value:
        raise ProfileError(f"is incomplete: {where}, nor in the keychain (service atlascli_{profile})")
    return value


def _read(file: Path) -> dict[str, Any]:
    try:
        text = decode(read_bytes(file), str(file))
        if any(
            line.count(".") > _DEEPEST for line in text.splitlines()
        ):  # of which each costs as much as all before it
            raise RecursionError  # noqa: TRY301 - as brackets do
        return tomllib.loads(text)
    except InputError:
        raise ProfileError(f"is looked for in {file}, which is not UTF-8 text") from None
    except RecursionError:  # of brackets in brackets by the thousand as well
        raise ProfileError(
            f"is looked for in {file}, which is no config file of the Atlas CLI: it is nested too deep"
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, tomllib.TOMLDecodeError):
            raise ProfileError(f"is looked for in {file}, which is not TOML ({error})") from None
        raise ProfileError(f"is looked for in {file}, which {why_unreadable(error)}") from None
