"""Deadlines for calls that cannot time out by themselves."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watchdog:
    """Calls a function when a deadline passes before the guarded block ends.

    One thread for all blocks, started by the first; it is only woken for a deadline earlier than any before, so that
    a guarded block costs two dictionary operations.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pending: dict[int, tuple[float, Callable[[], None]]] = {}
        self._numbers = itertools.count()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def limit(self, deadline: float, expire: Callable[[], None]) -> Iterator[None]:
        """Call `expire` from the watchdog's thread at `deadline`, a reading of `time.monotonic`, unless left before."""
        number = next(self._numbers)
        with self._condition:
            self._pending[number] = (deadline, expire)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if deadline < self._wakes_at:
                self._condition.notify()
        try:
            yield
        finally:
            with self._condition:
                self._pending.pop(number, None)

    def close(self) -> None:
        """End the thread; pending deadlines are forgotten."""
        with self._condition:
            self._closed = True
            self._pending.clear()
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                late = [number for number, (deadline, _) in self._pending.items() if deadline <= now]
                for number in late:
                    self._pending.pop(number)[1]()
                self._wakes_at = min((deadline for deadline, _ in self._pending.values()), default=float("inf"))
                # With nothing pending it sleeps until the next block, whose deadline is earlier than "never".
                self._condition.wait(None if self._wakes_at == float("inf") else max(0.0, self._wakes_at - now))
