from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.predictors import Part, PredictorStage, brief
from tests.runtime.engines.tensorrt_standin import Config, Inference, Predictor, graph


def part(folder: Path, name: str, takes: str, gives: str, add: float) -> Part:
    model, params, _ = graph(folder, name, takes, gives, add)
    return Part(name, folder / model, folder / params, None, (takes,), (gives,))


def stage(made: Part, **ends: tuple[str, ...]) -> PredictorStage:
    told = Part(
        made.name, made.model, made.params, None, ends.get("inputs", made.inputs), ends.get("outputs", made.outputs)
    )
    config = Config(str(made.model), str(made.params))
    config.enable_tensorrt_engine(use_calib_mode=False)
    return PredictorStage(told, Inference(), config)


def test_a_graph_with_other_ends_is_refused(tmp_path: Path) -> None:
    made = part(tmp_path, "net", "x", "y", 1)
    with pytest.raises(
        RuntimeEngineError, match=r"has inputs \['x'\] and outputs \['y'\], the manifest says image and y"
    ):
        stage(made, inputs=("image",))
    with pytest.raises(RuntimeEngineError, match="the manifest says x and z"):
        stage(made, outputs=("z",))


def test_failures_of_paddle_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = part(tmp_path, "net", "x", "y", 1)
    opened = stage(made)

    def fail(*_: object) -> None:
        raise ValueError("C++ stack\n  frames\n\nInvalidArgument: too small\n")

    monkeypatch.setattr(Predictor, "run", fail)
    with pytest.raises(RuntimeEngineError, match=r"failed on an input of \[1, 3, 2, 2\]: InvalidArgument: too small$"):
        opened.run({"x": np.zeros((1, 3, 2, 2), np.float32)})
    monkeypatch.setattr(Inference, "create_predictor", fail)
    said = r"cannot load .*net\.pdmodel: InvalidArgument: too small\n  hint: export the folder again$"
    with pytest.raises(RuntimeEngineError, match=said):
        stage(made)


def test_an_error_without_words_has_its_name() -> None:
    assert brief(OSError()) == "OSError"
