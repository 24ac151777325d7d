"""POST /infer: a photo's file comes, its record goes back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from splitnet.edge.capture.photo_header import refusal
from splitnet.edge.capture.submissions import Outcome
from splitnet.edge.config.sources import HttpSource
from splitnet.edge.daemon.item import Item, stable_id
from splitnet.edge.sources import Kind
from splitnet.http.gate import Gate

PATH = "/infer"
HELD_BYTES = 64 << 20
"""Bytes of photos at a time that come in or wait for their answers; one large photo is always taken."""
ANSWER_SECONDS = 60.0
"""Beyond the deadline, nobody waits longer than this."""
KEPT = 86_400.0
"""Seconds for which a key that was sent along is known again."""
RETRY_AFTER = {"Retry-After": "1"}

_KEY = re.compile(r"[ -~]{1,128}")


def application(
    name: str, section: HttpSource, kind: Kind, token: str, submit: Callable[[Item], Awaitable[Outcome]]
) -> ASGIApp:
    """The endpoint of the source `name`. `submit` is called on the server's own event loop.

    Answers: 200 with the record; 422 with a record that says why the photo is of no use; 202 for one that is in the
    spool, or that came before with the same `Idempotency-Key`; 503 with `Retry-After` for one that was dropped, or that
    there is no room for; 504 for one that takes too long, and goes on; 413 and 415 for what is too large or no photo.
    """
    app = Starlette(routes=[Route(PATH, _Infer(name, section, kind, submit).answer, methods=["POST"])])
    hosts = None if section.listen is None else section.hosts
    return Gate(app, token=token, hosts=hosts, bodies={PATH: section.max_bytes})


def patience(section: HttpSource) -> float:
    """Seconds that a sender waits at most."""
    return (section.deadline or 0.0) + ANSWER_SECONDS


class _Infer:
    def __init__(
        self, name: str, section: HttpSource, kind: Kind, submit: Callable[[Item], Awaitable[Outcome]]
    ) -> None:
        self._name, self._section, self._kind, self._submit = name, section, kind, submit
        self._free = max(HELD_BYTES, section.max_bytes)
        self._patience = patience(section)
        self._at_work: set[asyncio.Task[Response]] = set()

    async def answer(self, request: Request) -> Response:
        keys = request.headers.getlist("idempotency-key")
        if len(keys) > 1 or not all(_KEY.fullmatch(key) for key in keys):
            return PlainTextResponse("Idempotency-Key takes 1 to 128 printable ASCII characters\n", 400)
        size = int(request.headers.get("content-length", self._section.max_bytes))
        if size > self._free:
            return PlainTextResponse("too many photos are under way\n", 503, RETRY_AFTER)
        self._free -= size
        work = asyncio.create_task(self._infer(request, *keys))

        def done(_: asyncio.Task[Response]) -> None:
            self._free += size
            self._at_work.discard(work)

        self._at_work.add(work)
        work.add_done_callback(done)
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._patience)
        except TimeoutError:
            said = (
                f"no answer within {self._patience:g} s, but the photo goes on; ask again with the same Idempotency-Key"
            )
            return PlainTextResponse(f"{said}\n", 504)

    async def _infer(self, request: Request, key: str | None = None) -> Response:
        try:
            photo = await request.body()
        except ClientDisconnect:
            # Nobody is there to read it.
            return Response(status_code=400)
        if self._kind == "image":
            refused = await asyncio.to_thread(refusal, photo, self._section.max_pixels)
            if refused is not None:
                return PlainTextResponse(f"{refused[1]}\n", refused[0])
        if key is None:
            item = Item(self._name, "a posted photo", photo)
        else:
            item = Item(self._name, key, photo, stable_id(self._name, key), remember=KEPT)
        return _response(item.id, await self._submit(item))


def _response(item_id: str, outcome: Outcome) -> Response:
    if outcome == "known":
        return _json({"id": item_id, "known": True}, 202)
    if outcome == "ended":
        error = "the daemon ends or reloads before the answer; ask again with the same Idempotency-Key"
        return _json({"id": item_id, "error": error}, 503, RETRY_AFTER)
    if outcome.how == "dropped":
        return _json({"id": item_id, "error": "it gave way to a newer one; ask again"}, 503, RETRY_AFTER)
    if outcome.how == "spooled" or outcome.record is None:
        return _json({"id": item_id, outcome.how: True}, 202)
    return _json(outcome.record.as_dict(), 422 if outcome.record.status == "failed" else 200)


def _json(values: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    # Unlike Starlette's own, it takes whatever numbers a record may hold.
    return Response(json.dumps(values) + "\n", status, headers, "application/json")
