"""`python tools/export.py ...` is `mobileseg export ...`, under the path that PaddleSeg's users know."""

from mobileseg.cli import run_verb

if __name__ == "__main__":
    run_verb("export")
