#!/usr/bin/env bash
# Turns the last `cargo bench` into the README's table: ours beside each peer, with the ratio and our own target.
# usage: benches/table.sh [TARGET/criterion]
#        benches/table.sh --run [BENCH...]       runs those benches first (frame, pkt, mux_peers, …; without names all)
#
# A row is a bench group: its function `portline` is ours, every other one a peer. A time is the median of a run divided
# by its number of packets (criterion's throughput). A group that is not in the list below is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --run ]; then
    shift
    # glibc copies 64 KiB with `rep movsb`, which takes up to twenty times as long on some processors, depending on how
    # source and target lie to each other. What is compared here copies alike, and is to be compared, so without that.
    export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.cpu.x86_rep_movsb_threshold=1000000000}
    benches=()
    for bench in "$@"; do benches+=(--bench "$bench"); done
    # On standard error: standard output is the table alone.
    cargo bench -p portline-benches "${benches[@]}" -- --noplot >&2
    set --
fi
results=${1:-${CARGO_TARGET_DIR:-target}/criterion}
[ -d "$results" ] || { echo "no results in $results: run \`cargo bench\` first" >&2; exit 2; }

# The rows in their order, and the most nanoseconds that each should take: `+5` is 5 more than its peer, which is the
# floor there, and `-` is no target.
rows() {
    cat <<'ROWS'
frame decode, borrowed|5
frame decode, owned|+5
frame encode, static payload|5
frame encode, 16 bytes owned|+6
carrier decode, a message of 64 bytes|-
carrier decode, a message of 1024 bytes|-
carrier decode, a message of 40000 bytes|-
carrier encode, a message of 1024 bytes|-
pkt decode, slice: a 50-byte have|9
pkt decode, reader: a 50-byte have|9
pkt encode, a 50-byte have|6
sideband, a packet of 65,515 bytes|150
mux, one stream, each 64 KiB|5500
mux, 1000 streams, each 64 KiB|6000
mux, opened, 64 bytes, closed|500
mux, the same beside 1000 idle ones|500
mux, the same beside 10000 idle ones|500
mux, the same beside 100000 idle ones|500
mux, the same beside 1000000 idle ones|500
multipart, 64 KiB of a file: plain|3640
multipart, 64 KiB of a file: random|3640
multipart, 64 KiB of a file: line ends|3640
multipart, 64 KiB of a file: near-boundaries|3640
multipart, 64 KiB of a file: wrong in the middle|-
multipart, a small field|200
multipart, a byte of data in 1-byte chunks|20
multipart, a byte of a 64 KiB header in 1-byte chunks|20
multipart, a byte of a 16 KiB header in 1-byte chunks|20
multipart, 64 KiB written|-
ancestry of 1000 refs, 60 apart at most|1000000
ancestry of 1000 refs, anywhere|1000000
ancestry of 1000 refs, against one tip|1000000
ROWS
}

# Nanoseconds for one element of the benchmark in folder $1.
nanoseconds() {
    local median elements
    median=$(sed -n 's/.*"median":{"confidence_interval":{[^}]*},"point_estimate":\([0-9.eE+-]*\).*/\1/p' "$1/estimates.json")
    elements=$(sed -n 's/.*"throughput":{"Elements":\([0-9]*\)}.*/\1/p' "$1/benchmark.json")
    awk -v median="$median" -v elements="${elements:-1}" 'BEGIN { printf "%.6f", median / elements }'
}

# Field $2 of the benchmark in folder $1.
field() {
    sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p" "$1/benchmark.json"
}

# group, function and nanoseconds of every result, a line each.
measured=$(
    for bench in "$results"/*/*/new; do
        [ -f "$bench/estimates.json" ] || continue
        printf '%s|%s|%s\n' "$(field "$bench" group_id)" "$(field "$bench" function_id)" "$(nanoseconds "$bench")"
    done
)

echo "| work | portline | peer | time | ratio | target |"
echo "|---|---:|---|---:|---:|---|"
rows | awk -F'|' '
    function time(ns) {
        if (ns < 1000) return sprintf("%.1f ns", ns)
        return ns < 1000000 ? sprintf("%.2f µs", ns / 1000) : sprintf("%.2f ms", ns / 1000000)
    }
    function verdict(work, floor,    bound, text) {
        if (target[work] == "-") return "–"
        bound = target[work] + 0
        text = "≤ " (bound < 1000 ? bound " ns" : bound < 1000000 ? bound / 1000 " µs" : bound / 1000000 " ms")
        if (target[work] ~ /^\+/) { text = text " more"; bound += floor }
        return text (ours[work] <= bound ? ": met" : ": missed")
    }
    FNR == NR { if ($2 == "portline") ours[$1] = $3; else if ($2 !~ /^portline/) peers[$1] = peers[$1] $2 "|" $3 "\n"; next }
    !($1 in ours) { next }
    { target[$1] = $2; count = split(peers[$1], lines, "\n") }
    count < 2 { printf "| %s | %s | – | – | – | %s |\n", $1, time(ours[$1]), verdict($1, 0) }
    {
        for (at = 1; at < count; at++) {
            split(lines[at], peer, "|")
            printf "| %s | %s | %s | %s | %.1f× | %s |\n", $1, time(ours[$1]), peer[1], time(peer[2]), \
                peer[2] / ours[$1], verdict($1, peer[2])
        }
    }' <(printf '%s\n' "$measured") -
