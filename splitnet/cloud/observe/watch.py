"""What `splitnet serve` is watched with, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from splitnet.cloud.observe.observer import Observer, Observers
from splitnet.cloud.observe.refusals import RefusalLog
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.service import InferenceService
from splitnet.errors import UsageError
from splitnet.wire.channels import parse_address
from splitnet.wire.credentials import is_loopback
from splitnet.wire.tracing import tracer_provider

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from splitnet.cloud.observe.spans import Spans
    from splitnet.cloud.repository.state import Version
    from splitnet.http.server import PageServer

TOKEN_VARIABLE = "SPLITNET_METRICS_TOKEN"


@dataclass(frozen=True)
class PageSettings:
    """Where the pages are: `listen` is HOST:PORT, or empty for none; `hosts` are further names they answer to."""

    listen: str = ""
    token: str = ""
    hosts: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises UsageError where others would reach the pages without a token, or the address is none."""
        if not self.listen:
            return
        if not is_loopback(parse_address(self.listen, what="--metrics")) and not self.token:
            raise UsageError(
                f"--metrics {self.listen} can be reached from elsewhere: set {TOKEN_VARIABLE}, or listen on 127.0.0.1"
            )


class Watch:
    """The observer of a service, and its pages.

    Traces are sent where OpenTelemetry's environment variables say. Raises UsageError, as `PageSettings.check` and
    `tracer_provider`.
    """

    def __init__(self, settings: PageSettings | None = None) -> None:
        self.settings = settings or PageSettings()
        self.settings.check()
        self._log = RefusalLog()
        self._tally = Tally() if self.settings.listen else None
        self._provider = tracer_provider("splitnet-serve")
        self._spans = None if self._provider is None else _spans(self._provider)
        wanted = (self._log, self._tally, self._spans)
        self.observer: Observer = Observers([one for one in wanted if one is not None])
        self._pages: PageServer | None = None

    def open(
        self,
        service: InferenceService,
        ready: Callable[[], bool],
        versions: Callable[[], Sequence[Version]] = tuple,
    ) -> str:
        """Serve the pages of a service that has this observer: their address, empty where none are asked for.

        `versions` is what the repository knows, where there is one.

        Raises UsageError if the address cannot be listened on.
        """
        if self._tally is None:
            return ""
        # Only here: a service without pages does without the web server, too.
        from splitnet.cloud.observe.pages import pages
        from splitnet.http.server import PageServer

        app = pages(
            service, self._tally, ready, versions=versions, token=self.settings.token, hosts=self.settings.hosts
        )
        self._pages = PageServer(app, self.settings.listen)
        return f"http://{self._pages.address}/"

    def close(self) -> None:
        """End the pages, and write what the log still owes."""
        if self._pages is not None:
            self._pages.close()
        self._log.flush()
        if self._spans is not None and self._provider is not None:
            self._spans.close()
            self._provider.shutdown()


def _spans(provider: TracerProvider) -> Spans:
    # Only here: without traces, nothing of OpenTelemetry is imported.
    from splitnet.cloud.observe.spans import Spans

    return Spans(provider)
