"""The embedded server: the service core behind `grpc.aio`, inference off the event loop."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from splitnet.cloud.boundary import Boundary
from splitnet.cloud.observe.health import SERVICE_NAME, Health
from splitnet.cloud.service import InferenceService
from splitnet.cloud.servicer import InferenceServicer
from splitnet.cloud.tls import ServerCertificate
from splitnet.errors import UsageError
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.channels import parse_address, server_options

FLUSH_SECONDS = 0.2
"""Time for the last answers to reach the network once the work is done."""

log = structlog.get_logger("splitnet.server")


class Server:
    """A gRPC server of one `InferenceService`, with grpc.health.v1; with reflection where nobody has to be known.

    Parameters
    ----------
    service
        The core.
    listen
        HOST:PORT; port 0 takes a free one, `address` tells which.
    certificate
        For TLS; without it the server speaks plain text.
    connections, streams_per_connection
        How many there may be; 0 is no bound. One more connection is closed, one more stream waits.

    Raises
    ------
    UsageError
        from `start`, if the address cannot be listened on.
    ConfigError
        from `start`, if the certificate cannot be used.
    """

    def __init__(
        self,
        service: InferenceService,
        *,
        listen: str = "127.0.0.1:0",
        certificate: ServerCertificate | None = None,
        connections: int = 0,
        streams_per_connection: int = 0,
    ) -> None:
        self._listen = parse_address(listen, what="--listen")
        self._certificate = certificate
        self._options = server_options(service.max_frame_bytes, connections, streams_per_connection)
        self._service = service
        self._servicer = InferenceServicer(service)
        self._health: Health | None = None
        self.address = listen

    async def start(self) -> None:
        """Listen and answer; returns as soon as the port is open."""
        secured = None if self._certificate is None else self._certificate.credentials()
        self._server = grpc.aio.server(interceptors=[Boundary(self._service.observer)], options=self._options)
        health = Health(self._service.served)
        pb_grpc.add_InferenceServiceServicer_to_server(self._servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, self._server)
        names = (
            SERVICE_NAME,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        if not self._service.access.required:
            reflection.enable_server_reflection(names, self._server)
        try:
            if secured is None:
                port = self._server.add_insecure_port(self._listen)
            else:
                port = self._server.add_secure_port(self._listen, secured)
        except RuntimeError as error:
            # grpc.aio tears a server down in order only after it has run.
            await self._server.start()
            await self._server.stop(None)
            self._service.close()
            raise UsageError(
                f"cannot listen on {self._listen}; is the port taken, or the host unknown? choose another --listen"
            ) from error
        self.address = f"{self._listen.rpartition(':')[0]}:{port}"
        await self._server.start()
        self._health = health
        await health.open()
        log.info("serving", address=self.address, models=[model.name for model in self._service.models()])

    async def stop(self, grace: float = 10.0) -> None:
        """Refuse new requests, let those in flight end for `grace` seconds, then close."""
        log.info("draining", in_flight=self.in_flight, grace_seconds=grace)
        started = time.perf_counter()
        self._servicer.drain()
        if self._health is not None:
            await self._health.close()
        # Not gRPC's own grace: it would also wait for who watches our health or browses the reflection service.
        while not self._servicer.idle and time.perf_counter() - started < grace:
            await asyncio.sleep(0.01)
        self._service.close()
        await self._server.stop(min(grace, FLUSH_SECONDS))
        log.info("stopped", seconds=round(time.perf_counter() - started, 3))

    @property
    def in_flight(self) -> int:
        """Requests running or waiting."""
        return self._service.in_flight

    @property
    def ready(self) -> bool:
        """Whether new requests are taken: started, not draining, and at least one model is there."""
        return self._health is not None and self._health.ready

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop(grace=1.0)
