"""`benchmark_on_device.py` against a phone that is a folder, and its rows in the host's table."""

import json
from pathlib import Path

import pytest

from mobileseg.benchmarking.benchmark import FIELDS
from mobileseg.benchmarking.rows import load_rows, save_rows
from mobileseg.cli import main
from mobileseg.viz.report_parts import STAGES
from tests.benchmarking.sample_rows import row
from tests.deploy.device.phones import SCRIPTS, Phone, artefact, made_phone, standin


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    made = made_phone(tmp_path)
    standin(tmp_path)
    artefact(tmp_path / "model")
    return made


def run(phone: Phone, *words: str):
    return phone.run("benchmark_on_device.py", *words, "--app", "app/mobileseg_lite", "--pause", "0")


def rows_of(phone: Phone) -> list[dict]:
    return load_rows(phone.root / "output/device.json")


def program_calls(phone: Phone) -> list[str]:
    """What the program was asked, in order."""
    lines = [call[-1] for call in phone.calls() if "/app/mobileseg_lite " in call[-1] and "shell" in call]
    return [line.split("/app/mobileseg_lite ")[1].splitlines()[0] for line in lines]


def test_the_grid(phone: Phone) -> None:
    artefact(phone.root / "small")
    done = run(phone, "fp32=model", "int8=small", "--threads", "1", "2", "--power", "high", "low")
    assert done.returncode == 0, done.stderr
    rows = rows_of(phone)
    cases = [(found.get("precision"), found["folder"], found["power"], found["threads"]) for found in rows]
    grid = [("high", 1), ("high", 2), ("low", 1), ("low", 2)]
    assert cases == [("fp32", "model", *case) for case in grid] + [("int8", "small", *case) for case in grid]
    assert [line.split()[0] for line in program_calls(phone)] == ["selftest"] * 2 + ["benchmark"] * 8
    assert all("--runs 200 --warmup 10" in line for line in program_calls(phone)[2:])
    assert "inference 3.00 ms (333.3 fps, p95 6.00, max 9.00), total 15.00 ms, 45 to 45 °C" in done.stdout
    assert list(phone.storage.iterdir()) == []


def test_what_the_phone_was_like_is_noted(phone: Phone) -> None:
    assert run(phone, "model").returncode == 0
    found = rows_of(phone)[0]
    assert found["folder"] == "model"
    assert found["cpu"] == "SM8150 (Maker Model 9)"
    assert found["device"] == {
        "manufacturer": "Maker",
        "model": "Model 9",
        "soc": "SM8150",
        "android": "12",
        "abi": "arm64-v8a",
    }
    for when in ("before", "after"):
        state = found[when]
        assert state["battery"] == {"charging": True, "percent": 81, "temperature_c": 31.4}
        assert state["thermal_c"] == {"cpu-0-0": 45.2}  # the sensor that answers -40 is left out
        assert state["governors"] == {"cpu0": "schedutil"}
        assert state["mhz"] == {"cpu0": {"cur": 1785, "min": 300, "max": 2841}}
        assert state["load"] >= 0


def test_a_phone_that_hides_its_sensors(phone: Phone) -> None:
    """Android 10 and later: the zones cannot be read, a service tells the same."""
    for path in (phone.folder / "sys/class/thermal").rglob("temp"):
        path.unlink()
    line = "Temperature{mValue=38.5, mType=0, mName=CPU0, mStatus=0}"
    (phone.folder / "bin/dumpsys").write_text(f"#!/bin/sh\n[ $1 = thermalservice ] && echo '  {line}'\n")
    assert run(phone, "model").returncode == 0
    assert rows_of(phone)[0]["before"]["thermal_c"] == {"CPU0": 38.5}


