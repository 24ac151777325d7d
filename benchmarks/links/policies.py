"""What is compared: the daemon that adapts, and daemons that always do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.plan.profiling import SLOWDOWN

DEADLINE = 2.0
"""Seconds from capture to answer; every policy falls back on the device then."""
MAX_KL = 0.025


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to run the daemon; no cut and codec: adaptive, or all on the edge where there is no server."""

    name: str
    cut: str = ""
    codec: str = ""
    server: bool = True


ADAPTIVE = Policy("adaptive")
FIXED = (
    Policy("all on the edge", server=False),
    Policy("block4", "block4", "transform:step=2|rans"),
    Policy("block7", "block7", "transform:step=2|rans"),
    Policy("block10", "block10", "transform:step=2.5|rans"),
    Policy("cloud JPEG", "input", "jpeg:quality=95"),
)


ONLY_CLOUD = "who"
SOURCES = {"watch": '["classification"]', ONLY_CLOUD: '["classification", "embedding"]'}
"""Tasks: `watch` wants what the device can answer too, the other has one whose head is in the cloud alone."""


def write_config(
    policy: Policy, folder: Path, bundle: Path, profile: Path, server: str, sources: Mapping[str, str]
) -> Path:
    """The daemon's configuration in `folder`: frames come over Unix sockets, answers go back over them."""
    how = f'cut = "{policy.cut}"\ncodec = "{policy.codec}"\n' if policy.cut else ""
    if policy == ADAPTIVE:
        how = f'edge_profile = "{profile}"\ncloud_profile = "{profile}"\n'
    link = f'[[servers]]\naddress = "{server}"\n' if policy.server else ""
    only = 'cloud_only = ["embedding"]\n' if policy.server else ""
    text = (
        f'state = "state"\ngrace = 1.0\n{link}[link]\nlongest_pause = 2.0\n'
        f'[models.lite0]\nbundle = "{bundle}"\n{how}{only}slowdown = {SLOWDOWN}\n'
        '[sinks.out]\nkind = "jsonl"\npath = "out.jsonl"\n'
    )
    for name, tasks in sources.items():
        text += (
            f'[sources.{name}]\nkind = "http"\nsocket = "{name}.sock"\nsink = "out"\ntasks = {tasks}\n'
            f'deadline = {DEADLINE}\nmax_kl = {MAX_KL}\nfallback = ["local"]\n'
        )
    path = folder / "edge.toml"
    path.write_text(text)
    return path
