"""The JSON schema for editors."""

import json
from pathlib import Path

import pytest

from mobileseg.config.jsonschema import json_schema, text
from mobileseg.config.schema import Schema
from mobileseg.registry import BACKBONES, LOSSES, TRANSFORMS

FILE = Path(__file__).parents[2] / "configs" / "schema.json"
REMEDY = "run: make schema"


@pytest.fixture(scope="module")
def schema():
    return json.loads(FILE.read_text(encoding="utf-8"))


def choices(schema, kind):
    return {choice["title"]: choice for choice in schema["$defs"][kind]["anyOf"] if "title" in choice}


def test_the_file_is_current():
    assert FILE.read_text(encoding="utf-8") == text(), REMEDY


def test_every_key_and_component_is_there(schema):
    assert set(schema["properties"]) == set(Schema.model_fields) | {"_base_"}
    for kind, registry in {"backbone": BACKBONES, "loss": LOSSES, "transform": TRANSFORMS}.items():
        own = {name for name in registry if registry.get(name).__module__.startswith("mobileseg.")}
        assert set(choices(schema, kind)) == own  # without the plugins that tests before this one loaded


def test_arguments_with_types_and_defaults(schema):
    ohem = choices(schema, "loss")["OhemCrossEntropyLoss"]
    assert ohem["properties"]["min_kept"] == {"type": "integer", "default": 10000}
    assert ohem["additionalProperties"] is False
    network = choices(schema, "network")["MobileSeg"]
    assert network["properties"]["backbone"] == {"$ref": "#/$defs/backbone"}
    assert network["properties"]["pretrained"]["anyOf"][0] == {"type": "string"}
    assert "items" in choices(schema, "dataset")["Cityscapes"]["properties"]["transforms"]


def test_references_lead_somewhere(schema):
    found = [part.split('"')[0] for part in json.dumps(schema).split('"#/$defs/')[1:]]
    assert found
    assert set(found) <= set(schema["$defs"])


def test_sections_may_be_completed_by_a_base(schema):
    assert "required" not in schema["$defs"]["Loss"]
    assert schema["$defs"]["SGD"]["properties"]["_inherited_"] == {"type": "boolean"}


def test_plugins_of_this_process_stay_out(monkeypatch):
    TRANSFORMS.load()
    monkeypatch.setattr(TRANSFORMS, "_components", dict(TRANSFORMS._components))

    @TRANSFORMS.add_component
    class OnlyHere:
        pass

    assert "OnlyHere" not in choices(json_schema(), "transform")
