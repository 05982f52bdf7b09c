#!/usr/bin/env bash
# Makes .venv with everything the suite needs, and .venv-converter beside it. Called by `make setup`; safe to call again.
#
#   tools/setup.sh             where Python 3.10 can be had: Paddle 3.3 on the newest Python in .venv, and the converter
#                              environment; else .venv alone, with Paddle 2.6 on Python 3.12 or 3.11. MOBILESEG_PADDLE=2.6
#                              takes Paddle 2.6 alone, on Python 3.10 where there is one; MOBILESEG_PADDLE=3.3 the other.
#   tools/setup.sh converter   .venv-converter alone: Paddle 2.6 on Python 3.10, the last with a wheel of Paddle Lite
#
# Interpreters are looked for on PATH, in pyenv and through uv. MOBILESEG_PYTHON=/path/to/python is taken for .venv,
# MOBILESEG_CONVERTER_PYTHON for the other; an existing .venv stays what it is until the other Paddle is asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
converter=.venv-converter

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

find_python() { # find_python MINOR...: the first that is there
    local minor python
    for minor in "$@"; do
        while IFS= read -r python; do
            if is_version "$python" "$minor"; then echo "$python"; return; fi
        done < <(candidates "$minor")
    done
    return 1
}

bring_python() { # bring_python MINOR: let uv install it
    command -v uv >/dev/null 2>&1 && uv python install "3.$1" >&2 && uv python find "3.$1"
}

minor_of() { "$1" -c "import sys; print(sys.version_info[1])"; }

no_python() { # no_python WHICH VARIABLE
    {
        echo "error: no Python $1 with venv was found on PATH, in pyenv or through uv"
        echo "  hint: install one (Debian: apt-get install python3 python3-venv; pyenv install 3.10; uv python install 3.10)"
        echo "          or name it: $2=/path/to/python make ${3:-setup}"
    } >&2
    exit 1
}

system_libraries() { # system_libraries PYTHON: OpenCV's wheel needs libGL and glib, Paddle needs libgomp
    "$1" -c "import cv2" 2>/dev/null && return
    local wanted="libgl1 libglib2.0-0 libgomp1"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing $wanted"
        # shellcheck disable=SC2086
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $wanted; } >/dev/null
    fi
    "$1" -c "import cv2" || {
        echo "error: OpenCV cannot be imported; it needs the system libraries $wanted" >&2
        echo "  hint: sudo apt-get install $wanted" >&2
        return 1
    }
}

# What one Paddle needs (NumPy 1, PaddleSlim, Paddle Lite) is in the way of the other: nothing of it is kept.
has_other_paddle() { # has_other_paddle FOLDER PADDLE
    [ -f "$1/.mobileseg-setup" ] && ! grep -q "^$2 " "$1/.mobileseg-setup"
}

environment() { # environment FOLDER PYTHON PADDLE: PADDLE is 2.6 or 3.3; nothing is done where it is up to date
    local folder=$1 python=$2 paddle=$3 constraints=constraints.txt fingerprint
    [ "$paddle" = 2.6 ] || constraints=constraints-paddle-$paddle.txt
    fingerprint="$paddle $(cat requirements*.txt "$constraints" tools/setup.sh mobileseg/__init__.py | sha256sum | cut -d' ' -f1)"
    if [ -f "$folder/.mobileseg-setup" ] && [ "$(cat "$folder/.mobileseg-setup")" = "$fingerprint" ]; then return; fi
    if has_other_paddle "$folder" "$paddle" || ! "$folder/bin/python" -c "import ensurepip" 2>/dev/null; then
        rm -rf "$folder"
        "$python" -m venv "$folder"
    fi
    echo "setup: $("$folder/bin/python" --version) and Paddle $paddle into $folder (some minutes the first time)"
    rm -f "$folder/.mobileseg-setup"
    pip() { "$folder/bin/python" -m pip --disable-pip-version-check "$@"; }
    if [ "$paddle" = 2.6 ]; then
        pip install -q -c "$constraints" "setuptools<81" wheel
    else
        pip install -q -c "$constraints" setuptools wheel
    fi
    pip install -q -c "$constraints" -r requirements.txt -r "requirements-paddle-$paddle.txt" -r requirements-dev.txt
    if [ "$paddle" = 2.6 ]; then
        # pnnx (ONNX to NCNN) declares PyTorch, but the converter inside is a program of its own.
        pip install -q -c "$constraints" --no-deps pnnx
    fi
    # The bridge to PaddleSeg's networks; why without dependencies: see the file.
    pip install -q -c "$constraints" --no-deps -r requirements-paddleseg.txt
    pip install -q --no-deps --no-build-isolation -e .
    system_libraries "$folder/bin/python"
    echo "$fingerprint" > "$folder/.mobileseg-setup"
}

