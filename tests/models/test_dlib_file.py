"""dlib's format: what is written is read, and nothing that is damaged gets through."""

from __future__ import annotations

import contextlib
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from splitnet.errors import ModelError
from splitnet.models.dlib_file import (
    AddSkip,
    Affine,
    Convolution,
    Dense,
    DlibNetwork,
    Layer,
    Pool,
    Relu,
    read_network,
)
from splitnet.models.dlib_resnet import DlibResNet
from splitnet.models.dlib_stream import Floats

NOTHING = (0, 0, 0, 0)


def integer(value: int) -> bytes:
    length = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([length | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(length, "little")


def integers(*values: int) -> bytes:
    return b"".join(integer(value) for value in values)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def real(value: float) -> bytes:
    mantissa, power = math.frexp(value)
    return integers(int(mantissa * 2**24), power - 24)


def tensor(shape: tuple[int, ...], *parts: Floats) -> bytes:
    return integers(2, *shape) + b"".join(part.astype("<f4").tobytes() for part in parts)


def held(layer: Layer) -> bytes:
    """What a layer holds; sizes are written as dlib does: parameters in one tensor, divided by aliases."""
    multipliers = real(1.0) * 3 + real(0.0)
    match layer:
        case Convolution(weight, bias, stride, padding):
            n, _, rows, columns = weight.shape
            settings = integers(n, rows, columns, stride, stride, padding, padding)
            aliases = integers(1, *weight.shape, 1, 1, n, 1, 1)
            parameters = tensor((weight.size + n, 1, 1, 1), weight, bias)
            return text("con_4") + parameters + settings + aliases + multipliers
        case Affine(gain, shift):
            alias = integers(1, 1, gain.size, 1, 1)
            return text("affine_") + tensor((2 * gain.size, 1, 1, 1), gain, shift) + alias * 2 + integer(0)
        case Pool(kind, kernel, stride):
            return text(f"{kind}_pool_2") + integers(kernel, kernel, stride, stride, 0, 0)
        case Dense(weight):
            inputs, outputs = weight.shape
            alias = integers(1, inputs, outputs, 1, 1)
            parameters = tensor((inputs, outputs, 1, 1), weight)
            sizes = integers(outputs, inputs)
            return text("fc_2") + sizes + parameters + alias + integers(1, *NOTHING) + integer(1) + multipliers
        case _:
            return text({Relu: "relu_", AddSkip: "add_prev_"}[type(layer)])


def write(network: DlibNetwork) -> bytes:
    """The bytes that dlib would write, with a tag wherever something is added later."""
    versions = []
    for layer in network.layers:
        versions += [2, 1] if isinstance(layer, AddSkip) else [2]
    versions[0] = 3
    state = b"110" + tensor(NOTHING) * 3
    first, *rest = (held(layer) + state for layer in network.layers)
    return b"".join(
        [
            integer(1) + text("loss_metric_2") + real(0.04) + real(0.6),
            integers(*reversed(versions)),
            text("input_rgb_image_sized") + b"".join(real(value) for value in network.mean) + integers(*network.size),
            first + integer(1),
            *rest,
        ]
    )


def test_round_trip(tiny_dlib: DlibNetwork) -> None:
    found = read_network(write(tiny_dlib), "tiny.dat")
    assert (found.mean, found.size) == (tiny_dlib.mean, tiny_dlib.size)
    assert [type(layer) for layer in found.layers] == [type(layer) for layer in tiny_dlib.layers]
    for layer, expected in zip(found.layers, tiny_dlib.layers, strict=True):
        for name, value in vars(expected).items():
            np.testing.assert_array_equal(getattr(layer, name), value)


def test_the_published_file(dlib_face_resnet: bytes) -> None:
    network = read_network(dlib_face_resnet, "published")
    assert network.mean == pytest.approx((122.782, 117.001, 104.298), abs=1e-5)
    assert network.size == (150, 150)
    assert sum(isinstance(layer, Convolution) for layer in network.layers) == 29
    assert len(network.layers) == 108


def test_truncation_is_an_error(tiny_dlib: DlibNetwork) -> None:
    data = write(tiny_dlib)
    for length in range(0, len(data), 5):
        with pytest.raises(ModelError, match=r"tiny\.dat .*: cut short: \d+ bytes expected, \d+ left"):
            read_network(data[:length], "tiny.dat")


def test_every_altered_byte_is_an_error_or_a_network(tiny_dlib: DlibNetwork) -> None:
    data = bytearray(write(tiny_dlib))
    messages: list[str] = []
    others: dict[str, DlibNetwork] = {}
    for index, byte in enumerate(data):
        data[index] = byte ^ (0x01, 0x80, 0xFF)[index % 3]
        try:
            network = read_network(bytes(data), "tiny.dat")
        except ModelError as error:
            messages.append(str(error))
        else:
            others[_sizes(network)] = network
        data[index] = byte
    # A parameter may change its value unseen: the file's SHA-256 is for that.
    assert len(messages) > len(data) / 3
    assert not any("\n" in message for message in messages)
    # The file may tell of another network that fits together as well, or of one that does not.
    for network in others.values():
        with contextlib.suppress(ModelError):
            DlibResNet(network.layers)


def _sizes(network: DlibNetwork) -> str:
    return str(
        [
            (type(layer).__name__, *(getattr(value, "shape", value) for value in vars(layer).values()))
            for layer in network.layers
        ]
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"loss_metric_2", b"loss_metric_9", "expected 'loss_metric_2', found 'loss_metric_9'"),
        (b"relu_", b"sig__", "unknown layer 'sig__'"),
        (integers(3) + text("input_rgb_image_sized"), integers(4), "version of a layer is 4"),
        (text("affine_") + integer(2), text("affine_") + integer(1), "version of a tensor is 1, expected 2"),
        (text("relu_") + b"1", text("relu_") + b"7", "are no truth values"),
        (text("con_4") + integers(2, 56), text("con_4") + integers(2, -56), "-56 samples"),
        (text("con_4") + integers(2, 56), text("con_4") + integers(2, 1 << 40), "1099511627776 samples"),
        (text("con_4") + integers(2, 56), text("con_4") + integers(2, (1 << 31) - 1), "cut short: 8589934588 bytes"),
        (integers(2, 3, 3, 2, 2, 0, 0), integers(3, 3, 3, 2, 2, 0, 0), "3 filters of 3x3 with weights"),
        (integers(2, 3, 3, 2, 2, 0, 0), integers(2, 3, 3, 2, 1, 0, 0), "stride of 2x1"),
        (integers(2, 3, 3, 2, 2, 0, 0), integers(2, 3, 3, 0, 0, 0, 0), "stride 0 and padding 0"),
        (integers(2, 3, 3, 2, 2, 0, 0), integers(2, 3, 3, 2, 2, 3, 3), "stride 2 and padding 3"),
        (integers(1, 2, 3, 3, 3), integers(1, 2, 4, 3, 3), "56 parameters where 74 belong"),
        (integers(1, 1, 2, 1, 1, 0), integers(1, 1, 3, 1, 1, 0), "gains .* and shifts"),
        (integers(2, 2, 2, 2, 0, 0), integers(2, 2, 2, 2, 1, 1), "a pool with stride 2 and padding 1"),
        (integers(1, 3, 4, 1, 1), integers(1, 4, 3, 1, 1), "3 inputs and 4 outputs with weights"),
    ],
)
def test_contradictions(tiny_dlib: DlibNetwork, old: bytes, new: bytes, message: str) -> None:
    data = write(tiny_dlib)
    assert old in data
    with pytest.raises(ModelError, match=message):
        read_network(data.replace(old, new, 1), "tiny.dat")


def test_bytes_behind_the_end(tiny_dlib: DlibNetwork) -> None:
    with pytest.raises(ModelError, match="2 bytes behind the end"):
        read_network(write(tiny_dlib) + b"ab", "tiny.dat")


def test_parameters_that_are_no_numbers(tiny_dlib: DlibNetwork) -> None:
    *others, dense = tiny_dlib.layers
    assert isinstance(dense, Dense)
    damaged = replace(tiny_dlib, layers=(*others, Dense(dense.weight * np.float32(np.nan))))
    with pytest.raises(ModelError, match="a parameter is not finite"):
        read_network(write(damaged), "tiny.dat")


def test_a_forged_size_costs_no_memory(tiny_dlib: DlibNetwork) -> None:
    data = write(tiny_dlib).replace(text("con_4") + integers(2, 56), text("con_4") + integers(2, 1 << 30), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="cut short"):
            read_network(data, "tiny.dat")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
