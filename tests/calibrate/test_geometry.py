"""Blocks, scan and bands: the DCT keeps energy and can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from splitnet.calibrate.geometry import geometry

SHAPES = [(80, 14, 14), (5, 28, 14), (3, 112, 112), (4, 7, 9), (2, 17, 13), (1280,), (3, 1, 30)]


@pytest.mark.parametrize("shape", SHAPES)
def test_scan_holds_every_frequency_once_lowest_first(shape: tuple[int, ...]) -> None:
    layout = geometry(shape)
    frequencies, bands = layout.frequencies(), layout.bands()
    assert sorted(frequencies) == list(range(len(frequencies)))
    assert frequencies[0] == 0
    assert bands[0] == 0
    assert set(np.diff(bands)) <= {0, 1}
    assert (bands == 0).sum() == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_spectrum_keeps_energy_and_can_be_undone(shape: tuple[int, ...]) -> None:
    layout = geometry(shape)
    maps = np.random.default_rng(1).standard_normal((2, *layout.shape)).astype(np.float32)
    spectra = layout.spectrum(maps)
    assert spectra.shape == (2, *layout.symbols)
    assert np.isclose((spectra**2).sum(), (maps**2).sum(), rtol=1e-5)
    assert np.allclose(layout.inverse_spectrum(spectra).reshape(maps.shape), maps, atol=1e-5)


def test_blocks_tile_the_map_in_raster_order() -> None:
    layout = geometry((1, 28, 42))
    assert layout.side == (14, 14)
    assert layout.grid == (2, 3)
    maps = np.zeros((1, 1, 28, 42), np.float32)
    maps[0, 0, 14:, 14:28] = 1  # the middle block of the second row
    spectra = layout.spectrum(maps)
    assert np.flatnonzero(np.abs(spectra[0]).sum((1, 2)) > 1e-6).tolist() == [4]
    assert np.isclose(spectra[0, 4, 0, 0], 14)
    assert np.allclose(spectra[0, 4, 1:], 0, atol=1e-5)


def test_the_scan_orders_by_frequency_whatever_the_side() -> None:
    layout = geometry((1, 4, 4))
    assert layout.frequencies()[:3].tolist() == [0, 1, 4]
    assert layout.frequencies()[-1] == 15