converter_python() {
    if [ -n "${MOBILESEG_CONVERTER_PYTHON:-}" ]; then echo "$MOBILESEG_CONVERTER_PYTHON"; return; fi
    if [ -x "$converter/bin/python" ] && is_version "$converter/bin/python" 10; then echo "$converter/bin/python"; return; fi
    find_python 10 || bring_python 10
}

if [ "${1:-}" = converter ]; then
    python=$(converter_python) || no_python 3.10 MOBILESEG_CONVERTER_PYTHON setup-converter
    environment "$converter" "$python" 2.6
    exit 0
fi

# What .venv is made of: what was named, what it already is, or the newest Python that is there.
wanted=${MOBILESEG_PADDLE:-}
case "$wanted" in
    "" | 2.6 | 3.3) ;;
    *) echo "error: MOBILESEG_PADDLE is '$wanted', expected 2.6 or 3.3" >&2; exit 1 ;;
esac
python=${MOBILESEG_PYTHON:-}
if [ -z "$python" ] && .venv/bin/python -c "" 2>/dev/null && { [ -z "$wanted" ] || ! has_other_paddle .venv "$wanted"; }; then
    python=.venv/bin/python
    if [ -z "$wanted" ]; then
        wanted=2.6
        if [ "$(minor_of "$python")" -gt 12 ] || grep -qs "^3.3 " .venv/.mobileseg-setup; then wanted=3.3; fi
    fi
fi
if [ -z "$wanted" ]; then
    wanted=2.6
    if converter_python >/dev/null; then
        wanted=3.3
    elif [ -n "$python" ]; then
        if [ "$(minor_of "$python")" -gt 12 ]; then wanted=3.3; fi
    elif ! find_python 12 11 >/dev/null && find_python 13 >/dev/null; then
        wanted=3.3
    fi
fi
if [ -z "$python" ]; then
    case "$wanted" in
        2.6) python=$(find_python 10 12 11 || bring_python 10) || no_python "3.10, 3.11 or 3.12" MOBILESEG_PYTHON ;;
        3.3) python=$(find_python 13 12 11 10 || bring_python 13) || no_python "3.10 to 3.13" MOBILESEG_PYTHON ;;
    esac
fi
if [ "$wanted" = 2.6 ] && [ "$(minor_of "$python")" -gt 12 ]; then
    echo "error: Paddle 2.6 has no wheel for $("$python" --version), the last is for Python 3.12" >&2
    echo "  hint: name another Python with MOBILESEG_PYTHON, or remove .venv, or leave MOBILESEG_PADDLE out" >&2
    exit 1
fi
environment .venv "$python" "$wanted"
if [ "$wanted" = 3.3 ]; then
    if python=$(converter_python); then
        environment "$converter" "$python" 2.6
    else
        echo "setup: no Python 3.10 for the converter environment: nothing is exported here (docs/paddle.md)"
    fi
elif ! .venv/bin/python -c "import paddlelite" 2>/dev/null; then
    echo "setup: Python 3.$(minor_of .venv/bin/python) has no wheel of Paddle Lite (3.10 has): .nb files are not written or run"
fi
