"""What `pip install` brings: every file of the package, and nothing else."""

import shutil
import sys
import zipfile
from pathlib import Path

from tests.processes import run_alone

ROOT = Path(__file__).parents[2]


def test_a_wheel_has_the_files_of_the_package(tmp_path: Path) -> None:
    """Data files too, which commands read; from a folder with a blank in its name."""
    source = tmp_path / "a checkout"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mobileseg", source / "mobileseg", ignore=unwanted)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    for file in ROOT.glob("requirements*.txt"):
        shutil.copy(file, source)
    expected = {str(path.relative_to(source)) for path in (source / "mobileseg").rglob("*") if path.is_file()}
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    done = run_alone([sys.executable, "-m", "pip", "wheel", *options, "-w", str(tmp_path / "made"), str(source)])
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "made").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entries,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "mobileseg = mobileseg.cli:main" in archive.read(entries).decode()
    assert names == expected
