"""The HAProxy configuration over two real servers: TLS ends there, calls are shared out, a drained server gets none."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import featcodec
from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.batching import Job, Outcome
from splitnet.cloud.observe.watch import PageSettings, Watch
from splitnet.cloud.server import Server
from splitnet.edge.grpc_aio_transport import AsyncGrpcTransport
from splitnet.edge.retry import RetryPolicy, new_request_id
from splitnet.errors import SplitnetError, UnavailableError
from splitnet.wire.credentials import Credentials
from splitnet.wire.exchange import InferenceRequest
from tests.cloud.certificates import Authority

CONFIG = Path(__file__).resolve().parents[2] / "deploy/proxy/haproxy.cfg"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed; apt-get install haproxy")


class Counted(InferenceService):
    """A service that counts what it ran."""

    ran = 0

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        self.ran += len(jobs)
        return super().run(jobs)


class Backend:
    """One server with its metrics port, as HAProxy wants them."""

    def __init__(self, bundle: Bundle) -> None:
        self.watch = Watch(PageSettings("127.0.0.1:0"))
        self.service = Counted([bundle], observer=self.watch.observer)
        self.server = Server(self.service)

    async def start(self) -> None:
        self.page = self.watch.open(self.service, lambda: self.server.ready)
        await self.server.start()

    async def stop(self) -> None:
        self.watch.close()
        await self.server.stop(0.1)

    @property
    def line(self) -> str:
        """What stands in the configuration."""
        return f"{self.server.address} port {self.page.rstrip('/').rpartition(':')[2]}"


@pytest.fixture
async def backends(lite0_bundle: Bundle) -> AsyncIterator[list[Backend]]:
    made = [Backend(lite0_bundle), Backend(lite0_bundle)]
    for one in made:
        await one.start()
    yield made
    for one in made:
        await one.stop()


@contextlib.contextmanager
def proxy(folder: Path, backends: Sequence[Backend]) -> Iterator[tuple[str, Credentials]]:
    """HAProxy with the configuration as it is, but for addresses and the certificate."""
    authority = Authority(folder)
    pair = authority.server()
    (folder / "both.pem").write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    text = CONFIG.read_text(encoding="utf-8")
    lines = iter(backends)
    text, count = re.subn(r"10\.0\.0\.1\d:50051 port 9464", lambda _: next(lines).line, text)
    assert count == len(backends)
    text = text.replace("bind *:443", f"bind {address}").replace("/etc/haproxy/splitnet.pem", str(folder / "both.pem"))
    path = folder / "haproxy.cfg"
    path.write_text(text.replace("maxconn 60000", "maxconn 200"), encoding="utf-8")
    assert HAPROXY is not None
    with (folder / "haproxy.log").open("w") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(path)], stdout=log, stderr=log)
    try:
        _wait(address, process, folder / "haproxy.log")
        yield address, Credentials(ca=authority.certificate)
    finally:
        process.terminate()
        process.wait(10)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(200):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("HAProxy does not listen")


@pytest.fixture(scope="module")
def frame(lite0_bundle: Bundle) -> InferenceRequest:
    cut = lite0_bundle.cut("block10")
    features = np.random.default_rng(7).standard_normal((1, *cut.shape), dtype=np.float32)
    data = featcodec.encode(features, "affine:bits=8|zlib")
    return InferenceRequest(lite0_bundle.manifest.name, lite0_bundle.fingerprint, cut.name, data)


async def test_calls_are_shared_out_and_streams_stay(
    tmp_path: Path, backends: list[Backend], frame: InferenceRequest
) -> None:
    with proxy(tmp_path, backends) as (address, credentials):
        unary = AsyncGrpcTransport(address, credentials, unary=True)
        try:
            await asyncio.gather(*(unary.infer(frame, 30) for _ in range(40)))
        finally:
            await unary.aclose()
        ran = [one.service.ran for one in backends]
        assert sum(ran) == 40
        assert min(ran) >= 10
        stream = AsyncGrpcTransport(address, credentials)
        try:
            await asyncio.gather(*(stream.infer(frame, 30) for _ in range(10)))
        finally:
            await stream.aclose()
        assert sorted(one.service.ran - before for one, before in zip(backends, ran, strict=True)) == [0, 10]


async def test_plain_text_and_strangers_certificates_are_refused(
    tmp_path: Path, backends: list[Backend], frame: InferenceRequest
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with proxy(tmp_path, backends) as (address, _):
        for wrong in (Credentials(), Credentials(ca=Authority(other).certificate)):
            transport = AsyncGrpcTransport(address, wrong)
            try:
                with pytest.raises(UnavailableError):
                    await transport.infer(frame, 10)
            finally:
                await transport.aclose()
        assert sum(one.service.ran for one in backends) == 0


async def test_a_server_that_drains_costs_no_request(
    tmp_path: Path, backends: list[Backend], frame: InferenceRequest
) -> None:
    codes: Counter[str] = Counter()
    with proxy(tmp_path, backends) as (address, credentials):
        transport = AsyncGrpcTransport(address, credentials, unary=True)
        policy = RetryPolicy(attempts=10, first=0.05, longest=0.5)

        async def one() -> None:
            request = replace(frame, request_id=new_request_id())
            try:
                await policy.acall(lambda left: transport.infer(request, left), 30)
                codes["OK"] += 1
            except SplitnetError as error:
                codes[str(error)] += 1

        try:
            for number in range(20):
                if number == 5:
                    await backends[0].server.stop(5.0)
                await asyncio.gather(*(one() for _ in range(4)))
        finally:
            await transport.aclose()
    assert codes == {"OK": 80}
