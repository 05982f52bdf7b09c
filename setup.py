"""`pip install .` installs the package, its requirements and the command `mobileseg`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# What Segmenter, `mobileseg predict` (matplotlib: the font of names) and `mobileseg benchmark` need.
RUNTIME = ("numpy", "opencv-python", "PyYAML", "pydantic", "Pillow", "psutil", "onnxruntime", "matplotlib")
COMPRESS = ("paddleslim", "setuptools")
LAST_LITE = "3.10"  # Paddle 2.6 is what Paddle Lite reads, and the last Python with a wheel of Lite is this one
ENGINES = {"onnx": "onnxruntime", "lite": "paddlelite", "ncnn": "ncnn", "paddle": "paddlepaddle"}


def requirements(name: str) -> list[str]:
    """The requirement lines of a file, without comments."""
    lines = (line.split("#")[0].strip() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def required() -> list[str]:
    """What every Python needs, and the Paddle that goes with it: 2.6 up to 3.10, 3.3 above (docs/paddle.md)."""
    older = [
        line if ";" in line else f'{line}; python_version <= "{LAST_LITE}"'
        for line in requirements("requirements-paddle-2.6.txt")
    ]
    newer = [f'{line}; python_version > "{LAST_LITE}"' for line in requirements("requirements-paddle-3.3.txt")]
    return [*requirements("requirements.txt"), *older, *newer]


def version() -> str:
    """The version, read from the package without importing it."""
    source = (HERE / "mobileseg" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE).group(1)


setup(
    name="mobileseg",
    version=version(),
    description="Semantic, instance and video segmentation for mobile and edge devices, on PaddlePaddle",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["mobileseg", "mobileseg.*"]),
    package_data={"mobileseg": ["**/*.json", "**/*.html", "**/*.txt"]},
    python_requires=">=3.10,<3.14",
    install_requires=required(),
    extras_require={
        "dev": requirements("requirements-dev.txt"),
        "coco": [line for line in requirements("requirements-dev.txt") if line.startswith("faster-coco-eval")],
        # For `mobileseg export --targets torchscript`; PyTorch is large, and nothing else needs it.
        "torchscript": ["torch>=1.11", "onnx2torch>=1.5.15"],
        # For `mobileseg compress`.
        "compress": [line for line in required() if line.startswith(COMPRESS)],
        "runtime": [line for line in required() if line.startswith(RUNTIME)],
        # One per engine, for environments that were put together by hand (`pip install --no-deps mobileseg`).
        **{extra: [line for line in required() if line.startswith(package)] for extra, package in ENGINES.items()},
    },
    entry_points={"console_scripts": ["mobileseg = mobileseg.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
