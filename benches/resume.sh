#!/usr/bin/env bash
# What comes again after a break: a fetch and a push of a pack of 100 MB that break at 10, 50 and 90 percent, and are
# repeated; between `git_client` and `git_server`, which go on where they broke, and between Git and Git.
# usage: benches/resume.sh [FOLDER] [MEGABYTES]    (default: target/resume and 100)
#
# The connection is a pipe that `head -c` cuts at a count of bytes; nothing waits for time. `again` are the bytes of both
# attempts beyond those of one that does not break: what was paid for the break, the second greeting and negotiation
# included. Every result is checked by `git fsck --connectivity-only`.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-${CARGO_TARGET_DIR:-target}/resume}
size=${2:-100}
target=${CARGO_TARGET_DIR:-target}/release/examples
client=$(realpath "${GIT_CLIENT:-$target/git_client}")
server=$(realpath "${GIT_SERVER:-$target/git_server}")
for program in "$client" "$server"; do
    [ -x "$program" ] || { echo "no $program: cargo build --release --example git_client --example git_server" >&2; exit 2; }
done
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# One commit with files of 2 MB that do not compress: nothing of a broken pack is of use by itself.
from=$folder/from-$size.git
if [ ! -d "$from" ]; then
    rm -rf "$folder/new.git"
    git init --quiet --bare --initial-branch=main "$folder/new.git"
    git -C "$folder/new.git" config core.bigFileThreshold 1m
    files=$((size / 2))
    {
        for n in $(seq "$files"); do
            printf 'blob\nmark :%d\ndata 2000000\n' "$n"
            openssl enc -aes-128-ctr -pbkdf2 -nosalt -pass "pass:$n" </dev/zero 2>/dev/null | head -c 2000000 || true
            echo
        done
        printf 'commit refs/heads/main\ncommitter a <a@example.org> 1700000000 +0000\ndata 3\nbig\n'
        for n in $(seq "$files"); do printf 'M 100644 :%d file%03d\n' "$n" "$n"; done
        echo
    } | git -C "$folder/new.git" fast-import --quiet
    mv "$folder/new.git" "$from"
fi

work=$(mktemp -d -p "$folder")
trap 'rm -rf "$work"' EXIT
cd "$work"

# The two ends of a pipe between client and server: what comes (fetch) or goes (push) is counted, and cut where CUT says.
# A server program is called by its name and the repository, as Git does it.
cat >counted <<'END'
#!/usr/bin/env bash
# usage: counted in|out COMMAND… : its input or its output passes a counter, up to $CUT bytes
direction=$1
shift
pass() { if [ -n "${CUT:-}" ]; then stdbuf -o0 head -c "$CUT"; else cat; fi | tee "$COUNT"; }
if [ "$direction" = out ]; then "$@" | pass; else pass | "$@"; fi
END
chmod +x counted
export COUNT=$work/passed

# run WHO OPERATION: one attempt, cut where CUT says. What passed is in $COUNT.
run() {
    : >"$COUNT"
    case $1-$2 in
    portline-fetch) "$client" fetch to.git --quiet 'refs/heads/*:refs/heads/*' -- ./counted out "$server" upload-pack "$from" ;;
    portline-push) "$client" push "$from" --quiet main:main -- ./counted in "$server" receive-pack to.git ;;
    git-fetch) git -C to.git fetch --quiet --upload-pack="$work/counted out git-upload-pack" "$from" 'refs/heads/*:refs/heads/*' ;;
    git-push) git -C "$from" push --quiet --receive-pack="$work/counted in git-receive-pack" "$work/to.git" main:main ;;
    esac >said 2>&1
}
passed() { stat -c %s "$COUNT"; }
fresh() {
    rm -rf to.git
    git init --quiet --bare --initial-branch=main to.git
}

echo "| operation | between | whole | break at | came before | came after | again | of the whole |"
echo "|---|---|---:|---:|---:|---:|---:|---:|"
for operation in fetch push; do
    for who in portline git; do
        fresh
        run $who $operation || { cat said >&2; exit 1; }
        whole=$(passed)
        for percent in 10 50 90; do
            fresh
            cut=$((whole * percent / 100))
            if CUT=$cut run $who $operation; then
                echo "$who $operation did not break at $percent %" >&2
                exit 1
            fi
            before=$(passed)
            run $who $operation || { cat said >&2; exit 1; }
            after=$(passed)
            [ "$(git -C to.git rev-parse main)" = "$(git -C "$from" rev-parse main)" ] || { echo "refs differ" >&2; exit 1; }
            git -C to.git fsck --connectivity-only >said 2>&1 || { cat said >&2; exit 1; }
            again=$((before + after - whole))
            printf '| %s | %s | %d | %d %% | %d | %d | %d | %s %% |\n' $operation $who "$whole" $percent "$before" "$after" \
                $again "$(awk -v a=$again -v b="$whole" 'BEGIN { printf "%.3f", 100 * a / b }')"
        done
    done
done
