"""`python tools/benchmark.py ...` is `mobileseg benchmark ...`, under the path that PaddleSeg's users know."""

from mobileseg.cli import run_verb

if __name__ == "__main__":
    run_verb("benchmark")
