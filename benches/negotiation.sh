#!/usr/bin/env bash
# How much talk and how many objects a fetch costs, ours beside the real Git's, on the fixture of 20,000 commits.
# usage: benches/negotiation.sh [FOLDER]       (default: target/fixture; built there when it is not there yet)
#
# Every row fetches into a fresh copy of the client from the same `git daemon` on loopback.
#   rounds   flushes (v0) or requests (v2) that carry new haves
#   haves    have lines sent, repeated ones included
#   sent     bytes the client sends, the request line and in v2 the question for the refs included (needs strace)
#   writes   system calls they take (needs strace); one a turn is the least: the request line, ls-refs in v2, the
#            rounds
#   objects  objects in the pack that came back
# Ours is `git_client fetch --stats`, which prints a line `rounds=N haves=N wants=N`.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-${CARGO_TARGET_DIR:-target}/fixture}
benches/fixture.sh "$folder"
folder=$(cd "$folder" && pwd)
ours=${GIT_CLIENT:-${CARGO_TARGET_DIR:-target}/release/examples/git_client}
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0

work=$(mktemp -d)
daemon=""
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# git-daemon itself and not `git daemon`, so that the process to end is the one started here.
port=${PORT:-9421}
"$(git --exec-path)/git-daemon" --export-all --reuseaddr --listen=127.0.0.1 --port="$port" \
    --base-path="$folder" "$folder" 2>"$work/daemon.log" &
daemon=$!
url=git://127.0.0.1:$port/server.git
for _ in $(seq 100); do
    git ls-remote "$url" refs/heads/main >/dev/null 2>&1 && break
    kill -0 "$daemon" 2>/dev/null || { cat "$work/daemon.log" >&2; exit 2; }
done

packed() { git -C "$1" count-objects -v | awk '$1 == "in-pack:" || $1 == "count:" { sum += $2 } END { print sum }'; }
fresh() {
    rm -rf "$work/client"
    cp -r "$folder/client" "$work/client"
    git -C "$work/client" config remote.origin.url "$url"
    held=$(packed "$work/client")
}
row() { printf '| %-24s | %6s | %5s | %5s | %6s | %6s | %7s |\n' "$@"; }
# Runs a client and leaves in `traffic` what it wrote to its connection: bytes and system calls.
traced() {
    if ! command -v strace >/dev/null; then
        "$@"
        traffic="- -"
        return
    fi
    strace -f -yy -e trace=write,writev,sendto,sendmsg -o "$work/strace" "$@"
    traffic=$(awk '/<TCP:/ && $NF > 0 { calls++; bytes += $NF } END { print bytes + 0, calls + 0 }' "$work/strace")
}
# Every ref that the server shows has to be here now, with all that it reaches.
verified() {
    git -C "$work/client" rev-list --objects --quiet $(git ls-remote "$url" refs/heads/main | cut -f1) --not refs/heads/work
}

real_git() {
    local name=$1 version=$2 algorithm=$3 trace=$work/trace
    fresh
    rm -f "$trace"
    traced env GIT_TRACE_PACKET=$trace git -C "$work/client" -c protocol.version="$version" \
        -c fetch.negotiationAlgorithm="$algorithm" -c fetch.unpackLimit=1 -c gc.auto=0 -c maintenance.auto=false \
        fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
    verified
    # A flush counts as a round when a have went before it; `done` is answered by the pack.
    awk -v name="$name" '
        / fetch> have /              { haves++; open = 1 }
        / fetch> want /              { wants[$NF] = 1 }
        / fetch> 0000/ && open       { rounds++; open = 0 }
        END { print rounds + 0, haves + 0, length(wants) }' "$trace" >"$work/counts"
    row "$name" $(cat "$work/counts") $traffic $(($(packed "$work/client") - held))
}

row "" rounds haves wants sent writes objects
echo "|--------------------------|-------:|------:|------:|-------:|-------:|--------:|"
real_git "git, v0 consecutive" 0 consecutive
real_git "git, v0 skipping" 0 skipping
real_git "git, v2 consecutive" 2 consecutive
real_git "git, v2 skipping" 2 skipping

if [ -x "$ours" ]; then
    for version in 0 2; do
        fresh
        traced "$ours" fetch --stats --protocol=$version "$work/client" "$url" >"$work/ours" 2>&1 || { cat "$work/ours" >&2; exit 1; }
        verified
        counts=$(sed -n 's/.*rounds[= ]\([0-9]*\) haves[= ]\([0-9]*\) wants[= ]\([0-9]*\).*/\1 \2 \3/p' "$work/ours" | tail -n 1)
        row "portline, v$version skipping" $counts $traffic $(($(packed "$work/client") - held))
    done
else
    echo "(no $ours: cargo build --release --example git_client)"
fi
