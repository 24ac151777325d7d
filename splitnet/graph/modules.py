"""A torch module that a person names: ``mynet.py:make`` or ``package.module:Net``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from splitnet.errors import ModelError, UsageError


def short_name(reference: str) -> str:
    """``mynet.make`` for ``folder/mynet.py:make``: nothing of the machine's folders."""
    place, _, name = reference.rpartition(":")
    return f"{Path(place).stem if place.endswith('.py') else place.rpartition('.')[2]}.{name}"


def load_module(reference: str) -> nn.Module:
    """The module that `reference` names, in evaluation mode: this runs the code of its file.

    It may name a module, or something that returns one when called without arguments: a class or a function. torch's
    random numbers start at a fixed seed, so that a network without trained weights is the same every time.

    Raises
    ------
    UsageError
        if there is no such file, module or attribute, or what it names is no module and returns none.
    ModelError
        if its code fails.
    """
    place, _, name = reference.rpartition(":")
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{reference!r} is not MODULE:CALLABLE, for example mynet.py:make or package.module:Net")
    folder = Path(place).parent if place.endswith(".py") else Path.cwd()
    with _searched(folder.resolve()), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found: Any = _import_file(Path(place)) if place.endswith(".py") else _import(place)
        for part in name.split("."):
            if not hasattr(found, part):
                known = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
                raise UsageError(f"{place} has no {name!r}; it has: {', '.join(known[:20]) or 'nothing to call'}")
            found = getattr(found, part)
        if not isinstance(found, nn.Module):
            if not callable(found):
                raise UsageError(f"{reference} is {_kind(found)}, not a torch.nn.Module nor something that returns one")
            found = _run(found, f"{reference}()")
    if not isinstance(found, nn.Module):
        raise UsageError(f"{reference}() returned something {_kind(found)}, not a torch.nn.Module")
    return found.eval()


def _import(place: str) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(f"{place!r} is neither a .py file nor the name of a module, like package.module")
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise ModelError(f"importing {place} failed: {_line(error)}") from error
        raise UsageError(f"there is no module {place!r} here; name a .py file, or run this from its folder") from error
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise ModelError(f"importing {place} failed: {_line(error)}") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{path} is not a file: {path.name}:NAME means something in a Python file")
    # A name of its own: the file may be called like a module that something else has imported.
    name = f"user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while it runs, torch's tracing later.
    sys.modules[name] = module
    _run(lambda: loader.exec_module(module), f"importing {path}")
    return module


@contextmanager
def _searched(folder: Path) -> Iterator[None]:
    """Modules beside the named one can be imported, as when Python runs it itself."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _run(code: Callable[[], Any], what: str) -> Any:
    try:
        return code()
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise ModelError(f"{what} failed: {_line(error)}") from error


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
