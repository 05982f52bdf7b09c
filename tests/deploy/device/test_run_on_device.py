"""`run_on_device.py` against a phone that is a folder."""

import json
from pathlib import Path

import pytest

from tests.deploy.device.phones import Phone, artefact, made_phone, standin, without_adb


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    made = made_phone(tmp_path)
    standin(tmp_path)
    artefact(tmp_path / "model")
    (tmp_path / "street 1.jpg").write_bytes(b"image")
    (tmp_path / "clip.mp4").write_bytes(b"video")
    return made


def run(phone: Phone, *words: str, model: str = "model", source: str = "street 1.jpg"):
    return phone.run("run_on_device.py", model, source, "--app", "app/mobileseg_lite", *words)


def left_behind(phone: Phone) -> list[str]:
    """What a failed run left on the phone or among the results."""
    results = phone.root / "output"
    here = [str(path) for path in results.rglob("*") if path.is_file()] if results.is_dir() else []
    return here + [path.name for path in phone.storage.iterdir()]


def test_an_image_goes_there_and_its_overlay_comes_back(phone: Phone) -> None:
    done = run(phone, "--no-open", "--threads", "2", "--power", "low")
    assert done.returncode == 0, done.stderr
    out = phone.root / "output/device/street 1"
    assert (out / "overlay/street_1.png").read_bytes() == b"image"
    assert json.loads((out / "json/street_1.json").read_text())["source"] == "street 1.jpg"
    assert "decode 1.00 ms, preprocess 0.50 ms, inference 20.00 ms, postprocess 0.25 ms" in done.stdout
    assert "SM8150 (Maker Model 9)" in done.stdout
    page = (out / "result.html").read_text()
    assert 'src="overlay/street_1.png"' in page
    assert "20.00 ms" in page
    assert list(phone.storage.iterdir()) == []
    pushed = [Path(call[-1]).name for call in phone.calls() if "push" in call]
    assert pushed == ["mobileseg_lite", "deploy.json", "deploy.yaml", "model.arm.nb", "golden.npz", "street_1.jpg"]
    assert all(call[:2] == ["-s", "PHONE1"] for call in phone.calls()[1:])
    line = next(call[-1] for call in phone.calls() if "app/mobileseg_lite image" in call[-1])
    assert "--threads 2 --power low" in line
    assert "LD_LIBRARY_PATH=" in line


def test_a_second_run_replaces_the_first(phone: Phone) -> None:
    for _ in range(2):
        assert run(phone, "--no-open").returncode == 0
    assert [path.name for path in (phone.root / "output/device").iterdir()] == ["street 1"]


def test_the_first_frame_of_a_video_does_not_count(phone: Phone) -> None:
    done = run(phone, "--no-open", "--max-frames", "4", source="clip.mp4")
    assert done.returncode == 0, done.stderr
    assert "inference 20.00 ms" in done.stdout
    out = phone.root / "output/device/clip"
    assert 'href="overlay/clip.mp4"' in (out / "result.html").read_text()
    assert len((out / "json/clip.jsonl").read_text().splitlines()) == 4


def test_the_result_is_opened(phone: Phone) -> None:
    opener = phone.root / "tools/xdg-open"
    opener.write_text(f'#!/bin/sh\necho "$1" >> "{phone.root}/opened"\n')
    opener.chmod(0o755)
    phone.variables["DISPLAY"] = ":0"
    assert run(phone, source="clip.mp4").returncode == 0
    opened = (phone.root / "opened").read_text().splitlines()
    assert opened == ["output/device/clip/result.html", "output/device/clip/overlay/clip.mp4"]
    phone.variables.pop("DISPLAY")
    done = run(phone)
    assert done.returncode == 0
    assert "nothing here can open files" in done.stdout


