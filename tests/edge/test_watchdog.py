"""Deadlines for calls that cannot time out by themselves."""

import threading
import time

import pytest

from splitnet.edge.watchdog import Watchdog


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog()


def test_a_block_that_ends_in_time_is_left_alone(watchdog: Watchdog) -> None:
    expired: list[str] = []
    with watchdog.limit(time.monotonic() + 60, lambda: expired.append("x")):
        pass
    watchdog.close()
    assert expired == []


def test_a_block_that_does_not_is_expired(watchdog: Watchdog) -> None:
    expired = threading.Event()
    with watchdog.limit(time.monotonic() + 0.01, expired.set):
        assert expired.wait(20)
    watchdog.close()


def test_a_later_block_with_an_earlier_deadline_goes_first(watchdog: Watchdog) -> None:
    far, near = threading.Event(), threading.Event()
    with watchdog.limit(time.monotonic() + 60, far.set), watchdog.limit(time.monotonic() + 0.01, near.set):
        assert near.wait(20)
        assert not far.is_set()
    watchdog.close()


def test_it_works_again_after_a_pause(watchdog: Watchdog) -> None:
    for _ in range(3):
        expired = threading.Event()
        with watchdog.limit(time.monotonic() + 0.005, expired.set):
            assert expired.wait(20)
    watchdog.close()
