"""The sections that say how to quantise, and their tables in docs/config.md."""

import pytest

from mobileseg.config import schema_compress
from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError
from tests.config.config_page import documented, shown_default


@pytest.mark.parametrize("name", ["Quantize", "Search"])
def test_every_key_is_documented_with_its_default(name):
    fields = getattr(schema_compress, name).__pydantic_fields__
    assert documented(name) == [(f"`{key}`", shown_default(field), field.description) for key, field in fields.items()]


def test_values_are_kept(write):
    text = "compress: {quantize: {algorithm: KL, skip: ['*.head'], qat: {iters: 5}}, search: {latency_ms: 10.0}}"
    compress = load_config(write("a.yml", text)).compress
    assert compress.quantize.algorithm == "KL"
    assert compress.quantize.qat.learning_rate is None
    assert compress.quantize.components is None
    assert compress.search.latency_ms == 10.0
    assert compress.search.calibrations == [0, 5, 50, 100]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("quantize: {algorithm: percentile}", "compress.quantize.algorithm"),
        ("quantize: {images: -1}", "compress.quantize.images"),
        ("quantize: {components: []}", "compress.quantize.components"),
        ("quantize: {agreement: 1.5}", "compress.quantize.agreement"),
        ("quantize: {qat: {learning_rate: 0.1}}", "compress.quantize.qat.iters"),
        ("search: {precisions: [int4]}", "compress.search.precisions.0"),
        ("search: {time_limit: 0}", "compress.search.time_limit"),
        ("search: {calibrations: [-5]}", "compress.search.calibrations.0"),
    ],
)
def test_mistakes_are_named(write, text, key):
    with pytest.raises(ConfigError) as caught:
        load_config(write("a.yml", f"compress: {{{text}}}"))
    assert [problem.key for problem in caught.value.problems] == [key]
