from mobileseg.export.table import format_rows
from mobileseg.export.verify import TargetRow


def test_table():
    text = format_rows(
        [
            TargetRow("onnx", "onnxruntime", "ok", 2.1e-5, 1.0, 8_100_000, 11.26),
            TargetRow("lite_x86", "lite", "failed", 0.5, 0.9999999, 4_000_000, 7.0, ("image 0: differs",)),
            TargetRow("lite_arm", "", "converted-not-run", size_bytes=8_300_000),
            TargetRow("ncnn", "", "skipped", problems=("'pnnx' is not installed",)),
        ]
    )
    lines = text.splitlines()
    assert lines[0].split("  ")[0] == "target"
    assert lines[1].split() == ["onnx", "onnxruntime", "ok", "2.1e-05", "100", "%", "8.10", "MB", "11.3", "ms"]
    assert "FAILED" in lines[2]
    assert "99.9999 %" in lines[2]  # not all, so never '100 %'
    assert lines[3] == "    image 0: differs"
    assert "converted, not run" in lines[4]
    assert lines[6] == "    'pnnx' is not installed"
