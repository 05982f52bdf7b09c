import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")

# A process of its own: what others allocated and freed before decides where malloc finds large blocks. Above 32 MiB
# glibc maps every block, below it learns to keep some.
SCRIPT = """
import json, resource, sys
import numpy as np
from mobileseg.kept_memory import kept_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones((48 << 20) // 8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = pages()
with kept_memory(sys.argv[1] == "True") as kept:
    np.ones((48 << 20) // 8)
    inside = pages()
print(json.dumps({"usual": usual, "kept": kept, "inside": inside, "after": pages()}))
"""


def _pages(active):
    """Pages that the system had to clear for five arrays of 48 MiB: before, within and after the context."""
    call = [sys.executable, "-c", SCRIPT, str(active)]
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_large_blocks_are_used_again():
    found = _pages(True)
    assert found["kept"]
    assert found["usual"] > 100  # huge pages, maybe
    assert found["inside"] < found["usual"] // 10
    assert found["after"] > found["inside"]


def test_not_active_changes_nothing():
    found = _pages(False)
    assert not found["kept"]
    assert found["inside"] >= 0.9 * found["usual"]
