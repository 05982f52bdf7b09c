#!/usr/bin/env bash
# Quantise the trained network after training (PTQ), run the int8 graphs on every engine that has one,
# and compare with the checkpoint: bash test_tipc/test_ptq_inference_python.sh CONFIG.txt MODE
# The network is the one that test_train_inference_python.sh has trained.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
start "$@"

weights=$(trained)
read -r -a overrides < <(value quantise -o)
command_words quantise quantise
rm -rf -- "$OUTPUT/quantised"
run_step quantise "${WORDS[@]}" --config "$CONFIG" --model "$weights" --save_dir "$OUTPUT/quantised" --device cpu \
    -o "${overrides[@]}"
infer_and_compare "$OUTPUT/quantised/int8"
