"""The RPCs of `splitnet.v1.AdminService`."""

from __future__ import annotations

from typing import Any

import grpc

from splitnet.cloud.repository.repository import Repository
from splitnet.errors import InvalidRequestError
from splitnet.v1 import admin_pb2 as pb
from splitnet.v1 import admin_pb2_grpc as pb_grpc
from splitnet.wire.administration import version_to_message

Context = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(pb_grpc.AdminServiceServicer):
    """The transport of one repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def ListVersions(self, request: pb.ListVersionsRequest, context: Context) -> pb.ListVersionsResponse:
        return pb.ListVersionsResponse(versions=map(version_to_message, await self._repository.versions()))

    async def Load(self, request: pb.LoadRequest, context: Context) -> pb.LoadResponse:
        version = await self._repository.load(_named(request.name), request.version, _hex(request.fingerprint))
        return pb.LoadResponse(version=version_to_message(version))

    async def Unload(self, request: pb.UnloadRequest, context: Context) -> pb.UnloadResponse:
        version = await self._repository.unload(_named(request.name), request.version)
        return pb.UnloadResponse(version=version_to_message(version))

    async def Reload(self, request: pb.ReloadRequest, context: Context) -> pb.ReloadResponse:
        versions = await self._repository.reload(_named(request.name), request.version, _hex(request.fingerprint))
        return pb.ReloadResponse(versions=map(version_to_message, versions))

    async def SetDefault(self, request: pb.SetDefaultRequest, context: Context) -> pb.SetDefaultResponse:
        version = await self._repository.set_default(_named(request.name), request.version)
        return pb.SetDefaultResponse(version=version_to_message(version))


def _named(name: str) -> str:
    if not name:
        raise InvalidRequestError("the request names no model; set `name`")
    return name


def _hex(fingerprint: bytes) -> str:
    if len(fingerprint) not in (0, 32):
        raise InvalidRequestError(f"the fingerprint has {len(fingerprint)} bytes; it must be the SHA-256, 32 bytes")
    return fingerprint.hex()
