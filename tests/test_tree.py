"""Rules for the tree as a whole: sizes, forbidden calls, the licence, one file for one test."""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("mobileseg", "tools", "tests", "deploy", "docs", "test_tipc")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sh", ".cc", ".h", ".html"} and "reference" not in path.parts
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path: Path) -> None:
    count = len(path.read_text(encoding="utf-8").splitlines())
    assert count < 400, f"{path.relative_to(ROOT)} has {count} lines: split it"


def trees(folder: str) -> list[tuple[str, ast.Module]]:
    """Name and syntax tree of every Python file of a folder."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def test_a_class_name_means_one_thing() -> None:
    places = defaultdict(list)
    for name, tree in trees("mobileseg"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{name}:{node.lineno}")
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_no_test_file_imports_another() -> None:
    """What several files of tests need is in a module that pytest does not collect."""
    for name, tree in trees("tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            for module in modules:
                parts = module.split(".")
                path = ROOT.joinpath(*parts).with_suffix(".py")
                assert not (parts[0] == "tests" and parts[-1].startswith("test_") and path.exists()), (
                    f"{name}: {module}"
                )


def test_no_code_from_strings() -> None:
    forbidden = re.compile(r"(?<![\w.])(eval|exec)\(|shell=True|yaml\.load\(|pickle\.loads?\(|os\.system\(")
    for path in (ROOT / "mobileseg").rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not forbidden.search(line.split("#")[0]), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_no_absolute_paths_of_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yml", ".yaml", ".txt", ".sh", ".json", ".toml", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            for needle in ("/wo" + "rk/", "/ro" + "ot/", ".lib" + "rary"):
                assert needle not in text, f"{name} mentions {needle}"


def test_licence_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_every_verb_has_a_page() -> None:
    from mobileseg.cli import VERBS

    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    for verb in VERBS:
        assert f"mobileseg {verb}" in pages, f"no page of docs/ shows `mobileseg {verb}`"
