#!/usr/bin/env bash
# A full clone through `git_server daemon` beside `git daemon`, in turns in one run: wall time as a ratio, and the
# peak memory of the server's processes.
# usage: benches/clone.sh [FOLDER] [ROUNDS]    (default: target/fixture and 7)
#
# Three repositories: the fixture of 20,000 commits (many small objects), one of 128 MiB in 32 files that do not
# compress, and one of a single file of 1 GiB (a server that held a pack or an object would show it here), which takes
# its time and is cloned three times only. The client is the real Git for both, in versions 0 and 2 of the protocol. Peak
# memory is VmHWM, read during one more clone that is not timed; `pack-objects` is the real Git's under both servers and
# listed apart. REPOSITORIES="server.git huge.git" and VERSIONS="2" choose.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-${CARGO_TARGET_DIR:-target}/fixture}
rounds=${2:-7}
benches/fixture.sh "$folder"
folder=$(cd "$folder" && pwd)
ours=${GIT_SERVER:-${CARGO_TARGET_DIR:-target}/release/examples/git_server}
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0

if [ ! -d "$folder/big.git" ]; then
    git init --quiet --bare --initial-branch=main "$folder/big.new"
    for n in $(seq 32); do
        printf 'blob\nmark :%d\ndata 4194304\n' "$n"
        openssl enc -aes-128-ctr -pbkdf2 -nosalt -pass "pass:$n" </dev/zero 2>/dev/null | head -c 4194304
        echo
    done >"$folder/big.stream" || true
    {
        cat "$folder/big.stream"
        printf 'commit refs/heads/main\ncommitter a <a@example.org> 1700000000 +0000\ndata 3\nbig\n'
        for n in $(seq 32); do printf 'M 100644 :%d file%02d\n' "$n" "$n"; done
        echo
    } | git -C "$folder/big.new" fast-import --quiet
    rm "$folder/big.stream"
    # No search for deltas between the files: the bytes are sent as they lie there.
    git -C "$folder/big.new" config core.bigFileThreshold 1m
    mv "$folder/big.new" "$folder/big.git"
fi

# One file of 1 GiB, stored as it is: what is measured is how it is carried.
if [ ! -d "$folder/huge.git" ]; then
    git init --quiet --bare --initial-branch=main "$folder/huge.new"
    for setting in core.compression=0 core.bigFileThreshold=1m; do
        git -C "$folder/huge.new" config "${setting%=*}" "${setting#*=}"
    done
    {
        printf 'blob\nmark :1\ndata 1073741824\n'
        openssl enc -aes-128-ctr -pbkdf2 -nosalt -pass pass:huge </dev/zero 2>/dev/null | head -c 1073741824 || true
        printf '\ncommit refs/heads/main\ncommitter a <a@example.org> 1700000000 +0000\ndata 4\nhuge\nM 100644 :1 file\n\n'
    } | git -C "$folder/huge.new" fast-import --quiet
    mv "$folder/huge.new" "$folder/huge.git"
fi

# On the disk of the fixture: a clone of the largest takes as much again.
work=$(mktemp -d -p "$folder")
started=()
pids=()
cleanup() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

descendants() {
    local child
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do descendants "$child"; done
}

# Reads the peaks of process $1 and all below it into file $2 while file $3 exists: KiB and name, a line a reading.
sample() {
    local pid status
    while [ -e "$3" ]; do
        for pid in $(descendants "$1"); do
            status=$(cat "/proc/$pid/status" 2>/dev/null; tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || continue
            awk '/^VmHWM:/ { peak = $2 }
                 /pack-objects/ { kind = "pack-objects" }
                 END { if (peak) print peak, kind ? kind : "server" }' <<<"$status"
        done >>"$2"
        sleep 0.01
    done
}

start() { # name port command…
    local name=$1 port=$2
    shift 2
    "$@" >"$work/$name.log" 2>&1 &
    local pid=$!
    started+=("$pid")
    for _ in $(seq 100); do
        git ls-remote "git://127.0.0.1:$port/server.git" refs/heads/main >/dev/null 2>&1 && break
        kill -0 "$pid" 2>/dev/null || { cat "$work/$name.log" >&2; exit 2; }
    done
    pids+=("$pid")
}

# Milliseconds of one clone, checked.
clone() { # port repository version
    local began ended
    rm -rf "$work/clone"
    began=$(date +%s%N)
    git -c protocol.version="$3" clone --quiet --bare "git://127.0.0.1:$1/$2" "$work/clone"
    ended=$(date +%s%N)
    [ "$(git -C "$work/clone" for-each-ref)" = "$(git -C "$folder/$2" for-each-ref)" ] || { echo "refs differ" >&2; exit 1; }
    echo $(((ended - began) / 1000000))
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
peak() { awk -v kind="$2" '$2 == kind && $1 > most { most = $1 } END { printf "%.1f", most / 1024 }' "$work/$1.peaks"; }

port=${PORT:-9431}
servers=(git)
start git "$port" "$(git --exec-path)/git-daemon" --export-all --reuseaddr --listen=127.0.0.1 --port="$port" \
    --base-path="$folder" "$folder"
if [ -x "$ours" ]; then
    servers+=(portline)
    start portline $((port + 1)) "$ours" daemon "$folder" --listen "127.0.0.1:$((port + 1))"
else
    echo "(no $ours: cargo build --release --example git_server)"
fi

echo "| repository | version | server | clone, median | ratio | server's peak | pack-objects' peak |"
echo "|---|---|---|---:|---:|---:|---:|"
for repository in ${REPOSITORIES:-server.git big.git huge.git}; do
    [ "$repository" != huge.git ] || rounds=3
    for version in ${VERSIONS:-0 2}; do
        for name in "${servers[@]}"; do : >"$work/$name.peaks"; : >"$work/$name.times"; done
        for _ in $(seq "$rounds"); do
            for at in "${!servers[@]}"; do
                clone $((port + at)) "$repository" "$version" >>"$work/${servers[$at]}.times"
            done
        done
        for at in "${!servers[@]}"; do
            name=${servers[$at]}
            touch "$work/sampling"
            sample "${pids[$at]}" "$work/$name.peaks" "$work/sampling" &
            sampler=$!
            clone $((port + at)) "$repository" "$version" >/dev/null
            rm "$work/sampling"
            wait "$sampler"
        done
        base=$(median <"$work/git.times")
        for name in "${servers[@]}"; do
            time=$(median <"$work/$name.times")
            printf '| %s | %s | %s | %s ms | %s | %s MiB | %s MiB |\n' "$repository" "$version" "$name" "$time" \
                "$(awk -v a="$time" -v b="$base" 'BEGIN { printf "%.2f", a / b }')" \
                "$(peak "$name" server)" "$(peak "$name" pack-objects)"
        done
    done
done
