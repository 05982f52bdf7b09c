"""Protocols of published speeds, so that a measurement of ours stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mobileseg.errors import ConfigError
from mobileseg.runtime.manifest import Manifest


@dataclass(frozen=True)
class Preset:
    """How a speed was published.

    Attributes:
        name: on the command line, and in the rows.
        device: of the publication.
        size: height and width of the input; batch size 1, 3 channels.
        threads: of the engine.
        engines: of `mobileseg.runtime.engines.registry`; empty: all that are installed.
    """

    name: str
    device: str
    size: tuple[int, int]
    threads: tuple[int, ...] = (1,)
    engines: tuple[str, ...] = ()

    def check(self, folder: str, manifest: Manifest) -> None:
        """Compare a folder's input with the protocol's.

        Raises:
            ConfigError: it has another size, or none of its own.
        """
        spec = manifest.image
        if spec.dynamic or (spec.height, spec.width) != self.size:
            seen = "of any size" if spec.dynamic else f"1x3x{spec.height}x{spec.width}"
            height, width = self.size
            raise ConfigError(
                f"{folder} has an input {seen}, preset {self.name} is for 1x3x{height}x{width}",
                remedy=f"export it with `mobileseg export --size {height} {width}`",
            )


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        # The speeds of MobileSeg in PaddleSeg's table: TensorRT in FP32, and Paddle Lite on one thread.
        Preset("v100", "V100", (1024, 2048), engines=("tensorrt",)),
        Preset("sd855", "Snapdragon 855", (256, 256)),
    )
}


def noted(rows: list[dict[str, Any]], preset: Preset | None) -> list[dict[str, Any]]:
    """The rows with the name of the protocol they were measured by."""
    return [{**row, "preset": preset.name} for row in rows] if preset else rows