def test_libraries_go_with_the_program(phone: Phone) -> None:
    (phone.root / "app/libpaddle.so").write_bytes(b"library")
    (phone.root / "libcxx.so").write_bytes(b"library")
    assert run(phone, "--no-open", "--lib", "libcxx.so").returncode == 0
    pushed = [Path(call[-1]).name for call in phone.calls() if "push" in call]
    assert pushed[:3] == ["libpaddle.so", "libcxx.so", "mobileseg_lite"]


def test_every_graph_of_the_pipelines_goes_with_the_folder(phone: Phone) -> None:
    graphs = {
        "main": {"files": {"lite_arm": {"model": "model.arm.nb"}}},
        "tail": {"files": {"lite_arm": {"model": "tail.arm.nb"}}},
        "part": {"files": {"paddle": {"model": "part.pdmodel"}}},
    }
    pipelines = {"key": ["main", "tail"], "components": ["part"]}
    settings = {"detection": {"anchors": "anchors.npy"}}
    artefact(phone.root / "two", graphs=graphs, pipelines=pipelines, settings=settings)
    assert run(phone, "--no-open", model="two").returncode == 0
    pushed = {Path(call[-1]).name for call in phone.calls() if "push" in call}
    assert {"model.arm.nb", "tail.arm.nb", "anchors.npy", "golden.npz", "deploy.json"} <= pushed


def test_folders_of_format_1(phone: Phone) -> None:
    files = {"lite_arm": {"model": "model.arm.nb"}}
    old = {"format": 1, "input": {"height": 32, "width": 48}, "graphs": {"main": files}}
    artefact(phone.root / "old", **old, detection={"anchors": "anchors.npy"})
    assert run(phone, "--no-open", model="old").returncode == 0
    pushed = {Path(call[-1]).name for call in phone.calls() if "push" in call}
    assert {"model.arm.nb", "anchors.npy"} <= pushed


def test_a_phone_that_forgets_exit_codes(phone: Phone) -> None:
    phone.variables["FAKE_ADB_FAULT"] = "old"
    assert run(phone, "--no-open").returncode == 0
    phone.variables["STANDIN_FAULT"] = "6"
    assert run(phone, "--no-open").returncode == 6


