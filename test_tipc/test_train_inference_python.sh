#!/usr/bin/env bash
# Train, evaluate, export, infer, compare: bash test_tipc/test_train_inference_python.sh CONFIG.txt MODE
# In whole_infer nothing is trained: the network of lite_train_lite_infer is evaluated and exported at the full size.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
start "$@"

weights=$(value model --model_path)
trainer=$(mode_value train trainer)
rm -rf -- "$OUTPUT/checkpoint"
if [[ $trainer != null ]]; then
    device=$(value train --device)
    iters=$(mode_value train --iters)
    batch=$(mode_value train --batch_size)
    command_words train "$trainer"
    rm -rf -- "$OUTPUT/run"
    run_step train "${WORDS[@]}" --config "$CONFIG" --device "$device" --iters "$iters" --batch_size "$batch" \
        --save_dir "$weights"
fi
command_words eval eval
run_step eval "${WORDS[@]}" --config "$CONFIG" --model_path "$weights" --device cpu --json "$OUTPUT/scores.json"
deploy
