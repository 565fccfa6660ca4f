#!/usr/bin/env bash
# Installs other people's Gits for the matrix, in the versions that are pinned here, and keeps them.
# usage: tests/interop/install.sh [FOLDER]      (default: target/interop)
#
# Each comes through the ordinary client of its registry: dulwich with pip, isomorphic-git with npm, gitoxide and
# libgit2 with cargo. One that cannot be had is named on standard output and has no file `FOLDER/NAME`; the matrix then
# says `skipped` in its place. Exit code: 0 all the same, unless PORTLINE_INTEROP_ALL is set.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-${CARGO_TARGET_DIR:-$here/../../target}/interop}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd)
missing=0

# install NAME FILES… -- COMMAND…: runs COMMAND unless it was done with these very files.
install() {
    local name=$1 mark
    shift
    local files=()
    while [ "$1" != -- ]; do files+=("$1"); shift; done
    shift
    mark=$(cat "${files[@]}" | cksum)
    if [ "$(cat "$folder/$name" 2>/dev/null)" = "$mark" ]; then
        echo "$name: here"
        return
    fi
    rm -f "$folder/$name"
    if "$@" >"$folder/$name.log" 2>&1; then
        echo "$mark" >"$folder/$name"
        echo "$name: installed"
    else
        echo "$name: SKIPPED, it cannot be installed here ($folder/$name.log):"
        tail -n 3 "$folder/$name.log" | sed 's/^/    /'
        missing=1
    fi
}

dulwich() {
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet --requirement "$here/python.txt" &&
        "$folder/venv/bin/python" -c 'import dulwich'
}
isomorphic() {
    mkdir -p "$folder/node"
    cp "$here/package.json" "$here/package-lock.json" "$folder/node/"
    (cd "$folder/node" && npm ci --no-audit --no-fund --ignore-scripts)
}
rust() {
    (cd "$here/rust" && CARGO_TARGET_DIR="$folder/rust" cargo build --locked)
}

install dulwich "$here/python.txt" -- dulwich
install isomorphic-git "$here/package.json" "$here/package-lock.json" -- isomorphic
install foreign "$here/rust/Cargo.toml" "$here/rust/Cargo.lock" "$here/rust/src/main.rs" -- rust
[ -z "${PORTLINE_INTEROP_ALL:-}" ] || exit $missing
