"""The whole chain of an instance segmentation model at once: matching, losses, optimizer, NMS, masks, AP."""

import pytest
import yaml

from mobileseg.config.load import load_config
from mobileseg.data.synthetic.datasets import generate
from mobileseg.training.trainer import Trainer
from tests.training.toy_instances import overfit_section

pytestmark = pytest.mark.both


@pytest.mark.long
def test_six_images_are_learned_by_heart(tmp_path):
    generate(tmp_path / "data", train=6, val=1, size=(128, 128), clips=0, val_clips=0)
    path = tmp_path / "overfit.yml"
    path.write_text(yaml.safe_dump(overfit_section(tmp_path / "data")))
    result = Trainer(load_config(path), tmp_path / "run").fit()
    assert result.scores is not None
    assert result.scores["mask"]["ap"] > 0.4
    assert result.scores["mask"]["ap50"] > 0.8
    assert result.scores["box"]["ap"] > 0.7
