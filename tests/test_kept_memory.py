import resource
import sys

import numpy as np
import pytest

from mobileseg.kept_memory import kept_memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")

BLOCK = 16 << 20  # bytes


def _touched_pages():
    """Pages that the system had to clear for twenty arrays, one after the other."""
    np.ones(BLOCK // 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(BLOCK // 8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_large_blocks_are_used_again():
    every_page = 20 * BLOCK // resource.getpagesize()
    with kept_memory() as kept:
        assert kept
        inside = _touched_pages()
    outside = _touched_pages()
    assert inside < every_page // 20
    assert outside > inside


def test_not_active_changes_nothing():
    usual = _touched_pages()
    with kept_memory(False) as kept:
        assert not kept
        assert _touched_pages() >= usual // 2
