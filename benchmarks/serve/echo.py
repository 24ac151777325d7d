"""What gRPC alone adds: a server that runs the bare network for each message of a stream and knows nothing else.

Same library, transport and message sizes as the service, one thread for the network; no admission, no frame to decode,
no results. Prints its address.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import uvloop

from benchmarks.serve.bare import runner
from splitnet.v1 import inference_pb2 as pb

ANSWER_BYTES = 5200
"""About what both tasks' results take."""


class Echo:
    """Answers every message of a stream with as many bytes as results have, once the network has run."""

    def __init__(self, run: Callable[[int], None]) -> None:
        self._run = run
        self._work: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[float]]] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    async def stream(
        self, request_iterator: AsyncIterator[pb.InferStreamRequest], context: Any
    ) -> AsyncIterator[pb.InferStreamResponse]:
        loop = asyncio.get_running_loop()
        async for request in request_iterator:
            ran: asyncio.Future[float] = loop.create_future()
            self._work.put((loop, ran))
            timing = pb.Timing(graph=await ran, batch=1)
            result = pb.TaskResult(embedding=pb.Embedding(float32=bytes(ANSWER_BYTES)))
            yield pb.InferStreamResponse(id=request.id, response=pb.InferResponse(results=[result], timing=timing))

    def _serve(self) -> None:
        while True:
            loop, ran = self._work.get()
            started = time.perf_counter()
            self._run(1)
            loop.call_soon_threadsafe(ran.set_result, time.perf_counter() - started)


async def _main(bundle: Path, cut: str) -> None:
    run = runner(bundle, cut)
    run(1)
    server = grpc.aio.server()
    stream = grpc.stream_stream_rpc_method_handler(
        Echo(run).stream, pb.InferStreamRequest.FromString, pb.InferStreamResponse.SerializeToString
    )
    handler = grpc.method_handlers_generic_handler("splitnet.v1.InferenceService", {"InferStream": stream})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner_:
        runner_.run(_main(Path(sys.argv[1]), sys.argv[2]))
