"""What is served at this moment: versions of models, and which one is meant where nobody says."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from splitnet.cloud.model import CloudModel, shorten
from splitnet.errors import UnknownError


class Served:
    """A table of models by name and version. Reading is safe from any thread, for a change replaces the table whole.

    Whoever found a model keeps it for as long as it is needed: taking it out of the table ends nothing.
    """

    def __init__(self, models: Iterable[CloudModel] = ()) -> None:
        self._models: dict[tuple[str, str], CloudModel] = {}
        self._defaults: dict[str, str] = {}
        self.generation = 0
        """Grows when what a name means has changed."""
        self._watchers: list[Callable[[], object]] = []
        for model in models:
            self.put(model)

    def all(self) -> list[CloudModel]:
        """Every model, in the order loaded."""
        return list(self._models.values())

    def names(self) -> list[str]:
        """The names served, sorted."""
        return sorted({name for name, _ in self._models})

    def default(self, name: str) -> str:
        """The version meant by a request that names none; empty where the model is unknown."""
        return self._defaults.get(name, "")

    def watch(self, changed: Callable[[], object]) -> None:
        """Have `changed` called after models came or went, on the thread that did it."""
        self._watchers.append(changed)

    def put(self, model: CloudModel, *, default: bool = True) -> None:
        """Serve a model, in the place of one of the same name and version."""
        manifest = model.bundle.manifest
        key = (manifest.name, manifest.version)
        self._models = {**self._models, key: model}
        if default or manifest.name not in self._defaults:
            self._defaults = {**self._defaults, manifest.name: manifest.version}
        self._tell()

    def remove(self, name: str, version: str) -> CloudModel:
        """Serve a version no longer; the last one loaded of the others becomes the default. Raises UnknownError."""
        found = self.exact(name, version)
        self._models = {key: model for key, model in self._models.items() if key != (name, version)}
        if self._defaults.get(name) == version:
            left = [one for model, one in self._models if model == name]
            self._defaults = {key: value for key, value in self._defaults.items() if key != name}
            if left:
                self._defaults[name] = left[-1]
        self._tell()
        return found

    def set_default(self, name: str, version: str) -> None:
        """Which version a request means that names none. Raises UnknownError."""
        self.exact(name, version)
        self._defaults = {**self._defaults, name: version}
        self.generation += 1

    def exact(self, name: str, version: str) -> CloudModel:
        """The model of this name and version. Raises UnknownError, listing what is served."""
        models = self._models
        found = models.get((name, version))
        if found is not None:
            return found
        versions = [one for model, one in models if model == name]
        if not versions:
            known = ", ".join(sorted({one for one, _ in models})) or "nothing yet"
            raise UnknownError(f"no model {shorten(name)} here; served: {known}")
        raise UnknownError(f"model {name!r} has no version {shorten(version)}; served: {', '.join(sorted(versions))}")

    def find(self, name: str, version: str = "", fingerprint: str = "") -> CloudModel:
        """The version asked for; else that whose bundle has this fingerprint; else the default. Raises UnknownError."""
        if not version:
            for (one, _), model in self._models.items():
                if one == name and model.bundle.fingerprint == fingerprint:
                    return model
            version = self._defaults.get(name, "")
        return self.exact(name, version)

    def _tell(self) -> None:
        self.generation += 1
        for changed in self._watchers:
            changed()
