#!/usr/bin/env bash
# How much memory `form_upload` takes for an upload of SIZE MiB (default: 1024), in both framings, and how long that takes.
#   benches/upload.sh [SIZE]
# Peak is the process's own (VmHWM), over what it had when it began to listen. Exit 1 when it is 8 MiB or more.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-1024}
target=${CARGO_TARGET_DIR:-target}
cargo build --locked --quiet --release --example form_upload
folder=$(mktemp -d)
server=""
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT

# Random bytes, repeated: what is sent is read from the page cache either way.
head -c 1048576 /dev/urandom >"$folder/piece"
for _ in $(seq "$size"); do cat "$folder/piece"; done >"$folder/file"
memory() { awk -v name="$1:" '$1 == name { print $2; found = 1 } END { exit !found }' "/proc/$server/status"; }

printf '%-16s %10s %10s %10s %8s\n' framing start peak above seconds
failed=0
for framing in Content-Length chunked; do
    "$target/release/examples/form_upload" "$folder/files" --listen 127.0.0.1:0 >"$folder/said" 2>"$folder/errors" &
    server=$!
    until grep -q listening "$folder/said"; do kill -0 "$server"; done
    address=$(sed -n 's/.*http:\/\/\([^/]*\)\/.*/\1/p' "$folder/said")
    start=$(memory VmHWM)
    header=()
    [ "$framing" = Content-Length ] || header=(-H "Transfer-Encoding: chunked")
    began=$(date +%s.%N)
    curl --silent --show-error --fail --noproxy '*' "${header[@]}" -F "file=@$folder/file" "http://$address/" >"$folder/table"
    seconds=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f", b - a }')
    peak=$(memory VmHWM)
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=""
    cmp --silent "$folder/file" "$folder/files/upload-000001" || { echo "the stored file differs" >&2; exit 1; }
    rm -r "$folder/files"
    printf '%-16s %7s kB %7s kB %7s kB %8s\n' "$framing" "$start" "$peak" $((peak - start)) "$seconds"
    [ $((peak - start)) -lt 8192 ] || failed=1
done
exit $failed
