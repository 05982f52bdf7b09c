"""`import paddle` before `import mobileseg`: said, or harmless, but no crash at the next image."""

import sys
from pathlib import Path

import pytest

from tests.processes import run_alone

ROOT = Path(__file__).parents[1]
USE = """
import sys
import numpy as np
from mobileseg.data.io import read_image, write_png
pixels = np.arange(60000, dtype=np.uint8).reshape(200, 100, 3)
write_png(sys.argv[1], pixels)
assert (read_image(sys.argv[1]) == pixels).all()
np.savez_compressed(sys.argv[1] + '.npz', pixels)
print('survived')
"""


@pytest.mark.both
@pytest.mark.parametrize(
    "order", ["import paddle, mobileseg", "import mobileseg, paddle", "import zlib, paddle, mobileseg"]
)
def test_no_order_of_imports_ends_the_process(order: str, tmp_path: Path) -> None:
    done = run_alone([sys.executable, "-c", order + USE, str(tmp_path / "a.png")], cwd=ROOT)
    if order.startswith("import paddle") and done.returncode == 1:
        assert "hint: import mobileseg before paddle" in done.stderr
    else:
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["survived"]), done.stderr
