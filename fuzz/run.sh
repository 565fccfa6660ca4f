#!/usr/bin/env bash
# Runs fuzz targets one after another and prints what each did as a table, and the executions of all.
#   fuzz/run.sh SECONDS [TARGET...]         so many seconds each (default 10)
#   fuzz/run.sh --runs N [TARGET...]        so many executions each, however long that takes
# TARGET is a target's name, or `codecs`: all that only decode and encode. None: all targets.
#   SANITIZER=none fuzz/run.sh --runs 20000000 codecs     100 million executions of the codecs and more
# Needs a nightly toolchain, and not cargo-fuzz: it is built here as that would. Starts from the committed seeds in fuzz/seeds; what it finds on the way goes
# to target/fuzz/corpus, and what fails to fuzz/artifacts. SANITIZER is `address` by default; without one (`none`) the
# oracles are the same and executions several times as many. Exit 1 when a target failed.
set -euo pipefail
cd "$(dirname "$0")"
codecs=(frame carrier control pkt lines report content_type urlencoded)
if [ "${1:-}" = --runs ]; then
    stop=(-runs="$2")
    shift 2
else
    stop=(-max_total_time="${1:-10}")
    shift || true
fi
target=${CARGO_TARGET_DIR:-$PWD/../target/fuzz}
mkdir -p "$target"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR=$target
targets=()
for name in "$@"; do
    if [ "$name" = codecs ]; then targets+=("${codecs[@]}"); else targets+=("$name"); fi
done
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml)
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
flags=(--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module)
for flag in level=4 inline-8bit-counters pc-table trace-compares; do flags+=("-Cllvm-args=-sanitizer-coverage-$flag"); done
[ "${SANITIZER:-address}" = none ] || flags+=("-Zsanitizer=${SANITIZER:-address}")
RUSTFLAGS="${flags[*]}" cargo +nightly build --locked --release --target "$triple" \
    --quiet "${targets[@]/#/--bin=}"
failed=0
all=0
printf '%-20s %12s %9s %9s  %s\n' target executions coverage features result
for name in "${targets[@]}"; do
    corpus=$target/corpus/$name
    log=$target/$name.log
    mkdir -p "$corpus" "seeds/$name" "artifacts/$name"
    result=ok
    nice "$target/$triple/release/$name" "$corpus" "seeds/$name" "${stop[@]}" -max_len="${MAX_LEN:-2048}" -len_control=0 \
        -rss_limit_mb=1024 -artifact_prefix="artifacts/$name/" -print_final_stats=1 >"$log" 2>&1 || { result=FAILED failed=1; }
    last=$(grep -aE 'cov: [0-9]+' "$log" | tail -1 || true)
    field() { sed -n "s/.* $1: \([0-9]*\).*/\1/p" <<<"$last"; }
    ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    all=$((all + ${ran:-0}))
    printf '%-20s %12s %9s %9s  %s\n' "$name" "$ran" "$(field cov)" "$(field ft)" "$result"
    [ $result = ok ] || grep -aE 'panicked|assert|left:|right:|ERROR' -A2 "$log" | head -20
done
printf '%-20s %12s\n' "all together" "$all"
exit $failed
