"""Distortions of answers, on values worked out by hand."""

from __future__ import annotations

import math

import numpy as np

from splitnet.calibrate.fidelity import cosine_distance, kl_divergence, measure_of, relative_error


def test_kl_divergence_of_two_coins() -> None:
    fair, biased = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert np.isclose(kl_divergence(fair, biased)[0], expected)
    assert kl_divergence(fair, fair + 7)[0] == 0


def test_kl_divergence_of_logits_far_apart_is_finite() -> None:
    assert np.isclose(kl_divergence(np.array([[1000.0, 0.0]]), np.array([[0.0, 1000.0]]))[0], 1000)


def test_cosine_distance_of_right_angles_and_opposites() -> None:
    a = np.array([[1.0, 0], [1, 0], [2, 0]])
    b = np.array([[0.0, 1], [-1, 0], [5, 0]])
    assert np.allclose(cosine_distance(a, b), [1, 2, 0])


def test_relative_error_is_per_photo() -> None:
    reference = np.ones((2, 2, 2))
    assert np.allclose(relative_error(reference, reference * np.array([1.5, 1]).reshape(2, 1, 1)), [0.25, 0])


def test_a_kind_without_a_measure_of_its_own_is_measured_as_a_tensor() -> None:
    assert measure_of("classification") == ("kl", kl_divergence)
    assert measure_of("detection") == measure_of("tensor") == ("relative_error", relative_error)
