"""The pages against the product: links, flags, files and imports that they name exist."""

import argparse
import ast
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from mobileseg.cli import VERBS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("zoo/*/*.md"), *ROOT.glob("test_tipc/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FOREIGN_FLAGS = {"--no-deps", "--nproc_per_node", "--gpus", "--add-architecture"}  # pip, Paddle's launcher, dpkg
FOREIGN_FILES = {  # PaddleSeg's
    "deploy/python/infer.py",
    "configs/quick_start/pp_liteseg_optic_disc_512x512_1k.yml",
}

every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


@cache
def split(page: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The page without its fenced blocks, and (language, content) of each block."""
    parts = re.split(r"^ *```(\w*)\n(.*?)^ *```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "".join(parts[::3]), tuple(zip(parts[1::3], parts[2::3], strict=True))


def blocks(page: Path, *languages: str) -> list[str]:
    """Contents of the fenced blocks of these languages."""
    return [content for language, content in split(page)[1] if language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return split(page)[0]


def anchors(page: Path) -> set[str]:
    """Targets of links into a page, as GitHub derives them from its headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """(verb, words after it) of every command line of the suite in blocks and inline code."""
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    lines = [line for block in blocks(page, "", "bash", "sh") for line in block.replace("\\\n", " ").splitlines()]
    found = []
    for line in [*spans, *lines]:
        words = shlex.split(line.split(" #")[0]) if line.count("'") % 2 == 0 else line.split()
        for place, word in enumerate(words[:-1]):
            if word.endswith("mobileseg") and place == 0 and words[1] in VERBS:
                found.append((words[1], words[2:]))
    for verb, rest in re.findall(r"tools/(\w+)\.py ?([^`\n#]*)", page.read_text(encoding="utf-8")):
        if verb in VERBS:
            found.append((verb, rest.split()))
    return found


@cache
def flags(verb: str, part: str | None = None) -> frozenset[str]:
    """Options that a verb, or one of its parts, takes."""
    parser = argparse.ArgumentParser()
    import_module(f"mobileseg.commands.{verb}").add_arguments(parser)
    found = {"--debug", *parser._option_string_actions}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                found |= set(sub._option_string_actions) if part in (None, name) else set()
    return frozenset(found)


@cache
def device_flags() -> frozenset[str]:
    """Options of the device scripts; they have parsers of their own and do not import the suite."""
    sources = (ROOT / "deploy/lite/device").rglob("*.py")
    return frozenset(re.findall(r'"(--[a-z][\w-]*)"', "".join(path.read_text(encoding="utf-8") for path in sources)))


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(file), f"{target}: there is no such heading"


@every_page
def test_command_lines_use_flags_that_exist(page: Path) -> None:
    for verb, words in commands(page):
        part = words[0] if verb in ("doctor", "compress") and words else None
        for word in words:
            flag = word.split("=")[0]
            if re.fullmatch(r"-o|--[\w-]+", flag):
                assert flag in flags(verb, part), f"mobileseg {verb} has no {flag}"


@cache
def script_flags() -> frozenset[str]:
    """Options of the scripts below deploy/."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "deploy").rglob("*.py")))
    return frozenset(re.findall(r'add_argument\(\s*"(--\w+)"', text))


@every_page
def test_command_lines_of_the_device_scripts(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"_on_device\.py ([^`\n]*)", text):
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", line):
            assert flag in device_flags(), flag


@every_page
def test_flags_in_the_text_exist(page: Path) -> None:
    known = FOREIGN_FLAGS.union(
        {"--help", "--version"}, device_flags(), script_flags(), *(flags(verb) for verb in VERBS)
    )
    for span in re.findall(r"`([^`\n]+)`", prose(page)):
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", span):
            assert any(name == flag or (flag.endswith("_") and name.startswith(flag)) for name in known), flag


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(
        r"(?<![\w./-])(?:configs|tools|docs|deploy|mobileseg)/[\w/.-]+\.(?:yml|json|py|md|txt)", text
    ):
        assert name in FOREIGN_FILES or (ROOT / name).exists(), name


@every_page
def test_python_blocks_import_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mobileseg"):
                for alias in node.names:
                    assert hasattr(import_module(str(node.module)), alias.name), f"{node.module}.{alias.name}"


@every_page
def test_modules_named_in_the_text_exist(page: Path) -> None:
    for dotted in re.findall(r"`(mobileseg(?:\.\w+)+)", prose(page)):
        parts = dotted.split(".")
        if (ROOT / "/".join(parts)).with_suffix(".py").exists() or (ROOT / "/".join(parts)).is_dir():
            continue
        assert hasattr(import_module(".".join(parts[:-1])), parts[-1]), dotted


@every_page
def test_yaml_blocks_are_yaml(page: Path) -> None:
    for block in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(block), dict)


def test_every_verb_has_a_page_and_every_page_is_listed() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for verb in VERBS:
        assert f"mobileseg {verb}" in text
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, f"docs/README.md does not list {page.name}"


def test_the_checks_see_what_is_there() -> None:
    """The patterns above find command lines, so that a page cannot pass by not being understood."""
    assert {verb for page in PAGES for verb, _ in commands(page)} == set(VERBS)
    tutorial = [(verb, words[:1]) for verb, words in commands(ROOT / "docs/tutorial.md")]
    assert ("train", ["garden.yml"]) in tutorial
    assert ("export", ["--audit"]) in tutorial
