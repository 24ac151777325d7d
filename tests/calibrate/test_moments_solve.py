"""Moments are covariances, whatever the batches; the transform whitens, decorrelates and is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from splitnet.calibrate.geometry import Array, geometry
from splitnet.calibrate.moments import Moments
from splitnet.calibrate.solve import RIDGE, solve
from splitnet.errors import ModelError

LAYOUT = geometry((6, 4, 4))


def _maps(count: int, seed: int = 0) -> Array:
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((6, 6))
    maps: Array = np.einsum("dc,nchw->ndhw", mixing, generator.standard_normal((count, 6, 4, 4))) + 3
    return maps.astype(np.float32)


def _filled(maps: Array, batch: int) -> Moments:
    moments = Moments.empty(LAYOUT, 2)
    for start in range(0, len(maps), batch):
        folds = np.arange(start, min(start + batch, len(maps))) % 2
        moments.add_features(LAYOUT, maps[start : start + batch], folds)
        moments.add_gradients(LAYOUT, maps[start : start + batch] - 3, folds)
    return moments


def test_moments_are_the_covariances_of_the_chosen_folds() -> None:
    maps = _maps(40)
    moments = _filled(maps, 7)
    even = LAYOUT.spectrum(maps[::2])
    bands = LAYOUT.bands()
    covariances = moments.covariances(np.array([0]))
    assert np.allclose(covariances[0], np.cov(even[:, 0, 0].T, bias=True), rtol=1e-3, atol=1e-3)
    rows = even[:, :, bands == 2].reshape(-1, 6)
    assert np.allclose(covariances[2], rows.T @ rows / len(rows), rtol=1e-4, atol=1e-4)
    assert np.allclose(moments.mean(np.array([0, 1])) / 4, maps.mean((0, 2, 3)), rtol=1e-4)


def test_moments_do_not_depend_on_batches_and_survive_a_restart(tmp_path: Path) -> None:
    maps = _maps(20)
    kept = _filled(maps[:10], 10)
    kept.save(tmp_path / "moments.npz", 1)
    again = Moments.empty(LAYOUT, 2)
    assert again.restore(tmp_path / "moments.npz") == 1
    assert np.array_equal(again.signal, kept.signal)
    (tmp_path / "moments.npz").write_bytes((tmp_path / "moments.npz").read_bytes()[:-40])
    assert Moments.empty(LAYOUT, 2).restore(tmp_path / "moments.npz") == 0
    assert Moments.empty(geometry((5, 4, 4)), 2).restore(tmp_path / "moments.npz") == 0


def test_the_transform_whitens_the_metric_and_decorrelates_the_signal() -> None:
    moments = _filled(_maps(200), 50)
    both = np.array([0, 1])
    covariances, metric = moments.covariances(both), moments.sensitivities(both)
    transform = solve(LAYOUT, moments.mean(both), covariances, metric)
    for matrix, covariance, sensitivity in zip(transform.analysis, covariances, metric, strict=True):
        components = matrix @ covariance @ matrix.T
        assert np.allclose(components, np.diag(np.diag(components)), atol=1e-6 * components.max())
        assert (np.diff(np.diag(components)) <= 1e-9).all()
        ridged = sensitivity + RIDGE * np.trace(sensitivity) / 6 * np.eye(6)
        inverse = np.linalg.inv(matrix)
        cost = inverse.T @ ridged @ inverse
        assert np.allclose(cost, cost[0, 0] * np.eye(6), atol=1e-6 * cost[0, 0])


def test_the_unit_of_the_step_is_the_standard_deviation_of_the_features() -> None:
    maps = _maps(100)
    for factor in (1.0, 50.0):
        moments = Moments.empty(LAYOUT, 2)
        moments.add_features(LAYOUT, maps * np.float32(factor), np.arange(100) % 2)
        white = np.random.default_rng(3).standard_normal((400, 6, 4, 4)).astype(np.float32)
        moments.add_gradients(LAYOUT, white, np.arange(400) % 2)
        both = np.array([0, 1])
        transform = solve(LAYOUT, moments.mean(both), moments.covariances(both), moments.sensitivities(both))
        coefficients = transform.coefficients(LAYOUT, maps * np.float32(factor))
        assert np.isclose(coefficients.std(), 1.0, rtol=0.05)


def test_features_that_do_not_vary_and_outputs_that_do_not_depend_are_errors() -> None:
    zero, one = np.zeros((3, 6, 6)), np.stack([np.eye(6)] * 3)
    layout = geometry((6, 3, 3))
    groups = int(layout.bands()[-1]) + 1
    zero, one = np.zeros((groups, 6, 6)), np.stack([np.eye(6)] * groups)
    with pytest.raises(ModelError, match="same for all photos"):
        solve(layout, np.zeros(6), zero, one)
    with pytest.raises(ModelError, match="do not depend"):
        solve(layout, np.zeros(6), one, zero)
    with pytest.raises(ModelError, match="do not depend"):
        solve(layout, np.zeros(6), one, one * np.nan)
