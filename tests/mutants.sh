#!/usr/bin/env bash
# Mutation testing: changes `src/` in one place at a time, runs the tests that come by that place, and names the changes
# that no test notices, with a score for each file. All changes are in one build, each behind a switch: see
# tests/mutants/README.md.
#   tests/mutants.sh                          all of src/ (about twenty minutes on 2 cores with --jobs 2 --longest 5)
#   tests/mutants.sh src/pkt src/git/*.rs     files, folders, patterns
#   tests/mutants.sh --sample 0/10 src/rpc    every tenth mutant
#   tests/mutants.sh --retry src/pkt          the survivors again: tests were added
# It goes on where it was stopped. What cannot be caught is named, with its reason, in .cargo/mutants.toml. Exit 1 when
# there is a survivor. Uses cargo-mutants for its list of changes and installs it to target/ when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/target/mutants/tools
export PATH=$tools/bin:$PATH
unset CARGO_TARGET_DIR
if ! cargo mutants --version >/dev/null 2>&1; then
    CARGO_TARGET_DIR=$tools/build cargo install cargo-mutants --locked --root "$tools"
fi
CARGO_TARGET_DIR=$tools/build cargo build --quiet --locked --manifest-path tests/mutants/Cargo.toml
# These build other packages or examples, which takes longer than any test, or read the text of src/.
skip=house,interop,programs
exec nice -n 19 "$tools/build/debug/portline-mutants" --skip "$skip" "$@"
