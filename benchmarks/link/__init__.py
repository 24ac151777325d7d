"""Emulated links between two network namespaces: rate, delay, jitter, loss, outages, and traces of them.

::

    with Link(LinkSettings(rate_up=1e6, rate_down=10e6, delay=0.040, loss=0.01), seed=1) as link:
        server = link.popen("server", ["splitnet", "serve", "--listen", f"{link.server.address}:50051", ...])
        client = link.popen("client", ["splitnet", "edge", "--server", f"{link.server.address}:50051", ...])
        link.change(outage=True)

docs/links.md says how it works and how exact it is.
"""

from benchmarks.link.link import DEVICE, End, Link, Side
from benchmarks.link.loss import GilbertElliott
from benchmarks.link.namespaces import lacking
from benchmarks.link.settings import MTU, LinkSettings

__all__ = ["DEVICE", "MTU", "End", "GilbertElliott", "Link", "LinkSettings", "Side", "lacking"]
