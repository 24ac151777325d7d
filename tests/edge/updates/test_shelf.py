"""Which bundle a device uses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from splitnet.edge.updates.shelf import Shelf, Shelved
from splitnet.errors import BundleError, OutputError, UsageError

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bundles" / "tiny", tmp_path / "configured")


def fetched(shelf: Shelf, *fingerprints: str) -> None:
    for one in fingerprints:
        shelf.place(one).mkdir(parents=True)


def test_the_configured_bundle_is_the_first(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.state == Shelved()
    assert shelf.current == tmp_path / "configured"


def test_a_switch_keeps_the_one_before_and_removes_the_rest(shelf: Shelf) -> None:
    for one in (A, B, C):
        fetched(shelf, one)
        shelf.switch(one)
    assert shelf.current == shelf.place(C)
    assert not shelf.place(A).exists()
    assert shelf.place(B).is_dir()


def test_a_roll_back_goes_one_back_then_to_the_configured_one(shelf: Shelf, tmp_path: Path) -> None:
    for one in (A, B):
        fetched(shelf, one)
        shelf.switch(one)
        # A second time changes nothing.
        shelf.switch(one)
    assert shelf.roll_back() == shelf.place(A)
    assert list(shelf.state.refused) == [B]
    assert shelf.roll_back() == tmp_path / "configured"
    assert list(shelf.state.refused) == [B, A]
    with pytest.raises(UsageError, match="the configured one is in use"):
        shelf.roll_back()


def test_what_failed_is_remembered_once(shelf: Shelf) -> None:
    shelf.refuse(A)
    shelf.refuse(A)
    assert shelf.state == Shelved(refused=(A,))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"current": 1}', '{"current":"","previous":"","refused":3}'])
def test_a_damaged_state_is_an_error_that_says_what_to_do(shelf: Shelf, text: str) -> None:
    shelf.refuse(A)
    (shelf.place("x").parent / "state.json").write_text(text)
    with pytest.raises(BundleError, match="is damaged; remove it to go back"):
        _ = shelf.current


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleError, match="cannot read"):
        Shelf(tmp_path / "file" / "tiny", tmp_path).refuse(A)


def test_a_full_disk_leaves_the_state_as_it_was(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.refuse(A)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*state\.json: No space left"):
        shelf.refuse(B)
    assert shelf.state.refused == (A,)
