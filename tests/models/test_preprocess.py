"""Photos of every kind become pixels, and whatever is no photo one clear error."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splitnet.bundle import ImageInput
from splitnet.errors import ImageError
from splitnet.models import find_network
from splitnet.models.preprocess import decode_image, load_image, normalise, preprocess, resize_and_crop

LITE0 = find_network("efficientnet-lite0").input


def gradient(height: int = 40, width: int = 60) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 5 % 256, columns * 4 % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def spec(height: int, width: int, resize_short: int) -> ImageInput:
    return LITE0.model_copy(update={"height": height, "width": width, "resize_short": resize_short})


def test_a_lossless_photo_keeps_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(Image.fromarray(gradient()), "png"))
    image = load_image(path)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), gradient())


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [("L", "png", (120, 120, 120)), ("1", "png", (255, 255, 255)), ("CMYK", "jpeg", None), ("YCbCr", "jpeg", None)],
)
def test_other_colour_spaces(mode: str, kind: str, expected: tuple[int, int, int] | None) -> None:
    original = Image.new("RGB", (8, 8), (120, 120, 120)).convert(mode, dither=Image.Dither.NONE)
    if mode == "1":
        original = Image.new("1", (8, 8), 1)
    image = decode_image(encoded(original, kind))
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image)[4, 4], expected or (120, 120, 120), atol=3)


def test_transparency_lies_over_white() -> None:
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    half.putpixel((1, 0), (0, 0, 0, 0))
    for image in (half, half.convert("LA"), half.convert("P")):
        assert np.asarray(decode_image(encoded(image, "png")))[0, 1].tolist() == [255, 255, 255]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([10, 20, 30])
    assert np.asarray(decode_image(encoded(palette, "png", transparency=0)))[0, 0].tolist() == [255, 255, 255]
    assert np.asarray(decode_image(encoded(palette, "png")))[0, 0].tolist() == [10, 20, 30]


def test_sixteen_bit_grey_keeps_its_upper_bits() -> None:
    values = np.array([[0, 255, 256, 0x80FF, 0xFFFF]], np.uint16)
    image = decode_image(encoded(Image.fromarray(values), "png"))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 1, 0x80, 0xFF]


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    image = decode_image(encoded(frames[0], "gif", save_all=True, append_images=frames[1:]))
    assert np.asarray(image)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(encoded(Image.fromarray(gradient()), "png", exif=exif))
    stored = gradient()
    expected = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    np.testing.assert_array_equal(np.asarray(image), expected)


def test_damaged_exif_does_not_cost_the_photo() -> None:
    image = decode_image(encoded(Image.fromarray(gradient()), "png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    np.testing.assert_array_equal(np.asarray(image), gradient())


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + bytes(100)])
def test_what_is_no_photo(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        load_image(path)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "tiff", "webp"])
def test_a_photo_cut_short(kind: str) -> None:
    # Noise: in a picture that packs well, the last eighth of the file is checksums that no pixel needs.
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for length in range(0, len(data) - len(data) // 8, max(1, len(data) // 40)):
        with pytest.raises(ImageError, match="short"):
            decode_image(data[:length], "short")


def test_pixel_limit_comes_before_decoding() -> None:
    data = bytearray(encoded(Image.new("L", (1, 1)), "bmp"))
    data[18:26] = (20_000).to_bytes(4, "little") * 2
    with pytest.raises(ImageError, match=r"20000x20000 pixels|cannot be decoded"):
        decode_image(bytes(data))
    big = encoded(Image.new("1", (9000, 9000)), "png")
    with pytest.raises(ImageError, match="9000x9000 pixels are more than the limit of 64000000"):
        decode_image(big)
    with pytest.raises(ImageError, match="limit of 2399"):
        decode_image(encoded(Image.fromarray(gradient()), "png"), max_pixels=2399)


def test_pixels_without_a_defined_white() -> None:
    for array in (np.ones((2, 2), np.float32), np.full((2, 2), 1 << 20, np.int32)):
        with pytest.raises(ImageError, match="no defined white"):
            decode_image(encoded(Image.fromarray(array), "tiff"))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="absent: no such file"):
        load_image(tmp_path / "absent")
    with pytest.raises(ImageError, match="not a file"):
        load_image(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="not a file"):
        load_image(tmp_path / "pipe")


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (257, 256), (1, 1), (3, 1000), (224, 224), (1000, 3)])
def test_resize_and_crop_gives_the_asked_shape(size: tuple[int, int]) -> None:
    pixels = resize_and_crop(Image.new("RGB", size, (9, 8, 7)), LITE0)
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == (9, 8, 7)).all()


def test_a_photo_of_the_right_size_is_only_cropped() -> None:
    image = Image.fromarray(gradient(40, 60))
    np.testing.assert_array_equal(resize_and_crop(image, spec(20, 20, 40)), gradient(40, 60)[10:30, 20:40])
    np.testing.assert_array_equal(resize_and_crop(image, spec(20, 30, 40)), gradient(40, 60)[10:30, 15:45])


def test_normalise_is_the_formula() -> None:
    other = LITE0.model_copy(update={"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)})
    pixels = gradient()
    for image in (LITE0, other):
        mean, std = np.array(image.mean, np.float32), np.array(image.std, np.float32)
        expected = ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)[np.newaxis]
        result = normalise(pixels, image)
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        np.testing.assert_array_equal(result, expected)


def test_preprocess_is_the_two_steps(photos: tuple[Path, ...]) -> None:
    image = load_image(photos[0])
    first = preprocess(image, LITE0)
    np.testing.assert_array_equal(first, normalise(resize_and_crop(image, LITE0), LITE0))
    np.testing.assert_array_equal(first, preprocess(load_image(photos[0]), LITE0))
