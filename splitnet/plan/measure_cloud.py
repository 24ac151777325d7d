"""The service's half of a profile, with the fidelity of every codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from splitnet.bundle import Bundle, Cut
from splitnet.calibrate.fidelity import kl_divergence
from splitnet.cloud.decoding import Content, decode_frame
from splitnet.cloud.model import CloudModel, Head, zeros
from splitnet.models.image_codec import ImageCodec, input_of_file
from splitnet.plan.bench import Call
from splitnet.plan.codecs import codecs_for, images_for
from splitnet.plan.curves import curve_fidelity
from splitnet.plan.measure import Advance, Frames, Settings, is_transform, this_machine, threaded
from splitnet.plan.profile import CloudCut, CloudHalf, Fidelity, Received, Whole
from splitnet.plan.subject import Subject
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph
from splitnet.tasks.results import Result
from splitnet.wire.exchange import InferenceResponse
from splitnet.wire.messages import response_to_message

_TOP_K = 5
_WHOLE = "whole"


def measure_cloud(bundle: Bundle, subject: Subject, settings: Settings, advance: Advance) -> CloudHalf:
    """Measure the cuts of `settings`, image files and the whole network, as the service would run them.

    Raises
    ------
    UsageError
        for an unknown cut, or a step out of range.
    BundleError, ModelError
        if a file is missing or altered, or a graph does not load.
    ImageError
        if a codec cannot take what the network makes of a photo.
    """
    service = _Service(bundle, subject, settings)
    cuts = [bundle.cut(name) for name in settings.cuts]
    found: dict[str, _Coded] = {}
    for number, cut in enumerate(cuts):
        advance(f"cloud: codecs of {cut.name}", number, len(cuts) + 2)
        found[cut.name] = service.codecs(cut)
    advance("cloud: images", len(cuts), len(cuts) + 2)
    images = tuple(service.image(codec) for codec in images_for(bundle))
    advance("cloud: graphs", len(cuts) + 1, len(cuts) + 2)
    makers: dict[str, Callable[[int], Call]] = {_WHOLE: service.whole}
    for cut in cuts:
        for symbols, contents in found[cut.name].contents.items():
            makers[_key(cut, symbols)] = partial(service.answer, cut, contents)
    graphs = threaded(settings, makers, len(subject.crops))
    return CloudHalf(
        machine=this_machine(),
        threads=settings.threads,
        repeats=settings.bench.repeats,
        photos=subject.photos,
        answers=service.answers(cuts[0]),
        cuts=tuple(
            CloudCut(
                name=cut.name,
                plain=graphs[_key(cut, False)],
                transform=graphs.get(_key(cut, True)),
                codecs=found[cut.name].codecs,
            )
            for cut in cuts
        ),
        images=images,
        whole=Whole(graph=graphs[_WHOLE], tasks=service.whole_tasks),
    )


def _key(cut: Cut, symbols: bool) -> str:
    return f"{cut.name} {'transform' if symbols else 'plain'}"


@dataclass(frozen=True)
class _Coded:
    """Codecs of one cut, and what the service decodes of every photo, by whether it is symbols."""

    codecs: tuple[Received, ...]
    contents: dict[bool, list[Content]]


class _Service:
    def __init__(self, bundle: Bundle, subject: Subject, settings: Settings) -> None:
        self._bundle, self._subject, self._settings = bundle, subject, settings
        self._models = {1: CloudModel(bundle)}
        whole = load_graph(bundle, bundle.manifest.whole)
        there = {output.name for output in whole.outputs}
        heads = self._models[1].heads.values()
        self._heads = [head for head in heads if head.task.output in there]
        self._classifications = [head for head in self._heads if head.task.kind == "classification"]
        self._whole = whole
        self._reference = [self._classify(tensor) for tensor in subject.inputs]

    @property
    def whole_tasks(self) -> tuple[str, ...]:
        return tuple(head.task.name for head in self._heads)

    def codecs(self, cut: Cut) -> _Coded:
        frames = Frames(self._bundle, cut, self._subject)
        curve = curve_fidelity(self._bundle, cut)
        contents: dict[bool, list[Content]] = {}
        codecs = []
        for codec, spec in codecs_for(self._bundle, cut, self._settings.steps).items():
            fidelity = curve.get(getattr(spec.quantiser, "step", -1.0))
            received, contents[is_transform(spec)] = self._codec(cut, codec, frames.encode(spec), fidelity)
            codecs.append(received)
        return _Coded(tuple(codecs), contents)

    def _codec(
        self, cut: Cut, codec: str, frames: list[bytes], fidelity: Fidelity | None
    ) -> tuple[Received, list[Content]]:
        model = self._models[1]
        contents = [decode_frame(frame, model, cut) for frame in frames]
        heads = tuple(model.heads.values())
        decode = self._settings.bench.time(
            lambda index: decode_frame(frames[index], model, cut),
            len(frames),
            lambda index: _answer(model, cut, contents[index], heads),
        )
        if fidelity is None:
            fidelity = self._fidelity([self._logits(cut, content) for content in contents])
        return Received(codec=codec, decode=decode, fidelity=fidelity), contents

    def answer(self, cut: Cut, contents: Sequence[Content], threads: int) -> Call:
        if threads not in self._models:
            self._models[threads] = CloudModel(self._bundle, threads=threads)
        model = self._models[threads]
        heads = tuple(model.heads.values())
        return lambda index: _answer(model, cut, contents[index], heads)

    def image(self, codec: ImageCodec) -> Received:
        files = [codec.encode(crop) for crop in self._subject.crops]
        decode = self._settings.bench.time(lambda index: self._input(files[index]), len(files))
        fidelity = self._fidelity([self._classify(self._input(file)) for file in files])
        return Received(codec=str(codec), decode=decode, fidelity=fidelity)

    def whole(self, threads: int) -> Call:
        inputs, heads, tensor = self._subject.inputs, self._heads, self._bundle.manifest.input.tensor
        graph = load_graph(self._bundle, self._bundle.manifest.whole, threads=threads)

        def run(index: int) -> object:
            found = graph.run({tensor: inputs[index]}, [head.task.output for head in heads])
            return [head.result(output[0], _TOP_K) for head, output in zip(heads, found, strict=True)]

        return run

    def answers(self, cut: Cut) -> dict[str, float]:
        """Bytes of each task's result in the answer's message."""
        model = self._models[1]
        results = _answer(model, cut, Content(zeros(cut), False), tuple(model.heads.values()))
        empty = response_to_message(InferenceResponse({})).ByteSize()
        return {
            name: response_to_message(InferenceResponse({name: result})).ByteSize() - empty
            for name, result in results.items()
        }

    def _input(self, file: bytes) -> Array:
        return input_of_file(file, self._bundle.manifest.image_input)

    def _classify(self, tensor: Array) -> list[Array]:
        outputs = [head.task.output for head in self._classifications]
        return self._whole.run({self._bundle.manifest.input.tensor: tensor}, outputs) if outputs else []

    def _logits(self, cut: Cut, content: Content) -> list[Array]:
        model, heads = self._models[1], self._classifications
        if not heads:
            return []
        shared = model.shared(cut, content.values, coefficients=content.coefficients, heads=heads)
        return [model.answer(head, shared) for head in heads]

    def _fidelity(self, found: Sequence[Sequence[Array]]) -> Fidelity | None:
        """Of logits, one list of heads a photo. Random pictures say nothing about photos: None."""
        if not self._subject.files or not self._classifications:
            return None
        divergences, agreements = [], []
        for head in range(len(self._classifications)):
            before, after = (np.concatenate([photo[head] for photo in one]) for one in (self._reference, found))
            divergences.append(float(kl_divergence(before, after).mean()))
            agreements.append(float((before.argmax(1) == after.argmax(1)).mean()))
        return Fidelity(agreement=min(agreements), kl=max(divergences), photos=len(found), source="measured")


def _answer(model: CloudModel, cut: Cut, content: Content, heads: Sequence[Head]) -> dict[str, Result]:
    shared = model.shared(cut, content.values, coefficients=content.coefficients, heads=heads)
    return {head.task.name: head.result(model.answer(head, shared)[0], _TOP_K) for head in heads}
