"""Post-processors: from outputs to typed results."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import ModelError
from splitnet.tasks import KINDS, Classification, Embedding, Tensor, post_process, softmax
from splitnet.tasks._native import kernels


def test_classification_is_a_softmax_in_order() -> None:
    logits = np.log(np.array([0.1, 0.6, 0.3], dtype=np.float32))
    result = post_process("classification", logits, ["a", "b", "c"], 2)
    assert isinstance(result, Classification)
    assert [(one.index, one.label) for one in result.top] == [(1, "b"), (2, "c")]
    assert [one.probability for one in result.top] == pytest.approx([0.6, 0.3])


def test_classification_survives_large_logits_and_breaks_ties_by_index() -> None:
    result = post_process("classification", np.array([1e4, 1e4, -1e4], dtype=np.float32), [], 0)
    assert isinstance(result, Classification)
    assert [(one.index, one.label, one.probability) for one in result.top] == [
        (0, "0", 0.5),
        (1, "1", 0.5),
        (2, "2", 0.0),
    ]


@pytest.mark.parametrize("top_k", [1, 3, 7, 1000])
def test_top_k_is_a_sort_with_ties_by_index(top_k: int) -> None:
    logits = np.random.default_rng(3).integers(0, 4, 50).astype(np.float32)
    result = post_process("classification", logits, (), top_k)
    assert isinstance(result, Classification)
    expected = sorted(range(50), key=lambda index: (-logits[index], index))[:top_k]
    assert [one.index for one in result.top] == expected


def test_embedding_and_tensor_keep_their_values() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    embedding, tensor = post_process("embedding", values), post_process("tensor", values)
    assert isinstance(embedding, Embedding)
    assert isinstance(tensor, Tensor)
    assert embedding.values.shape == (6,)
    np.testing.assert_array_equal(tensor.values, values)


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"unknown kind of task 'poetry'; known: classification, embedding, tensor"):
        post_process("poetry", np.zeros(1, dtype=np.float32))
    assert sorted(KINDS) == ["classification", "detection", "embedding", "score", "tensor"]


@given(st.data())
@settings(deadline=None, max_examples=100, derandomize=True, database=None)
def test_the_kernels_equal_their_references(data: st.DataObject) -> None:
    assert kernels is not None, "the extension module was not built"
    size = data.draw(st.integers(1, 300))
    spread = data.draw(st.sampled_from([0.0, 1.0, 30.0, 1e30]))
    logits = (np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).standard_normal(size) * spread).astype("f4")
    if data.draw(st.booleans()):
        logits = logits.round()
    count = data.draw(st.integers(1, size))
    assert softmax.top_classes(logits, count) == softmax.top_classes_reference(logits, count)
    assert softmax.all_finite(logits)
    logits[data.draw(st.integers(0, size - 1))] = data.draw(st.sampled_from([np.nan, -np.nan, np.inf, -np.inf]))
    assert not softmax.all_finite(logits)


def test_logits_that_are_no_plain_array_are_taken_too() -> None:
    strided = np.arange(12, dtype=np.float32)[::2]
    assert softmax.top_classes(strided, 2) == softmax.top_classes(strided.copy(), 2)
    assert softmax.all_finite(strided)
    assert not softmax.all_finite(np.array([1.0, np.inf]))
    assert softmax.all_finite(np.zeros((2, 3), np.float32))
    assert softmax.all_finite(np.zeros((0,), np.float32))


def test_kernels_refuse_what_would_lead_outside() -> None:
    assert kernels is not None
    for logits, count in ((np.zeros(3, np.float32), 4), (np.zeros(3, np.float32), 0), (np.zeros(0, np.float32), 0)):
        with pytest.raises(ValueError, match="more classes than logits"):
            kernels.top_classes(logits, count)
    with pytest.raises(ValueError, match="finite"):
        kernels.top_classes(np.array([1.0, np.nan], np.float32), 1)
