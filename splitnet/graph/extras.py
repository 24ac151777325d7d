"""What the workshop needs beyond the road's small install: the extra ``[train]``."""

from __future__ import annotations

from importlib.util import find_spec

from splitnet.errors import UsageError


def require(*modules: str) -> None:
    """Raise UsageError that names the first of `modules` that is not installed and how to install it."""
    for module in modules:
        if find_spec(module) is None:
            raise UsageError(f"this needs the package {module!r}: pip install 'splitnet[train]'")
