"""The privacy benchmark: its measures against hand values, its decoder on synthetic data, its errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from benchmarks.privacy import photos, report
from benchmarks.privacy.__main__ import main
from benchmarks.privacy.attack import Leak, Quality
from benchmarks.privacy.baselines import Coded, ladders, mean_photo, within
from benchmarks.privacy.codecs import codec_of
from benchmarks.privacy.decoder import SIDE, Decoder
from benchmarks.privacy.kept import trained
from benchmarks.privacy.picture import draw
from benchmarks.privacy.quality import low_pass, psnr, retrieval, ssim
from benchmarks.privacy.training import reconstruct, train
from splitnet.errors import UsageError
from splitnet.models.zoo import find_network
from splitnet.runtime import Array

INPUT = find_network("efficientnet-lite0").input


def smooth(count: int, side: int = SIDE, seed: int = 0) -> Array:
    """Pictures uint8 (N, 3, side, side) of a few large spots."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 7, 7, 3), np.uint8)
    big = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse]
    return np.stack(big).transpose(0, 3, 1, 2)


def seen_by_a_network(pictures: Array) -> Array:
    """Stand-in features, float16 (N, 8, 14, 14): fixed mixtures of the means of 8x8 pixels."""
    means = pictures.reshape(len(pictures), 3, 14, 8, 14, 8).mean((3, 5)) / 64 - 2
    mixture = np.random.default_rng(1).normal(size=(8, 3))
    found: Array = np.einsum("kc,nchw->nkhw", mixture, means).astype(np.float16)
    return found


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the benchmark: with more, tiny convolutions wait for threads that a busy machine does not run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data() -> tuple[Array, Array]:
    pictures = smooth(6)  # fewer than a batch: each step sees all
    return seen_by_a_network(pictures), pictures


def test_psnr_by_hand() -> None:
    black, grey = np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 51, np.uint8)
    assert psnr(black, black) == float("inf")
    assert psnr(black, grey) == pytest.approx(20 * np.log10(5))
    assert psnr(grey, black) == psnr(black, grey)


def test_ssim_of_flat_pictures_by_hand() -> None:
    black, grey = np.zeros((16, 16), np.uint8), np.full((16, 16), 100, np.uint8)
    assert ssim(grey, grey) == pytest.approx(1)
    # Without variance only the luminance term is left.
    assert ssim(black, grey) == pytest.approx(6.5025 / (100**2 + 6.5025))
    assert ssim(grey, np.full((16, 16), 50, np.uint8)) == pytest.approx(10006.5025 / 12506.5025)


