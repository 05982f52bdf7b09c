#!/usr/bin/env bash
# Makes .venv with everything the suite needs. Called by `make setup`; safe to call again.
#
# Looks for Python 3.10 first (the Paddle Lite wheel exists for no later version), on PATH, in pyenv
# and through uv; then for 3.11 and 3.12. MOBILESEG_PYTHON=/path/to/python overrides the search.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.mobileseg-setup

is_version() { # is_version PYTHON MINOR
    [ -n "$1" ] && "$1" -c "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, $2))" 2>/dev/null
}

candidates() { # candidates MINOR: interpreters that may be that version, one per line
    command -v "python3.$1" || true
    command -v python3 || true
    command -v python || true
    for root in "${PYENV_ROOT:-$HOME/.pyenv}" /opt/pyenv; do
        for folder in "$root"/versions/3."$1".*; do
            [ -x "$folder/bin/python" ] && echo "$folder/bin/python"
        done
    done
    if command -v uv >/dev/null 2>&1; then uv python find "3.$1" 2>/dev/null || true; fi
}

find_python() {
    if [ -n "${MOBILESEG_PYTHON:-}" ]; then echo "$MOBILESEG_PYTHON"; return; fi
    local minor python
    for minor in 10 11 12; do
        while IFS= read -r python; do
            if is_version "$python" "$minor"; then echo "$python"; return; fi
        done < <(candidates "$minor")
    done
    if command -v uv >/dev/null 2>&1 && uv python install 3.10 >&2; then uv python find 3.10; return; fi
    {
        echo "error: no Python 3.10, 3.11 or 3.12 with venv was found on PATH, in pyenv or through uv"
        echo "  hint: install one (Debian: apt-get install python3 python3-venv; pyenv install 3.10; uv python install 3.10)"
        echo "          or name it: MOBILESEG_PYTHON=/path/to/python make setup"
    } >&2
    return 1
}

system_libraries() { # OpenCV's wheel needs libGL and glib, Paddle needs libgomp
    "$venv/bin/python" -c "import cv2" 2>/dev/null && return
    local wanted="libgl1 libglib2.0-0 libgomp1"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing $wanted"
        # shellcheck disable=SC2086
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $wanted; } >/dev/null
    fi
    "$venv/bin/python" -c "import cv2" || {
        echo "error: OpenCV cannot be imported; it needs the system libraries $wanted" >&2
        echo "  hint: sudo apt-get install $wanted" >&2
        return 1
    }
}

fingerprint=$(cat requirements*.txt constraints.txt tools/setup.sh | sha256sum | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$fingerprint" ]; then exit 0; fi

if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python)
    echo "setup: $("$python" --version) at $python"
    "$python" -m venv "$venv"
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
echo "setup: installing packages into $venv (some minutes the first time)"
pip install -q -c constraints.txt "setuptools<81" wheel
pip install -q -c constraints.txt -r requirements.txt -r requirements-dev.txt
# pnnx (ONNX to NCNN) declares PyTorch, but the converter inside is a program of its own.
pip install -q -c constraints.txt --no-deps pnnx
# The bridge to PaddleSeg's networks; why without dependencies: see the file.
pip install -q -c constraints.txt --no-deps -r requirements-paddleseg.txt
pip install -q --no-deps --no-build-isolation -e .
system_libraries
if ! "$venv/bin/python" -c "import paddlelite" 2>/dev/null; then
    version=$("$venv/bin/python" -c "import sys; print('%d.%d' % sys.version_info[:2])")
    echo "setup: Python $version has no Paddle Lite wheel (it exists for 3.10): .nb files are not written or run here"
fi
echo "$fingerprint" > "$stamp"
