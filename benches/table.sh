#!/usr/bin/env bash
# Turns the last `cargo bench` into the README's table: ours beside each peer, with the ratio.
# usage: benches/table.sh [TARGET/criterion]
#
# Every bench group is one row a peer; `portline…` is ours, every other function of the group a peer. A time is the
# median of a run divided by its number of packets (criterion's throughput).
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-${CARGO_TARGET_DIR:-target}/criterion}
[ -d "$results" ] || { echo "no results in $results: run \`cargo bench\` first" >&2; exit 2; }

# Nanoseconds for one element of the benchmark in folder $1.
nanoseconds() {
    local median elements
    median=$(sed -n 's/.*"median":{"confidence_interval":{[^}]*},"point_estimate":\([0-9.eE+-]*\).*/\1/p' "$1/new/estimates.json")
    elements=$(sed -n 's/.*"throughput":{"Elements":\([0-9]*\)}.*/\1/p' "$1/new/benchmark.json")
    awk -v median="$median" -v elements="${elements:-1}" 'BEGIN { printf "%.6f", median / elements }'
}

# What the function in folder $1 is called.
name() {
    sed -n 's/.*"function_id":"\([^"]*\)".*/\1/p' "$1/new/benchmark.json"
}

echo "| work | portline | peer | time | ratio |"
echo "|---|---:|---|---:|---:|"
for group in "$results"/*/; do
    [ "$(basename "$group")" != report ] || continue
    ours=""
    for bench in "$group"*/; do
        [ -f "$bench/new/estimates.json" ] || continue
        case $(name "$bench") in portline*) ours=$(nanoseconds "$bench") ;; esac
    done
    [ -n "$ours" ] || continue
    for bench in "$group"*/; do
        [ -f "$bench/new/estimates.json" ] || continue
        peer=$(name "$bench")
        case $peer in portline*) continue ;; esac
        awk -v work="$(basename "$group")" -v ours="$ours" -v peer="$peer" -v theirs="$(nanoseconds "$bench")" '
            function time(ns) { return ns < 1000 ? sprintf("%.1f ns", ns) : sprintf("%.2f µs", ns / 1000) }
            BEGIN { printf "| %s | %s | %s | %s | %.1f× |\n", work, time(ours), peer, time(theirs), theirs / ours }'
    done
done
