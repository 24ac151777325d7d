"""Post-processors: from outputs to typed results."""

import numpy as np
import pytest

from splitnet.errors import ModelError
from splitnet.tasks import KINDS, Classification, Embedding, Tensor, post_process


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
