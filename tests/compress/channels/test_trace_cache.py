"""Traces from the cache: equal to fresh ones, and only of the same network."""

import io

import pytest

from mobileseg.compress.channels import trace_cache
from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.channels.trace import trace
from mobileseg.compress.channels.trace_cache import cached_trace
from tests.compress.networks import build


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path))
    calls = []
    monkeypatch.setattr(trace_cache, "trace", lambda *args: calls.append(args) or trace(*args))
    return tmp_path / "traces", calls


def test_the_second_trace_is_read_and_equal(cache):
    folder, calls = cache
    first = cached_trace(build("ShuffleNetV2_x0_5"))
    other = build("ShuffleNetV2_x0_5")
    other.eval()
    second = cached_trace(other)
    assert len(calls) == len(list(folder.iterdir())) == 1
    assert second == first
    fresh, read = find_groups(other), find_groups(other, tracer=cached_trace)
    assert read.units.keys() == fresh.units.keys()
    assert all((read.units[key] == fresh.units[key]).all() for key in fresh.units)
    assert read.macs() == fresh.macs()


def test_another_network_or_size_is_traced(cache):
    folder, calls = cache
    network = build("MobileNetV2_x0_5")
    cached_trace(network)
    cached_trace(network, (64, 64))
    network.backbone.slope = 0.1  # a setting that the forward pass may read
    cached_trace(network)
    assert len(calls) == len(list(folder.iterdir())) == 3


def test_a_damaged_file_is_made_anew(cache):
    folder, calls = cache
    network = build("MobileNetV2_x0_5")
    first = cached_trace(network)
    next(folder.iterdir()).write_text("{")
    assert cached_trace(network) == first
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_is_no_error(cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "file"))
    assert cached_trace(build("MobileNetV2_x0_5")).ops


def test_the_time_is_shown_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr(trace_cache.sys, "stderr", shown)
    with trace_cache._clock("tracing"):
        pass
    assert "tracing: 0.0 s" in shown.getvalue()
