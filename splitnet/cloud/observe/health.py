"""grpc.health.v1: one status for the process, and one for each model."""

from __future__ import annotations

import asyncio

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from splitnet.cloud.repository import Served
from splitnet.v1 import inference_pb2 as pb

SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["InferenceService"].full_name
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Keeps the health service up to date with the models served. Belongs to one event loop.

    The names are `` (the process), ``splitnet.v1.InferenceService``, and ``splitnet.v1.InferenceService/NAME`` of each
    model. Without a single model nothing is ready; a model that was taken out is NOT_SERVING from then on.
    """

    def __init__(self, served: Served) -> None:
        self.servicer = aio.HealthServicer()
        self._served = served
        self._open = False
        self._told: dict[str, int] = {}
        self._update = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether new requests are taken."""
        return self._open and bool(self._served.names())

    async def open(self) -> None:
        """Ready from now on, as far as there are models."""
        loop = asyncio.get_running_loop()
        self._open = True
        # A model may be loaded on any thread, and after our loop has ended.
        self._served.watch(lambda: None if loop.is_closed() else loop.call_soon_threadsafe(self._changed))
        await self._tell()

    async def close(self) -> None:
        """Ready no more: whoever balances load sends nothing new."""
        self._open = False
        await self._tell()

    def _changed(self) -> None:
        task = asyncio.create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._update:
            names = self._served.names() if self._open else []
            serving = {"", SERVICE_NAME, *(f"{SERVICE_NAME}/{name}" for name in names)} if names else set()
            for name in self._told.keys() | serving | {"", SERVICE_NAME}:
                status = SERVING if name in serving else NOT_SERVING
                if self._told.get(name) != status:
                    self._told[name] = status
                    await self.servicer.set(name, status)
