"""Who may ask: the checks in front of every HTTP request, and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = frozenset({"/", "/live", "/ready"})
"""Paths without a token: a page that holds no data, and one bit each for whoever restarts or balances us."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Gate:
    """ASGI middleware.

    - Only GET and HEAD, without a body, and POST to the paths of `bodies`, with at most so many bytes: one more is
      answered with 413 before the rest is read.
    - `Host` must be localhost, an IP address or one of `hosts`. A page of a stranger whose name was made to point here
      (DNS rebinding) comes with the stranger's name.
    - `Origin`, where there is one, must be the very host asked.
    - With a `token`, everything but `OPEN` wants it as a bearer token.

    With `hosts` of None, names and origins are not looked at: no browser reaches a Unix socket.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str = "",
        hosts: tuple[str, ...] | None = (),
        page_policy: str = "",
        bodies: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._token = _digest(token) if token else b""
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._page_policy = f"{_NOTHING}; {page_policy}" if page_policy else _NOTHING
        self._bodies = bodies or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return
        policy = self._page_policy if scope["path"] == "/" else _NOTHING

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers["Content-Security-Policy"] = policy
            await send(message)

        most = self._bodies.get(scope["path"]) if scope["method"] == "POST" else None
        headers = Headers(scope=scope)
        answer = _unwanted(scope["method"], headers, most) or self._refusal(scope["path"], headers)
        if most is not None:
            receive = _bounded(receive, most)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, path: str, headers: Headers) -> PlainTextResponse | None:
        if self._hosts is not None:
            hosts = headers.getlist("host")
            if len(hosts) != 1 or not _known(hosts[0], self._hosts):
                return PlainTextResponse("this host name is not served here\n", 403)
            origins = headers.getlist("origin")
            if origins and (len(origins) > 1 or origins[0] not in (f"http://{hosts[0]}", f"https://{hosts[0]}")):
                return PlainTextResponse("not for other origins\n", 403)
        if self._token and path not in OPEN and not self._holds_token(headers.getlist("authorization")):
            return PlainTextResponse("a bearer token is needed\n", 401, {"WWW-Authenticate": "Bearer"})
        return None

    def _holds_token(self, given: list[str]) -> bool:
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        return scheme.lower() == "bearer" and hmac.compare_digest(_digest(token.strip()), self._token)


def _unwanted(method: str, headers: Headers, most: int | None) -> PlainTextResponse | None:
    """The answer to a method or a body that is not taken; `most` bytes are, none of a body where that is None."""
    if most is None:
        # A body is never read, so the connection cannot be used again.
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return PlainTextResponse("send no body\n", 413, {"Connection": "close"})
        if method not in ("GET", "HEAD"):
            return PlainTextResponse("only GET and HEAD\n", 405, {"Allow": "GET, HEAD"})
    elif int(headers.get("content-length", "0")) > most:
        # Without a word about the connection: one that is closed at once may lose the answer on its way.
        return PlainTextResponse(_too_large(most), 413)
    return None


def _bounded(receive: Receive, most: int) -> Receive:
    """The same for a body that does not say how long it is."""
    left = most

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, _too_large(most))
        return message

    return counted


def _too_large(most: int) -> str:
    return f"the body has more than {most} bytes\n"


def _known(host: str, names: frozenset[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
