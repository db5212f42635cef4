#!/bin/bash
# The kernels of the CUDA backend touch the bytes that kernels/cuda/accounting.h counts, each of them
# (tests/emu/touched_bytes.cc).
# asan: no
# ubsan: no
set -euo pipefail
"$BUILD/emu/touched_bytes" | tee "$BUILD/touched_bytes.txt"
[ "$(grep -c '^ok' "$BUILD/touched_bytes.txt")" -ge 58 ]
