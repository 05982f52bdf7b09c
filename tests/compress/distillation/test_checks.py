"""Students and teachers that do not go together are refused before anything is trained."""

from pathlib import Path

import pytest
import yaml

from mobileseg.compress.distillation.distillation import build_distillation
from mobileseg.config.build import build_losses, build_network
from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError, WeightsError
from mobileseg.training.trainer import Trainer
from tests.compress.teachers import make_teacher
from tests.training.toy import toy_section
from tests.training.toy_instances import toy_instance_section

pytestmark = pytest.mark.both

ROOT = Path(__file__).parents[3]
WIDE = {"type": "ToyNetwork", "num_classes": 3, "width": 10}


@pytest.fixture
def start(toy_data, tmp_path):
    """Builds the trainer of a toy student with a distill section; the run folder must not come into being."""

    def run(teacher, section=None, **distill):
        path = tmp_path / "student.yml"
        path.write_text(yaml.safe_dump((section or toy_section(toy_data)) | {"distill": teacher | distill}))
        try:
            Trainer(load_config(path), tmp_path / "run")
        finally:
            assert not (tmp_path / "run").exists()

    return run


@pytest.fixture
def teacher(toy_data, tmp_path):
    return make_teacher(tmp_path / "teacher", toy_section(toy_data), model=WIDE)


def test_nothing_to_imitate_and_files_that_are_not_there(start):
    with pytest.raises(ConfigError) as caught:
        start({"teacher_config": "nowhere.yml", "teacher_weights": "nowhere"})
    assert [problem.key for problem in caught.value.problems] == [
        "distill",
        "distill.teacher_config",
        "distill.teacher_weights",
    ]
    assert "student.yml:" in caught.value.problems[1].origin


def test_another_number_of_class_weights(start, teacher):
    with pytest.raises(ConfigError, match=r"distill.logits.class_weight: 2 weights for 3 classes"):
        start(teacher, logits={"class_weight": [1.0, 2.0]})


def test_a_broken_configuration_of_the_teacher(start, teacher, tmp_path):
    (tmp_path / "teacher" / "config.yml").write_text("itres: 3")
    with pytest.raises(ConfigError, match=r"(?s)distill.teacher_config: the configuration of the teacher .* itres"):
        start(teacher, logits={})


def test_other_weights_than_the_teachers(start, teacher, toy_data, tmp_path):
    narrow = make_teacher(tmp_path / "narrow", toy_section(toy_data))
    with pytest.raises(WeightsError):
        start(teacher | {"teacher_weights": narrow["teacher_weights"]}, logits={})


def test_another_number_of_classes(start, toy_data, tmp_path):
    section = toy_section(toy_data)
    for name in ("train_dataset", "val_dataset"):
        section[name] = section[name] | {"num_classes": 4}
    teacher = make_teacher(tmp_path / "teacher", section, model={"type": "ToyNetwork", "num_classes": 4})
    with pytest.raises(ConfigError, match=r"the student has 3 classes, the teacher of .* has 4"):
        start(teacher, logits={})


def test_other_names_of_classes(start, toy_data, tmp_path):
    sections = [toy_section(toy_data) for _ in range(2)]
    for section, names in zip(sections, (["red", "green", "blue"], ["red", "blue", "green"]), strict=True):
        section["train_dataset"]["classes"] = names
    with pytest.raises(ConfigError, match="another order: 1 is 'green' and 'blue'"):
        start(make_teacher(tmp_path / "teacher", sections[1]), sections[0], logits={})


def test_another_normalisation(start, toy_data, tmp_path):
    section = toy_section(toy_data)
    section["train_dataset"]["transforms"][-1] = {"type": "Normalize", "mean": [0.4, 0.5, 0.6]}
    with pytest.raises(ConfigError, match=r"normalised by mean .* for the student, .*both see the same batch"):
        start(make_teacher(tmp_path / "teacher", section), logits={})


def test_another_task(start, instance_data, tmp_path):
    section = toy_instance_section(instance_data)
    section["model"]["num_classes"] = 3
    for name in ("train_dataset", "val_dataset"):
        section.pop(name)
    with pytest.raises(ConfigError, match="the student is for semantic segmentation, the teacher for instance"):
        start(make_teacher(tmp_path / "teacher", section), logits={})


def test_losses_of_the_other_task(start, teacher, instance_data, tmp_path):
    with pytest.raises(
        ConfigError, match=r"distill.head: .* no head to imitate \(hint: use logits or features instead\)"
    ):
        start(teacher, head={})
    section = toy_instance_section(instance_data)
    with pytest.raises(
        ConfigError, match=r"distill.logits: .* no logits to imitate \(hint: use head or features instead\)"
    ):
        start(make_teacher(tmp_path / "finder", section), section, logits={})


def test_layers_that_are_not_there_or_give_no_map(start, teacher, instance_data, tmp_path):
    with pytest.raises(ConfigError) as caught:
        start(teacher, features=[{"student": "stam", "teacher": "backbone.conv1"}])
    assert [problem.key for problem in caught.value.problems] == [
        "distill.features.0.student",
        "distill.features.0.teacher",
    ]
    assert caught.value.problems[0].remedy == "did you mean stem?"
    assert "stem, norm, dropout, head, aux" in caught.value.problems[1].remedy
    with pytest.raises(ConfigError, match="is not run"):
        start(teacher, features=[{"student": "stem", "teacher": "aux"}])  # which has its output in training alone
    section = toy_instance_section(instance_data)
    finder = make_teacher(tmp_path / "finder", section)
    with pytest.raises(ConfigError, match=r"student: in a pass .* gives no map.*\n.*teacher: .* runs 5 times"):
        start(finder, section, features=[{"student": "fpn", "teacher": "prediction_layers.0.upfeature.0"}])


def test_other_anchors(start, instance_data, tmp_path):
    section = toy_instance_section(instance_data)
    teacher = make_teacher(tmp_path / "teacher", section, model=section["model"] | {"input_size": 192})
    with pytest.raises(ConfigError, match=r"distill.head: at 64x64 .* not the same .*anchor_scales"):
        start(teacher, section, head={})


def test_the_shipped_student_differs_by_its_teacher_alone_and_fits_it(monkeypatch):
    monkeypatch.chdir(ROOT)  # the zoo is named relative to the working folder
    alone, taught = (
        load_config(ROOT / "configs" / "compress" / f"mobileseg_shufflenetv2_camvid{end}.yml")
        for end in ("", "_distill")
    )
    assert alone.to_dict() | {"distill": taught.to_dict()["distill"]} == taught.to_dict()
    network = build_network(taught, load_pretrained=False)
    student, _, described = build_distillation(taught, network, build_losses(taught), (64, 64))
    assert len(student.adapters) == 0  # the decoders are of the same widths
    assert "mobileseg_mobilenetv2_camvid" in described
