#!/usr/bin/env bash
# Export to NCNN, run by NCNN,
# and compare with the checkpoint: bash test_tipc/test_inference_ncnn.sh CONFIG.txt MODE
# The network is the one that test_train_inference_python.sh has trained.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=test_tipc/common_func.sh
source test_tipc/common_func.sh
start "$@"
deploy
