"""Tokens, TLS and limits over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import featcodec
from splitnet import AsyncEdge, Credentials, Edge
from splitnet.bundle import Bundle
from splitnet.cli.exit_codes import ExitCode
from splitnet.cloud import InferenceService
from splitnet.cloud.access import Authenticator, ClientLimits, Clients
from splitnet.cloud.access.clients_file import token_hash
from splitnet.cloud.batching import Job, Outcome
from splitnet.cloud.model import CloudModel
from splitnet.cloud.server import Server
from splitnet.cloud.tls import ServerCertificate
from splitnet.edge.fetch import fetch_bundle
from splitnet.edge.grpc_aio_transport import AsyncGrpcTransport
from splitnet.edge.grpc_transport import GrpcTransport
from splitnet.errors import (
    ConfigError,
    OverloadedError,
    PermissionDeniedError,
    ServiceError,
    UnauthenticatedError,
    UnavailableError,
    UsageError,
)
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.exchange import InferenceRequest
from tests.cloud.certificates import Authority, Pair

NAME = "efficientnet-lite0"


@pytest.fixture(scope="module")
def model(lite0_bundle: Bundle) -> CloudModel:
    return InferenceService().load(lite0_bundle)


@pytest.fixture
def request_(lite0_bundle: Bundle) -> InferenceRequest:
    features = np.zeros((1, 80, 14, 14), np.float32)
    frame = featcodec.encode(features, "affine:bits=8|zlib")
    return InferenceRequest(NAME, lite0_bundle.fingerprint, "block7", frame, tasks=("classification",))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.write_text(
        "\n".join(
            f'[[token]]\nname = "{name}"\nsha256 = "{token_hash(name)}"\n{more}'
            for name, more in (
                ("all", ""),
                ("faces", 'models = ["faces*"]'),
                ("vectors", 'tasks = ["embedding"]'),
                ("old", "expires = 2020-01-01T00:00:00Z"),
                ("slow", "rate = 0.001\nburst = 2"),
            )
        )
        + '\n[[certificate]]\nname = "camera"\n[[certificate]]\nname = "robot"\nsubject = "spiffe://here/robot"\n',
        encoding="utf-8",
    )
    return path


def _server(model: CloudModel, access: Authenticator, pair: Pair | None = None, ca: Path | None = None) -> Server:
    service = InferenceService(access=access)
    service.served.put(model)
    certificate = None if pair is None else ServerCertificate(pair.certificate, pair.key, ca)
    return Server(service, listen="127.0.0.1:0", certificate=certificate)


@contextlib.asynccontextmanager
async def _edge(server: Server, **credentials: Any) -> AsyncIterator[AsyncGrpcTransport]:
    transport = AsyncGrpcTransport(server.address, Credentials(**credentials))
    try:
        yield transport
    finally:
        await transport.aclose()


async def _fails(server: Server, kind: type[ServiceError], says: str, **credentials: Any) -> None:
    async with _edge(server, **credentials) as edge:
        with pytest.raises(kind, match=says):
            await edge.describe(NAME, timeout=10)


async def test_tokens(model: CloudModel, clients: Path, request_: InferenceRequest, tmp_path: Path) -> None:
    async with _server(model, Authenticator(Clients(clients))) as server:
        async with _edge(server, token="all") as edge:
            assert (await edge.describe(NAME, timeout=10)).summary.name == NAME
            assert list((await edge.infer(request_, timeout=20)).results) == ["classification"]
        file = tmp_path / "token"
        file.write_text("all\n", encoding="utf-8")
        async with _edge(server, token_file=file) as edge:
            assert (await edge.infer(request_, timeout=20)).results
        for token, says in (("", "no credentials"), ("wrong", "not known here"), ("old", "has expired")):
            await _fails(server, UnauthenticatedError, says, token=token)
            async with _edge(server, token=token) as edge:
                with pytest.raises(UnauthenticatedError, match=says):
                    await edge.infer(request_, timeout=20)


async def test_permissions(model: CloudModel, clients: Path, request_: InferenceRequest) -> None:
    async with _server(model, Authenticator(Clients(clients))) as server:
        async with _edge(server, token="faces") as edge:
            with pytest.raises(PermissionDeniedError, match=r"may not use model .* it has faces\*"):
                await edge.describe(NAME, timeout=10)
            with pytest.raises(PermissionDeniedError, match="may not use model"):
                await edge.infer(request_, timeout=20)
        async with _edge(server, token="vectors") as edge:
            assert list((await edge.describe(NAME, timeout=10)).tasks) == ["embedding"]
            with pytest.raises(PermissionDeniedError, match="may not ask for task 'classification'; it has embedding"):
                await edge.infer(request_, timeout=20)

        def listed(token: str) -> list[str]:
            transport = GrpcTransport(server.address, Credentials(token))
            try:
                return [one.name for one in transport.models(timeout=10)]
            finally:
                transport.close()

        assert await asyncio.to_thread(listed, "faces") == []
        assert await asyncio.to_thread(listed, "all") == [NAME]


async def test_a_token_taken_back_ends_what_its_stream_may_ask(
    model: CloudModel, clients: Path, request_: InferenceRequest
) -> None:
    known = Clients(clients)
    async with _server(model, Authenticator(known)) as server, _edge(server, token="all") as edge:
        assert (await edge.infer(request_, timeout=20)).results
        clients.write_text("", encoding="utf-8")
        known.load()
        with pytest.raises(UnauthenticatedError, match="not known here, or no longer"):
            await edge.infer(request_, timeout=20)


async def test_a_rate_of_ones_own_and_when_to_come_back(
    model: CloudModel, clients: Path, request_: InferenceRequest
) -> None:
    async with _server(model, Authenticator(Clients(clients))) as server:
        async with _edge(server, token="slow") as edge:
            for _ in range(2):
                await edge.infer(request_, timeout=20)
            with pytest.raises(OverloadedError, match=r"0\.001 requests a second") as caught:
                await edge.infer(request_, timeout=20)
            assert caught.value.retry_after is not None
            assert 900 < caught.value.retry_after <= 1000
        async with _edge(server, token="all") as edge:
            assert (await edge.infer(request_, timeout=20)).results


async def test_everyones_concurrency(model: CloudModel, request_: InferenceRequest) -> None:
    go = threading.Event()

    class Held(InferenceService):
        def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
            assert go.wait(20)
            return super().run(jobs)

    service = Held(access=Authenticator(defaults=ClientLimits(concurrency=1)))
    service.served.put(model)
    async with Server(service) as server, _edge(server) as edge:
        first = asyncio.create_task(edge.infer(request_, timeout=20))
        while not service.in_flight:
            await asyncio.sleep(0.001)
        with pytest.raises(OverloadedError, match="1 requests in flight and may have 1"):
            await edge.infer(request_, timeout=20)
        go.set()
        assert (await first).results
        assert (await edge.infer(request_, timeout=20)).results


async def test_reflection_is_off_and_health_is_open_to_all(model: CloudModel, clients: Path) -> None:
    async with (
        _server(model, Authenticator(Clients(clients))) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        reply = await health.Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        reflect: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [one async for one in reflect(iter([b""]))]
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_tls(model: CloudModel, clients: Path, authority: Authority, tmp_path: Path) -> None:
    async with _server(model, Authenticator(Clients(clients)), authority.server()) as server:
        async with _edge(server, token="all", ca=authority.certificate) as edge:
            assert (await edge.describe(NAME, timeout=10)).summary.name == NAME
        await _fails(server, UnauthenticatedError, "no credentials", ca=authority.certificate)
        other = Authority(tmp_path, "other").certificate
        await _fails(server, UnavailableError, "is not to be trusted; check --ca", token="all", ca=other)
        await _fails(server, UnavailableError, "no server answers", token="all")


@pytest.mark.parametrize(("days", "subject"), [((-2, -1), "expired"), ((1, 2), "not yet")])
async def test_a_server_certificate_out_of_its_time(
    model: CloudModel, authority: Authority, days: tuple[float, float], subject: str
) -> None:
    async with _server(model, Authenticator(), authority.server(subject, days)) as server:
        await _fails(server, UnavailableError, "not to be trusted", ca=authority.certificate)


async def test_mutual_tls(model: CloudModel, clients: Path, authority: Authority, tmp_path: Path) -> None:
    access = Authenticator(Clients(clients), certificates=True)
    async with _server(model, access, authority.server(), authority.certificate) as server:
        roots = {"ca": authority.certificate}
        for pair in (authority.issue("camera"), authority.issue("x", names=("y.example.org", "spiffe://here/robot"))):
            async with _edge(server, **roots, certificate=pair.certificate, key=pair.key) as edge:
                assert (await edge.describe(NAME, timeout=10)).summary.name == NAME
        unknown = authority.issue("unknown")
        says = "'unknown' is in order, but nobody has let it in"
        await _fails(server, PermissionDeniedError, says, **roots, certificate=unknown.certificate, key=unknown.key)
        for pair in (authority.issue("late", days=(-2, -1)), Authority(tmp_path, "other").issue("camera")):
            await _fails(server, UnavailableError, "no server", **roots, certificate=pair.certificate, key=pair.key)
        await _fails(server, UnavailableError, "no server answers", **roots)


async def test_a_new_certificate_is_shown_without_a_restart(model: CloudModel, tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    pair = first.server()
    async with _server(model, Authenticator(), pair) as server, _edge(server, ca=first.certificate) as old:
        await old.describe(NAME, timeout=10)
        await _fails(server, UnavailableError, "not to be trusted", ca=second.certificate)
        fresh = second.server("fresh")
        shutil.copy(fresh.certificate, pair.certificate)
        # Half way through the replacement certificate and key do not fit: the old pair stays.
        async with _edge(server, ca=first.certificate) as edge:
            await edge.describe(NAME, timeout=10)
        shutil.copy(fresh.key, pair.key)
        async with _edge(server, ca=second.certificate) as edge:
            await edge.describe(NAME, timeout=10)
        pair.certificate.write_text("rubbish", encoding="utf-8")
        async with _edge(server, ca=second.certificate) as edge:
            await edge.describe(NAME, timeout=10)
        # Open connections are not touched by any of this.
        await old.describe(NAME, timeout=10)


def test_certificates_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    one, two = authority.server(), authority.issue("other")
    with pytest.raises(ConfigError, match=r"server\.pem and .*other\.key are no PEM certificate with its unencr"):
        ServerCertificate(one.certificate, two.key).check()
    with pytest.raises(ConfigError, match=r"nothing\.pem: cannot be read: No such file"):
        ServerCertificate(tmp_path / "nothing.pem", one.key).check()
    with pytest.raises(ConfigError, match=r"server\.key holds no PEM certificate of an authority"):
        ServerCertificate(one.certificate, one.key, one.key).check()


async def test_connections_are_bounded(model: CloudModel) -> None:
    service = InferenceService()
    service.served.put(model)
    async with (
        Server(service, connections=1) as server,
        _edge(server) as first,
        OtherConnection(server.address) as second,
    ):
        await first.describe(NAME, timeout=10)
        with pytest.raises(UnavailableError):
            await second.describe(NAME, timeout=2)
        await first.describe(NAME, timeout=10)


class OtherConnection(AsyncGrpcTransport):
    """A second connection: channels to one address with the same options share one."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = pb_grpc.InferenceServiceStub(self._channel)

    async def __aenter__(self) -> OtherConnection:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


