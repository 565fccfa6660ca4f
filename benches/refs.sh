#!/usr/bin/env bash
# Hundreds of thousands of refs: advertised, listed, fetched and pushed, through the real Git and through ours, on either
# side; wall time as a ratio, and the peak memory of the largest process of the server and of the client (read during one
# more run that is not timed).
# usage: benches/refs.sh [COUNT] [ROUNDS]    (default: 200000 and 3)
#
# All refs name the same commit, so that refs are what is measured. Each server is started by its client, over pipes.
# A push into an empty repository writes a file for each ref; `--atomic` writes them in one transaction.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-200000}
rounds=${2:-3}
target=${CARGO_TARGET_DIR:-target}
server=${GIT_SERVER:-$PWD/$target/release/examples/git_server}
client=${GIT_CLIENT:-$PWD/$target/release/examples/git_client}
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0
[ -x "$server" ] && [ -x "$client" ] || { echo "cargo build --release --example git_server --example git_client" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs a program and notes the peak of its largest process, in KiB.
cat >"$work/watch" <<'WATCH'
#!/usr/bin/env bash
into=$1
shift
"$@" <&0 &
of=$!
most=0
# The process and those below it, but not those below another watch: they are the other side.
family() {
    local child
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -q '/watch ' && return
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do family "$child"; done
}
while kill -0 "$of" 2>/dev/null; do
    for pid in $(family "$of"); do
        peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null || true)
        [ "${peak:-0}" -le "$most" ] || most=$peak
    done
    echo "$most" >"$into"
    sleep 0.02
done
wait "$of"
WATCH
chmod +x "$work/watch"

new() { git init --quiet --bare --initial-branch=main "$1"; git -C "$1" config gc.auto 0; }
new "$work/many"
tree=$(git -C "$work/many" mktree </dev/null)
commit=$(GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b \
    git -C "$work/many" commit-tree -m one "$tree")
{
    echo "# pack-refs with: peeled fully-peeled sorted "
    seq -f "$commit refs/heads/many/%07.0f" "$count"
} >"$work/many/packed-refs"
new "$work/one"
git -C "$work/one" fetch --quiet "$work/many" "$commit:refs/heads/main"
[ "$(git -C "$work/many" for-each-ref | wc -l)" -eq "$count" ]

upload="upload-pack"
receive="receive-pack"
# The operations: $1 is the server, $2 the client, both under the eyes of `watch`.
servers() { case $1 in git) echo git ;; *) echo "$server" ;; esac; }
# Only while peaks are read is there a watch: it takes time itself.
watching=
by() { echo "${watching:+$work/watch $work/server.peak }$(servers "$1")"; }
eye() { if [ -n "$watching" ]; then "$work/watch" "$work/client.peak" "$@"; else "$@"; fi; }
last=$(printf 'refs/heads/many/%07d' "$count")

advertise() { printf 0000 | eye $(servers "$1") $receive "$work/many" >"$work/out"; [ "$(grep -ac many/ "$work/out")" -eq "$count" ]; }
list() { # server client version pattern…
    local by=$1 who=$2 version=$3
    shift 3
    case $who in
        git) eye git -c protocol.version="$version" ls-remote --upload-pack="$(by "$by") $upload" "$work/many" "$@" >"$work/out" ;;
        *) eye "$client" ls-remote --protocol "$version" -- $(by "$by") $upload "$work/many" >"$work/out" ;;
    esac
    [ -s "$work/out" ]
}
fetch() { # server client version
    rm -rf "$work/into" && new "$work/into"
    case $2 in
        git) eye git -C "$work/into" -c protocol.version="$3" fetch --quiet --no-tags --upload-pack="$(by "$1") $upload" "$work/many" "+$last:refs/heads/x" ;;
        *) eye "$client" fetch "$work/into" --quiet --protocol "$3" "+$last:refs/heads/x" -- $(by "$1") $upload "$work/many" >/dev/null ;;
    esac
    git -C "$work/into" rev-parse --quiet --verify refs/heads/x >/dev/null
}
push() { # server client options…
    local by=$1 who=$2
    shift 2
    rm -rf "$work/into" && new "$work/into"
    case $who in
        git) eye git -C "$work/many" push --quiet "$@" --receive-pack="$(by "$by") $receive" "$work/into" 'refs/heads/*:refs/heads/*' >/dev/null 2>&1 ;;
        *) eye "$client" push "$work/many" --quiet "$@" 'refs/heads/*:refs/heads/*' -- $(by "$by") $receive "$work/into" >/dev/null ;;
    esac
    [ "$(git -C "$work/into" for-each-ref | wc -l)" -eq "$count" ]
}
push_one() { # server client
    rm -rf "$work/into" && cp -r "$work/many" "$work/into"
    case $2 in
        git) eye git -C "$work/one" push --quiet --receive-pack="$(by "$1") $receive" "$work/into" main >/dev/null 2>&1 ;;
        *) eye "$client" push "$work/one" --quiet main -- $(by "$1") $receive "$work/into" >/dev/null ;;
    esac
    git -C "$work/into" rev-parse --quiet --verify refs/heads/main >/dev/null
}

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
mib() { awk '{ printf "%.0f", $1 / 1024 }' "$1" 2>/dev/null || echo -; }

row() { # title server client operation arguments…
    local title=$1 by=$2 who=$3 times="" began ended
    shift 3
    rm -f "$work"/*.peak
    for _ in $(seq "$rounds"); do
        began=$(date +%s%N)
        "$1" "$by" "$who" "${@:2}" || { echo "failed: $title by $by, $who" >&2; exit 1; }
        ended=$(date +%s%N)
        times+="$(((ended - began) / 1000000))"$'\n'
    done
    watching=1
    "$1" "$by" "$who" "${@:2}"
    watching=
    local time
    time=$(printf '%s' "$times" | median)
    [ "$by$who" != gitgit ] || base=$time
    printf '| %s | %s | %s | %s ms | %s | %s MiB | %s MiB |\n' "$title" "$by" "$who" "$time" \
        "$(awk -v a="$time" -v b="$base" 'BEGIN { printf "%.2f", a / b }')" "$(mib "$work/server.peak")" "$(mib "$work/client.peak")"
}

rows() { # title pairs operation…
    local title=$1 pairs=$2 pair
    shift 2
    for pair in $pairs; do row "$title" "${pair%,*}" "${pair#*,}" "$@"; done
}
all="git,git ours,git git,ours ours,ours"
echo "| $count refs | server | client | median of $rounds | ratio | server's peak | client's peak |"
echo "|---|---|---|---:|---:|---:|---:|"
only=${ONLY:-.}
wanted() { [[ $1 =~ $only ]]; }
! wanted advertise || rows "receive-pack's advertisement (its peak: client's column)" "git,git ours,git" advertise
! wanted list0 || rows "ls-remote, version 0" "$all" list 0
! wanted list2 || rows "ls-remote, version 2" "$all" list 2
! wanted prefix || rows "ls-remote of one ref, version 2" "git,git ours,git" list 2 "$last"
! wanted fetch0 || rows "fetch of one ref, version 0" "$all" fetch 0
! wanted fetch2 || rows "fetch of one ref, version 2" "$all" fetch 2
! wanted one || rows "push of one ref to all of them" "$all" push_one
! wanted atomic || rows "push of all refs, --atomic" "$all" push --atomic
! wanted each || rows "push of all refs" "$all" push
