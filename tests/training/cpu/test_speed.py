import resource
import sys

import numpy as np
import pytest
from paddle import nn

from mobileseg.training.cpu import speed
from mobileseg.training.cpu.depthwise import CompiledDepthwiseConv2D


@pytest.fixture
def network():
    return nn.Sequential(nn.Conv2D(4, 4, 3, groups=4))


def _pages(count=5, size=48 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        np.ones(size // 8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_on_a_cpu(network):
    settings = {"compiled_kernels": True}
    assert speed.kernels_of(settings) == "compiled"
    with speed.fast_on_cpu(network, settings):
        assert type(network[0]) is CompiledDepthwiseConv2D
        _pages(1)
        assert not sys.platform.startswith("linux") or _pages() < 100
    assert type(network[0]) is nn.Conv2D


def test_paddles_kernels_on_request(network):
    settings = {"compiled_kernels": False}
    assert speed.kernels_of(settings) == "paddle"
    with speed.fast_on_cpu(network, settings):
        assert type(network[0]) is nn.Conv2D


def test_without_numba(network, monkeypatch):
    monkeypatch.setattr(speed, "find_spec", lambda name: None)
    settings = {"compiled_kernels": True}
    assert speed.kernels_of(settings) == "paddle"
    with speed.fast_on_cpu(network, settings):
        assert type(network[0]) is nn.Conv2D


def test_nothing_on_a_gpu(network, monkeypatch):
    monkeypatch.setattr(speed.paddle, "get_device", lambda: "gpu:0")
    settings = {"compiled_kernels": True}
    assert speed.kernels_of(settings) == "paddle"
    with speed.fast_on_cpu(network, settings):
        assert type(network[0]) is nn.Conv2D
