"""A missing extra is one clear line."""

from __future__ import annotations

import pytest

from splitnet.errors import UsageError
from splitnet.graph.extras import require


def test_what_is_missing_is_named_with_the_way_to_get_it() -> None:
    require("numpy", "onnx")
    with pytest.raises(UsageError, match=r"needs the package 'no_such_package': pip install 'splitnet\[train\]'"):
        require("numpy", "no_such_package")
