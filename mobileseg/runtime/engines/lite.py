"""Paddle Lite on x86, from the ``paddlelite`` wheel: the same kernels' interface as on a phone."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.engines.nb import check_nb


class LiteEngine(Engine):
    """Runs an x86 ``.nb`` file.

    The wheel's `MobileConfig` has no thread setting; its kernels run on the OpenMP library inside the wheel,
    which is told the number of threads before every run. int8 files crash this runtime and are refused by
    verification, not here.
    """

    name = "lite"
    files_key = "lite_x86"
    _config: Any
    _predictor: Any

    def _load(self) -> None:
        import zlib  # noqa: F401  # paddlelite bundles a zlib, as Paddle does: see mobileseg/__init__.py

        path = self.path_of(self.files.model)
        check_nb(path)
        self._open(path)
        self._openmp = _openmp()
        self._require_names(list(self._predictor.get_input_names()), list(self._predictor.get_output_names()))

    def _open(self, path: Path) -> None:
        from paddlelite import lite

        self._path = path
        self._shape: tuple[int, ...] | None = None
        # The predictor reads from its config's memory: both must live as long as this object.
        self._config = lite.MobileConfig()
        self._config.set_model_from_file(str(path))
        try:
            self._predictor = lite.create_paddle_predictor(self._config)
        except Exception as error:
            raise RuntimeEngineError(f"Paddle Lite cannot load {path}: {error}") from error

    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        if self._shape not in (None, image.shape):
            # A predictor that has run keeps buffers of the first size: it crashes on a larger input and
            # answers wrongly on a smaller one.
            self._open(self._path)
        self._shape = image.shape
        self._openmp.omp_set_num_threads(self.threads)
        self._predictor.get_input_by_name(self._input_name).from_numpy(image)
        try:
            self._predictor.run()
        except Exception as error:
            raise RuntimeEngineError(f"Paddle Lite failed on an input of {list(image.shape)}: {error}") from error
        # numpy() is a view into the predictor's memory, which the next run overwrites.
        return {
            ours: np.array(self._predictor.get_output_by_name(theirs).numpy(), copy=True)
            for ours, theirs in self._output_names.items()
        }


def _openmp() -> ctypes.CDLL:
    """The OpenMP library that this process already uses.

    By its name and without loading: Paddle's wheel carries a copy of the same library, and opening a second
    one aborts the process.
    """
    try:
        return ctypes.CDLL("libiomp5.so", mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError as error:
        raise RuntimeEngineError(f"the OpenMP library of paddlelite cannot be reached: {error}") from error
