"""Fetch a bundle from a service, trusting nothing that has not been checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from splitnet.bundle import Bundle
from splitnet.bundle.load import MAX_MANIFEST_BYTES, Half, parse_manifest
from splitnet.bundle.manifest import Manifest
from splitnet.bundle.signature import public_key, verify_signature
from splitnet.edge.partial import Partial, open_partial
from splitnet.edge.watchdog import Watchdog
from splitnet.errors import (
    BundleError,
    CancelledError,
    FingerprintError,
    InternalError,
    LateError,
    OverloadedError,
    ServiceError,
    UnavailableError,
)
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import from_rpc_error, open_channel, parse_address
from splitnet.wire.credentials import NO_CREDENTIALS, Credentials
from splitnet.wire.exchange import Chunk, Wanted

DEFAULT_MAX_BYTES = 4 << 30
"""Largest bundle that is taken unless told otherwise."""

_PAUSE = 0.5
_PASSING = (UnavailableError, LateError, OverloadedError, CancelledError)
Progress = Callable[[int, int], None]
"""Called with the bytes that are here and those of the whole."""


@dataclass(frozen=True)
class FetchLimits:
    """What a server may cost: bytes, seconds for one chunk and for everything, attempts that bring nothing."""

    max_bytes: int = DEFAULT_MAX_BYTES
    stall: float = 30.0
    total: float = 3600.0
    attempts: int = 5


def fetch_bundle(
    name: str,
    server: str,
    out: Path,
    *,
    version: str = "",
    fingerprint: str = "",
    edge_only: bool = False,
    limits: FetchLimits | None = None,
    progress: Progress | None = None,
    credentials: Credentials = NO_CREDENTIALS,
    signed_by: Path | None = None,
) -> Bundle:
    """Fetch a bundle to the directory `out`, all at once or not at all; after a break it goes on, now or later.

    Only what the manifest lists is written, and each file's SHA-256 is checked. The fingerprint is computed from the
    manifest that came: give the one that is expected where the server is not trusted to choose. Or give `signed_by`,
    the PEM file of an Ed25519 public key: then nothing is taken that its owner did not sign.

    Raises
    ------
    UsageError
        if the address is none, the credentials cannot be used with it, or something else than a bundle is at `out`.
    FingerprintError
        if the server has another bundle.
    BundleError
        if it is not signed by the owner of `signed_by`.
    InternalError
        if the server sends something else than it should.
    ServiceError
        if it refuses, or does not answer after several attempts.
    OutputError
        if `out` cannot be written.
    """
    address = parse_address(server, what="server")
    limits = limits or FetchLimits()
    if signed_by is not None:
        # Before anything is fetched.
        public_key(signed_by)
    channel = open_channel(address, credentials)
    half: Half = "edge" if edge_only else "whole"
    watchdog = Watchdog()
    try:
        with open_partial(out, half) as partial:
            wanted = Wanted(name, version, fingerprint, edge_only)
            stub = pb_grpc.InferenceServiceStub(channel)
            fetch = _Fetch(address, stub, credentials, partial, wanted, limits, watchdog, progress, signed_by)
            fetch.run()
            return partial.finish()
    finally:
        watchdog.close()
        channel.close()


class _Fetch:
    def __init__(
        self,
        address: str,
        stub: Any,
        credentials: Credentials,
        partial: Partial,
        wanted: Wanted,
        limits: FetchLimits,
        watchdog: Watchdog,
        progress: Progress | None,
        signed_by: Path | None,
    ) -> None:
        self._address, self._stub, self._partial, self._wanted = address, stub, partial, wanted
        self._credentials = credentials
        self._limits, self._watchdog, self._progress = limits, watchdog, progress
        self._until = time.monotonic() + limits.total
        self._received, self._signed_by = 0, signed_by

    def run(self) -> None:
        """Attempt until everything is here; attempts that brought something do not count."""
        failures, anew = 0, False
        if self._partial.manifest is not None and not self._fits(self._partial.manifest):
            self._partial.discard()
        while self._partial.manifest is None or self._partial.missing() is not None:
            before = self._received
            try:
                self._attempt()
            except FingerprintError:
                # What is here is of a bundle that is served no longer; unless it is the one asked for, begin anew.
                if self._partial.manifest is None or self._wanted.fingerprint or anew:
                    raise
                self._partial.discard()
                anew = True
            except _PASSING:
                failures = 0 if self._received > before else failures + 1
                pause = _PAUSE * 2**failures
                if failures >= self._limits.attempts or time.monotonic() + pause > self._until:
                    raise
                time.sleep(pause)
        # Also where an earlier attempt, perhaps without a key, had left all of it.
        assert self._partial.manifest is not None
        self._check_signature(self._partial.manifest, self._partial.signature)

    def _check_signature(self, manifest: Manifest, signature: bytes) -> None:
        if self._signed_by is not None:
            verify_signature(manifest.fingerprint(), signature, self._signed_by)

    def _fits(self, manifest: Manifest) -> bool:
        wanted = self._wanted
        return (
            manifest.name == wanted.name
            and wanted.version in ("", manifest.version)
            and wanted.fingerprint in ("", manifest.fingerprint())
        )

    def _attempt(self) -> None:
        wanted, begun = self._wanted, self._partial.manifest
        if begun is not None and (missing := self._partial.missing()) is not None:
            file, here = missing
            wanted = Wanted(wanted.name, wanted.version, begun.fingerprint(), wanted.edge_only, file.path, here)
        remaining = max(0.0, self._until - time.monotonic())
        call = self._stub.FetchBundle(
            messages.wanted_to_message(wanted), timeout=remaining, metadata=self._credentials.metadata()
        )
        try:
            self._manifest(call)
            self._files(call)
        finally:
            call.cancel()

    def _manifest(self, call: Any) -> None:
        data, signature = b"", b""
        while True:
            chunk = self._next(call)
            signature = signature or chunk.signature
            if chunk.path or chunk.offset != len(data) or chunk.size > MAX_MANIFEST_BYTES:
                raise self._wrong("begins with something else than a manifest of at most 4 MiB")
            data += chunk.data
            if len(data) > chunk.size:
                raise self._wrong("sends more of the manifest than it said")
            if len(data) == chunk.size:
                break
        try:
            manifest = parse_manifest(data, Path(self._address))
        except BundleError as error:
            raise self._wrong(f"sends no manifest: {error}") from error
        if not self._fits(manifest):
            found = f"{manifest.name} {manifest.version}, {manifest.fingerprint()}"
            raise FingerprintError(f"the server at {self._address} sends another bundle than the one wanted: {found}")
        size = sum(file.size for file in manifest.files)
        if size > self._limits.max_bytes:
            raise self._wrong(f"has a bundle of {size} bytes, over the limit of {self._limits.max_bytes}")
        self._check_signature(manifest, signature)
        self._partial.begin(manifest, signature)

    def _files(self, call: Any) -> None:
        total = sum(file.size for file in self._partial.files())
        while (missing := self._partial.missing()) is not None:
            file, here = missing
            if not file.size:
                self._partial.append(file, 0, b"")
                continue
            chunk = self._next(call)
            if (chunk.path, chunk.offset, chunk.size) != (file.path, here, file.size):
                raise self._wrong(f"sends {chunk.path[:80]!r} from byte {chunk.offset}, not {file.path!r} from {here}")
            if here + len(chunk.data) > file.size:
                raise self._wrong(f"sends more of {file.path!r} than the {file.size} bytes that it listed")
            self._partial.append(file, here, chunk.data)
            self._received += len(chunk.data)
            if self._progress is not None:
                self._progress(self._received, total)

    def _next(self, call: Any) -> Chunk:
        try:
            with self._watchdog.limit(time.monotonic() + self._limits.stall, call.cancel):
                message = next(call)
        except StopIteration as error:
            raise UnavailableError(f"the server at {self._address} ended before the bundle was complete") from error
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._address) from error
        if not message.data:
            # Or it could go on for ever without getting anywhere.
            raise self._wrong("sends an empty chunk")
        return messages.chunk_from_message(message)

    def _wrong(self, what: str) -> ServiceError:
        return InternalError(f"the server at {self._address} {what}")
