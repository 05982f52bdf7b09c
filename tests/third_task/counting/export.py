"""What is exported, recorded and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mobileseg.export.golden import GoldenItem, loaded_fields
from mobileseg.export.task import ExportTask
from mobileseg.export.tolerance import Agreement, difference
from mobileseg.runtime.specs import OutputSpec

FOREIGN = ("output_op", "output_size", "nms_in_graph")
OUTPUTS = {"stem": ("level", "one"), "count": ("frames", "total")}
FRAMES = 3


@dataclass(frozen=True, kw_only=True)
class CountItem(GoldenItem):
    """A frame; every output is one number."""

    def shown(self) -> set[int]:
        return {0, 1}

    def stored(self, first: bool) -> dict[str, np.ndarray]:
        arrays = {"stride": np.array(1), "image": self.image, "input": self.input}
        arrays |= {f"output.{name}": value for name, value in self.outputs.items()}
        return arrays | {f"scale.{name}": np.array(1.0) for name in self.outputs}


class CountExport(ExportTask):
    name: ClassVar[str] = "counting"
    results: ClassVar[str] = "counts"

    def output_names(self, graph: str, options: Any) -> tuple[str, ...]:
        return OUTPUTS[graph]

    def wrapper(self, graph: Any, options: Any) -> Any:
        from mobileseg.export.conversion.wrapper import plain

        return plain(graph, options)

    def record(self, network: Any, options: Any, images: Sequence[Any], sizes: Sequence[Any]) -> tuple[CountItem, ...]:
        import paddle

        from mobileseg.export.recording import prepared

        items: list[CountItem] = []
        kept: Any = None
        with paddle.no_grad():
            for index, image in enumerate(images[:FRAMES]):
                shown, fed, batch = prepared(image, options, sizes[0])
                made = network.stem(batch)
                if index:
                    made |= network.count(made["level"], kept)
                kept = made["frames"] if index else made["one"]
                outputs = {name: value.numpy() for name, value in made.items()}
                scales = dict.fromkeys(outputs, 1.0)
                pipeline = "later" if index else "first"
                items.append(
                    CountItem(image=shown, input=fed, outputs=outputs, scales=scales, pipeline=pipeline, sequence=0)
                )
        return tuple(items)

    def load_item(self, arrays: Mapping[str, np.ndarray]) -> CountItem:
        return CountItem(**loaded_fields(arrays))

    def compare(self, answers: Any, items: Any, specs: Any) -> Agreement:
        worst, problems = 0.0, []
        for number, (answer, item) in enumerate(zip(answers, items, strict=True)):
            for name, expected in item.outputs.items():
                diff, problem = difference(name, answer[name].reshape(expected.shape), expected, item.scales[name])
                worst = max(worst, diff)
                problems += [f"frame {number}: {problem}"] if problem else []
        return Agreement(worst, 1.0, tuple(problems))

    def result_problems(self, manifest: Any, reference: Any) -> list[str]:
        return []

    def outputs(self, graph: str, options: Any, reference: Any, num_classes: int, target: str = "") -> Any:
        return tuple(OutputSpec(name, "number", "float32") for name in OUTPUTS[graph])


def task_for(network: Any, options: Any, settings: Any) -> CountExport:
    return CountExport()


def task_of(folder: Any, manifest: Any) -> CountExport:
    return CountExport()


def settings_from(config: Any, dataset: Any) -> None:
    return None
