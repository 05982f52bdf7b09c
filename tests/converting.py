"""What a test needs that only the converter's Paddle can do."""

import pytest

from mobileseg import converter

traces = pytest.mark.skipif(converter.is_needed(), reason="graphs are traced with Paddle 2.6 (docs/paddle.md)")
"""For a test of networks that ends in a graph."""
