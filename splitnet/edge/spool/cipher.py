"""Encryption of what lies in the spool: AES-256-GCM, a nonce of 12 random bytes for each entry."""

from __future__ import annotations

import re
import secrets

from splitnet.errors import ConfigError, UsageError

_NONCE = 12


class Cipher:
    """Seals entries with a key of 64 hexadecimal digits; `openssl rand -hex 32` makes one.

    Raises
    ------
    ConfigError
        if the key is something else.
    UsageError
        if `cryptography` is not installed.
    """

    def __init__(self, key: str) -> None:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
            raise ConfigError("spool.key is not 64 hexadecimal digits; make one with `openssl rand -hex 32`")
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise UsageError("an encrypted spool needs cryptography; pip install 'splitnet[encrypt]'") from error
        self._key = AESGCM(bytes.fromhex(key))

    def seal(self, data: bytes, name: bytes) -> bytes:
        """Encrypt; only with the same `name` it opens again."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._key.encrypt(nonce, data, name)

    def open(self, sealed: bytes, name: bytes) -> bytes:
        """Decrypt. Raises ConfigError where the key is another, or the data was altered."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._key.decrypt(sealed[:_NONCE], sealed[_NONCE:], name)
        except (InvalidTag, ValueError) as error:
            raise ConfigError("spool.key does not open what is in the spool; it was sealed with another key") from error
