"""Prometheus metrics, made of the counts when somebody asks for them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from splitnet._version import __version__
from splitnet.cloud.observe.tally import STAGES, Series, Tally
from splitnet.cloud.service import InferenceService
from splitnet.observe.collector import CountsCollector
from splitnet.observe.histogram import Histogram

CUT = ("model", "version", "cut")


class Metrics(CountsCollector):
    """The metrics of one service.

    Read from the counts instead of kept by the client library, whose own histograms would cost each request more than
    all of this service's bookkeeping. Labels are names of what is served, status codes and reasons: never a name that a
    request made up, never clients.
    """

    def __init__(self, service: InferenceService, tally: Tally, ready: Callable[[], bool]) -> None:
        self._service, self._tally, self._ready = service, tally, ready
        super().__init__(tally.lock)

    def families(self) -> Iterable[Metric]:
        """See `CountsCollector`."""
        return [*self._counts(), *self._histograms(), *self._state()]

    def _counts(self) -> Iterable[Metric]:
        tally = self._tally
        requests = CounterMetricFamily(
            "splitnet_requests", "Requests by how they ended; no model where none was admitted", labels=(*CUT, "code")
        )
        received = CounterMetricFamily("splitnet_received_bytes", "Bytes of frames admitted", labels=CUT)
        for key, series in tally.series.items():
            received.add_metric(key, series.bytes_in)
            for code, number in series.codes.items():
                requests.add_metric((*key, code), number)
        for code, number in tally.refusals.items():
            requests.add_metric(("", "", "", code), number)
        rejections = CounterMetricFamily(
            "splitnet_rejections", "Requests without a result, by code and reason", labels=("code", "reason")
        )
        for labels, number in tally.rejections.items():
            rejections.add_metric(labels, number)
        sent = CounterMetricFamily("splitnet_sent_bytes", "Bytes of answers", value=tally.bytes_out)
        repeats = CounterMetricFamily(
            "splitnet_repeats", "Requests answered from an earlier one with the same id", value=self._service.repeated
        )
        return requests, received, rejections, sent, repeats

    def _histograms(self) -> Iterable[Metric]:
        series = self._tally.series
        yield _family("splitnet_queue_seconds", "Waiting for a worker", series, lambda one: one.queue)
        yield _family("splitnet_request_seconds", "From arrival to the answer", series, lambda one: one.total)
        yield _family("splitnet_batch_size", "Requests that ran together", series, lambda one: one.batch_sizes)
        yield _family("splitnet_batch_seconds", "From decoding to results", series, lambda one: one.batch_seconds)
        stages = HistogramMetricFamily(
            "splitnet_stage_seconds", "Stages of a request; graph and heads are its batch's", labels=(*CUT, "stage")
        )
        for key, one in series.items():
            for stage, histogram in zip(STAGES, one.stages, strict=True):
                stages.add_metric((*key, stage), histogram.cumulative(), histogram.sum)
        yield stages

    def _state(self) -> Iterable[Metric]:
        service = self._service
        models = GaugeMetricFamily("splitnet_model_info", "Models served", labels=("model", "version", "fingerprint"))
        for model in service.models():
            models.add_metric((model.name, model.version, model.fingerprint), 1)
        build = GaugeMetricFamily("splitnet_build_info", "What runs", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        return (
            models,
            build,
            GaugeMetricFamily("splitnet_in_flight", "Requests running or waiting", value=service.in_flight),
            GaugeMetricFamily("splitnet_waiting", "Requests that no worker has begun", value=service.waiting),
            GaugeMetricFamily("splitnet_streams", "Streams open", value=self._tally.streams),
            GaugeMetricFamily("splitnet_ready", "1 while new requests are taken", value=self._ready()),
            GaugeMetricFamily(
                "splitnet_uptime_seconds", "Since the start", value=self._tally.clock() - self._tally.started
            ),
        )


def _family(
    name: str, text: str, series: dict[tuple[str, str, str], Series], choose: Callable[[Series], Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=CUT)
    for key, one in series.items():
        histogram = choose(one)
        family.add_metric(key, histogram.cumulative(), histogram.sum)
    return family
