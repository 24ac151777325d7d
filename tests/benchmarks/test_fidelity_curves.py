"""Rate-fidelity curves against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fidelity.curves import (
    Interval,
    bd_rate,
    bootstrap,
    bytes_at,
    divergence,
    frontier,
    log_softmax,
    resamples,
)


def test_divergence_of_two_coins() -> None:
    reference, answer = (log_softmax(np.log(np.array(p))) for p in ([0.5, 0.5], [0.25, 0.75]))
    assert divergence(reference, answer) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert divergence(reference, reference) == 0.0


def test_log_softmax_of_large_logits_is_finite() -> None:
    assert np.isfinite(log_softmax(np.array([1e4, 0.0, -1e4], np.float32))).all()


def test_bytes_between_two_settings_lie_on_the_line_of_logarithms() -> None:
    size, kl = np.array([1000.0, 4000.0]), np.array([0.1, 0.001])
    assert bytes_at(size, kl, 0.01) == pytest.approx(2000)
    assert bytes_at(size[::-1], kl[::-1], 0.01) == pytest.approx(2000)
    assert bytes_at(size, kl, 0.1) == pytest.approx(1000)


@pytest.mark.parametrize("level", [0.2, 0.0001])
def test_a_curve_is_not_prolonged(level: float) -> None:
    assert np.isnan(bytes_at(np.array([1000.0, 4000.0]), np.array([0.1, 0.001]), level))


def test_settings_that_another_beats_are_not_on_the_frontier() -> None:
    size, kl = np.array([100, 200, 200, 300, 400]), np.array([0.4, 0.1, 0.2, 0.15, 0.0])
    log_kl, log_bytes = frontier(size, kl)
    np.testing.assert_allclose(np.exp(log_kl), [0.1, 0.4])
    np.testing.assert_allclose(np.exp(log_bytes), [200, 100])


def test_nothing_measured_has_no_bytes() -> None:
    assert np.isnan(bytes_at(np.array([]), np.array([]), 0.04))


def test_bd_rate_of_half_the_bytes_everywhere() -> None:
    size, kl = np.array([1000, 1800, 3000, 6000.0]), np.array([0.2, 0.08, 0.03, 0.01])
    assert bd_rate(size / 2, kl, size, kl) == pytest.approx(-50)
    assert bd_rate(size, kl, size / 2, kl) == pytest.approx(100)


def test_bd_rate_of_two_power_laws() -> None:
    """Bytes 1/KL against 10/sqrt(KL), from KL 0.001 to 1.

    The difference of log bytes is -ln(KL)/2 - ln(10); its mean over ln(KL) from -3 ln(10) to 0 is 3/4 ln(10) - ln(10) =
    -ln(10)/4, and 10 ** -0.25 is 0.56234: 43.766 % fewer. Straight lines of logarithms are what the cubics reproduce.
    """
    kl = np.array([1.0, 0.2, 0.03, 0.001])
    assert bd_rate(1 / kl, kl, 10 / np.sqrt(kl), kl) == pytest.approx(100 * (10**-0.25 - 1))


def test_bd_rate_counts_the_overlap_only() -> None:
    """The first law on KL 0.01 to 0.1 only: the mean of -ln(KL)/2 over the overlap is 3/4 ln(10) as before."""
    wide, narrow = np.array([1.0, 0.2, 0.03, 0.001]), np.array([0.1, 0.05, 0.01])
    assert bd_rate(1 / narrow, narrow, 10 / np.sqrt(wide), wide) == pytest.approx(100 * (10**-0.25 - 1))


@pytest.mark.parametrize("other", [np.array([10.0, 20.0]), np.array([1.0])])
def test_bd_rate_without_overlap_is_no_number(other: np.ndarray) -> None:
    kl = np.array([0.1, 0.05, 0.01])
    assert np.isnan(bd_rate(1 / kl, kl, 1 / other, other))


def test_cubic_pieces_do_not_swing() -> None:
    """A step: where the interpolant left the range of its ends, so would the mean difference."""
    kl = np.exp(-np.array([0.0, 1, 2, 3, 4, 5]))
    size = np.exp([0.0, 0.001, 0.002, 1, 1.001, 1.002])
    flat = np.exp([0.0, 1e-9, 2e-9, 3e-9, 4e-9, 5e-9])
    assert 0 < np.log(bd_rate(size, kl, flat, kl) / 100 + 1) < 1.002


def test_resamples_are_those_of_the_seed() -> None:
    weights = resamples(7, 50)
    np.testing.assert_array_equal(weights, resamples(7, 50))
    assert not np.array_equal(weights, resamples(7, 50, seed=21))
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights * 7, np.round(weights * 7), atol=1e-9)


def test_the_interval_of_a_mean_is_about_two_standard_errors() -> None:
    values = np.random.default_rng(1).standard_normal(400)
    found = bootstrap(resamples(400), lambda row: float(row @ values))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_a_statistic_that_most_resamples_lack_has_no_interval() -> None:
    found = bootstrap(resamples(5, 20), lambda row: 1.0 if row.max() == row.min() else float("nan"))
    assert (found.value, np.isnan(found.low)) == (1.0, True)
    assert isinstance(found, Interval)
