"""Profiles become candidates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from splitnet.errors import UsageError
from splitnet.plan.candidate import Candidate
from splitnet.plan.profile import CloudHalf, EdgeHalf, Fidelity, Profile, Sent, Threaded, Times

Threads = Literal["one", "many"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the answers must hold, and what runs them.

    No `tasks` mean all of the bundle; heads of `cloud_only` tasks are not on devices, whatever the profile says.
    """

    tasks: Sequence[str] = ()
    cloud_only: Collection[str] = ()
    edge_threads: Threads = "one"
    cloud_threads: Threads = "one"


def candidates(profile: Profile, wanted: Wanted = Wanted()) -> tuple[Candidate, ...]:
    """Every mode, cut and codec that both halves measured, in the order of the network, from edge to cloud.

    Raises
    ------
    UsageError
        if a half is missing, a task is unknown (lists those there are), or the halves have nothing in common.
    """
    edge, cloud = profile.edge, profile.cloud
    if edge is None or cloud is None:
        raise UsageError(f"the profile holds no {'edge' if edge is None else 'cloud'} half")
    for name in (*wanted.tasks, *wanted.cloud_only):
        if name not in cloud.answers:
            raise UsageError(f"no task {name!r} in the cloud profile; it has {', '.join(cloud.answers)}")
    tasks = tuple(wanted.tasks) or tuple(cloud.answers)
    answer = sum(cloud.answers[name] for name in tasks)
    found = (
        *_splits(edge, cloud, wanted, answer),
        *_images(edge, cloud, wanted, tasks, answer),
        *_whole(edge, wanted, tasks),
    )
    if not found:
        raise UsageError(
            "the edge and the cloud profile have no cut with the same codec; profile the same cuts on both"
        )
    return found


def _splits(edge: EdgeHalf, cloud: CloudHalf, wanted: Wanted, answer: float) -> Iterator[Candidate]:
    there = {cut.name: cut for cut in cloud.cuts}
    for cut in edge.cuts:
        other = there.get(cut.name)
        if other is None:
            continue
        received = {one.codec: one for one in other.codecs}
        for sent in cut.codecs:
            behind = received.get(sent.codec)
            symbols = sent.codec.startswith("transform")
            first, rest = (cut.transform, other.transform) if symbols else (cut.plain, other.plain)
            if behind is None or first is None or rest is None:
                continue
            graph, fidelity = _of(first, wanted.edge_threads), behind.fidelity
            yield Candidate(
                "split",
                cut.name,
                sent.codec,
                edge=_prepared(edge) + _seconds(edge.normalise) + _seconds(graph),
                encode=_seconds(sent.encode),
                size=_size(sent, fidelity, edge),
                answer=answer,
                decode=_seconds(behind.decode),
                cloud=_seconds(_of(rest, wanted.cloud_threads)),
                agreement=None if fidelity is None else fidelity.agreement,
                kl=None if fidelity is None else fidelity.kl,
                photos=0 if fidelity is None else fidelity.photos,
                energy=_energy(edge.prepare, edge.normalise, graph, sent.encode),
            )


def _images(
    edge: EdgeHalf, cloud: CloudHalf, wanted: Wanted, tasks: Sequence[str], answer: float
) -> Iterator[Candidate]:
    if not set(tasks) <= set(cloud.whole.tasks):
        return
    received = {one.codec: one for one in cloud.images}
    for sent in edge.images:
        behind = received.get(sent.codec)
        if behind is not None:
            fidelity = behind.fidelity
            yield Candidate(
                "cloud",
                "",
                sent.codec,
                edge=_prepared(edge),
                encode=_seconds(sent.encode),
                size=sent.bytes,
                answer=answer,
                decode=_seconds(behind.decode),
                cloud=_seconds(_of(cloud.whole.graph, wanted.cloud_threads)),
                agreement=None if fidelity is None else fidelity.agreement,
                kl=None if fidelity is None else fidelity.kl,
                photos=0 if fidelity is None else fidelity.photos,
                energy=_energy(edge.prepare, sent.encode),
            )


def _whole(edge: EdgeHalf, wanted: Wanted, tasks: Sequence[str]) -> Iterator[Candidate]:
    if edge.whole is None or not set(tasks) <= set(edge.whole.tasks) - set(wanted.cloud_only):
        return
    graph = _of(edge.whole.graph, wanted.edge_threads)
    yield Candidate(
        "edge",
        edge=_prepared(edge) + _seconds(edge.normalise) + _seconds(graph),
        agreement=1.0,
        kl=0.0,
        energy=_energy(edge.prepare, edge.normalise, graph),
    )


def _size(sent: Sent, fidelity: Fidelity | None, edge: EdgeHalf) -> float:
    """Bytes measured on the device's photos; where those were random pictures, the curve's, if there is one."""
    if edge.photos.kind == "random" and fidelity is not None and fidelity.bytes is not None:
        return fidelity.bytes
    return sent.bytes


def _prepared(edge: EdgeHalf) -> float:
    return 0.0 if edge.prepare is None else _seconds(edge.prepare)


def _of(graph: Threaded, threads: Threads) -> Times:
    return graph.one if threads == "one" else graph.many


def _seconds(times: Times) -> float:
    return times.median_ms / 1000


def _energy(*parts: Times | None) -> float | None:
    total = 0.0
    for part in parts:
        if part is None:
            continue
        if part.joules is None:
            return None
        total += part.joules
    return total
