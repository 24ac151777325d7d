"""Ray Serve's own batching in the place of ours, to compare the two."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ray import serve

from splitnet.bundle import Bundle
from splitnet.cloud.access import Caller
from splitnet.cloud.batching import Job, Outcome
from splitnet.cloud.ray_replica import Replica, ReplicaSettings
from splitnet.cloud.service import InferenceService
from splitnet.errors import ServiceError
from splitnet.wire.exchange import InferenceRequest, InferenceResponse


class ServeBatched(InferenceService):
    """The core with `serve.batch`: what waits is one line for all, without deadlines, fairness or a bound."""

    def _start(
        self, request: InferenceRequest, caller: Caller, arrived: float | None, deadline: float | None
    ) -> asyncio.Future[InferenceResponse]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[InferenceResponse] = loop.create_future()
        began = time.perf_counter() if arrived is None else arrived
        job = self._job(request, caller, began, deadline, answer)

        async def settle() -> None:
            outcome: Outcome = await self.together(job)
            if not answer.done():
                if isinstance(outcome, ServiceError):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)

        task = loop.create_task(settle())
        answer.add_done_callback(lambda _: task.cancel())
        return answer

    # Ray leaves it unannotated; where Ray is not installed, nothing is there to ignore.
    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.0)  # type: ignore[untyped-decorator,unused-ignore]  # Ray, where it is installed, leaves it unannotated
    async def together(self, jobs: list[Job]) -> Any:
        """Serve gives this one job and collects them."""
        return list(await asyncio.to_thread(self.run, jobs))


class ServeBatchReplica(Replica):
    """A replica around it."""

    def make_service(self, settings: ReplicaSettings) -> InferenceService:
        return ServeBatched([Bundle.load(path) for path in settings.bundles])
