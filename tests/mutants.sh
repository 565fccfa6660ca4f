#!/usr/bin/env bash
# Mutation testing: changes `src/` in one place at a time and runs the tests of that module; a change that no test
# notices is a survivor. Prints the survivors and the score of each file.
#   tests/mutants.sh                          all groups, one after another (hours)
#   tests/mutants.sh frame pkt                groups; the names are below
#   tests/mutants.sh src/port/sender.rs       files: the tests are those of the group they are in
#   tests/mutants.sh --shard 0/8 rpc          every eighth mutant
# The groups of codecs (frame, pkt, values, control) are tested in a package of their own that holds what they need and no
# more: the same files, built in a second or two instead of half a minute.
# Uses cargo-mutants and installs it to target/ when it is not there. What cannot be caught is named, with its reason, in
# .cargo/mutants.toml. Exit 1 when there is a survivor.
set -euo pipefail
cd "$(dirname "$0")/.."
# group | files | tests besides the unit tests. The first group that has a file counts.
groups='frame|src/frame/*.rs|port codec_values
pkt|src/pkt/*.rs|port codec_values
values|src/git/{id,refname,capabilities,request,advertisement,hidden,filter,progress,shallow,view}.rs|codec_values
control|src/rpc/{control,capabilities}.rs|codec_values
resume|src/git/resume.rs|git_resume
push|src/git/push/**/*.rs|report git_push_client git_receive_pack git_receive_pack_refusals git_push_pair git_push_signed git_resume
fetch|src/git/fetch/**/*.rs|git_fetch_client git_fetch_versions git_fetch_stateless git_fetch_v2_client git_upload_pack git_client_history negotiator git_resume
wire|src/git/wire/*.rs|git_endings git_idle git_push_pair git_fetch_client
rpc|src/rpc/**/*.rs|stream hostile model mux session session_rules
port|src/port/*.rs|port hostile model
stream|src/stream/**/*.rs|stream hostile model
body|src/body/**/*.rs|body_queue body_readable body_registry body_tee body_transfer form multipart_parser multipart_writer
recovery|src/recovery/**/*.rs|recovery recovery_operation recovery_shares
sync|src/sync/*.rs|sync hostile
peer|src/peer/**/*.rs|sync sync_resilient multi_source
base|src/{time,transmit,text,random,limits}.rs|frame pkt'

shard=()
if [ "${1:-}" = --shard ]; then
    shard=(--shard "$2")
    shift 2
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/mutants-out
mkdir -p "$target/mutants" "$out"
if ! PATH=$target/mutants-bin/bin:$PATH cargo mutants --version >/dev/null 2>&1; then
    CARGO_TARGET_DIR=$target/mutants cargo install cargo-mutants --locked --root "$target/mutants-bin"
fi
export PATH=$target/mutants-bin/bin:$PATH
# Built over and over: without what only a debugger reads.
export CARGO_TARGET_DIR=$target/mutants CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0

# Files of a group, one a line.
files() {
    (shopt -s globstar nullglob && eval "printf '%s\n' $1") | sort -u
}

# Makes the package of the codecs in DIRECTORY: the crate without the modules that stand above them.
slim() {
    local to=$1 above file
    rm -rf "$to"
    mkdir -p "$to/tests" "$to/.cargo"
    cp -r src "$to/src"
    cp .cargo/mutants.toml "$to/.cargo/"
    cp -r tests/common tests/codec_values.rs "$to/tests/"
    mkdir "$to/tests/port"
    cp tests/port/{main,frame,pkt}.rs "$to/tests/port/"
    sed -i '/^mod \(link\|receiver\|sender\|vectors\);/d' "$to/tests/port/main.rs"
    for file in "$to/src/lib.rs" "$to/src/git/mod.rs" "$to/src/rpc/mod.rs"; do
        # The examples in its documentation speak of what is not there.
        sed -i '/^\/\/!/d' "$file"
    done
    for above in body peer port recovery sync; do sed -i "/^\(pub \)\?mod $above;/d" "$to/src/lib.rs"; done
    for above in fetch push wire resume pack; do
        sed -i "/^\(pub \|pub(crate) \)\?mod $above;/d; /^pub use $above::/d" "$to/src/git/mod.rs"
    done
    for above in batch bucket config error link mux session slab; do
        sed -i "/^\(pub \)\?mod $above;/d; /^pub use $above::/d" "$to/src/rpc/mod.rs"
    done
    sed '/^exclude = \[/,/^\]/d; /^autobenches/d; /^\[dev-dependencies\]/,/^# `cargo bench/d; /^\[lib\]/,$d' Cargo.toml >"$to/Cargo.toml"
    printf '[workspace]\n' >>"$to/Cargo.toml"
    cp Cargo.lock "$to/"
}

# run NAME TESTS FILE...
run() {
    local name=$1 args=(--lib) file
    for test in $2; do args+=(--test "$test"); done
    shift 2
    local selected=()
    for file in "$@"; do selected+=(--file "$file"); done
    rm -rf "$out/$name"
    local in=$PWD
    case $name in
    frame | pkt | values | control | src-frame-* | src-pkt-*)
        in=$target/mutants-slim
        slim "$in"
        ;;
    esac
    # 0: all were caught; 2: some were missed; 3: some ran too long, which is caught, too.
    local code=0
    cargo mutants --dir "$in" --package portline --no-shuffle --colors never --output "$out/$name" "${shard[@]}" "${selected[@]}" \
        -- "${args[@]}" >"$out/$name.log" 2>&1 || code=$?
    if [ $code -ne 0 ] && [ $code -ne 2 ] && [ $code -ne 3 ]; then
        tail -30 "$out/$name.log" >&2
        return 1
    fi
    ran+=("$name")
}

ran=()
asked=("$@")
[ ${#asked[@]} -gt 0 ] || mapfile -t asked < <(cut -d'|' -f1 <<<"$groups")
for one in "${asked[@]}"; do
    found=no
    while IFS='|' read -r name globs tests; do
        mapfile -t list < <(files "$globs")
        if [ "$one" = "$name" ]; then
            found=yes
            # Leave out what an earlier group has.
            before=$(while IFS='|' read -r other others _; do
                [ "$other" != "$name" ] || break
                files "$others"
            done <<<"$groups")
            mapfile -t list < <(printf '%s\n' "${list[@]}" | grep -vxF "${before:-nothing}")
            run "$name" "$tests" "${list[@]}" </dev/null
            break
        elif printf '%s\n' "${list[@]}" | grep -qxF "$one"; then
            found=yes
            run "$(tr / - <<<"$one")" "$tests" "$one" </dev/null
            break
        fi
    done <<<"$groups"
    [ $found = yes ] || { echo "$0: $one is neither a group nor a file of one" >&2; exit 2; }
done

for name in "${ran[@]}"; do
    for kind in caught missed timeout unviable; do
        sed "s/^/$kind /" "$out/$name/mutants.out/$kind.txt"
    done
done | awk '
    { split($2, place, ":"); file = place[1]; files[file] = 1; count[file, $1]++; count["all", $1]++ }
    $1 == "missed" { sub(/^missed /, ""); survivors[++many] = $0 }
    function score(of,    good, all) {
        good = count[of, "caught"] + count[of, "timeout"]
        all = good + count[of, "missed"]
        return sprintf("%-40s %6d of %6d %7.1f %%  %6d did not compile", of, good, all, all ? 100 * good / all : 100, count[of, "unviable"])
    }
    END {
        for (n = 1; n <= many; n++) print "survivor: " survivors[n]
        fflush()
        for (file in files) print score(file) | "sort"
        close("sort")
        print score("all")
        exit many > 0
    }'
