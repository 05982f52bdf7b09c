import pytest

from mobileseg.export.conversion import converters
from mobileseg.export.diagnosis.audit import audit, format_audit
from tests.export.conftest import Toy, options, seeded
from tests.export.flattened import Flattened


def test_network_that_converts(toy):
    result = audit(toy, options(), ("paddle", "lite_arm"))
    assert result.passed
    assert result.targets == {"paddle": "converts", "lite_arm": "converts"}
    assert result.operators["conv2d"] == 3
    text = format_audit(result)
    assert "note: lite_arm: the attribute threshold=6.0 is written for Paddle Lite" in text
    assert "lite_arm: converts" in text


def test_crash_is_known_before_it_happens():
    result = audit(seeded(Flattened()), options(), ("lite_x86", "onnx"))
    assert not result.passed
    assert result.targets == {"lite_x86": "fails", "onnx": "converts"}
    text = format_audit(result)
    assert "error: lite_x86: Paddle Lite's optimiser dies by SIGSEGV on flatten\n  hint: use paddle.reshape" in text
    assert "operator 'flatten_contiguous_range' of layer 'squash'" in text


class Hard(Toy):
    """Refused by paddle2onnx: no table says so, the converter does."""

    def forward(self, x):
        import paddle

        logits = self.logits(x)
        return {"logits": logits + paddle.digamma(logits.abs() + 1.0)}


def test_refusal_that_no_rule_knows_is_located():
    result = audit(seeded(Hard()), options(), ("onnx",))
    assert result.targets == {"onnx": "fails"}
    (finding,) = result.findings
    assert finding.operator.type == "digamma"


def test_missing_converter_is_not_tried(toy, monkeypatch):
    monkeypatch.setattr(converters, "find_spec", lambda name: None)
    result = audit(toy, options(), ("onnx",))
    assert result.targets["onnx"].startswith("not tried: 'paddle2onnx' is not installed")


@pytest.mark.parametrize("target", ["ncnn"])
def test_ncnn_gets_the_form_without_argmax(toy, target):
    assert audit(toy, options(), (target,)).targets == {target: "converts"}
