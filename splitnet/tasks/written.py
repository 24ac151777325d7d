"""Results as JSON types, the same in every report, sink and page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from splitnet.tasks.results import Classification, Custom, Detections, Embedding, FloatArray, Result, Score, Tensor


def as_json(result: Result) -> dict[str, Any]:
    """A result as JSON types."""
    match result:
        case Classification(top):
            return {"top": [asdict(label) for label in top]}
        case Embedding(values):
            return {"embedding": values.astype(np.float64).round(7).tolist()}
        case Tensor(values):
            return _tensor(values)
        case Custom(kind, data, tensors):
            return {"kind": kind, "data": data, "tensors": {name: _tensor(one) for name, one in tensors.items()}}
        case Score() | Detections():
            return asdict(result)


def _tensor(values: FloatArray) -> dict[str, Any]:
    return {"shape": list(values.shape), "values": values.reshape(-1).tolist()}