@pytest.mark.parametrize(
    ("variables", "code", "seen"),
    [
        ({"FAKE_ADB_DEVICES": ""}, 7, "no device is connected"),
        ({"FAKE_ADB_DEVICES": "A device;B device"}, 2, "choose one with --serial"),
        ({"FAKE_ADB_DEVICES": "A unauthorized"}, 7, "accept 'Allow USB debugging?'"),
        ({"FAKE_ADB_DEVICES": "A offline"}, 7, "connect it again"),
        ({"FAKE_ADB_DEVICES": "A no permissions (missing udev rules)"}, 7, "udev"),
        ({"FAKE_ADB_DEVICES": "A recovery"}, 7, "is in state 'recovery', expected 'device'"),
        ({"ANDROID_SERIAL": "B"}, 2, "there is no device B, adb lists PHONE1 (device)"),
        ({"FAKE_ADB_FAULT": "server"}, 7, "cannot connect to daemon"),
        ({"FAKE_ADB_FAULT": "push:mobileseg_lite"}, 7, "remote I/O error"),
        ({"FAKE_ADB_FAULT": "full:model.arm.nb"}, 7, "the storage of PHONE1 is full: model.arm.nb"),
        ({"FAKE_ADB_FAULT": "pull"}, 7, "cannot copy"),
        ({"FAKE_ADB_FAULT": "host_full"}, 7, "the disk with"),
        ({"STANDIN_FAULT": "SIGSEGV"}, 7, "mobileseg_lite image crashed with SIGSEGV"),
        ({"STANDIN_FAULT": "SIGKILL"}, 7, "for want of memory"),
        ({"STANDIN_FAULT": "full"}, 7, "free some space on the phone"),
        ({"STANDIN_FAULT": "link"}, 8, "name the missing library with --lib"),
        ({"STANDIN_FAULT": "nothing"}, 7, "wrote no results that can be read"),
        ({"STANDIN_FAULT": "7"}, 7, "ended with exit code 7: stage inference differs"),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)
def test_failures_are_one_message(phone: Phone, variables: dict[str, str], code: int, seen: str) -> None:
    phone.variables.update(variables)
    done = run(phone, "--no-open")
    assert done.returncode == code, done.stdout + done.stderr
    assert seen in done.stderr
    assert done.stderr.count("error: ") == 1 + done.stderr.count("adb: error: ")
    assert "Traceback" not in done.stderr
    assert left_behind(phone) == []


def test_a_lost_connection_leaves_the_phone_dirty_and_says_so(phone: Phone) -> None:
    phone.variables["FAKE_ADB_FAULT"] = "lost:mobileseg_lite."
    done = run(phone, "--no-open")
    assert done.returncode == 7
    assert "the connection to PHONE1 was lost during making folders: error: closed" in done.stderr
    assert "was left on the device" in done.stderr


def test_a_program_that_hangs_is_given_up(phone: Phone) -> None:
    phone.variables["FAKE_ADB_FAULT"] = "hang:/app/mobileseg_lite image"
    done = run(phone, "--no-open", "--timeout", "0.5")
    assert done.returncode == 7
    assert "took more than" in done.stderr
    assert left_behind(phone) == []


def test_without_adb(phone: Phone) -> None:
    without_adb(phone)
    done = run(phone)
    assert done.returncode == 8
    assert "apt-get install adb" in done.stderr


def test_one_of_several_phones(phone: Phone) -> None:
    phone.variables["FAKE_ADB_DEVICES"] = "A device;B device"
    assert run(phone, "--no-open", "--serial", "B").returncode == 0
    assert phone.calls()[-1][:2] == ["-s", "B"]


@pytest.mark.parametrize(
    ("words", "code", "seen"),
    [
        (["model", "none.jpg"], 3, "there is no file none.jpg"),
        (["model", "notes.txt"], 3, "neither image nor video"),
        (["nowhere", "street 1.jpg"], 7, "mobileseg export --targets lite_arm"),
        (["model/other.nb", "street 1.jpg"], 7, "cannot read model/other.nb/deploy.json"),
        (["model", "street 1.jpg", "--app", "nothing"], 7, "there is no file nothing"),
        (["model", "street 1.jpg", "--app", "elf"], 7, "is a program for aarch64, the device is"),
        (["model", "street 1.jpg", "--power", "most"], 2, "invalid choice"),
    ],
)
def test_wrong_arguments(phone: Phone, words: list[str], code: int, seen: str) -> None:
    (phone.root / "elf").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00")
    phone.folder.joinpath("bin/uname").write_text("#!/bin/sh\necho x86_64\n")
    phone.folder.joinpath("bin/uname").chmod(0o755)
    done = phone.run("run_on_device.py", *words[:2], *(words[2:] or ["--app", "app/mobileseg_lite"]))
    assert done.returncode == code, done.stderr
    assert seen in done.stderr
    assert left_behind(phone) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("{", "is not JSON"),
        ("[]", "is no manifest"),
        ('{"mobileseg": {"format": 2, "image": {}, "graphs": {}}}', "is no manifest"),
        ('{"mobileseg": {"image": {}, "graphs": {"a": {}}, "pipelines": {"main": ["a"]}}}', "no graph for Paddle"),
        ('{"mobileseg": {"format": 1, "input": {}, "graphs": {"main": {}}}}', "no graph for Paddle"),
    ],
)
def test_broken_manifests(phone: Phone, text: str, seen: str) -> None:
    (phone.root / "model/deploy.json").write_text(text)
    done = run(phone)
    assert done.returncode == 7
    assert seen in done.stderr


def test_an_incomplete_folder(phone: Phone) -> None:
    (phone.root / "model/golden.npz").unlink()
    done = run(phone)
    assert done.returncode == 7
    assert "model lacks golden.npz" in done.stderr
    assert phone.calls() == []
