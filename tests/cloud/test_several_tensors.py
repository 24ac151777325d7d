"""A cut where two tensors cross: frames that hold both, and frames that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.profiles import maps_shape
from splitnet.calibrate.calibration import CutCalibration, Settings
from splitnet.cloud.access.caller import ANYONE
from splitnet.cloud.batching import Job
from splitnet.cloud.inference import run_batch
from splitnet.cloud.service import InferenceService
from splitnet.edge import Edge
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import BundleError, InvalidRequestError, UsageError
from splitnet.precision.apply import Precision, set_edge_precision
from splitnet.wire.exchange import InferenceRequest, InferenceResponse
from splitnet.wire.messages import model_from_message, model_to_message

CUT = "b-and-1"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two branches, of which one shrinks: b (2, 4, 4) and a (3, 8, 8) cross together."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 3, 16, 16] x) => (float[N, 4] y)
        <float[2, 3, 1, 1] w = {1, -1, 2, 0.5, 1, -2}, float[2, 3, 1, 1] v = {1, 2, 3, 4, 5, 6}> {
            a = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)
            p = MaxPool<kernel_shape = [4, 4], strides = [4, 4]>(x)
            b = Conv(p, w)
            e = Conv(a, v)
            c = GlobalAveragePool(e)  d = GlobalAveragePool(b)
            j = Concat<axis = 1>(c, d)  f = Flatten(j)  y = Tanh(f)
        }
    """)
    path = tmp_path_factory.mktemp("several") / "net.onnx"
    onnx.save(model, path)
    return build_bundle(path, path.parent / "bundle", cuts="all")


@pytest.fixture(scope="module")
def service(bundle: Bundle) -> InferenceService:
    return InferenceService([bundle])


def request(bundle: Bundle, frame: bytes) -> InferenceRequest:
    return InferenceRequest(bundle.manifest.name, bundle.fingerprint, CUT, frame, outputs=True)


def tensors(bundle: Bundle) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    return [generator.standard_normal((1, *one.shape), np.float32) for one in bundle.cut(CUT).crossing]


def test_the_cut_and_its_sizes(bundle: Bundle) -> None:
    cut = bundle.cut(CUT)
    assert [(one.tensor, one.shape) for one in cut.crossing] == [("b", (2, 4, 4)), ("a", (3, 8, 8))]
    assert (cut.values, cut.float_bytes) == (224, 896)


@pytest.mark.parametrize("codec", ["none|raw", "affine:bits=8|zstd:level=3", "float16|zlib"])
def test_both_halves(codec: str, bundle: Bundle, photos: tuple[Path, ...]) -> None:
    with Edge(bundle, cut=CUT, codec=codec) as edge:
        found = edge.infer(photos[0], outputs=True).outputs["y"]
        assert featcodec.info(edge.encoder.encode(photos[0]).frame).tensors[1].shape == (1, 3, 8, 8)
    with Edge(bundle, cut="f", codec="none|raw") as late:
        np.testing.assert_allclose(found, late.infer(photos[0], outputs=True).outputs["y"], atol=0.01)


def test_a_batch(bundle: Bundle, service: InferenceService) -> None:
    model = service.served.find(bundle.manifest.name, "", bundle.fingerprint)
    several = [[scale * array for array in tensors(bundle)] for scale in (1, 2, -1)]
    requests = [request(bundle, featcodec.encode_many(one, "none|raw")) for one in several]
    jobs = [Job(one, ANYONE, model, model.cut(CUT), model.wanted(()), 0.0, None, None) for one in requests]
    for outcome, one in zip(run_batch(jobs), requests, strict=True):
        assert isinstance(outcome, InferenceResponse)
        assert outcome.timing.batch == 3
        np.testing.assert_allclose(outcome.outputs["y"], service.infer(one).outputs["y"], rtol=1e-6)


def test_frames_that_hold_something_else(bundle: Bundle, service: InferenceService) -> None:
    b, a = tensors(bundle)
    wanted = r"cut b-and-1 takes float32 \(1, 2, 4, 4\), float32 \(1, 3, 8, 8\)"
    for held in ([b], [a], [a, b], [b, b], [b, a.astype(np.float64)], [b, a[0]]):
        frame = featcodec.encode_many(held, "none|raw")
        with pytest.raises(InvalidRequestError, match=wanted):
            service.infer(request(bundle, frame))
    with pytest.raises(InvalidRequestError, match=f"holds more than {wanted[:15]}"):
        service.infer(request(bundle, featcodec.encode_many([b, a, a], "none|raw")))
    a[0, 2, 7, 7] = np.nan
    with pytest.raises(InvalidRequestError, match="NaN or infinity"):
        service.infer(request(bundle, featcodec.encode_many([b, a], "none|raw")))


def test_the_description_of_a_model_says_what_crosses(bundle: Bundle, service: InferenceService) -> None:
    described = service.describe(bundle.manifest.name)
    (cut,) = (cut for cut in described.cuts if cut.name == CUT)
    assert (cut.shape, cut.more) == ((2, 4, 4), (((3, 8, 8), "float32"),))
    assert model_from_message(model_to_message(described)).cuts == described.cuts


def test_what_is_for_one_tensor_says_so(bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path) -> None:
    cut = bundle.cut(CUT)
    with pytest.raises(UsageError, match="cut b-and-1 has 2 tensors: call crossing"):
        EdgeEncoder(bundle, CUT).features(np.zeros((1, 3, 16, 16), np.float32))
    with pytest.raises(UsageError, match="cut b-and-1 has 2 tensors: a transform is for cuts of one"):
        maps_shape(cut)
    with pytest.raises(UsageError, match="cut b-and-1 has 2 tensors: a transform is for cuts of one"):
        CutCalibration(bundle, CUT, photos, Settings(method="probing"), tmp_path)


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_fewer_bits(precision: Precision, bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path) -> None:
    made, reports = set_edge_precision(bundle, precision, photos, cuts=[CUT], out=tmp_path / "b")
    assert [report.cut for report in reports] == [CUT]
    with Edge(made, cut=CUT) as edge, Edge(bundle, cut=CUT) as before:
        wanted = before.infer(photos[1], outputs=True).outputs["y"]
        np.testing.assert_allclose(edge.infer(photos[1], outputs=True).outputs["y"], wanted, atol=0.05)


def test_a_manifest_that_repeats_a_tensor_or_has_a_transform_for_two(bundle: Bundle) -> None:
    content = bundle.manifest.model_dump(mode="json")
    cut = next(cut for cut in content["cuts"] if cut["name"] == CUT)
    path = cut["edge"]
    made = {"transform": {"profile": path, "edge": path, "cloud": path, "step": 1.0}}
    with pytest.raises(ValueError, match="several tensors; a transform is for one"):
        type(bundle.manifest).model_validate(content | {"cuts": [cut | made]})
    with pytest.raises(ValueError, match="lists a tensor more than once"):
        type(bundle.manifest).model_validate(
            content | {"cuts": [cut | {"more": [{"tensor": "b", "shape": [3, 8, 8]}]}]}
        )


def test_a_cloud_graph_that_takes_something_else_is_a_broken_bundle(
    bundle: Bundle,
) -> None:
    cuts = [cut.model_copy(update={"more": ()}) if cut.name == CUT else cut for cut in bundle.manifest.cuts]
    altered = Bundle(bundle.path, bundle.manifest.model_copy(update={"cuts": tuple(cuts)}))
    with pytest.raises(BundleError, match="cloud graph of cut b-and-1 does not take what crosses"):
        InferenceService([altered])
