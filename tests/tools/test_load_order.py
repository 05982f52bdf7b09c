"""Paddle 2.6 brings a zlib of its own: who loads it before Python's dies at the next PNG or NPZ file."""

import ast
from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).parents[2] / "tools").glob("*.py"))


def imported(path: Path) -> list[str]:
    """Packages that a script imports before anything else happens, in their order."""
    found: list[str] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found += [name.name.split(".")[0] for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module).split(".")[0])
    return found


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_no_tool_loads_paddle_before_zlib(path: Path) -> None:
    packages = imported(path)
    if "paddle" in packages:
        before = packages[: packages.index("paddle")]
        assert {"zlib", "mobileseg"} & set(before), "import zlib before paddle"


def test_a_tool_that_does_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import os\nfrom paddle import nn\nimport mobileseg\n")
    assert imported(tmp_path / "bad.py") == ["os", "paddle", "mobileseg"]
