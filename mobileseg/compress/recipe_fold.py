"""The recipe `mobileseg compress fold`: batch norms folded, checked, and measured beside the networks they were in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.measure import cost_of, export_variant, measure_engines
from mobileseg.compress.report import write_report
from mobileseg.compress.steps import Steps, identity_of
from mobileseg.compress.variants import Variant, Variants
from mobileseg.config.load import Config
from mobileseg.errors import CompressionError


@dataclass
class FoldRecipe:
    """One call of the recipe.

    Attributes:
        config: of the networks; ``compress.measure`` says what is measured.
        networks: name -> (what it is, builder, weights).
        folder: for the results.
        say: told what is going on.
    """

    config: Config
    networks: Mapping[str, tuple[str, Callable[[], Any], Path | None]]
    folder: Path
    say: Callable[[str], None] = print

    def run(self) -> list[Variant]:
        """Fold, export both forms of every network, measure all of them in one run, write the report.

        Raises:
            CompressionError: folding moved the outputs by more than 1e-4, or there is nothing to fold.
        """
        steps, variants = Steps(self.folder), Variants(self.folder, "fold")
        settings = self.config.compress.measure
        if not settings.engines:
            raise CompressionError(
                "folding is measured on engines, and compress.measure.engines names none",
                remedy="-o compress.measure.engines=[onnxruntime]",
            )
        folders: dict[str, Path] = {}
        keys = {}
        for name, (what, build, weights) in self.networks.items():
            for folded in (False, True):
                row = f"{name} folded" if folded else name
                step = row.replace(" ", "_")
                key = {
                    "source": identity_of(weights) if weights else "random weights",
                    "folded": folded,
                    "engines": settings.engines,
                    "export": self.config.to_dict()["export"],
                }
                keys[row] = key
                folders[row] = self.folder / step / "exported"
                if steps.begin(step, key) is not None:
                    continue
                network, note = build(), ""
                if folded:
                    note = self._fold(network, row)
                cost = cost_of(network, self.config)
                self.say(f"{row}: export for {', '.join(settings.engines)}")
                sizes = export_variant(network, self.config, folders[row], settings.engines, self.say)
                text = f"{what}, batch norms folded" if folded else what
                variants.add(Variant(row, text, cost.parameters, cost.macs, sizes=sizes, note=note))
                steps.finish(step, key, {})
        measured = {"measure": settings.model_dump(), "folders": keys}
        if steps.begin("measured", measured) is None:
            measure_engines(variants, folders, self.config, self.say)
            steps.finish("measured", measured, {})
        write_report(variants, f"{self.config.name}: batch norms folded")
        return variants.read()

    def _fold(self, network: Any, row: str) -> str:
        done = fold_norms(network)
        if not done.layers:
            raise CompressionError(
                f"{row}: there is nothing to fold, no batch norm follows a convolution or linear layer alone",
                remedy="use the network as it is",
            )
        self.say(f"{row}: {len(done.layers)} norms folded, outputs moved by {done.difference:.1e} of the largest")
        left = f", {len(done.remaining)} norms remain" if done.remaining else ""
        return f"{len(done.layers)} norms folded{left}, outputs moved by {done.difference:.1e} of the largest"
