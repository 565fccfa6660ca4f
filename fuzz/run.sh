#!/usr/bin/env bash
# Runs every fuzz target for SECONDS each (default 10), one after another, and prints what each did as a table.
#   fuzz/run.sh SECONDS [TARGET...]
# Needs a nightly toolchain and cargo-fuzz. Starts from the committed seeds in fuzz/seeds; what it finds on the way goes
# to target/fuzz-corpus, and what fails to fuzz/artifacts. Exit 1 when a target failed.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-10}
shift || true
target=${CARGO_TARGET_DIR:-$PWD/../target/fuzz}
mkdir -p "$target"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR=$target
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml)
cargo +nightly fuzz build >/dev/null
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
failed=0
printf '%-14s %12s %9s %9s  %s\n' target executions coverage features result
for name in "${targets[@]}"; do
    corpus=$target/corpus/$name
    log=$target/$name.log
    mkdir -p "$corpus" "seeds/$name" "artifacts/$name"
    result=ok
    nice "$target/$triple/release/$name" "$corpus" "seeds/$name" -max_total_time="$seconds" -max_len=2048 -len_control=0 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$name/" -print_final_stats=1 >"$log" 2>&1 || { result=FAILED failed=1; }
    last=$(grep -aE 'cov: [0-9]+' "$log" | tail -1 || true)
    field() { sed -n "s/.* $1: \([0-9]*\).*/\1/p" <<<"$last"; }
    printf '%-14s %12s %9s %9s  %s\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(field cov)" "$(field ft)" "$result"
    [ $result = ok ] || grep -aE 'panicked|assert|left:|right:|ERROR' -A2 "$log" | head -20
done
exit $failed
