"""`python tools/compress.py ...` is `mobileseg compress ...`."""

from mobileseg.cli import run_verb

if __name__ == "__main__":
    run_verb("compress")
