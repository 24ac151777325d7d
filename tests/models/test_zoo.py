"""The registry and the labels."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from splitnet.errors import UsageError
from splitnet.models import ZOO, find_network, read_labels


def test_an_unknown_network_names_the_closest_and_all() -> None:
    with pytest.raises(
        UsageError,
        match=r"did you mean 'efficientnet-lite0'.*known: dlib-face-resnet, efficientnet-lite0, efficientnet-l",
    ):
        find_network("efficientnet_lite0")
    with pytest.raises(UsageError, match="no network is called 'x': known:"):
        find_network("x")


@pytest.mark.parametrize("name", sorted(ZOO))
def test_tasks_have_labels_that_exist(name: str) -> None:
    assert all(read_labels(task.labels) for task in ZOO[name].tasks if task.labels)


def test_labels_are_a_thousand_different_words() -> None:
    labels = read_labels("imagenet_labels.txt")
    assert len(labels) == 1000
    assert len({label.lower() for label in labels}) == 1000
    assert all(label == label.strip() and label for label in labels)


@pytest.mark.parametrize(
    ("index", "label"),
    [
        (0, "tench"),
        (22, "bald eagle"),
        (99, "goose"),
        (129, "spoonbill"),
        (134, "crane (bird)"),
        (243, "bull mastiff"),
        (251, "dalmatian"),
        (264, "Cardigan Welsh corgi"),
        (474, "cardigan"),
        (517, "crane (machine)"),
        (609, "jeep"),
        (638, "maillot"),
        (639, "tank suit"),
        (949, "strawberry"),
        (999, "toilet tissue"),
    ],
)
def test_labels_stand_at_their_index(index: int, label: str) -> None:
    assert read_labels("imagenet_labels.txt")[index] == label


def test_labels_agree_with_the_photo_collections() -> None:
    folder = os.environ.get("SPLITNET_DATA")
    table = Path(folder or "") / "photos" / "labels.csv"
    if not folder or not table.is_file():
        pytest.skip("SPLITNET_DATA does not name a data directory with photos/labels.csv")
    labels = read_labels("imagenet_labels.txt")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    different = {
        int(row["imagenet_index"])
        for row in rows
        if row["label"].replace("_", " ").lower() != labels[int(row["imagenet_index"])].lower()
    }
    assert len(rows) == 500
    # Made distinct: crane the machine, and the second maillot.
    assert different <= {517, 639}


@pytest.mark.parametrize("package", ["splitnet.models", "splitnet.bundle", "splitnet.graph", "splitnet.bundle.build"])
def test_importing_is_light(package: str) -> None:
    code = f"import sys, {package}; sys.exit(' '.join({{'torch', 'onnx', 'PIL'}} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
