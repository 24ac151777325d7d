"""One graph in fewer bits, by ONNX Runtime's own tools."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from splitnet.errors import ModelError
from splitnet.graph.extract import serialise, tidy
from splitnet.runtime.graph import Array


class _Inputs(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
    """Inputs (1, ...) one by one, as the tool asks for them."""

    def __init__(self, name: str, inputs: Iterable[Array]) -> None:
        self._inputs: Iterator[Mapping[str, Array]] = iter([{name: one} for one in inputs])

    def get_next(self) -> Any:
        return next(self._inputs, None)


def to_int8(graph: bytes, inputs: Iterable[Array]) -> bytes:
    """`graph` with weights and activations of 8 bits; its input and output stay float32.

    Static quantisation: a weight's range is its channel's, an activation's is from the 0.001st to the 99.999th
    percentile over `inputs`, each (1, ...). Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018; unsigned activations are what processors multiply fastest.

    Raises
    ------
    ModelError
        if ONNX Runtime's tool cannot quantise the graph.
    """
    model = onnx.load_from_string(graph)
    (source,) = model.graph.input
    with tempfile.TemporaryDirectory() as folder:
        whole, made = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        whole.write_bytes(graph)
        try:
            with _quiet():
                quantize_static(
                    whole,
                    made,
                    _Inputs(source.name, inputs),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.Percentile,
                )
        except Exception as error:  # the tool raises whatever its parts raise
            raise ModelError(f"the edge graph cannot be quantised to int8: {_line(error)}") from error
        return serialise(_with_ends_of(model, onnx.load(made)))


def to_float16(graph: bytes) -> bytes:
    """`graph` with weights and activations of 16 bits; its input and output stay as they are.

    Weights beyond float16's range are clamped to it. Raises ModelError where the tool fails.
    """
    model = onnx.load_from_string(graph)
    try:
        with _quiet(), np.errstate(all="ignore"):
            made = convert_float_to_float16(onnx.load_from_string(graph), keep_io_types=True)
    except Exception as error:  # as above
        raise ModelError(f"the edge graph cannot be written in float16: {_line(error)}") from error
    return serialise(_with_ends_of(model, made))


def _with_ends_of(given: onnx.ModelProto, made: onnx.ModelProto) -> onnx.ModelProto:
    """`made` with the names and shapes of `given`'s input and output, which a device relies on."""
    if [one.name for one in made.graph.output] != [one.name for one in given.graph.output]:
        raise ModelError(f"the tool renamed the output {given.graph.output[0].name!r}")
    for ends, of in ((made.graph.input, given.graph.input), (made.graph.output, given.graph.output)):
        del ends[:]
        ends.extend(of)
    return tidy(made)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tools print what they do, and advise steps that change nothing here."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
