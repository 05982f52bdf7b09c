"""The section that names a teacher, and its tables in docs/config.md."""

import pytest

from mobileseg.config import schema_distill
from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError
from tests.config.config_page import documented, shown_default

TEACHER = "teacher_config: t.yml, teacher_weights: t"


@pytest.mark.parametrize("name", ["Distill", "DistillLogits", "DistillFeature", "DistillHead"])
def test_every_key_is_documented_with_its_default(name):
    fields = getattr(schema_distill, name).__pydantic_fields__
    assert documented(name) == [(f"`{key}`", shown_default(field), field.description) for key, field in fields.items()]


def test_defaults(write):
    config = load_config(write("a.yml", f"distill: {{{TEACHER}, logits: {{}}}}"))
    assert config.to_dict()["distill"] == {
        "teacher_config": "t.yml",
        "teacher_weights": "t",
        "logits": {"weight": 1.0, "temperature": 4.0, "class_weight": None},
        "features": [],
        "head": None,
    }
    assert load_config(write("b.yml", "iters: 3")).distill is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{teacher_weights: t}", "distill.teacher_config"),
        (f"{{{TEACHER}, logits: {{temperature: 0}}}}", "distill.logits.temperature"),
        (f"{{{TEACHER}, logits: {{weight: -1}}}}", "distill.logits.weight"),
        (f"{{{TEACHER}, features: [{{student: a}}]}}", "distill.features.0.teacher"),
        (f"{{{TEACHER}, head: {{confidence: 1.0}}}}", "distill.head.confidence"),
    ],
)
def test_mistakes_are_named(write, text, key):
    with pytest.raises(ConfigError) as caught:
        load_config(write("a.yml", f"distill: {text}"))
    assert [problem.key for problem in caught.value.problems] == [key]


def test_a_key_of_a_pair_that_is_nearly_right(write):
    with pytest.raises(ConfigError, match=r"features.0.techer: unknown key \(hint: did you mean teacher\?\)"):
        load_config(write("a.yml", f"distill: {{{TEACHER}, features: [{{student: a, techer: b}}]}}"))
