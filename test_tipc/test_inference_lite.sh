#!/usr/bin/env bash
# Export to Paddle Lite's file for x86, the twin of the one for phones, run by Paddle Lite,
# and compare with the checkpoint: bash test_tipc/test_inference_lite.sh CONFIG.txt MODE
# The network is the one that test_train_inference_python.sh has trained.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
start "$@"
deploy
