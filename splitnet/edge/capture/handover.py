"""Items of a thread that blocks, on their way to the daemon's event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from splitnet.edge.capture.contract import Intake
from splitnet.edge.daemon.item import Item

T = TypeVar("T")


class Handover:
    """Runs a function on a thread of its own, from which `offer` and `known` may be called.

    The thread does not keep the process from ending: a device may never come back. Once `stopped` is set, `offer` and
    `known` raise, which ends the function.
    """

    def __init__(self, intake: Intake, stopped: threading.Event) -> None:
        self._intake, self._stopped = intake, stopped
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._pending: concurrent.futures.Future[Any] | None = None
        self._error: BaseException | None = None
        self._running = False

    def start(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """Begin; what comes back is done once the function is, however it ended."""
        self._running = True
        threading.Thread(target=self._run, args=(work,), name="video", daemon=True).start()
        return self._done

    @property
    def alive(self) -> bool:
        """Whether the function has not come back yet."""
        return self._running

    def stop(self) -> None:
        """Tell the function to end."""
        self._stopped.set()
        if self._pending is not None:
            self._pending.cancel()

    def check(self) -> None:
        """Raise what the function raised, if anything."""
        if self._error is not None:
            raise self._error

    def offer(self, item: Item) -> None:
        """As `Intake.offer`; for the thread."""
        self._wait_for(lambda: self._intake.offer(item))

    def known(self, item_id: str) -> bool:
        """As `Intake.known`; for the thread."""

        async def ask() -> bool:
            return self._intake.known(item_id)

        return self._wait_for(ask)

    def _wait_for(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._stopped.is_set():
            raise concurrent.futures.CancelledError
        self._pending = pending = asyncio.run_coroutine_threadsafe(call(), self._loop)
        # `stop` may have come in between.
        if self._stopped.is_set():
            pending.cancel()
        return pending.result()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except concurrent.futures.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - `check` raises it
            self._error = error
        self._running = False
        # Nobody may wait any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