def test_rows_join_the_table_of_the_host(phone: Phone, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(phone, "fp32=model", "fp16=model", "--power", "high", "low").returncode == 0
    save_rows(phone.root / "host.json", [row(folder="model", cpu="a host")])
    files = [str(phone.root / name) for name in ("host.json", "output/device.json")]
    assert main(["benchmark", "--merge", *files, "--output", str(phone.root / "joined")]) == 0
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    table = [dict(zip(lines[0], line, strict=True)) for line in lines[2:] if len(line) == len(lines[0])]
    assert [(line["device"], line["precision"], line["power"]) for line in table] == [
        ("a host", "-", "-"),
        *[("SM8150 (Maker Model 9)", precision, power) for precision in ("fp32", "fp16") for power in ("high", "low")],
    ]
    assert [line["max"] for line in table] == ["-"] + ["45.00"] * 4
    assert len(load_rows(phone.root / "joined/benchmark.json")) == 5
    assert (phone.root / "joined/benchmark.png").is_file()


def test_the_protocol_of_the_snapdragon_855(phone: Phone) -> None:
    done = run(phone, "model", "--preset", "sd855")
    assert done.returncode == 2
    assert "has input 48x32, preset sd855 is for 256x256" in done.stderr
    assert phone.calls() == []
    artefact(phone.root / "right", size=(256, 256))
    done = run(phone, "right", "--preset", "sd855")
    assert done.returncode == 0, done.stderr
    assert "not comparable" not in done.stdout
    assert [(found["preset"], found["threads"], found["power"]) for found in rows_of(phone)] == [("sd855", 1, "high")]
    properties = phone.folder / "bin/getprop"
    properties.write_text(properties.read_text().replace("SM8150", "SM7325"))
    assert "this is no SM8150" in run(phone, "right", "--preset", "sd855").stdout


def test_an_image_of_ones_own(phone: Phone) -> None:
    (phone.root / "a b.png").write_bytes(b"image")
    assert run(phone, "model", "--image", "a b.png", "--any-version").returncode == 0
    calls = program_calls(phone)
    assert all("--any-version" in line for line in calls)
    assert "/image.png" in calls[1]
    assert "--image" not in calls[0]


def test_a_graph_that_answers_something_else_is_not_timed(phone: Phone) -> None:
    phone.variables["STANDIN_FAULT"] = "6:selftest"
    done = run(phone, "model")
    assert done.returncode == 6
    assert "mobileseg_lite selftest ended with exit code 6" in done.stderr
    assert len(program_calls(phone)) == 1
    assert not (phone.root / "output").exists()
    assert list(phone.storage.iterdir()) == []


def test_a_case_that_crashes_does_not_take_the_others_along(phone: Phone) -> None:
    phone.variables["STANDIN_FAULT"] = "SIGILL:low"
    done = run(phone, "model", "--power", "low", "high")
    assert done.returncode == 7
    assert "error: model: 1 thread, low: mobileseg_lite benchmark crashed with SIGILL" in done.stderr
    assert "1 of 2 cases" in done.stdout
    assert [found["power"] for found in rows_of(phone)] == ["high"]


def test_rows_of_another_program_are_refused(phone: Phone) -> None:
    phone.variables["STANDIN_FAULT"] = "nothing:benchmark"
    done = run(phone, "model")
    assert done.returncode == 7
    assert "rows cannot be read" in done.stderr
    assert not (phone.root / "output").exists()


def test_a_phone_that_goes_away_ends_the_run(phone: Phone) -> None:
    phone.variables["FAKE_ADB_FAULT"] = "lost:dumpsys"
    done = run(phone, "model", "--threads", "1", "2")
    assert done.returncode == 7
    assert "the connection to PHONE1 was lost during reading temperatures" in done.stderr
    assert not (phone.root / "output").exists()


@pytest.mark.parametrize(
    ("words", "code", "seen"),
    [
        (["model", "--runs", "50"], 2, "at least 200"),
        (["model", "--threads", "0"], 2, "--threads must be at least 1"),
        (["model", "--preset", "v100"], 2, "mobileseg benchmark FOLDER --preset v100"),
        (["model", "--preset", "sd855", "--threads", "2"], 2, "drop --threads and --power"),
        (["model", "--image", "none.png"], 3, "there is no file none.png"),
        (["nowhere"], 7, "nowhere"),
        ([], 2, "MODEL"),
    ],
)
def test_wrong_arguments(phone: Phone, words: list[str], code: int, seen: str) -> None:
    done = run(phone, *words)
    assert done.returncode == code
    assert seen in done.stderr
    assert phone.calls() == []


def test_the_scripts_and_the_suite_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts run without the suite, so they repeat what a row has."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from phone import rows

    assert rows.FIELDS == FIELDS
    assert rows.STAGES == STAGES
    from phone.arguments import POWERS

    from mobileseg.benchmarking.presets import PRESETS

    source = (SCRIPTS.parent / "app/options.cc").read_text()
    assert all(f'{{"{power}", PowerMode::' in source for power in POWERS)
    from benchmark_on_device import PRESETS as OURS

    for name, preset in OURS.items():
        height, width = PRESETS[name].size
        assert (preset.input, preset.threads) == (f"{width}x{height}", PRESETS[name].threads)


def test_the_scripts_need_the_standard_library_alone() -> None:
    import ast
    import sys

    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names | {"phone"}, f"{path.name} imports {name}"


def test_json_of_the_rows_is_plain(phone: Phone) -> None:
    assert run(phone, "model").returncode == 0
    text = (phone.root / "output/device.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["format"] == 1
    assert str(phone.storage) not in text
    assert "/data/local/tmp" not in text
