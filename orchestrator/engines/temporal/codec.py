"""Hides what travels through Temporal from its operators, and refuses what others have put there.

AES-GCM, with a key that workers and clients have in a file. Who has one takes nothing that was not encrypted with it: a payload may be an
order to run a hook. What is refused becomes a payload that cannot be read, as an error of the codec itself would hold up the workflow for
good. So an activity that is given one fails, a signal is dropped, an update is rejected, and a workflow does not begin.

What is encrypted is bound to its namespace and workflow: elsewhere it cannot be read, so who has no key cannot hand what they find in one history
to another workflow of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from ...core.errors import InputError
from ...files.input_file import why_unreadable
from ...machine.trusted_files import read_bytes

ENCODING = b"binary/atlas-cutover-aes-gcm"
_NONCE = 12
_REFUSED = "refused/atlas-cutover"
_PLAIN = (
    "a payload was not encrypted, and there is a key: give temporal.codec_key_file wherever commands and workers run"
)
_OTHER_KEY = "a payload was encrypted with another key, or for another workflow: compare temporal.codec_key_file"


class Codec(PayloadCodec, WithSerializationContext):
    """Encrypts each payload whole. *key*: 32 bytes. *whose*: namespace and workflow that it belongs to."""

    def __init__(self, key: bytes, whose: tuple[str, str] = ("", "")) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._bound = b"\0".join([ENCODING, *(part.encode() for part in whose)])

    def with_context(self, context: SerializationContext) -> Self:
        """One for what belongs to the workflow of *context*."""
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        return type(self)(self._key, (context.namespace, context.workflow_id or ""))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted ones in their place."""
        return [self._hidden(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What was encrypted with the key; in the place of anything else, null and empty payloads too, one that cannot be read."""
        return [self._shown(payload) for payload in payloads]

    def _hidden(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE)
        data = nonce + self._cipher.encrypt(nonce, payload.SerializeToString(), self._bound)
        return Payload(metadata={"encoding": ENCODING}, data=data)

    def _shown(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return _refused(_PLAIN)
        try:
            data = self._cipher.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], self._bound)
        except (InvalidTag, ValueError):  # the second: there is no whole nonce
            return _refused(_OTHER_KEY)
        return Payload.FromString(data)


def _refused(why: str) -> Payload:
    return Payload(metadata={"encoding": _REFUSED.encode()}, data=why.encode())


class RefusedError(ValueError):
    """Something was not encrypted with the codec's key, for the workflow that it came to."""


class _Refused(EncodingPayloadConverter):
    """Tells why a payload was refused, when somebody wants to read it."""

    @property
    def encoding(self) -> str:
        return _REFUSED

    def to_payload(self, value: Any) -> Payload | None:  # noqa: ARG002 - nothing is written so
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ARG002 - whatever it should have been
        raise RefusedError(payload.data.decode())


class _Converter(CompositePayloadConverter):
    """The default one, that knows what was refused."""

    def __init__(self) -> None:
        super().__init__(_Refused(), *DefaultPayloadConverter.default_encoding_payload_converters)


def encrypting(key: bytes) -> DataConverter:
    """How to write and read what travels through Temporal where there is a *key* of 32 bytes.

    Reading what was not encrypted with it raises a ValueError that says so.
    """
    return replace(
        DataConverter.default,
        payload_converter_class=_Converter,
        payload_codec=Codec(key),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,  # messages of errors name things, too
    )


def read_key(path: Path) -> bytes:
    """The key in *path*: 32 bytes as 64 hex digits.

    Raises:
        InputError: There is none.
    """
    try:
        data = read_bytes(path)
    except (OSError, ValueError) as error:
        raise InputError(f"temporal.codec_key_file: {path}: {why_unreadable(error)}") from None
    try:
        key = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:  # whose message would have some of the key in it
        key = b""
    if len(key) != 32:
        raise InputError(f"temporal.codec_key_file: {path}: expected 64 hex digits; `openssl rand -hex 32` makes a key")
    return key
