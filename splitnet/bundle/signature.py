"""Who vouches for a bundle: an Ed25519 signature (RFC 8032) of its fingerprint, in a file beside the manifest."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitnet.errors import BundleError, UsageError
from splitnet.files import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "bundle.sig"
"""The file's name: base64 of 64 bytes, and a newline. It is not in the manifest, which it signs."""
SIGNATURE_BYTES = 64
_PURPOSE = b"splitnet bundle 1\n"
"""In front of the fingerprint, so that what the same key signed for another purpose is no bundle's signature."""


def sign_bundle(directory: Path, fingerprint: str, key: Path) -> bytes:
    """Write the signature of the bundle in `directory` with a private key (PEM), and return it.

    Raises
    ------
    UsageError
        if the key cannot be read, is not Ed25519, or `cryptography` is missing.
    OutputError
        if it cannot be written.
    """
    signature = _private_key(key).sign(_message(fingerprint))
    write_signature(directory, signature)
    return signature


def write_signature(directory: Path, signature: bytes) -> None:
    """Put a signature beside the manifest, all at once. Raises OutputError."""
    text = base64.b64encode(signature) + b"\n"
    write_whole(directory / SIGNATURE, lambda stream: stream.write(text), durable=True)


def read_signature(directory: Path) -> bytes:
    """The bundle's signature, empty where it has none. Raises BundleError for a file that is something else."""
    path = directory / SIGNATURE
    try:
        with path.open("rb") as stream:
            text = stream.read(256)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror or error}") from error
    with suppress(binascii.Error, ValueError):
        signature = base64.b64decode(text.strip(), validate=True)
        if len(signature) == SIGNATURE_BYTES:
            return signature
    raise BundleError(f"{path} is no signature; sign the bundle again")


def verify_signature(fingerprint: str, signature: bytes, key: Path) -> None:
    """Check that the owner of a key (PEM, public) signed the bundle of this fingerprint.

    Raises
    ------
    BundleError
        if there is no signature, or it is not of this bundle and key.
    UsageError
        if the key cannot be read, is not Ed25519, or `cryptography` is missing.
    """
    public = public_key(key)
    if not signature:
        raise BundleError(f"bundle {fingerprint[:12]} is not signed; sign it with `splitnet sign`")
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, _message(fingerprint))
    except InvalidSignature as error:
        raise BundleError(f"the signature of bundle {fingerprint[:12]} is not by the owner of {key}") from error


def public_key(path: Path) -> Ed25519PublicKey:
    """A public key out of its PEM file. Raises UsageError."""
    serialization, ed25519 = _library()
    try:
        found = serialization.load_pem_public_key(_read(path))
    except ValueError as error:
        raise UsageError(f"{path} is no public key in PEM; make one with `openssl pkey -in KEY -pubout`") from error
    if not isinstance(found, ed25519.Ed25519PublicKey):
        raise UsageError(f"{path} is not an Ed25519 key; make one with `openssl genpkey -algorithm ed25519`")
    public: Ed25519PublicKey = found
    return public


def _private_key(path: Path) -> Ed25519PrivateKey:
    serialization, ed25519 = _library()
    try:
        found = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is no private key in PEM without a password; `openssl genpkey -algorithm ed25519` makes one"
        ) from error
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{path} is not an Ed25519 key; make one with `openssl genpkey -algorithm ed25519`")
    private: Ed25519PrivateKey = found
    return private


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise UsageError("signatures need cryptography; pip install 'splitnet[encrypt]'") from error
    return serialization, ed25519


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _message(fingerprint: str) -> bytes:
    return _PURPOSE + bytes.fromhex(fingerprint)
