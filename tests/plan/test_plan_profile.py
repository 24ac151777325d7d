"""Profiles: what is read, what is refused, and what candidates become of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from splitnet.errors import OutputError, UsageError
from splitnet.plan import Candidate
from splitnet.plan.bench import Bench
from splitnet.plan.energy import EnergyMeter
from splitnet.plan.profile import MAX_BYTES, Profile, check_bundle, merge, read_profile, write_profile
from splitnet.plan.profiled import Wanted, candidates

MACHINE = {"processor": "P", "cores": 2, "system": "Linux x", "python": "3.11", "packages": {}}
COMMON = {"machine": MACHINE, "threads": 2, "repeats": 5, "photos": {"count": 3, "kind": "photos"}}


def _times(median: float, joules: float | None = None) -> dict[str, Any]:
    return {"median_ms": median, "p95_ms": 2 * median, "joules": joules}


def _threaded(median: float, joules: float | None = None) -> dict[str, Any]:
    return {"one": _times(median, joules), "many": _times(median / 2, joules)}


def content(fingerprint: str = "ab" * 32, *, kind: str = "photos", joules: float | None = None) -> dict[str, Any]:
    """A profile with two cuts, of which the first is calibrated, and one image format."""
    fidelity = {"agreement": 0.97, "kl": 0.02, "bytes": 1900.0, "photos": 500, "source": "curve"}
    measured = {"agreement": 0.9, "kl": 0.1, "photos": 3, "source": "measured"}
    edge = COMMON | {
        "photos": {"count": 3, "kind": kind},
        "prepare": _times(4, joules),
        "normalise": _times(1, joules),
        "cuts": [
            {
                "name": "early",
                "plain": _threaded(10, joules),
                "transform": _threaded(11, joules),
                "codecs": [
                    {"codec": "transform:step=2|rans", "encode": _times(0.5, joules), "bytes": 2000},
                    {"codec": "affine", "encode": _times(0.25, joules), "bytes": 14000},
                ],
            },
            {
                "name": "late",
                "plain": _threaded(20, joules),
                "codecs": [{"codec": "affine", "encode": _times(0.5, joules), "bytes": 9000}],
            },
        ],
        "images": [{"codec": "png", "encode": _times(9, joules), "bytes": 90000}],
        "whole": {"graph": _threaded(30, joules), "tasks": ["words"]},
    }
    cloud = COMMON | {
        "answers": {"words": 100, "vector": 5000},
        "cuts": [
            {
                "name": "early",
                "plain": _threaded(4),
                "transform": _threaded(5),
                "codecs": [
                    {"codec": "transform:step=2|rans", "decode": _times(0.2), "fidelity": fidelity},
                    {"codec": "affine", "decode": _times(0.1), "fidelity": measured},
                ],
            },
            {"name": "late", "plain": _threaded(2), "codecs": [{"codec": "affine", "decode": _times(0.1)}]},
        ],
        "images": [{"codec": "png", "decode": _times(3), "fidelity": measured}],
        "whole": {"graph": _threaded(8), "tasks": ["words", "vector"]},
    }
    return {"format": 1, "network": "n", "version": "1", "fingerprint": fingerprint, "edge": edge, "cloud": cloud}


def _profile(**options: Any) -> Profile:
    return Profile.model_validate(content(**options))


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "p.json"
    write_profile(path, _profile())
    assert read_profile(path, "edge") == read_profile(path, "cloud") == _profile()
    with pytest.raises(OutputError, match="cannot write"):
        write_profile(path / "x.json", _profile())


def _without(*keys: str) -> str:
    found = content()
    for key in keys:
        del found[key]
    return json.dumps(found)


def _with(change: Callable[[dict[str, Any]], object]) -> str:
    found = content()
    change(found)
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is no profile"),
        ("{}", "is no profile"),
        (_with(lambda one: one.update(format=2)), "has format 2; this splitnet reads 1"),
        (_with(lambda one: one.update(fingerprint="x")), "is damaged at fingerprint"),
        (_with(lambda one: one.update(extra=1)), "is damaged at extra"),
        (_with(lambda one: one["edge"]["normalise"].update(median_ms=-1)), "is damaged at edge.normalise.median_ms"),
        (_with(lambda one: one["edge"].update(slowdown=0)), "is damaged at edge.slowdown"),
        (_with(lambda one: one["edge"]["normalise"].update(median_ms=float("nan"))), "edge.normalise.median_ms"),
        (_without("edge"), "holds no edge half; run `splitnet profile BUNDLE --half edge`"),
        (_without("edge", "cloud"), "neither an edge half nor a cloud half"),
    ],
)
def test_files_that_are_no_profile(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        read_profile(path, "edge")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the profile .*No such file"):
        read_profile(tmp_path / "absent.json", "edge")
    large = tmp_path / "large.json"
    with large.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(UsageError, match="is over 16 MiB"):
        read_profile(large, "edge")


def test_halves_of_two_machines_go_together_if_of_one_bundle() -> None:
    edge, cloud = _profile().model_copy(update={"cloud": None}), _profile().model_copy(update={"edge": None})
    assert merge(edge, cloud) == _profile()
    other = _profile(fingerprint="cd" * 32)
    with pytest.raises(UsageError, match=f"{'ab' * 32}, the cloud profile of {'cd' * 32}"):
        merge(_profile(), other)
    with pytest.raises(UsageError, match=f"p.json is of bundle {'cd' * 32}, not of this one, {'ab' * 32}"):
        check_bundle(other, "ab" * 32, "p.json")
    with pytest.raises(UsageError, match="holds no cloud half"):
        candidates(edge)


def test_candidates_of_every_mode() -> None:
    found = candidates(_profile(), Wanted(tasks=("words",)))
    expected = (
        Candidate(
            "split", "early", "transform:step=2|rans",
            edge=0.016, encode=0.0005, size=2000, answer=100, decode=0.0002, cloud=0.005,
            agreement=0.97, kl=0.02, photos=500,
        ),
        Candidate(
            "split", "early", "affine",
            edge=0.015, encode=0.00025, size=14000, answer=100, decode=0.0001, cloud=0.004,
            agreement=0.9, kl=0.1, photos=3,
        ),
        Candidate(
            "split", "late", "affine",
            edge=0.025, encode=0.0005, size=9000, answer=100, decode=0.0001, cloud=0.002,
        ),
        Candidate(
            "cloud", "", "png", edge=0.004, encode=0.009, size=90000, answer=100, decode=0.003, cloud=0.008,
            agreement=0.9, kl=0.1, photos=3,
        ),
        Candidate("edge", edge=0.035, agreement=1, kl=0),
    )  # fmt: skip
    assert [asdict(one) for one in found] == [pytest.approx(asdict(one)) for one in expected]


def test_all_on_the_edge_needs_every_task_there() -> None:
    def modes(wanted: Wanted) -> set[str]:
        return {one.mode for one in candidates(_profile(), wanted)}

    assert modes(Wanted(("words",))) == {"split", "cloud", "edge"}
    assert modes(Wanted()) == modes(Wanted(("vector",))) == {"split", "cloud"}
    assert modes(Wanted(("words",), cloud_only=("words",))) == {"split", "cloud"}
    with pytest.raises(UsageError, match="no task 'poems' in the cloud profile; it has words, vector"):
        modes(Wanted(("poems",)))


def test_answers_add_up_and_threads_are_those_asked_for() -> None:
    one = candidates(_profile(), Wanted(edge_threads="many", cloud_threads="many"))[0]
    assert one.answer == 5100
    assert one.edge == pytest.approx(0.0105)
    assert one.cloud == pytest.approx(0.0025)


def test_sizes_of_random_pictures_give_way_to_the_curves() -> None:
    first, second, *_ = candidates(_profile(kind="random"))
    assert (first.size, second.size) == (1900, 14000)


def test_energy_is_that_of_all_parts_or_unknown() -> None:
    assert candidates(_profile(joules=0.5))[0].energy == 2
    assert candidates(_profile())[0].energy is None


def test_halves_without_a_common_codec() -> None:
    found = content()
    found["cloud"]["cuts"], found["cloud"]["images"], found["edge"]["whole"] = [], [], None
    with pytest.raises(UsageError, match="no cut with the same codec"):
        candidates(Profile.model_validate(found))


def test_the_bench_takes_median_and_95_percent_of_warm_calls_in_turns() -> None:
    # The timed calls take 1, 2, ... 10 seconds; `now` stands still in the others.
    now, calls = [0.0], []
    timed = iter(range(1, 11))

    def clock() -> float:
        return now[0]

    def make(name: str) -> Callable[[int], object]:
        calls.append(name)

        def call(index: int) -> None:
            calls.append(f"{name}{index}")
            if len([one for one in calls[_last(calls, name) :] if one != name]) > 2:
                now[0] += next(timed)

        return call

    pauses: list[float] = []
    bench = Bench(repeats=5, slowdown=2, clock=clock, pause=pauses.append)
    found = bench.compare({"a": lambda: make("a"), "b": lambda: make("b")}, 3)
    # Two warm-ups in each round, then the photos go on where the last round ended.
    expected = "a a0 a1 a0 b b0 b1 b0 a a0 a1 a1 b b0 b1 b1 a a0 a1 a2 b b0 b1 b2 a a0 a1 a0 a1 b b0 b1 b0 b1"
    assert " ".join(calls) == expected
    assert found["a"].joules is None
    assert (found["a"].median_ms, found["b"].median_ms) == pytest.approx((2000 * 5, 2000 * 6))
    assert found["a"].p95_ms == pytest.approx(2000 * 7.8)
    # As long as each call: that is what twice as slow means.
    assert sorted(pauses) == list(range(1, 11))


def _last(calls: list[str], name: str) -> int:
    return len(calls) - 1 - calls[::-1].index(name)


def test_what_runs_before_a_timed_call_is_not_timed_and_takes_no_energy(tmp_path: Path) -> None:
    counter = _rapl(tmp_path / "intel-rapl:0", "package-0", 0)
    now = [0.0]

    def after(index: int) -> None:
        now[0] += 100
        counter.write_text("900")

    def call(index: int) -> None:
        now[0] += 1
        counter.write_text(str((int(counter.read_text()) + 3) % 1000))

    found = Bench(repeats=4, meter=EnergyMeter.open(tmp_path), clock=lambda: now[0]).time(call, 2, after)
    assert (found.median_ms, found.p95_ms) == (1000, 1000)
    assert found.joules == pytest.approx(3e-6)


def _rapl(folder: Path, name: str, microjoules: int) -> Path:
    folder.mkdir()
    for file, text in (("name", name), ("energy_uj", str(microjoules)), ("max_energy_range_uj", "999")):
        (folder / file).write_text(text + "\n")
    return folder / "energy_uj"


def test_energy_of_packages_also_where_a_counter_begins_again(tmp_path: Path) -> None:
    first = _rapl(tmp_path / "intel-rapl:0", "package-0", 100)
    second = _rapl(tmp_path / "intel-rapl:1", "package-1", 900)
    part = _rapl(tmp_path / "intel-rapl:0:0", "core", 50)
    meter = EnergyMeter.open(tmp_path)
    assert meter is not None
    before = meter.read()
    for counter, value in ((first, 300), (second, 100), (part, 500)):
        counter.write_text(str(value))
    assert meter.since(before) == pytest.approx((200 + 200) / 1e6)
    first.write_text("nonsense")
    assert EnergyMeter.open(tmp_path) is None
    assert EnergyMeter.open(tmp_path / "absent") is None
