"""How long a bundle takes: a network of 100 nodes with skip connections, split at every cut, each verified.

The network is made up (seeded random weights): 25 times convolution, batch normalisation, activation and addition to
what came before, every eighth of which halves the image.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.harness import Measured, main
from splitnet.bundle.build import build_bundle

BLOCKS, WIDTH, SIDE = 25, 32, 224


def network() -> onnx.ModelProto:
    """image (N, 3, 224, 224) -> features (N, 32, 14, 14), 100 nodes."""
    generator = np.random.default_rng(0)
    nodes, weights, last, channels = [], [], "image", 3
    for number in range(BLOCKS):
        stride = 2 if number % 8 == 0 else 1
        shape = (WIDTH, channels, 3, 3)
        scale = (2 / (9 * channels)) ** 0.5
        own = {
            f"w{number}": (scale * generator.standard_normal(shape)).astype(np.float32),
            f"scale{number}": np.ones(WIDTH, np.float32),
            f"bias{number}": np.zeros(WIDTH, np.float32),
            f"mean{number}": np.zeros(WIDTH, np.float32),
            f"var{number}": np.ones(WIDTH, np.float32),
        }
        weights += [numpy_helper.from_array(array, name) for name, array in own.items()]
        names = list(own)
        nodes += [
            helper.make_node("Conv", [last, names[0]], [f"c{number}"], pads=[1] * 4, strides=[stride] * 2),
            helper.make_node("BatchNormalization", [f"c{number}", *names[1:]], [f"n{number}"]),
            helper.make_node("Relu", [f"n{number}"], [f"r{number}"]),
            # Where the image shrinks there is nothing of its size to add but the activation itself.
            helper.make_node("Add", [f"r{number}", last if stride == 1 else f"n{number}"], [f"a{number}"]),
        ]
        last, channels = f"a{number}", WIDTH
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (("image", (3, SIDE, SIDE)), (last, (WIDTH, SIDE // 16, SIDE // 16)))
    ]
    graph = helper.make_graph(nodes, "hundred", values[:1], values[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def measure(short: bool) -> Measured:
    """Seconds for all cuts and for the best ones."""
    rows = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hundred.onnx"
        onnx.save(network(), path)
        figures = {}
        for cuts in ["best"] if short else ["best", "all"]:
            started = time.perf_counter()
            bundle = build_bundle(path, Path(folder) / "bundle", cuts=[cuts])
            seconds = figures[f"build.hundred_nodes_{cuts}_s"] = time.perf_counter() - started
            rows.append({"cuts": cuts, "seconds": seconds, "built": len(bundle.manifest.built_cuts)})
    return Measured(figures, rows)


if __name__ == "__main__":
    main("build", measure)