async def test_a_bundle_is_fetched_with_credentials(
    model: CloudModel, lite0_bundle: Bundle, clients: Path, authority: Authority, tmp_path: Path
) -> None:
    async with _server(model, Authenticator(Clients(clients)), authority.server()) as server:

        def fetch(token: str) -> str:
            shown = Credentials(token, ca=authority.certificate)
            return fetch_bundle(NAME, server.address, tmp_path / token, edge_only=True, credentials=shown).fingerprint

        assert await asyncio.to_thread(fetch, "all") == lite0_bundle.fingerprint
        with pytest.raises(PermissionDeniedError):
            await asyncio.to_thread(fetch, "faces")


async def test_the_python_api_and_the_command_line(
    model: CloudModel,
    lite0_bundle: Bundle,
    clients: Path,
    authority: Authority,
    photos: tuple[Path, ...],
    tmp_path: Path,
) -> None:
    pair = authority.issue("camera")
    file = tmp_path / "token"
    file.write_text("all", encoding="utf-8")
    access = Authenticator(Clients(clients), certificates=True)
    async with _server(model, access, authority.server(), authority.certificate) as server:
        known = Credentials(ca=authority.certificate, certificate=pair.certificate, key=pair.key)

        def blocking() -> int:
            with Edge(lite0_bundle, server.address, cut="block7", credentials=known) as edge:
                edge.connect()
                return len(edge.infer(photos[0], timeout=20).results)

        assert await asyncio.to_thread(blocking) == 2
        async with AsyncEdge(lite0_bundle, server.address, cut="block7", credentials=known) as edge:
            assert len((await edge.infer(photos[0], timeout=20)).results) == 2

        async def run(*options: str, token: str = "") -> tuple[int, str]:
            command = ["-m", "splitnet", "edge", "run", "--server", server.address, "--source", str(photos[0])]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *("--bundle", str(lite0_bundle.path), "--cut", "block7", "--ca", str(authority.certificate)),
                *("--cert", str(pair.certificate), "--key", str(pair.key), *options),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=os.environ | {"SPLITNET_TOKEN": token},
            )
            _, errors = await process.communicate()
            assert process.returncode is not None
            return process.returncode, errors.decode()

        good, bad = await asyncio.gather(run("--token-file", str(file)), run(token="wrong"))
        assert good[0] == ExitCode.OK, good
        assert bad == (ExitCode.SERVICE, "splitnet: this token is not known here, or no longer; ask for a new one\n")


@pytest.mark.parametrize("credentials", [Credentials("t"), Credentials(token_file=Path("t"))])
def test_a_token_is_not_sent_in_plain_text_beyond_loopback(credentials: Credentials) -> None:
    for transport in (AsyncGrpcTransport, GrpcTransport):
        with pytest.raises(UsageError, match=r"would travel to cloud\.example\.org:443 in plain text"):
            transport("cloud.example.org:443", credentials)
    for address in ("127.0.0.9:1", "localhost:1", "[::1]:1"):
        assert credentials.tls(address) is None


def test_what_credentials_refuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs its key"):
        Credentials(certificate=tmp_path).tls("localhost:1")
    with pytest.raises(UsageError, match=r"gone\.pem cannot be read: No such file"):
        Credentials(ca=tmp_path / "gone.pem").tls("localhost:1")
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(UsageError, match="is empty; it should hold a token"):
        Credentials(token_file=empty).metadata()
    for token in ("two words", "two\nlines", "ü"):
        with pytest.raises(UsageError, match="not one line of printable ASCII") as caught:
            Credentials(token).metadata()
        assert token not in str(caught.value)
    assert "secret" not in repr(Credentials("secret"))