def test_ssim_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is of the extra bench")
    random = np.random.default_rng(3)
    one = smooth(1, 64)[0].transpose(1, 2, 0)
    other = np.clip(one + random.normal(0, 20, one.shape), 0, 255).astype(np.uint8)
    luma = [picture @ np.array([0.299, 0.587, 0.114]) for picture in (one, other)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    assert ssim(one, other) == pytest.approx(metrics.structural_similarity(*luma, **options), abs=1e-9)
    assert ssim(one, other) < 0.9


def test_ssim_needs_room_for_its_window() -> None:
    tiny = np.zeros((10, 20), np.uint8)
    with pytest.raises(ValueError, match="10x20"):
        ssim(tiny, tiny)


def test_retrieval_finds_each_photo_by_its_own_reconstruction() -> None:
    pictures = list(smooth(10).transpose(0, 2, 3, 1))
    assert low_pass(pictures[0]).shape == (28, 28, 3)
    dull = [(one // 2 + 60).astype(np.uint8) for one in pictures]
    assert retrieval(pictures, dull).tolist() == [1.0] * 10
    assert retrieval(pictures, [pictures[4]] * 10).sum() == 1.0


@pytest.mark.parametrize(("channels", "side"), [(40, 28), (80, 14), (112, 14), (320, 7), (24, 56)])
def test_shapes_and_size_of_the_decoder(channels: int, side: int) -> None:
    decoder = Decoder(channels, side)
    assert decoder(torch.zeros(2, channels, side, side)).shape == (2, 3, SIDE, SIDE)
    if side in (14, 28):
        assert 2e5 < sum(one.numel() for one in decoder.parameters()) < 7e5


def test_a_decoder_for_no_such_map() -> None:
    with pytest.raises(ValueError, match="side 13"):
        Decoder(8, 13)


def test_the_linear_map_is_solved_and_training_lowers_the_loss(data: tuple[Array, Array]) -> None:
    torch.manual_seed(0)
    decoder = Decoder(8, 14)
    untrained = np.mean(
        [psnr(a.transpose(1, 2, 0), b) for a, b in zip(data[1], reconstruct(decoder, data[0]), strict=True)]
    )
    decoder.solve(*data)
    solved = np.mean(
        [psnr(a.transpose(1, 2, 0), b) for a, b in zip(data[1], reconstruct(decoder, data[0]), strict=True)]
    )
    assert solved > untrained + 6
    losses = train(decoder, *data, 12, 0)
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


def test_a_seed_gives_the_same_decoder(data: tuple[Array, Array]) -> None:
    def learn(seed: int) -> tuple[list[float], list[Array]]:
        torch.manual_seed(seed)
        decoder = Decoder(8, 14)
        losses = train(decoder, *data, 3, seed)
        return losses, reconstruct(decoder, data[0][:2])

    (losses, pictures), (again, pictures_again), (other, _) = learn(0), learn(0), learn(1)
    assert losses == again
    assert np.array_equal(pictures, pictures_again)
    assert losses != other


def test_a_kept_decoder_is_not_trained_again(data: tuple[Array, Array], tmp_path: Path) -> None:
    fitted: list[Decoder] = []

    def learn(steps: int) -> Decoder:
        decoder = Decoder(8, 14)

        def fit() -> None:
            fitted.append(decoder)
            decoder.solve(*data)

        trained(decoder, *data, (steps, 0), tmp_path / "kept", fit)
        return decoder

    first, second = learn(1), learn(1)
    assert fitted == [first]
    assert torch.equal(first.linear.weight, second.linear.weight)
    learn(2)
    assert len(fitted) == 2


def test_baselines() -> None:
    pictures = smooth(3)
    guess = mean_photo(pictures)
    assert guess.shape == (SIDE, SIDE, 3)
    assert abs(int(guess[5, 6, 1]) - pictures[:, 1, 5, 6].mean()) <= 0.5
    ladder = ((Coded(100, 20.0, 0.5), Coded(200, 25.0, 0.7)), (Coded(90, 22.0, 0.6), Coded(300, 30.0, 0.9)))
    assert within(ladder, [150, 400]) == pytest.approx((25.0, 0.7))
    assert within(ladder, [99, 400]) is None
    jpeg = ladders([pictures[0].transpose(1, 2, 0)])["jpeg"][0]
    assert jpeg[0].size < jpeg[-1].size
    assert jpeg[0].ssim < jpeg[-1].ssim


def test_codecs_by_name() -> None:
    assert codec_of("none").spec == "none|floats"
    assert codec_of("affine4").spec == "affine:bits=4|ctx"
    step = codec_of("1.5")
    assert (step.name, step.spec, step.calibrated) == ("step1_5", "transform:step=1.5|rans", True)
    with pytest.raises(UsageError, match="--steps 'two'"):
        codec_of("two")


def test_photos_are_split_by_row(tmp_path: Path) -> None:
    for index in range(20):
        Image.fromarray(np.full((260, 300, 3), 10 * index, np.uint8)).save(tmp_path / f"{index:02}.png")
    found = photos.split(photos.find(tmp_path, None), INPUT, 3, 0)
    assert (len(found.views), len(found.tests), found.centres) == (48, 4, 16)
    assert {one.shape for one in (*found.views, *found.tests)} == {(224, 224, 3)}
    assert [int(one[0, 0, 0]) for one in found.tests] == [0, 50, 100, 150]
    again = photos.split(photos.find(tmp_path, None), INPUT, 3, 0)
    assert all(np.array_equal(one, other) for one, other in zip(found.views, again.views, strict=True))


def test_missing_folder_and_too_few_photos(tmp_path: Path) -> None:
    app = Typer()
    app.command()(main)
    outcome = CliRunner().invoke(app, ["--data", "absent", "--out", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "--data absent is not a folder" in outcome.output
    with pytest.raises(UsageError, match="holds 0 photos"):
        photos.find(tmp_path, None)


def test_figures_table_and_picture(tmp_path: Path) -> None:
    quality = Quality(18.5, 0.4, 0.1, 0.9)
    leaks = [
        Leak("block7", codec_of(text), adapted, 1500.4, quality, {"jpeg": None, "avif": (30.0, 0.9)})
        for text, adapted in (("none", False), ("2", False), ("2", True))
    ]
    references = {"mean_photo": quality, "crop_at_112": Quality(float("inf"), 1.0, 0.8, 1.0)}
    figures = report.figures(leaks, references, 100)
    assert figures["privacy.block7.none.psnr_db"] == 18.5
    assert figures["privacy.block7.step2_adapted.retrieval"] == 0.9
    assert figures["privacy.mean_photo.ssim"] == 0.4
    assert "privacy.block7.step2.jpeg_psnr_db" not in figures
    assert report.table(leaks, references, 100).row_count == 5
    rows = json.loads(json.dumps(report.rows(leaks, references), allow_nan=False))
    assert [row.get("spec") for row in rows] == [None, None, "none|floats", *["transform:step=2|rans"] * 2]
    shown = [np.zeros((224, 224, 3), np.uint8)]
    draw(shown, leaks, {one.figure: [np.zeros((SIDE, SIDE, 3), np.uint8)] for one in leaks}, tmp_path / "a" / "b.png")
    with Image.open(tmp_path / "a" / "b.png") as drawn:
        assert drawn.width > 3 * SIDE
