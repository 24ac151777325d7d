"""The self-test of a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.edge.adapt.choice import Choice
from splitnet.edge.daemon.model import Model
from splitnet.edge.updates.trial import try_bundle
from splitnet.errors import BundleError
from tests.edge.updates.versions import make_version


def make(bundle: Bundle) -> Model:
    return Model("tiny", bundle)


def test_a_sound_bundle_passes(tiny_bundle: Bundle) -> None:
    try_bundle(tiny_bundle, make, [None, Choice("split", "r1", "none|raw")], ["scores"])


@pytest.mark.parametrize(
    ("choice", "tasks", "says"),
    [
        (Choice("split", "r9", "none|raw"), [], "no cut 'r9'"),
        (Choice("split", "r1", "transform:step=1|rans"), [], "no calibrated profile"),
        (None, ["flying"], "no task 'flying'"),
    ],
)
def test_a_bundle_without_what_is_needed_fails(
    tiny_bundle: Bundle, choice: Choice, tasks: list[str], says: str
) -> None:
    with pytest.raises(BundleError, match=rf"tiny {tiny_bundle.manifest.version} failed its self-test: .*{says}"):
        try_bundle(tiny_bundle, make, [choice], tasks)


def test_an_altered_file_fails(tiny_bundle: Bundle, tmp_path: Path) -> None:
    bundle = make_version(tiny_bundle, tmp_path / "two", "2")
    edge = bundle.cut("r2").edge
    assert edge is not None
    data = bytearray((bundle.path / edge).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle.path / edge).write_bytes(data)
    with pytest.raises(BundleError, match=r"failed its self-test: .*was altered"):
        try_bundle(bundle, make, [None], [])
