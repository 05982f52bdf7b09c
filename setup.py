"""`pip install .` installs the package, its requirements and the command `mobileseg`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# What Segmenter, `mobileseg predict` (matplotlib: the font of names) and `mobileseg benchmark` need.
RUNTIME = ("numpy", "opencv-python", "PyYAML", "pydantic", "Pillow", "psutil", "onnxruntime", "matplotlib")
COMPRESS = ("paddleslim", "setuptools")
ENGINES = {"onnx": "onnxruntime", "lite": "paddlelite", "ncnn": "ncnn", "paddle": "paddlepaddle"}


def requirements(name: str) -> list[str]:
    """The requirement lines of a file, without comments."""
    lines = (line.split("#")[0].strip() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


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
    python_requires=">=3.10,<3.13",
    install_requires=requirements("requirements.txt"),
    extras_require={
        "dev": requirements("requirements-dev.txt"),
        "coco": [line for line in requirements("requirements-dev.txt") if line.startswith("faster-coco-eval")],
        # For `mobileseg export --targets torchscript`; PyTorch is large, and nothing else needs it.
        "torchscript": ["torch>=1.11", "onnx2torch>=1.5.15"],
        # For `mobileseg compress`.
        "compress": [line for line in requirements("requirements.txt") if line.startswith(COMPRESS)],
        "runtime": [line for line in requirements("requirements.txt") if line.startswith(RUNTIME)],
        # One per engine, for environments that were put together by hand (`pip install --no-deps mobileseg`).
        **{
            extra: [line for line in requirements("requirements.txt") if line.startswith(package)]
            for extra, package in ENGINES.items()
        },
    },
    entry_points={"console_scripts": ["mobileseg = mobileseg.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
