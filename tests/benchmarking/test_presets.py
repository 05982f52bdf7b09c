from dataclasses import replace
from pathlib import Path

import pytest

from mobileseg.benchmarking.presets import PRESETS, noted
from mobileseg.errors import ConfigError
from tests.runtime.artefacts import artefact


def test_published_protocols() -> None:
    facts = {name: (preset.size, preset.threads, preset.engines) for name, preset in PRESETS.items()}
    assert facts == {"v100": ((1024, 2048), (1,), ("tensorrt",)), "sd855": ((256, 256), (1,), ())}


def test_the_input_must_be_that_of_the_protocol(tmp_path: Path) -> None:
    manifest = artefact(tmp_path, size=(256, 256))
    PRESETS["sd855"].check("model", manifest)
    with pytest.raises(ConfigError, match=r"model has an input 1x3x256x256, preset v100 .*\n.*--size 1024 2048"):
        PRESETS["v100"].check("model", manifest)
    dynamic = replace(manifest, image=replace(manifest.image, dynamic=True))
    with pytest.raises(ConfigError, match="of any size"):
        PRESETS["sd855"].check("model", dynamic)


def test_rows_name_the_protocol() -> None:
    assert noted([{"runs": 1}], PRESETS["v100"]) == [{"runs": 1, "preset": "v100"}]
    assert noted([{"runs": 1}], None) == [{"runs": 1}]
