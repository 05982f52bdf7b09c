#!/usr/bin/env bash
# Draws the dataset of a chain: bash test_tipc/prepare.sh CONFIG.txt MODE
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
start "$@"
: >"$RESULTS" # a chain begins here

root=$(mode_value prepare --root)
size=$(mode_value prepare --size)
read -r -a sides <<<"$size"
train=$(mode_value prepare --train)
val=$(mode_value prepare --val)
command_words prepare draw
run_step prepare "${WORDS[@]}" --root "$root" --size "${sides[@]}" --train "$train" --val "$val"
