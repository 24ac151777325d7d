"""What published figures must reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Bar:
    """At most, or at least, a value. One that is not needed may be missing: its script wants more than `make setup`."""

    sense: Literal["<=", ">="]
    value: float
    needed: bool = True

    def met(self, figure: float) -> bool:
        """Whether a figure reaches the bar."""
        return figure <= self.value if self.sense == "<=" else figure >= self.value

    def __str__(self) -> str:
        return f"{self.sense} {self.value:g}"


FLOAT_MAPS = ("block2", "block4", "block7", "block10", "add.14", "relu.0", "relu.4", "relu.18")
LINK_TRACES = ("4g", "wifi", "satellite", "outage")

BARS: dict[str, Bar] = {
    "build.hundred_nodes_all_s": Bar("<=", 60, needed=False),
    "codec.block7.bytes_at_kl_011": Bar("<=", 3350, needed=False),
    "codec.block7.bytes_at_kl_025": Bar("<=", 2350, needed=False),
    "codec.block7.bytes_at_kl_045": Bar("<=", 1870, needed=False),
    "codec.block7.bytes_at_kl_045_cosine_97": Bar("<=", 1870, needed=False),
    "codec.block7.cosine_at_kl_045": Bar(">=", 0.97, needed=False),
    "codec.block7.ratio_to_best_image_codec": Bar(">=", 7, needed=False),
    "codec.decode_share_of_cloud_graph": Bar("<=", 0.12),
    "codec.encode_share_of_edge_graph": Bar("<=", 0.12),
    "ctx.decode_mvalues_s": Bar(">=", 10, needed=False),
    "ctx.encode_mvalues_s": Bar(">=", 10, needed=False),
    "ctx.mean.size_vs_jxl": Bar("<=", 0.92, needed=False),
    "demo.block7.affine8_zstd.agreement": Bar(">=", 1.0),
    "demo.block7.affine8_zstd.bytes": Bar("<=", 14_000),
    "demo.lossless.worst_difference": Bar("<=", 1e-5),
    "demo.overhead_ms": Bar("<=", 2.0),
    "edge.changes_in_a_steady_minute": Bar("<=", 3, needed=False),
    "edge.daemon_rss_mb": Bar("<=", 200),
    "edge.faults_lost": Bar("<=", 0, needed=False),
    "edge.faults_twice": Bar("<=", 0, needed=False),
    "edge.first_frame_s": Bar("<=", 1.5),
    "edge.installed_mb": Bar("<=", 90, needed=False),
    "edge.rate_vs_graph": Bar(">=", 0.9),
    "edge.run_rss_mb": Bar("<=", 130),
    "edge.step_down_s": Bar("<=", 2, needed=False),
    "edge.step_up_s": Bar("<=", 2, needed=False),
    **{f"edge.{trace}.mean_vs_oracle": Bar("<=", 0.15, needed=False) for trace in LINK_TRACES},
    "floats.decode_mb_s": Bar(">=", 100),
    "floats.encode_mb_s": Bar(">=", 100),
    **{f"floats.{name}.size_vs_best_peer": Bar("<=", 0.97, needed=False) for name in FLOAT_MAPS},
    "import.featcodec_ms": Bar("<=", 100),
    "link.undecided_losses": Bar("<=", 0, needed=False),
    "link.worst_loss_error": Bar("<=", 0.5, needed=False),
    "link.worst_rate_error": Bar("<=", 0.05, needed=False),
    "link.worst_rtt_error_ms": Bar("<=", 1.0, needed=False),
    "plan.worst_prediction_error": Bar("<=", 0.20, needed=False),
    "plan.worst_vs_best": Bar("<=", 0.10, needed=False),
    "rans.context_decode_ms": Bar("<=", 0.35),
    "rans.context_encode_ms": Bar("<=", 0.30),
    "rans.decode_ms": Bar("<=", 0.15),
    "rans.decode_mvalues_s": Bar(">=", 100),
    "rans.encode_ms": Bar("<=", 0.12),
    "rans.encode_mvalues_s": Bar(">=", 100),
    "serve.added_ms_p50": Bar("<=", 1.0),
    "serve.added_ms_p99": Bar("<=", 4.0),
    "serve.hostile_crashes": Bar("<=", 0),
    "serve.hostile_errors_of_others": Bar("<=", 0),
    "serve.hostile_p99_ratio": Bar("<=", 2.0),
    "serve.overload_goodput_vs_peak": Bar(">=", 0.9),
    "serve.overload_recovery_s": Bar("<=", 2.0),
    "serve.ray_answered_twice": Bar("<=", 0, needed=False),
    "serve.ray_unanswered": Bar("<=", 0, needed=False),
    "serve.reload_failed_requests": Bar("<=", 0, needed=False),
    "serve.soak_errors": Bar("<=", 0, needed=False),
    "serve.soak_memory_growth": Bar("<=", 0.02, needed=False),
    "serve.throughput_vs_bare": Bar(">=", 0.85),
}
