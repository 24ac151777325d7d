"""Read a bundle, trusting nothing that has not been checked."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from pydantic import ValidationError

from splitnet.bundle.manifest import FORMAT, MANIFEST, Cut, File, Manifest, Task
from splitnet.errors import BundleError, UsageError

MAX_MANIFEST_BYTES = 4 << 20
Half = Literal["whole", "edge"]


class Bundle:
    """A bundle directory whose manifest is valid and whose files are all there with the right sizes.

    A file's SHA-256 is checked whenever it is opened; `verify` checks them all. Files that the manifest
    does not list are ignored.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._files = {file.path: file for file in manifest.files}

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, half: Half = "whole") -> Self:
        """Open the bundle in `directory`.

        With `half="edge"`, what only the cloud needs may be missing (`Manifest.edge_files` are there); opening such a
        file is an error then.

        Raises
        ------
        BundleError
            if there is no bundle, its manifest is damaged or of another format, or a listed file is
            missing, of another size, or not a plain file inside the directory.
        """
        path = Path(directory)
        manifest = parse_manifest(_read_manifest(path), path)
        bundle = cls(path, manifest)
        for file in manifest.files if half == "whole" else manifest.edge_files:
            os.close(bundle._open(file))
        return bundle

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical manifest: what edge and cloud compare."""
        return self.manifest.fingerprint()

    def cut(self, name: str) -> Cut:
        """The cut called `name`. Raises UsageError that lists what the bundle has, or can be built with."""
        built = ", ".join(cut.name for cut in self.manifest.built_cuts) or "none"
        for cut in self.manifest.cuts:
            if cut.name == name:
                if cut.edge is None:
                    raise UsageError(f"cut {name!r} is possible but not in this bundle, which has: {built}")
                return cut
        raise UsageError(f"bundle {self.manifest.name} has no cut {name!r}; it has: {built}")

    def task(self, name: str) -> Task:
        """The task called `name`. Raises UsageError that lists what the bundle has."""
        for task in self.manifest.tasks:
            if task.name == name:
                return task
        known = ", ".join(task.name for task in self.manifest.tasks)
        raise UsageError(f"bundle {self.manifest.name} has no task {name!r}; it has: {known}")

    def labels(self, task: str) -> tuple[str, ...]:
        """The labels of `task` in the order of its output's values; empty for a task without labels."""
        path = self.task(task).labels
        if path is None:
            return ()
        try:
            return tuple(self.open_bytes(path).decode("utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.path / path} is not UTF-8 text: build the bundle again") from error

    def open_bytes(self, path: str) -> bytes:
        """The checked content of the listed file `path`. Raises BundleError if it was altered or cannot be
        read.
        """
        file = self._file(path)
        try:
            with os.fdopen(self._open(file), "rb") as stream:
                data = stream.read(file.size + 1)
        except OSError as error:
            raise BundleError(f"cannot read {self.path / path}: {error.strerror or error}") from error
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise BundleError(f"{self.path / path} was altered: its SHA-256 is not the manifest's; build it again")
        return data

    def open_file(self, path: str) -> BinaryIO:
        """The listed file `path`, plain and of the right size, its content not checked. Raises BundleError."""
        return os.fdopen(self._open(self._file(path)), "rb")

    def verify(self, *, half: Half = "whole") -> None:
        """Check the SHA-256 of every file. Raises BundleError for the first one that was altered."""
        for file in self.manifest.files if half == "whole" else self.manifest.edge_files:
            self.open_bytes(file.path)

    def _file(self, path: str) -> File:
        try:
            return self._files[path]
        except KeyError:
            raise UsageError(f"bundle {self.manifest.name} does not list a file {path!r}") from None

    def _open(self, file: File) -> int:
        """Descriptor of a plain file of the right size, reached without following a link below the
        directory.
        """
        shown = self.path / file.path
        for parent in list(shown.parents)[: file.path.count("/")]:
            if parent.is_symlink():
                raise BundleError(f"{parent} is a link: a bundle holds plain files only")
        try:
            # Not blocking, so that a pipe in a file's place is an error and not a wait for ever.
            descriptor = os.open(shown, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise BundleError(f"{shown} is missing: build the bundle again, or fetch all of it") from None
        except OSError as error:
            reason = "is a link: a bundle holds plain files only" if shown.is_symlink() else f"({error.strerror})"
            raise BundleError(f"cannot open {shown}: {reason}") from error
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size == file.size:
            return descriptor
        os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{shown} is not a plain file")
        raise BundleError(f"{shown} has {status.st_size} bytes, the manifest says {file.size}: build the bundle again")


def _read_manifest(path: Path) -> bytes:
    file = path / MANIFEST
    try:
        if not path.exists():
            raise BundleError(f"{path} does not exist: make a bundle with `splitnet build NETWORK --out {path}`")
        if not path.is_dir():
            raise BundleError(f"{path} is not a directory: a bundle is one")
        if not file.exists():
            raise BundleError(f"{path} is not a bundle: it has no {MANIFEST}")
        if file.is_symlink() or not file.is_file():
            raise BundleError(f"{file} is not a plain file")
        with file.open("rb") as stream:
            data = stream.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror or error}") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{file} is larger than {MAX_MANIFEST_BYTES} bytes, which no manifest is")
    return data


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """The manifest in `data`, read from the bundle `path`. Raises BundleError that says what is wrong with
    it.
    """
    file = path / MANIFEST
    try:
        content: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{file} is not a manifest: it holds a JSON {type(content).__name__}, not an object")
    if content.get("format") != FORMAT:
        found = str(content.get("format"))[:40]
        raise BundleError(f"{file} has format {found}; this splitnet reads format {FORMAT}: update it or build again")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{file} is damaged: {where + ': ' if where else ''}{first['msg'][:300]}") from error
