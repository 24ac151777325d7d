"""`python -m benchmarks.links`: the edge daemon on four kinds of links, beside every fixed choice and an oracle.

A device emulated 20 times slower and a service, each in a namespace of an emulated link that replays a trace. Every
policy replays the same trace with the same frames at the same moments; the oracle takes, frame by frame, the fastest of
the fixed choices. Needs root. The full run takes 20 minutes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.link import Link, LinkSettings
from benchmarks.links.feed import Answered, feed
from benchmarks.links.plots import draw
from benchmarks.links.policies import ADAPTIVE, DEADLINE, FIXED, ONLY_CLOUD, Policy
from benchmarks.links.rig import running
from benchmarks.links.traces import NAMES, make_trace
from benchmarks.plan.profiling import CUTS, emulated_profile
from splitnet.bundle import Bundle
from splitnet.bundle.build import INPUT_CUT, build_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.plan.profile import write_profile

OUT = Path("out/links")
SECONDS = 120
WARM_UP = 10.0
"""Seconds in which the daemon gets to know the link; the same for all, and not counted."""
GAP, GAP_WHO = 1.0, 5.0
LANES = 3
"""Policies at a time, each with a link, a service and a device of its own: a device that is emulated 20 times slower
computes for a twentieth of the time."""

Run = dict[str, list[Answered]]
"""Source -> its frames."""


def measure(short: bool) -> Measured:
    """Means beside the oracle's, for each trace. Raises SplitnetError, OSError."""
    OUT.mkdir(parents=True, exist_ok=True)
    names, seconds = (NAMES[:1], 30) if short else (NAMES, SECONDS)
    fixed = FIXED[:1] + FIXED[-1:] if short else FIXED
    bundle = build_bundle("efficientnet-lite0", OUT / "bundle", cuts=(INPUT_CUT, *CUTS))
    photos = [photo.path for photo in labelled_photos()[:10]]
    contents = [photo.read_bytes() for photo in photos]
    figures: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    with Progress(transient=True) as bar:
        task = bar.add_task("profile", total=None)
        write_profile(OUT / "profile.json", emulated_profile(bundle, photos[:5] if short else photos))
        bar.update(task, total=len(names) * (1 + len(fixed)))
        for name in names:
            policies = (ADAPTIVE, *fixed)

            def run(number: int, name: str = name, policies: Sequence[Policy] = policies) -> Run:
                found = _run(policies[number], name, seconds, bundle, contents, number % LANES / LANES)
                bar.advance(task)
                return found

            bar.update(task, description=name)
            with ThreadPoolExecutor(LANES) as pool:
                runs = dict(zip([one.name for one in policies], pool.map(run, range(len(policies))), strict=True))
            oracle = _oracle([runs[policy.name]["watch"] for policy in fixed])
            figures |= _figures(name, runs, oracle)
            rows += [_row(name, policy, run) for policy, run in runs.items()]
            if not short:
                draw(OUT / f"{name}.png", name, make_trace(name, seconds), runs, oracle)
    return Measured(figures, rows)


def _run(policy: Policy, name: str, seconds: int, bundle: Bundle, photos: Sequence[bytes], phase: float) -> Run:
    """`phase` is the part of a second at which the trace begins: what runs beside it computes at other moments."""
    folder = OUT / policy.name.replace(" ", "-")
    trace = make_trace(name, seconds)
    with (
        Link(trace[0][1] if not trace[0][1].outage else LinkSettings(), seed=1) as link,
        running(link, folder, bundle, OUT / "profile.json", policy),
    ):
        time.sleep(WARM_UP / 2)
        _warm(folder, policy, photos)
        time.sleep((phase - time.monotonic()) % 1.0)
        start = link.replay(trace)
        return _feed(folder, policy, photos, start, seconds)


def _warm(folder: Path, policy: Policy, photos: Sequence[bytes]) -> None:
    """A few frames on the trace's first link, as a daemon has seen that runs for a while."""
    _feed(folder, policy, photos, time.monotonic(), int(WARM_UP / 2))


def _feed(folder: Path, policy: Policy, photos: Sequence[bytes], start: float, seconds: int) -> Run:
    found: Run = {}
    sources = {"watch": np.arange(0.5, seconds, GAP)} | (
        {ONLY_CLOUD: np.arange(1.0, seconds, GAP_WHO)} if policy.server else {}
    )

    def one(source: str, dues: Sequence[float]) -> None:
        found[source] = feed(folder / f"{source}.sock", photos, start, dues, DEADLINE + 10)

    threads = [threading.Thread(target=one, args=(name, dues.tolist())) for name, dues in sources.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _oracle(fixed: Sequence[Sequence[Answered]]) -> list[float]:
    """Seconds of the fastest fixed choice for each frame."""
    return [min(_cost(one) for one in frames) for frames in zip(*fixed, strict=True)]


def _cost(one: Answered) -> float:
    """Seconds; a frame without an answer counts as twice its deadline."""
    return one.seconds if one.status else max(one.seconds, 2 * DEADLINE)


def _figures(name: str, runs: dict[str, Run], oracle: Sequence[float]) -> dict[str, float]:
    means = {policy: fmean(map(_cost, run["watch"])) for policy, run in runs.items()}
    best = min(mean for policy, mean in means.items() if policy != ADAPTIVE.name)
    watched = runs[ADAPTIVE.name]["watch"]
    kept = [one.seconds <= DEADLINE or one.status == "local" for one in watched]
    return {
        f"edge.{name}.mean_vs_oracle": means[ADAPTIVE.name] / fmean(oracle) - 1,
        f"edge.{name}.mean_vs_best_fixed": means[ADAPTIVE.name] / best - 1,
        f"edge.{name}.p99_s": float(np.percentile([one.seconds for one in watched], 99)),
        f"edge.{name}.in_time_or_local": fmean(kept),
    }


def _row(name: str, policy: str, run: Run) -> dict[str, Any]:
    return {
        "trace": name,
        "policy": policy,
        **{
            source: {
                "mean_s": fmean(map(_cost, frames)),
                "p99_s": float(np.percentile([_cost(one) for one in frames], 99)),
                "status": dict(Counter(one.status or "none" for one in frames)),
                "frames": [[round(one.due, 3), round(one.seconds, 4), one.status, one.cut] for one in frames],
            }
            for source, frames in run.items()
        },
    }


if __name__ == "__main__":
    main("links", measure)
