"""Bundles on their way to devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import File
from splitnet.bundle.signature import read_signature
from splitnet.cloud.access.caller import Caller
from splitnet.cloud.service import InferenceService
from splitnet.errors import BundleError, FingerprintError, InvalidRequestError, OverloadedError, UnavailableError
from splitnet.wire.exchange import Chunk, Wanted

CHUNK_BYTES = 256 * 1024


class Downloads:
    """Sends the files of bundles that are served, read on threads, a few downloads at a time.

    Parameters
    ----------
    service
        Whose bundles these are.
    most
        Downloads at the same time; one more is refused with a hint when to come back.
    stall
        Seconds that a client may take for one chunk before its place is given up.
    """

    def __init__(self, service: InferenceService, *, most: int = 4, stall: float = 60.0) -> None:
        self._service = service
        self._most, self._stall = most, stall
        self._running = 0

    async def send(self, wanted: Wanted, caller: Caller) -> AsyncGenerator[Chunk, None]:
        """The manifest, then every file wanted, from where the client goes on.

        Belongs to the task of the call, which closes it at its end, and is cancelled where the client stalls.

        Raises
        ------
        UnknownError, PermissionDeniedError
            if the caller cannot have the model.
        FingerprintError
            if it is another bundle than the one wanted.
        InvalidRequestError
            if there is no such file to go on with.
        OverloadedError
            if enough others download.
        UnavailableError
            if a file is no longer what was loaded.
        """
        caller.permits.check_model(wanted.name)
        bundle = self._service.served.find(wanted.name, wanted.version, wanted.fingerprint).bundle
        if wanted.fingerprint and bundle.fingerprint != wanted.fingerprint:
            raise FingerprintError(
                f"bundle {wanted.fingerprint[:12]} is no longer served; begin with {wanted.name} anew"
            )
        files = _from(bundle.manifest.edge_files if wanted.edge_only else bundle.manifest.files, wanted)
        if self._running >= self._most:
            raise OverloadedError(f"{self._running} downloads are under way; try again later", retry_after=2.0)
        self._running += 1
        try:
            data = bundle.manifest.canonical()
            signature = await asyncio.to_thread(_signature, bundle)
            for offset in range(0, len(data), CHUNK_BYTES):
                with _Patience(self._stall):
                    yield Chunk(
                        "", offset, data[offset : offset + CHUNK_BYTES], len(data), b"" if offset else signature
                    )
            for file, begin in files:
                for offset in range(begin, file.size, CHUNK_BYTES):
                    size = min(CHUNK_BYTES, file.size - offset)
                    part = await asyncio.to_thread(_read, bundle, file, offset, size)
                    with _Patience(self._stall):
                        yield Chunk(file.path, offset, part, file.size)
        finally:
            self._running -= 1


class _Patience:
    """Cancels the task that a client keeps waiting: a download that nobody reads must not hold its place."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handle = asyncio.get_running_loop().call_later(self._seconds, task.cancel)

    def __exit__(self, *error: object) -> None:
        self._handle.cancel()


def _from(files: tuple[File, ...], wanted: Wanted) -> list[tuple[File, int]]:
    if not wanted.path:
        return [(file, 0) for file in files]
    for number, file in enumerate(files):
        if file.path == wanted.path and wanted.offset <= file.size:
            return [(file, wanted.offset), *((later, 0) for later in files[number + 1 :])]
    raise InvalidRequestError(f"there is no byte {wanted.offset} of a file {wanted.path[:80]!r} to go on with")


def _signature(bundle: Bundle) -> bytes:
    """What lies beside the manifest; whoever wants one checks it, so a damaged one is as good as none."""
    with suppress(BundleError):
        return read_signature(bundle.path)
    return b""


def _read(bundle: Bundle, file: File, offset: int, size: int) -> bytes:
    """Opened for each part: a file that a thread opened for a call that was cancelled meanwhile would stay open."""
    try:
        with bundle.open_file(file.path) as stream:
            stream.seek(offset)
            data = stream.read(size)
    except (BundleError, OSError) as error:
        raise _changed(file) from error
    if len(data) != size:
        raise _changed(file)
    return data


def _changed(file: File) -> UnavailableError:
    return UnavailableError(f"{file.path} is no longer what was loaded; try again once the service has the new bundle")
