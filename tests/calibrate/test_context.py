"""The context model: found where magnitudes of neighbours tell something, and in the integers that the coder takes."""

from __future__ import annotations

import numpy as np

from splitnet.calibrate.context import _slope, fit_context
from splitnet.calibrate.geometry import Array, geometry

LAYOUT = geometry((6, 8, 8))


def _symbols(spread: float) -> tuple[Array, Array]:
    """Laplacian symbols whose photos differ in strength by `spread`, and their mean magnitudes."""
    generator = np.random.default_rng(2)
    strength = np.exp(spread * generator.standard_normal((300, 1, 1, 1)))
    values = generator.laplace(size=(300, *LAYOUT.symbols)) * strength
    symbols = np.rint(values).astype(np.int16)
    return symbols, np.abs(symbols).mean((0, 1), dtype=np.float64)


def test_neighbours_count_where_photos_differ_in_strength() -> None:
    symbols, expected = _symbols(0.8)
    context = fit_context(LAYOUT, [symbols], [expected], 0)
    alpha, beta = context.prior.tolist()
    assert beta > 128
    assert context.weights.max() == 255
    assert 1 <= alpha <= 1 << 20
    assert context.offsets.dtype == np.int8
    assert context.offsets.shape == (len(context.weights), 4)


def test_neighbours_hardly_count_where_magnitudes_are_independent() -> None:
    symbols, expected = _symbols(0.0)
    context = fit_context(LAYOUT, [symbols], [expected], 0)
    _, beta = context.prior.tolist()
    # A gain of four in what the neighbours show changes the expectation by less than 10 %.
    assert 4 ** (beta / 256 * 0.1) < 1.15
    assert beta < 128 or context.prior[0] > 64 * 20 * context.weights.max()


def test_symbols_that_are_all_zero_give_no_context() -> None:
    zero = np.zeros((4, *LAYOUT.symbols), np.int16)
    context = fit_context(LAYOUT, [zero], [np.zeros(LAYOUT.symbols[1:])], 0)
    assert len(context.offsets) == 0


def test_the_slope_is_that_of_the_code_length() -> None:
    generator = np.random.default_rng(0)
    found, counts = generator.uniform(0, 2, (2, 50, 4))
    magnitude, mean = generator.integers(0, 4, 50).astype(float), generator.uniform(0.05, 2, 50)
    values = np.array([-1.0, 0.2, -2.0, 0.0, 0.3, 0.7])

    def bits(at: Array) -> float:
        weights, alpha = np.exp(at[:-2]), np.exp(at[-2])
        b = mean * ((alpha + found @ weights) / (alpha + counts @ weights)) ** at[-1]
        zero = -np.log(1 - np.exp(-0.5 / b))
        other = 0.5 / b - np.log(1 - np.exp(-1 / b)) + (magnitude - 1) / b + np.log(2)
        return float(np.where(magnitude == 0, zero, other).mean())

    numeric = [(bits(values + 1e-6 * unit) - bits(values - 1e-6 * unit)) / 2e-6 for unit in np.eye(6)]
    assert np.allclose(_slope(values, found, counts, magnitude, mean), numeric, rtol=1e-4, atol=1e-7)
