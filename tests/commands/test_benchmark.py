from pathlib import Path

import pytest

from mobileseg.benchmarking.rows import load_rows, save_rows
from mobileseg.cli import main
from tests.benchmarking.sample_rows import row
from tests.runtime.artefacts import artefact


def test_two_folders_are_measured_and_compared_in_one_run(tmp_path: Path, capsys) -> None:
    folders = [str(tmp_path / name) for name in ("a", "b")]
    for folder in folders:
        artefact(Path(folder))
    out = tmp_path / "out"
    assert main(["benchmark", *folders, "--runs", "3", "--warmup", "1", "--output", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{folders[1]} takes, against {folders[0]}:" in said
    assert "onnxruntime, 1 threads: inference x" in said
    assert [(found["folder"], found["runs"]) for found in load_rows(out / "benchmark.json")] == [
        (folders[0], 3),
        (folders[1], 3),
    ]
    assert (out / "benchmark.png").stat().st_size > 5000
    assert (out / "benchmark.svg").is_file()


def test_rows_of_other_devices_join_the_table(tmp_path: Path, capsys) -> None:
    save_rows(tmp_path / "phone.json", [row("lite", cpu="a phone")])
    save_rows(tmp_path / "board.json", [row("lite", cpu="a board")])
    files = [str(tmp_path / name) for name in ("phone.json", "board.json")]
    assert main(["benchmark", "--merge", *files, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "a phone" in said
    assert "a board" in said
    assert len(load_rows(tmp_path / "out/benchmark.json")) == 2


def test_a_protocol_is_noted_in_the_rows(tmp_path: Path, capsys) -> None:
    artefact(tmp_path / "model", size=(256, 256))
    out = tmp_path / "out"
    words = ["benchmark", str(tmp_path / "model"), "--preset", "sd855", "--runs", "3", "--output", str(out)]
    words += ["--engines", "onnxruntime"]
    assert main(words) == 0
    rows = load_rows(out / "benchmark.json")
    assert [(found["preset"], found["threads"], found["input"]) for found in rows] == [("sd855", 1, "256x256")]


def test_the_protocol_of_a_server_needs_its_engine(tmp_path: Path, capsys) -> None:
    """TensorRT is asked for, and nothing else takes its place."""
    artefact(tmp_path / "model", size=(1024, 2048))
    words = ["benchmark", str(tmp_path / "model"), "--preset", "v100", "--runs", "3", "--output", str(tmp_path / "out")]
    assert main(words) not in (0, 70)
    said = capsys.readouterr()
    assert "left out:" in said.out
    assert "on tensorrt, 1 thread" in said.out
    assert "none of the engines could run" in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["{folder}", "--preset", "v100"], "preset v100 is for 1x3x1024x2048"),
        (["{folder}", "--preset", "sd855", "--threads", "2"], "drop --threads"),
        (["{folder}", "--preset", "v100", "--engines", "ncnn"], "drop --threads; --engines too"),
        (["--preset", "sd855", "--merge", "rows.json"], "name a folder"),
        ([], "there is nothing to measure"),
        (["{folder}", "--runs", "0"], "must be at least 1"),
        (["{folder}", "--threads", "0"], "must be at least 1"),
        (["nowhere"], "there is no exported model nowhere"),
        (["{folder}", "--engines", "magic"], "none of the engines could run"),
        (["{folder}", "--image", "nothing.jpg"], "nothing.jpg"),
        (["--merge", "nothing.json"], "nothing.json"),
    ],
)
def test_bad_usage_is_one_message(tmp_path: Path, capsys, arguments: list[str], seen: str) -> None:
    artefact(tmp_path / "model")
    words = [word.format(folder=tmp_path / "model") for word in arguments]
    assert main(["benchmark", *words, "--output", str(tmp_path / "out")]) not in (0, 70)
    assert seen in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
