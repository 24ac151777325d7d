"""The device's half of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean

import featcodec
from splitnet.bundle import Bundle, Cut, Task
from splitnet.edge.halves import half_for
from splitnet.models.image_codec import ImageCodec
from splitnet.plan.bench import Call
from splitnet.plan.codecs import codecs_for, images_for
from splitnet.plan.measure import Advance, Frames, Settings, is_transform, this_machine, threaded
from splitnet.plan.profile import EdgeCut, EdgeHalf, Sent, Whole
from splitnet.plan.subject import Subject
from splitnet.runtime.bundled import load_graph

_WHOLE = "whole"


def measure_edge(bundle: Bundle, subject: Subject, settings: Settings, advance: Advance) -> EdgeHalf:
    """Measure the cuts of `settings`, image files, and the whole network where the bundle on this machine has it.

    Raises
    ------
    UsageError
        for an unknown cut, or a step out of range.
    BundleError, ModelError
        if a file is altered or a graph does not load.
    ImageError, SampleError
        if a codec cannot take what the network makes of a photo.
    """
    bench, count, fresh = settings.bench, len(subject.crops), _Fresh(subject)
    cuts = [bundle.cut(name) for name in settings.cuts]
    codecs: dict[str, tuple[Sent, ...]] = {}
    for number, cut in enumerate(cuts):
        advance(f"edge: codecs of {cut.name}", number, len(cuts) + 2)
        codecs[cut.name] = _codecs(bundle, cut, subject, settings)
    advance("edge: images", len(cuts), len(cuts) + 2)
    images = tuple(_image(codec, subject, settings) for codec in images_for(bundle))
    advance("edge: graphs", len(cuts) + 1, len(cuts) + 2)
    makers = {}
    for cut in cuts:
        for spec in codecs_for(bundle, cut, settings.steps).values():
            makers[_key(cut, is_transform(spec))] = partial(_half, bundle, cut, spec, fresh)
    tasks = _whole_tasks(bundle)
    if tasks:
        makers[_WHOLE] = partial(_whole, bundle, tasks, fresh)
    graphs = threaded(settings, makers, count, fresh.make)
    return EdgeHalf(
        machine=this_machine(),
        threads=settings.threads,
        repeats=bench.repeats,
        photos=subject.photos,
        slowdown=bench.slowdown,
        prepare=bench.time(subject.prepare, count) if subject.files else None,
        normalise=bench.time(subject.normalise, count, fresh.read),
        cuts=tuple(
            EdgeCut(
                name=cut.name,
                plain=graphs[_key(cut, False)],
                transform=graphs.get(_key(cut, True)),
                codecs=codecs[cut.name],
            )
            for cut in cuts
        ),
        images=images,
        whole=Whole(graph=graphs[_WHOLE], tasks=tuple(task.name for task in tasks)) if tasks else None,
    )


class _Fresh:
    """Reads inputs again, as the device does for each: the graph then finds in the caches what it finds in use."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self.tensor = subject, subject.inputs[0]

    def read(self, index: int) -> None:
        """What comes before an input is normalised."""
        if self._subject.files:
            self._subject.prepare(index)

    def make(self, index: int) -> None:
        """What comes before a graph."""
        self.read(index)
        self.tensor = self._subject.normalise(index)


def _key(cut: Cut, symbols: bool) -> str:
    return f"{cut.name} {'transform' if symbols else 'plain'}"


def _codecs(bundle: Bundle, cut: Cut, subject: Subject, settings: Settings) -> tuple[Sent, ...]:
    frames = Frames(bundle, cut, subject)
    specs = codecs_for(bundle, cut, settings.steps)
    return tuple(_sent(frames, codec, spec, settings) for codec, spec in specs.items())


def _sent(frames: Frames, codec: str, spec: featcodec.Spec, settings: Settings) -> Sent:
    half, values, inputs = frames.half(spec), frames.values(spec), frames.inputs
    encode = settings.bench.time(
        lambda index: half.frame(values[index], spec), len(values), lambda index: half.run(inputs[index], spec)
    )
    return Sent(codec=codec, encode=encode, bytes=fmean(len(half.frame(one, spec)) for one in values))


def _image(codec: ImageCodec, subject: Subject, settings: Settings) -> Sent:
    crops = subject.crops
    encode = settings.bench.time(lambda index: codec.encode(crops[index]), len(crops), _Fresh(subject).read)
    return Sent(codec=str(codec), encode=encode, bytes=fmean(len(codec.encode(crop)) for crop in crops))


def _half(bundle: Bundle, cut: Cut, spec: featcodec.Spec, fresh: _Fresh, threads: int) -> Call:
    half = half_for(bundle, cut, spec, threads)
    return lambda _: half.run(fresh.tensor, spec)


def _whole_tasks(bundle: Bundle) -> list[Task]:
    """What the whole network answers on its own; nothing where the device fetched its half only."""
    manifest = bundle.manifest
    # Missing is in order, altered is an error.
    if not (bundle.path / manifest.whole).exists():
        return []
    there = {output.name for output in load_graph(bundle, manifest.whole).outputs}
    return [task for task in manifest.tasks if task.output in there]


def _whole(bundle: Bundle, tasks: Sequence[Task], fresh: _Fresh, threads: int) -> Call:
    graph = load_graph(bundle, bundle.manifest.whole, threads=threads)
    outputs, tensor = [task.output for task in tasks], bundle.manifest.input.tensor
    return lambda _: graph.run({tensor: fresh.tensor}, outputs)
