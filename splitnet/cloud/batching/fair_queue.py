"""The waiting line: strict priorities, within one start-time fair queueing between clients, batches of one group.

Start-time fair queueing: P. Goyal, H. M. Vin, H. Cheng, *Start-time fair queueing: a scheduling algorithm for
integrated services packet switching networks*, SIGCOMM 1996; here each job costs one and clients weigh the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What the queue has to know of a job; `size` is in bytes."""

    @property
    def group(self) -> Hashable: ...
    @property
    def client(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def size(self) -> int: ...


J = TypeVar("J", bound=Waiting)
Entry = tuple[int, float, int, J]
_COMPACT = 64
"""Dead entries of a heap before it is rebuilt, at least."""


@dataclass(slots=True)
class _Client(Generic[J]):
    """`finish` is the virtual time at which the client's last job would end, were all served evenly."""

    finish: float = 0.0
    size: int = 0
    jobs: dict[J, None] = field(default_factory=dict)


class FairQueue(Generic[J]):
    """Jobs that wait, at most `capacity` of them with `capacity_bytes` together. Not thread-safe.

    A client that sends a thousand requests and one that sends one are served in turn. A full queue makes room for a
    client that waits with less, at the expense of the newest job of the client that waits with most.
    """

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._heaps: dict[Hashable, list[Entry[J]]] = defaultdict(list)
        self._clients: dict[str, _Client[J]] = defaultdict(_Client)
        self._live: dict[J, int] = {}
        self._dead = 0
        self._virtual = 0.0
        self._numbers = count()
        self.size = 0

    def __len__(self) -> int:
        return len(self._live)

    @property
    def clients(self) -> int:
        """Clients that wait, and those who had more than their share a moment ago."""
        return len(self._clients)

    def held(self, client: str) -> int:
        """Jobs of `client` that wait."""
        found = self._clients.get(client)
        return 0 if found is None else len(found.jobs)

    def push(self, job: J, spare: int = 0) -> list[J] | None:
        """Add a job: those that had to make room for it, or None where it is the one that has no room.

        `spare` jobs more than the capacity may come, for as many workers are about to take one.
        """
        evicted: list[J] = []
        if self._full(job, spare):
            evicted = self._make_room(job, spare)
            if self._full(job, spare):
                for one in evicted:
                    self._insert(one)
                return None
        self._insert(job)
        return evicted

    def remove(self, job: J) -> bool:
        """Take out a job that nobody waits for any more; False where it is not here."""
        if job not in self._live:
            return False
        self._forget(job)
        client = self._clients.get(job.client)
        if client is not None:
            # It was not served: the client's next job comes as early as this one would have.
            client.finish = max(self._virtual, client.finish - 1)
        self._dead += 1
        if self._dead > max(_COMPACT, len(self._live)):
            self._compact()
        return True

    def pop(self, most: int) -> list[J]:
        """The next batch: the first job in line, then up to `most` - 1 more of its group. Empty when none waits."""
        best = None
        for group in list(self._heaps):
            heap = self._heaps[group]
            self._drop_dead(heap)
            if not heap:
                del self._heaps[group]
            elif best is None or heap[0][:3] < self._heaps[best][0][:3]:
                best = group
        return [] if best is None else self.pop_group(best, most)

    def pop_group(self, group: Hashable, most: int) -> list[J]:
        """Up to `most` jobs of `group`, in line."""
        heap = self._heaps.get(group)
        found: list[J] = []
        while heap and len(found) < most:
            _, start, number, job = heappop(heap)
            if self._live.get(job) != number:
                self._dead -= 1
                continue
            self._virtual = max(self._virtual, start)
            self._forget(job)
            found.append(job)
        return found

    def _insert(self, job: J) -> None:
        client = self._clients[job.client]
        start = max(self._virtual, client.finish)
        client.finish = start + 1
        client.jobs[job] = None
        client.size += job.size
        self.size += job.size
        number = self._live[job] = next(self._numbers)
        heappush(self._heaps[job.group], (-job.priority, start, number, job))

    def _forget(self, job: J) -> None:
        del self._live[job]
        self.size -= job.size
        client = self._clients[job.client]
        del client.jobs[job]
        client.size -= job.size
        if not client.jobs and client.finish <= self._virtual:
            del self._clients[job.client]
        if not self._live:
            # Nobody waits, so nobody is owed anything: clients of the past are not kept.
            self._clients.clear()
        elif len(self._clients) > 2 * self._capacity + _COMPACT:
            # Ever new clients in a line that never ends: what those who left had too much is forgotten.
            self._clients = defaultdict(_Client, {name: one for name, one in self._clients.items() if one.jobs})

    def _full(self, job: J, spare: int) -> bool:
        return len(self._live) >= self._capacity + spare or self.size + job.size > self._capacity_bytes

    def _load(self, client: _Client[J]) -> float:
        return max(len(client.jobs) / max(1, self._capacity), client.size / max(1, self._capacity_bytes))

    def _make_room(self, job: J, spare: int) -> list[J]:
        mine = self._clients.get(job.client)
        count_after = 1 + (0 if mine is None else len(mine.jobs))
        size_after = job.size + (0 if mine is None else mine.size)
        after = max(count_after / max(1, self._capacity), size_after / max(1, self._capacity_bytes))
        evicted: list[J] = []
        while self._full(job, spare) and self._clients:
            heaviest = max(self._clients.values(), key=self._load)
            if self._load(heaviest) <= after or not heaviest.jobs:
                break
            newest = next(reversed(heaviest.jobs))
            self.remove(newest)
            evicted.append(newest)
        return evicted

    def _drop_dead(self, heap: list[Entry[J]]) -> None:
        while heap and self._live.get(heap[0][3]) != heap[0][2]:
            heappop(heap)
            self._dead -= 1

    def _compact(self) -> None:
        for heap in self._heaps.values():
            heap[:] = [entry for entry in heap if self._live.get(entry[3]) == entry[2]]
            heapify(heap)
        self._dead = 0
