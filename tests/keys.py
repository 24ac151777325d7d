"""Ed25519 keys for tests, made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


@dataclass(frozen=True)
class Keys:
    """PEM files of a private key and its public one."""

    private: Path
    public: Path


def make_keys(folder: Path, name: str = "signing") -> Keys:
    """A new pair in a folder."""
    key = ed25519.Ed25519PrivateKey.generate()
    pair = Keys(folder / f"{name}.pem", folder / f"{name}.pub")
    pair.private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    pair.public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return pair
