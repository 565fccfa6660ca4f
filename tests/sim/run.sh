#!/usr/bin/env bash
# Runs the simulation over N seeds (default a million), optimised, on all cores. PORTLINE_FIRST is the first one.
# A seed that fails prints the line that repeats it, and ends the run.
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=${1:-1000000}
first=${PORTLINE_FIRST:-0}
cores=$(nproc)
program=$(cargo test --locked --release --test sim --no-run 2>&1 | sed -n 's/.*(\(.*\/sim-[0-9a-f]*\)).*/\1/p')
share=$(((seeds + cores - 1) / cores))
running=()
for ((core = 0; core < cores; core++)); do
    PORTLINE_FIRST=$((first + core * share)) PORTLINE_SEEDS=$share \
        "$program" any_seed --nocapture &
    running+=($!)
done
for one in "${running[@]}"; do
    wait "$one"
done
