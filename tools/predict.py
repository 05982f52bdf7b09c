"""`python tools/predict.py ...` is `mobileseg predict ...`, under the path that PaddleSeg's users know."""

from mobileseg.cli import run_verb

if __name__ == "__main__":
    run_verb("predict")
