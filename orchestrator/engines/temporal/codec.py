"""Hides what travels through Temporal from its operators: AES-GCM, with a key that workers and clients have in a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from ...core.errors import InputError
from ...files.input_file import read_bytes, why_unreadable

ENCODING = b"binary/atlas-cutover-aes-gcm"
_NONCE = 12


class Codec(PayloadCodec):
    """Encrypts each payload whole. *key*: 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted ones in their place."""
        return [self._hidden(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What was encrypted; anything else stays as it is.

        Raises:
            ValueError: One was encrypted with another key, or changed.
        """
        return [self._shown(payload) for payload in payloads]

    def _hidden(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE)
        data = nonce + self._cipher.encrypt(nonce, payload.SerializeToString(), ENCODING)
        return Payload(metadata={"encoding": ENCODING}, data=data)

    def _shown(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        try:
            data = self._cipher.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], ENCODING)
        except InvalidTag:
            raise ValueError("a payload was encrypted with another key: compare temporal.codec_key_file") from None
        return Payload.FromString(data)


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
