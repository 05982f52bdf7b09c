"""One word for one thing, and it is the field's: words that the suite used to have, and what is said instead.

The C++ program has its words in its own tests.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLACES = [
    "mobileseg", "docs", "tools", "deploy/python", "deploy/lite/device", "test_tipc", "configs", "zoo",
    "README.md", "CONTRIBUTING.md", "Makefile",
]  # fmt: skip
SUFFIXES = {".py", ".md", ".sh", ".yml", ".txt", ".html", ""}

RETIRED = {
    r"pictures?": "image",
    r"drawn[ _](?:scenes?|images?|data|dataset|ones)": "synthetic",
    r"labels pixels|labels of pixels|networks? that labels? pixels": "semantic segmentation",
    r"finds? objects|(?:networks?|graphs?) that (?:detects?|finds?)|instance networks?": "instance segmentation model",
    r"semantic networks?": "semantic segmentation model",
    r"(?:exported|artefact|deployment) folders?|inference models?|deployed models?": "exported model",
    r"suppress(?:e[sd]|ion|ing|es)?": "NMS",
    r"opaque(?:ness)?|transparency": "opacity",
    r"(?:parts|shares) of the (?:image|input) \(0\.\.1\)|in parts of the (?:image|input)": "normalised coordinates",
    r"open (?:size|shape)s?": "dynamic shape",
    r"fed bytes|bytes as input|byte input": "uint8 input",
    r"(?<!test-time augmentation: )averages? (?:of the logits )?over (?:--)?scales": "test-time augmentation",
    r"rising": "ascending",
    r"falling": "descending",
    r"(?:n|f?[\"'])[ ]*(?:remedy|fix):(?= )": "hint:",
    r"artifacts?": "artefact",
    r"behaviors?": "behaviour",
    r"neighbors?": "neighbour",
}

# Where the word is somebody else's, or means something else.
ALLOWED = [
    r"contextlib(?:\.| import )suppress|with suppress\(|import (?:contextmanager, )?suppress|argparse\.SUPPRESS",
    r"Non-maximum suppression|non-maximum suppression|NonMaxSuppression",
    r"mIoU was still rising|loss on them was still falling",  # curves
]


def texts() -> list[tuple[str, str]]:
    """Name and text of every file that people read, without what the suite did not write."""
    listed = subprocess.run(["git", "ls-files", *PLACES], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.splitlines() if Path(name).suffix in SUFFIXES and (ROOT / name).is_file()]
    return [(name, (ROOT / name).read_text(encoding="utf-8")) for name in names]


def offences(retired: str, text: str) -> list[str]:
    """Lines, with their numbers, that use a retired word."""
    word = re.compile(rf"(?<![A-Za-z])(?:{retired})(?![A-Za-z])", re.IGNORECASE)
    allowed = re.compile("|".join(ALLOWED))
    lines = enumerate(text.splitlines(), 1)
    return [f"{number}: {line.strip()}" for number, line in lines if word.search(allowed.sub("", line))]


@pytest.mark.parametrize(("retired", "instead"), RETIRED.items(), ids=RETIRED.values())
def test_retired_words_are_gone(retired: str, instead: str) -> None:
    found = [f"{name}:{line}" for name, text in texts() for line in offences(retired, text)]
    assert not found, f"say '{instead}':\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("Segment a picture.", "image"),
        ("def read_pictures():", "image"),
        ("images = drawn_images(size)", "synthetic"),
        ("a network that finds objects", "instance segmentation model"),
        ("the artefact folder", "exported model"),
        ("boxes are suppressed", "NMS"),
        ("x1 in parts of the image", "normalised coordinates"),
        ("milestones, rising", "ascending"),
        (r'f"{message}\n  remedy: {remedy}"', "hint:"),
        ('echo "  remedy: install it"', "hint:"),
        ('lines.append(f"    fix: {finding.fix}")', "hint:"),
    ],
)
def test_a_retired_word_is_seen(line: str, instead: str) -> None:
    assert [rule for rule in RETIRED if offences(rule, line)] == [
        rule for rule, word in RETIRED.items() if word == instead
    ]


def test_what_is_allowed_is_not_seen() -> None:
    for line in ("        remedy: the smallest thing to do", "with suppress(OSError):", "the loss is rise-limited"):
        assert not any(offences(rule, line) for rule in RETIRED), line


def test_file_names_use_the_same_words() -> None:
    for name, _ in texts():
        for retired in ("picture", "drawn", "suppress"):
            assert retired not in name, name


def test_the_search_finds_what_is_there() -> None:
    """Files are read, and a word of each kind of place is seen."""
    names = {name.split("/")[0] for name, _ in texts()}
    assert {"mobileseg", "docs", "tools", "deploy", "test_tipc", "configs", "zoo", "README.md"} <= names
