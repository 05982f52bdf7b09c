"""The structure, and docs/config.md, which describes it."""

import re

import pytest

from mobileseg.config import (
    schema,
    schema_compress,
    schema_distill,
    schema_optimizers,
    schema_schedules,
    schema_video,
)
from mobileseg.config.load import load_config
from mobileseg.config.schema import TARGETS, Schema, Section
from mobileseg.config.schema_optimizers import OPTIMIZERS
from mobileseg.config.schema_schedules import SCHEDULES, BaseSchedule
from mobileseg.errors import ConfigError
from mobileseg.export.options import ALL_TARGETS as EXPORT_TARGETS
from mobileseg.instance.options import DetectionOptions
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from tests.config.config_page import PAGE, documented, shown_default

SECTIONS = {
    name: value
    for module in (schema, schema_compress, schema_distill, schema_optimizers, schema_schedules, schema_video)
    for name, value in sorted(vars(module).items())
    if isinstance(value, type) and issubclass(value, Section) and value is not Section
} | {kind.__name__: kind for kind in (DetectionOptions, KeyframeOptions, QueryOptions, KernelOptions)}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_documented_with_its_default(name):
    section = SECTIONS[name]
    shared = BaseSchedule.model_fields if issubclass(section, BaseSchedule) and section is not BaseSchedule else {}
    expected = [
        (f"`{key}`", shown_default(field), field.description)
        for key, field in section.__pydantic_fields__.items()
        if key != "type" and key not in shared
    ]
    assert documented(name) == expected


def test_every_type_is_named_in_the_page():
    text = PAGE.read_text(encoding="utf-8")
    for name in (*OPTIMIZERS, *SCHEDULES):
        assert f"`type: {name}`" in text


def test_targets_are_those_of_export():
    assert tuple(TARGETS) == tuple(EXPORT_TARGETS)


def test_every_key_has_a_default_or_is_optional():
    """An empty file is a valid configuration: commands ask for the sections they need."""
    assert not [key for key, field in Schema.model_fields.items() if field.is_required()]
    Schema.model_validate({})


def test_links_to_headings_of_the_page_exist():
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    }
    for page in PAGE.parent.glob("*.md"):
        for anchor in re.findall(r"\(config\.md#([\w-]+)\)", page.read_text(encoding="utf-8")):
            assert anchor in headings


def test_the_message_that_the_page_shows(write):
    file = write("my.yml", "optimizer:\n  type: SGD\n  momentun: 0.9\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, ["itres=200"])
    assert f"```\n{caught.value}\n```" in PAGE.read_text(encoding="utf-8")
