import json
from pathlib import Path

from mobileseg.viz.history import read_history, read_log


def write(folder: Path, *lines: str | dict) -> Path:
    path = folder / "log.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_resume_takes_back_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"event": "start"},
        {"event": "train", "iter": 10, "loss": 3},
        {"event": "train", "iter": 20, "loss": 9},
        {"event": "eval", "iter": 20, "score": 0.9},
        '{"event": "train", "it',
        {"event": "resume", "iter": 10},
        {"event": "train", "iter": 20, "loss": 1},
    )
    for source in (path, tmp_path):
        assert [event["event"] for event in read_log(source)] == ["start", "train", "resume", "train"]
        history = read_history(source)
        assert [(event["iter"], event["loss"]) for event in history["train"]] == [(10, 3), (20, 1)]
        assert history["eval"] == []


def test_lines_that_are_no_events_are_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path, "7", "[1]", "{}", '{"event": 3}', "", {"event": "train"}, {"event": "eval", "iter": 5, "miou": None}
    )
    assert [event["event"] for event in read_log(path)] == ["train", "eval"]
    assert read_history(path) == {"train": [], "eval": [{"event": "eval", "iter": 5, "miou": None}]}


def test_no_log(tmp_path: Path) -> None:
    assert read_log(tmp_path) == []
    assert read_history(tmp_path / "nowhere" / "log.jsonl") == {"train": [], "eval": []}
