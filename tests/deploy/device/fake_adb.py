#!/usr/bin/env python3
"""Stands in for adb: a folder is the phone, and every call is recorded.

FAKE_PHONE is the folder (its /data, /sys and /bin are the phone's), FAKE_ADB_DEVICES what `adb devices` lists, and
FAKE_ADB_FAULT how it misbehaves: a fault, or fault:word to misbehave only in calls whose line holds the word.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PHONE = Path(os.environ["FAKE_PHONE"])
FAULT, _, WORD = os.environ.get("FAKE_ADB_FAULT", "").partition(":")


def on_phone(text: str) -> str:
    """The phone's absolute paths, as paths here."""
    for top in ("/data/local/tmp", "/sys/class", "/sys/devices"):
        text = text.replace(top, f"{PHONE}{top}")
    return text


def faulty(name: str, words: list[str]) -> bool:
    return name == FAULT and (not WORD or WORD in " ".join(words))


def devices() -> int:
    print("* daemon started successfully")
    print("List of devices attached")
    for line in os.environ.get("FAKE_ADB_DEVICES", "PHONE1 device").split(";"):
        serial, _, state = line.strip().partition(" ")
        if serial:
            print(f"{serial}\t{state}")
    print()
    return 0


def push(words: list[str]) -> int:
    source, target = words[0], Path(on_phone(words[1]))
    if faulty("full", words):
        print(f"adb: error: failed to copy '{source}' to '{words[1]}': remote No space left on device", file=sys.stderr)
        return 1
    if faulty("push", words):
        print(f"adb: error: failed to copy '{source}' to '{words[1]}': remote I/O error", file=sys.stderr)
        return 1
    shutil.copyfile(source, target)
    target.chmod(0o644)
    print(f"{source}: 1 file pushed")
    return 0


def pull(words: list[str]) -> int:
    source, target = Path(on_phone(words[0])), Path(words[1])
    if faulty("pull", words):
        print(f"adb: error: failed to copy '{words[0]}' to '{target}'", file=sys.stderr)
        return 1
    if faulty("host_full", words):
        target.mkdir()  # adb leaves what it has copied so far
        print(f"adb: error: failed to copy '{words[0]}' to '{target}': No space left on device", file=sys.stderr)
        return 1
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)
    else:
        print(f"adb: error: failed to stat remote object '{words[0]}': No such file or directory", file=sys.stderr)
        return 1
    return 0


def shell(words: list[str]) -> int:
    if faulty("lost", words):
        print("error: closed", file=sys.stderr)
        return 1
    if faulty("hang", words):
        import time

        time.sleep(60)
    variables = {**os.environ, "PATH": f"{PHONE}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", on_phone(" ".join(words))], env=variables, capture_output=True, text=True, check=False
    )
    sys.stdout.write(done.stdout.replace("\n", "\r\n") if FAULT == "old" else done.stdout)
    sys.stderr.write(done.stderr.replace(str(PHONE), ""))
    return 0 if FAULT == "old" else done.returncode  # before Android 7 the exit code was lost


def main() -> int:
    words = sys.argv[1:]
    with open(PHONE / "calls.jsonl", "a", encoding="utf-8") as log:
        log.write(json.dumps(words) + "\n")
    if words == ["devices"]:
        if FAULT == "server":
            print("adb: failed to check server version: cannot connect to daemon", file=sys.stderr)
            return 1
        return devices()
    if words[0] != "-s":
        print("adb: error: no serial was given", file=sys.stderr)
        return 1
    verb, rest = words[2], words[3:]
    return {"push": push, "pull": pull, "shell": shell}[verb](rest)


if __name__ == "__main__":
    sys.exit(main())
