from __future__ import annotations

import os
import signal

import pytest

from hfkit.train.stopping import Stop, decided


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_a_flag_and_the_second_one_acts(number):
    before = signal.signal(number, lambda *_: caught.append("second"))
    caught: list[str] = []
    try:
        with Stop() as stop:
            assert decided(stop.votes()) is None
            os.kill(os.getpid(), number)
            assert decided(stop.votes()) == ("signal", number)
            assert caught == []
            os.kill(os.getpid(), number)
            assert caught == ["second"]
    finally:
        signal.signal(number, before)


def test_handlers_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_time_limit():
    assert decided(Stop(max_seconds=0).votes()) == ("max_time", None)
    assert decided(Stop(max_seconds=100).votes()) is None


def test_a_worker_whose_launcher_is_gone_stops(monkeypatch):
    stop = Stop()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert decided(stop.votes()) is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert decided(stop.votes()) == ("signal", signal.SIGTERM)
