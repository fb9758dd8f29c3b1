"""A config file, the environment and the command line to `Settings`, or everything that is wrong with them at once.

They are laid over one another as text (`layers`), and then checked by one model; so a bad value is told of the file, the
variable or the option that gave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from ..core.errors import InputError, Problem
from ..core.log_choices import DEFAULT_LOG_LEVEL
from ..core.settings import (
    DEFAULT_BASE_URL,
    DEFAULT_RATE_LIMITS,
    DEFAULT_REQUEST_TIMEOUT,
    DEFAULT_SETTLE,
    DEFAULT_STATE_DIR,
    KEY_VARIABLE,
    TEMPORAL_KEY_VARIABLE,
    Api,
    AtlasSettings,
    CredentialSet,
    Engine,
    Logging,
    Observers,
    Polling,
    RateLimit,
    Secret,
    Settings,
    Temporal,
)
from ..machine.certificates import pem_certificates
from ..machine.proxy_variables import proxy_secrets
from ..machine.trusted_files import read_bytes
from ..text.redaction import SHORTEST_SECRET
from .config_model import (
    MODELS,
    AtlasSpec,
    ConfigSpec,
    LoggingSpec,
    MetricsSpec,
    NotifySpec,
    PollingSpec,
    RateLimitSpec,
    TemporalSpec,
    api_of,
    parse_base_url,
)
from .credentials import CredentialsReader
from .fields import problems_of
from .given import leaves
from .input_file import read_input, why_unreadable
from .layers import SECRET_KEYS, Layers, under_atlas
from .references import REFERENCE
from .scalars import format_key
from .state_place import placed
from .yaml_file import KeyPath, YamlDocument, parse_yaml

_GOVERNMENT = "mongodbgov.com"


class SettingsReader:
    """Reads settings once.

    Args:
        path: The config file; None: there is none.
        environ: The environment.
        overrides: What goes before both, as it would stand in a file.
        in_code: Whether they are a program's, and not those of the command line: mistakes are told by their keys.
    """

    def __init__(
        self, path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, Any], in_code: bool = False
    ) -> None:
        self._environ = environ
        self._overrides = leaves(overrides, name="settings")
        self._path = path
        self._document = (
            parse_yaml(read_input(path), str(path)) if path else YamlDocument(data={}, lines=(0, {}), file="settings")
        )
        self._layers = Layers(
            self._document,
            is_file=path is not None,
            environ=environ,
            overrides=self._overrides,
            in_code=in_code,
        )
        self._warnings: list[str] = []
        self._credentials = CredentialsReader(
            environ=environ,
            wrong=self._layers.wrong,
            problem=self._layers.problem,
            placed=self._file,
            unset=self._layers.unset,
            origins=self._layers.origins,
            config=path,
        )

    def read(self) -> Settings:
        """The settings.

        Raises:
            InputError: With everything that is wrong.
        """
        self._warn_of_literal_keys()
        data = self._layers.data()
        # Before the model, whose mistakes end the reading: these are told together with them.
        own, named = self._sets(data)
        ca_file = self._ca_file(under_atlas(data, "ca_file"))
        spec = self._spec(data)
        atlas = spec.atlas or AtlasSpec()
        log = spec.logging or LoggingSpec()
        metrics = spec.metrics or MetricsSpec()
        base_url = self._base_url(atlas)
        request_timeout = atlas.request_timeout or DEFAULT_REQUEST_TIMEOUT
        polling = spec.polling or PollingSpec()
        settings = Settings(
            atlas=AtlasSettings(
                base_url=base_url,
                api=api_of(base_url),
                credentials=own,
                request_timeout=request_timeout,
                settle=max(atlas.settle or DEFAULT_SETTLE, request_timeout),
                ca_file=ca_file,
            ),
            rate_limit=_rate_limit(spec.rate_limit or RateLimitSpec(), api_of(base_url)),
            polling=Polling(initial=polling.initial, factor=polling.factor, max=polling.max, jitter=polling.jitter),
            state_dir=self._file(("state_dir",), spec.state_dir or DEFAULT_STATE_DIR) or Path(),
            logging=Logging(
                level=log.level or DEFAULT_LOG_LEVEL,
                format=log.format,
                file=self._file(("logging", "file"), log.file) if log.file else None,
            ),
            observers=Observers(
                notify=tuple(Secret(url) for url in (spec.notify or NotifySpec()).urls),
                metrics=self._file(("metrics", "textfile"), metrics.textfile) if metrics.textfile else None,
            ),
            engine=Engine(spec.engine or Engine.LOCAL),
            temporal=self._temporal(spec.temporal or TemporalSpec()),
            warnings=(*self._warnings, *self._credentials.warnings),
            credentials=named,
            spare=self._spare(),
        )
        if self._layers.problems:
            raise InputError(problems=sorted(set(self._layers.problems)))
        # Also where Atlas is reached without a proxy: hooks see the variable.
        settings.redactor.add(*proxy_secrets(self._environ))
        return settings

    def _spare(self) -> tuple[Secret, ...]:
        """What the environment holds of keys, also where others go before them: no hook, log or report has any use for it."""
        names = (name for name in self._environ if name in self._layers.named or KEY_VARIABLE.fullmatch(name))
        found = dict.fromkeys(self._environ[name].strip() for name in names)
        return tuple(Secret(value) for value in found if len(value) >= SHORTEST_SECRET)

    def _temporal(self, spec: TemporalSpec) -> Temporal:
        default = Temporal()
        place = Temporal(
            address=spec.address or default.address,
            namespace=spec.namespace or default.namespace,
            tls=spec.api_key is not None if spec.tls is None else spec.tls,
            api_key=Secret(spec.api_key) if spec.api_key else None,
            codec_key_file=self._file(("temporal", "codec_key_file"), spec.codec_key_file)
            if spec.codec_key_file
            else None,
            lease=spec.lease or default.lease,
        )
        if place.api_key is not None and place.in_clear:
            self._layers.wrong(
                ("temporal", "tls"),
                f"without TLS everybody on the way to {place.address} could read the key: true is meant, or no API key "
                f"(temporal.api_key, {TEMPORAL_KEY_VARIABLE})",
            )
        return place

    def _sets(self, data: Any) -> tuple[CredentialSet, dict[str, CredentialSet]]:
        """The credentials of `atlas`, and those of `credentials` by name."""
        atlas = data.get("atlas") if isinstance(data, dict) else None
        sets = data.get("credentials") if isinstance(data, dict) else None
        nearest = {
            str(path[1]): value for path, value in self._overrides.items() if path[0] == "atlas" and len(path) == 2
        }
        own = self._credentials.of_atlas(atlas if isinstance(atlas, dict) else {}, nearest=nearest)
        named = {
            str(name): self._credentials.named(str(name), given)
            for name, given in (sets if isinstance(sets, dict) else {}).items()
            if isinstance(given, dict)
        }
        return own, named

    def _base_url(self, atlas: AtlasSpec) -> str:
        """Where Atlas is: as it was said, else as the profile says that `atlas` is asked with."""
        profiles = self._credentials.profiles
        said: dict[str | None, str] = {}
        for name, profile in profiles.items():
            if profile.base_url is not None:
                path: KeyPath = ("atlas", "profile") if name is None else ("credentials", name, "profile")
                try:
                    said[name] = parse_base_url(profile.base_url)
                except ValueError as error:
                    self._layers.wrong(path, f"the address of the Atlas CLI's profile {profile.name!r}: {error}")
        base_url = atlas.base_url or said.get(None) or DEFAULT_BASE_URL
        for name, url in said.items():
            if name is not None and urlsplit(url).netloc != urlsplit(base_url).netloc:
                self._layers.wrong(
                    ("credentials", name, "profile"),
                    f"the Atlas CLI's profile {profiles[name].name!r} is for {urlsplit(url).netloc}, and this run goes to "
                    f"{urlsplit(base_url).netloc}: a run goes to one address",
                )
        host = urlsplit(base_url).hostname or ""
        if host == _GOVERNMENT or host.endswith(f".{_GOVERNMENT}"):
            self._warnings.append(
                f"{host} is Atlas for Government, where the Atlas CLI refuses live migrations: see with `plan --online` that "
                "yours are there, days before the night"
            )
        return base_url

    def _spec(self, data: Any) -> ConfigSpec:
        """What the model makes of *data*; where that is nothing, what is wrong is raised with all found so far."""
        try:
            return ConfigSpec.model_validate(data)
        except ValidationError as error:
            origins = {format_key(path): origin for path, origin in self._layers.origins.items()}
            told = {
                problem.key for problem in self._layers.problems
            }  # there is no value to judge, as it could not be put in
            for problem in problems_of(error, self._document, MODELS, show_values=False):
                if problem.key and problem.key in told:
                    continue
                file, key = origins.get(problem.key, (problem.file, problem.key))
                line = 0 if problem.key in origins else problem.line
                self._layers.problems.append(Problem(file=file, line=line, key=key, message=problem.message))
            raise InputError(problems=sorted(set(self._layers.problems))) from None

    def _warn_of_literal_keys(self) -> None:
        data = self._document.data
        if self._path is None or not isinstance(data, dict):
            return
        sets = data.get("credentials")
        tables = [data.get("atlas"), *(sets.values() if isinstance(sets, dict) else ())]
        values = [
            table.get(name) for table in tables if isinstance(table, dict) for name in SECRET_KEYS - {"client_id"}
        ]
        if any(isinstance(value, str) and value and not REFERENCE.search(value) for value in values):
            self._credentials.warn_if_readable(
                self._path, f"the config file {self._path} holds an API key or secret and"
            )

    def _ca_file(self, name: Any) -> Path | None:
        if not isinstance(name, str) or not name:
            return None  # where it is neither text nor nothing, the model tells it
        path: KeyPath = ("atlas", "ca_file")
        file = self._file(path, name)
        if file is None:
            return None
        try:
            data = read_bytes(file)
        except (OSError, ValueError) as error:
            self._layers.wrong(path, f"the file it names {why_unreadable(error)}")
            return file
        try:
            pem_certificates(data)
        except ValueError as error:
            self._layers.wrong(path, f"the file it names {error}")
        return file

    def _file(self, path: KeyPath, name: str) -> Path | None:
        """*name* made absolute: what the config file says is relative to it, all else to the working directory; None: it is nowhere."""
        from_file = self._path is not None and path not in self._layers.origins
        try:
            return placed(name, self._path.parent if from_file and self._path else Path(), self._environ)
        except InputError as error:
            self._layers.wrong(path, str(error))
            return None


def _rate_limit(spec: RateLimitSpec, api: Api) -> RateLimit:
    default = DEFAULT_RATE_LIMITS[api]
    given = (spec.requests, spec.per, spec.burst) != (None, None, None) or spec.scope == "account"
    return RateLimit(
        learn=api is Api.V2 and (not given if spec.learn is None else spec.learn and spec.scope != "account"),
        requests=spec.requests or default.requests,
        per=spec.per or default.per,
        burst=spec.burst or default.burst,
        scope="account" if spec.scope == "account" else default.scope,
    )
