"""Signatures of bundles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from splitnet.bundle import Bundle
from splitnet.bundle.signature import SIGNATURE, read_signature, sign_bundle, verify_signature, write_signature
from splitnet.bundle.write import check_target
from splitnet.cli import app
from splitnet.errors import BundleError, UsageError
from tests.cloud.certificates import Authority
from tests.keys import Keys, make_keys


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path)


@pytest.fixture
def bundle(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    return Bundle.load(tmp_path / "bundle")


def test_a_signed_bundle_is_known_by_the_public_key_and_is_still_the_same_bundle(bundle: Bundle, keys: Keys) -> None:
    before = bundle.fingerprint
    signature = sign_bundle(bundle.path, before, keys.private)
    assert read_signature(bundle.path) == signature
    verify_signature(before, signature, keys.public)
    again = Bundle.load(bundle.path)
    assert again.fingerprint == before
    again.verify()
    # Nothing foreign: the bundle may be replaced.
    check_target(bundle.path)


def test_a_signature_is_of_one_bundle_and_one_key(bundle: Bundle, keys: Keys, tmp_path: Path) -> None:
    signature = sign_bundle(bundle.path, bundle.fingerprint, keys.private)
    other = make_keys(tmp_path, "other")
    with pytest.raises(BundleError, match="not by the owner of"):
        verify_signature(bundle.fingerprint, signature, other.public)
    with pytest.raises(BundleError, match="not by the owner of"):
        verify_signature("0" * 64, signature, keys.public)
    for place in range(len(signature)):
        altered = bytearray(signature)
        altered[place] ^= 1
        with pytest.raises(BundleError):
            verify_signature(bundle.fingerprint, bytes(altered), keys.public)
    with pytest.raises(BundleError, match="is not signed; sign it with"):
        verify_signature(bundle.fingerprint, b"", keys.public)


def test_the_bare_fingerprint_signed_for_another_purpose_is_no_signature(bundle: Bundle, keys: Keys) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(keys.private.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    with pytest.raises(BundleError, match="not by the owner"):
        verify_signature(bundle.fingerprint, key.sign(bytes.fromhex(bundle.fingerprint)), keys.public)


@pytest.mark.parametrize("text", [b"", b"x", b"AAAA", b"!" * 88, b"A" * 87 + b"=", b"\xff" * 64])
def test_files_that_are_no_signature(bundle: Bundle, text: bytes) -> None:
    assert read_signature(bundle.path) == b""
    (bundle.path / SIGNATURE).write_bytes(text)
    with pytest.raises(BundleError, match="is no signature; sign the bundle again"):
        read_signature(bundle.path)


def test_keys_that_are_none(bundle: Bundle, keys: Keys, tmp_path: Path) -> None:
    elliptic = Authority(tmp_path).server()
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    for key, says in ((tmp_path / "nowhere", "cannot be read"), (empty, "no private key"), (keys.public, "no private")):
        with pytest.raises(UsageError, match=says):
            sign_bundle(bundle.path, bundle.fingerprint, key)
    with pytest.raises(UsageError, match="is not an Ed25519 key"):
        sign_bundle(bundle.path, bundle.fingerprint, elliptic.key)
    for key, says in ((empty, "no public key"), (keys.private, "no public key")):
        with pytest.raises(UsageError, match=says):
            verify_signature(bundle.fingerprint, bytes(64), key)
    assert not (bundle.path / SIGNATURE).exists()


def test_sign_checks_every_file_first(bundle: Bundle, keys: Keys) -> None:
    done = CliRunner().invoke(app, ["sign", str(bundle.path), "--key", str(keys.private)])
    assert done.output == f"signed tiny {bundle.manifest.version} {bundle.fingerprint}\n"
    (bundle.path / SIGNATURE).unlink()
    file = bundle.path / bundle.manifest.whole
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    done = CliRunner().invoke(app, ["sign", str(bundle.path), "--key", str(keys.private)])
    assert isinstance(done.exception, BundleError)
    assert not (bundle.path / SIGNATURE).exists()


def test_an_older_signature_gives_way(bundle: Bundle, keys: Keys) -> None:
    write_signature(bundle.path, bytes(64))
    signature = sign_bundle(bundle.path, bundle.fingerprint, keys.private)
    assert read_signature(bundle.path) == signature
