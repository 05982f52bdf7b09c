"""What a user chooses for TensorRT, and the folder in which built engines are kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobileseg.cache import cache_folder
from mobileseg.errors import RuntimeEngineError
from mobileseg.files import sha256_of
from mobileseg.runtime.engines.predictors import Part

PRECISIONS = {"fp32": "Float32", "fp16": "Half", "int8": "Int8"}
"""Name of a precision -> its name in `paddle.inference.PrecisionType`."""

WHOLE = "graph"
"""Name of the only part of a graph that is not run in components."""


@dataclass(frozen=True)
class TensorRTOptions:
    """Options of the engine 'tensorrt'.

    Attributes:
        precision: 'fp32', 'fp16' or 'int8' for the whole graph; or component -> precision for a folder with component
            graphs ('fp32' for those that are not named).
        calibration: images (paths, or uint8 [H, W, 3] RGB) from which the value ranges for int8 are taken; a hundred
            of the kind that will be segmented. A graph that was quantised in training holds its ranges and needs none.
        cache: folder for built engines; None takes ``tensorrt`` in the cache folder of the suite.
        device: number of the GPU.
        workspace_mb: memory that TensorRT may use while it tries kernels.
        min_subgraph_size: fewest operators that are worth an engine; shorter runs of operators stay in Paddle.
        keep_in_paddle: operator types, or names of tensors that operators write, that Paddle's own kernels compute in
            fp32.
        shape_file: collected shapes in place of those of the folder.
        warmup: runs on an empty image before the first real one.
        print_details: show Paddle's log.

    Raises:
        RuntimeEngineError: a value that cannot be used.
    """

    precision: str | Mapping[str, str] = "fp32"
    calibration: Sequence[Any] = ()
    cache: str | os.PathLike[str] | None = None
    device: int = 0
    workspace_mb: int = 1024
    min_subgraph_size: int = 3
    keep_in_paddle: Sequence[str] = ()
    shape_file: str | os.PathLike[str] | None = None
    warmup: int = 3
    print_details: bool = False

    def __post_init__(self) -> None:
        given = [self.precision] if isinstance(self.precision, str) else list(self.precision.values())
        unknown = sorted(set(given) - set(PRECISIONS))
        if unknown or not given:
            raise RuntimeEngineError(
                f"precision is {', '.join(map(repr, unknown)) or 'empty'}, expected {', '.join(PRECISIONS)}"
            )
        for name, least in (("device", 0), ("workspace_mb", 1), ("min_subgraph_size", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise RuntimeEngineError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if self.shape_file is not None and not Path(self.shape_file).is_file():
            raise RuntimeEngineError(f"the shape file {os.fspath(self.shape_file)} does not exist")
        if self.shape_file is not None and self.by_component:
            raise RuntimeEngineError(
                "a shape file belongs to one graph, and a precision per component runs several",
                remedy="leave the shape file out: every component graph has its own",
            )

    @property
    def by_component(self) -> bool:
        """Whether components have precisions of their own."""
        return not isinstance(self.precision, str)

    def precision_of(self, parts: Sequence[str]) -> dict[str, str]:
        """Precision of every part.

        Raises:
            RuntimeEngineError: a component is named that the graph does not have.
        """
        if isinstance(self.precision, str):
            return dict.fromkeys(parts, self.precision)
        unknown = sorted(set(self.precision) - set(parts))
        if unknown:
            raise RuntimeEngineError(
                f"there is no component {', '.join(unknown)}", remedy=f"this folder has {', '.join(parts)}"
            )
        return {name: self.precision.get(name, "fp32") for name in parts}


@dataclass(frozen=True)
class Machine:
    """What a built engine depends on beside its graph.

    Attributes:
        gpu: name of the GPU.
        capability: its compute capability, 'major.minor'.
        tensorrt: version of the TensorRT library.
        paddle: version and commit of Paddle.
        cuda: version that Paddle was built for.
    """

    gpu: str
    capability: str
    tensorrt: str
    paddle: str
    cuda: str


def cache_key(machine: Machine, part: Part, precision: str, options: TensorRTOptions, calibration: str = "") -> str:
    """Name of the folder for the engines of one part: another one as soon as any ingredient is another.

    Args:
        machine: GPU and versions.
        part: the graph; the content of its files counts, not their place.
        precision: of this part.
        options: what changes the engine of a part: its memory, subgraphs, and operators left out.
        calibration: `calibration_digest` of the images, '' where none are used.
    """
    ingredients = {
        **asdict(machine),
        "files": [sha256_of(path) for path in (part.model, part.params, part.shapes) if path is not None],
        "precision": precision,
        "calibration": calibration,
        "workspace_mb": options.workspace_mb,
        "min_subgraph_size": options.min_subgraph_size,
        "keep_in_paddle": sorted(options.keep_in_paddle),
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:32]


def cache_root(options: TensorRTOptions) -> Path:
    """The folder that holds the folders of all engines."""
    return Path(options.cache) if options.cache is not None else cache_folder() / "tensorrt"


def calibration_digest(inputs: Sequence[Any]) -> str:
    """One hash of what the graph is fed for calibration, in order; '' for nothing."""
    if not inputs:
        return ""
    digest = hashlib.sha256()
    for array in inputs:
        digest.update(str(array.shape).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
