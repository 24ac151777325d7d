"""Administration over TCP: to whoever has a certificate of the administrators' authority, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from splitnet.cloud import InferenceService
from splitnet.cloud.config import assemble
from splitnet.cloud.config.loading import read_config
from splitnet.v1 import admin_pb2 as pb
from splitnet.v1 import admin_pb2_grpc as pb_grpc
from tests.cloud.certificates import Authority, Pair
from tests.cloud.conftest import Deploy


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def _versions(address: str, authority: Authority, pair: Pair | None) -> list[str]:
    credentials = grpc.ssl_channel_credentials(
        authority.certificate.read_bytes(),
        None if pair is None else pair.key.read_bytes(),
        None if pair is None else pair.certificate.read_bytes(),
    )
    async with grpc.aio.secure_channel(address, credentials) as channel:
        listed = await pb_grpc.AdminServiceStub(channel).ListVersions(pb.ListVersionsRequest(), timeout=20)
        return [one.version for one in listed.versions]


async def test_only_certificates_of_the_administrators_authority_are_let_in(
    deploy: Deploy, models: Path, tmp_path: Path
) -> None:
    deploy("1")
    authority, operators = Authority(tmp_path), Authority(tmp_path, "operators")
    server, operator, device = authority.server(), operators.issue("operator"), authority.issue("device")
    late = operators.issue("late", days=(-2, -1))
    address = f"127.0.0.1:{_free_port()}"
    config = tmp_path / "serve.toml"
    config.write_text(
        f'repository = "{models}"\n[tls]\ncertificate = "{server.certificate}"\nkey = "{server.key}"\n'
        f'[admin]\nlisten = "{address}"\nclient_ca = "{operators.certificate}"\n',
        encoding="utf-8",
    )
    async with assemble.management(read_config(config), InferenceService()):
        assert await _versions(address, authority, operator) == ["1"]
        for refused in (None, device, late):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await _versions(address, authority, refused)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(address) as channel:
                await pb_grpc.AdminServiceStub(channel).ListVersions(pb.ListVersionsRequest(), timeout=5)
