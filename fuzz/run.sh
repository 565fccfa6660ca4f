#!/usr/bin/env bash
# Runs fuzz targets one after another and prints a table: what each executed, and how much of its program it reached.
#
#   fuzz/run.sh SECONDS [TARGET...]         so many seconds each (default 10)
#   fuzz/run.sh --runs N [TARGET...]        so many executions each, however long that takes
#
# TARGET is a target's name; or `codecs`, those that only decode and encode; or `machines`, all others. None: all.
# It needs a nightly toolchain. It does not need cargo-fuzz: the targets are built here as that builds them.
#
# Each target starts from its seeds in fuzz/seeds and from what earlier runs found, in target/fuzz/corpus. An input that
# breaks an oracle goes to fuzz/artifacts, and the exit code is 1. What the targets ask is told in fuzz/README.md.
#
#   SANITIZER=none    without address sanitizer: the same oracles, several times the executions
#   COMPARES=none     libFuzzer is not told what bytes were compared with: it finds less by itself, and runs twice as fast
#   MAX_LEN=96        inputs of at most so many bytes (default 2048); shorter ones run faster
set -euo pipefail
cd "$(dirname "$0")"

codecs=(
    frame carrier control pkt lines spoken report content_type urlencoded multipart_parser multipart_round_trip
)
mapfile -t all < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' Cargo.toml)
if [ "${1:-}" = --runs ]; then
    stop=(-runs="$2")
    shift 2
else
    stop=(-max_total_time="${1:-10}")
    shift || true
fi
targets=()
for name in "$@"; do
    case $name in
    codecs) targets+=("${codecs[@]}") ;;
    machines) mapfile -t -O ${#targets[@]} targets < <(printf '%s\n' "${all[@]}" | grep -vxFf <(printf '%s\n' "${codecs[@]}")) ;;
    *) targets+=("$name") ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

target=${CARGO_TARGET_DIR:-$PWD/../target/fuzz}
mkdir -p "$target"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR=$target

# What cargo-fuzz passes, so that libFuzzer sees which edges an input reaches and what it was compared with.
flags=(--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module)
seen=(level=4 inline-8bit-counters pc-table)
[ "${COMPARES:-}" = none ] || seen+=(trace-compares)
for flag in "${seen[@]}"; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$flag")
done
[ "${SANITIZER:-address}" = none ] || flags+=("-Zsanitizer=${SANITIZER:-address}")
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
RUSTFLAGS="${flags[*]}" cargo +nightly build --locked --release --target "$triple" \
    --quiet "${targets[@]/#/--bin=}"

failed=0
sum=0
printf '%-21s %12s %8s %16s  %s\n' target executions seconds 'edges reached' result
for name in "${targets[@]}"; do
    corpus=$target/corpus/$name
    log=$target/$name.log
    mkdir -p "$corpus" "seeds/$name" "artifacts/$name"
    result=ok
    began=$SECONDS
    nice "$target/$triple/release/$name" "$corpus" "seeds/$name" "${stop[@]}" \
        -max_len="${MAX_LEN:-2048}" -len_control=0 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$name/" -print_final_stats=1 >"$log" 2>&1 || { result=FAILED failed=1; }
    ran=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    sum=$((sum + ${ran:-0}))
    reached=$(grep -aoE 'cov: [0-9]+' "$log" | tail -1 | tr -dc 0-9 || true)
    edges=$(sed -n 's/^INFO: Loaded 1 modules *(\([0-9]*\) inline.*/\1/p' "$log")
    printf '%-21s %12s %8s %16s  %s\n' \
        "$name" "$ran" $((SECONDS - began)) "${reached:-?} of ${edges:-?}" "$result"
    [ $result = ok ] || grep -aE 'panicked|assert|left:|right:|ERROR' -A2 "$log" | head -20
done
printf '%-21s %12s\n' "all together" "$sum"
echo "Edges: branches and calls in the target's program, which is the target, what it uses of the crate, and libraries."
exit $failed
