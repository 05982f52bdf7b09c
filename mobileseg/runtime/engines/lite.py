"""Paddle Lite on x86, from the ``paddlelite`` wheel: the same kernels' interface as on a phone."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine, Port
from mobileseg.runtime.engines.nb import check_nb


class LiteEngine(Engine):
    """Runs x86 ``.nb`` files.

    The wheel's `MobileConfig` has no thread setting; its kernels run on the OpenMP library inside the wheel,
    which is told the number of threads before every run. int8 files crash this runtime and are refused by
    verification, not here.
    """

    name = "lite"
    files_key = "lite_x86"

    def _open(self, port: Port) -> Any:
        import zlib  # noqa: F401  # paddlelite bundles a zlib, as Paddle does: see mobileseg/__init__.py

        path = self.path_of(port, port.files.model)
        check_nb(path)
        session = _Session(path)
        self._openmp = _openmp()
        predictor = session.predictor
        port.require_names(self.name, list(predictor.get_input_names()), list(predictor.get_output_names()))
        return session

    def _run(self, session: Any, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        predictor = session.ready_for([value.shape for value in inputs.values()])
        self._openmp.omp_set_num_threads(self.threads)
        for name, value in inputs.items():
            predictor.get_input_by_name(port.input_names[name]).from_numpy(value)
        try:
            predictor.run()
        except Exception as error:
            shapes = ", ".join(str(list(value.shape)) for value in inputs.values())
            raise RuntimeEngineError(f"Paddle Lite failed on an input of {shapes}: {error}") from error
        # numpy() is a view into the predictor's memory, which the next run overwrites.
        return {
            ours: np.array(predictor.get_output_by_name(theirs).numpy(), copy=True)
            for ours, theirs in port.output_names.items()
        }


class _Session:
    """A predictor, made again when the sizes of its inputs change.

    A predictor that has run keeps buffers of the first sizes: it crashes on larger inputs and answers wrongly on
    smaller ones.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shapes: list[tuple[int, ...]] | None = None
        self._open()

    def ready_for(self, shapes: list[tuple[int, ...]]) -> Any:
        """The predictor for inputs of these shapes."""
        if self._shapes not in (None, shapes):
            self._open()
        self._shapes = shapes
        return self.predictor

    def _open(self) -> None:
        from paddlelite import lite

        # The predictor reads from its config's memory: both must live as long as this object.
        self._config = lite.MobileConfig()
        self._config.set_model_from_file(str(self._path))
        try:
            self.predictor: Any = lite.create_paddle_predictor(self._config)
        except Exception as error:
            raise RuntimeEngineError(
                f"Paddle Lite cannot load {self._path}: {error}",
                remedy="export the folder again: a .nb file is read by the version of paddlelite that wrote it",
            ) from error


def _openmp() -> ctypes.CDLL:
    """The OpenMP library that this process already uses.

    By its name and without loading: Paddle's wheel carries a copy of the same library, and opening a second
    one aborts the process.
    """
    try:
        return ctypes.CDLL("libiomp5.so", mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError as error:
        raise RuntimeEngineError(f"the OpenMP library of paddlelite cannot be reached: {error}") from error
