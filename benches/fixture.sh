#!/usr/bin/env bash
# Builds the large fixture with the real Git, the same at every run: same ids, same refs.
# usage: benches/fixture.sh FOLDER
#
#   FOLDER/server.git   bare: 20,000 commits with merges, 2,000 refs spread over them besides main
#   FOLDER/client       a clone that stopped 500 commits before the server's tip, with 300 commits of its own
#                       on a branch from there
#
# An existing FOLDER is kept when it is complete.
set -euo pipefail
folder=${1:?usage: benches/fixture.sh FOLDER}
commits=20000
behind=500
ahead=300
mark=fixture-4
[ "$(cat "$folder/complete" 2>/dev/null)" != $mark ] || exit 0
rm -rf "$folder/server.git" "$folder/client" "$folder/complete"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0

# A history for fast-import: a commit a minute, every tenth a merge of a two-commit side branch.
# `from` commits are already there; marks are the commits' numbers.
history() {
    awk -v first="$1" -v last="$2" -v branch="$3" -v start="$4" -v who="$5" '
        function data(text) { printf "data %d\n%s\n", length(text), text }
        function person(at) { return sprintf("%s <%s@example.org> %d +0000", who, who, 1700000000 + 60 * at) }
        # One commit: its own text in one file or two, a few folders deep.
        function commit(n, ref, parent, other) {
            printf "commit %s\nmark :%d\ncommitter %s\n", ref, n, person(n)
            data(who " " n)
            if (parent != "") print "from " parent
            if (other != "") print "merge " other
            printf "M 100644 inline %s-d%02d/f%02d\n", who, n % 37, n % 23
            data(sprintf("%s %d %s", who, n, body))
            if (n % 10 < 7) {
                printf "M 100644 inline %s-g%02d/h%d\n", who, n % 41, n % 7
                data(sprintf("%d %s", n, who))
            }
            print ""
        }
        BEGIN {
            for (i = 0; i < 12; i++) body = body "a line that stays the same in every version\n"
            side = "refs/heads/side-of-" who
            tip = start
            for (n = first; n <= last; n++) {
                # n % 10: 7 and 8 are on the side branch, 0 merges it.
                if (n % 10 == 7 && n + 3 <= last) { commit(n, side, tip); kept = tip; held = ":" n }
                else if (n % 10 == 8 && held != "") { commit(n, side, held); held = ":" n }
                else if (n % 10 == 0 && held != "") { commit(n, branch, tip, held); tip = ":" n; held = "" }
                else { commit(n, branch, tip); tip = ":" n }
            }
            printf "reset %s\nfrom 0000000000000000000000000000000000000000\n\n", side
        }'
}

# The ids of the marks, one line each: mark and id.
git init --quiet --bare --initial-branch=main "$folder/server.git"
history 1 $commits refs/heads/main "" server |
    git -C "$folder/server.git" fast-import --quiet --export-marks="$folder/marks"

# 2,000 refs: every tenth commit, in turn a branch, a lightweight tag and (through fast-import) an annotated one.
sort -t: -k2n "$folder/marks" | awk -v last=$commits '
    { n = substr($1, 2) }
    n % 10 == 5 && n % 30 == 5  { printf "reset refs/heads/topic/%05d\nfrom %s\n\n", n, $2 }
    n % 10 == 5 && n % 30 == 15 { printf "reset refs/tags/light-%05d\nfrom %s\n\n", n, $2 }
    n % 10 == 5 && n % 30 == 25 {
        printf "tag v%05d\nfrom %s\ntagger server <server@example.org> %d +0000\ndata 8\nv%05d.0\n", n, $2, 1700000000 + 60 * n, n
    }' | git -C "$folder/server.git" fast-import --quiet
git -C "$folder/server.git" repack -adq --window=10 --depth=50
git -C "$folder/server.git" pack-refs --all

# The client: everything up to the common point, with the refs that existed then.
common=$((commits - behind))
id=$(awk -v mark=":$common" '$1 == mark { print $2 }' "$folder/marks")
git init --quiet --initial-branch=main "$folder/client"
git -C "$folder/client" remote add origin "$folder/server.git"
git -C "$folder/server.git" for-each-ref --format='%(refname)' refs/heads/topic refs/tags |
    awk -v common=$common '{ n = $0; gsub(/.*[^0-9]/, "", n); if (n + 0 <= common) print }' |
    awk '{ to = $0; sub("^refs/heads/", "refs/remotes/origin/", to); print "+" $0 ":" to }' >"$folder/refspecs"
git -C "$folder/server.git" update-ref refs/heads/then "$id"
{ echo "+refs/heads/then:refs/remotes/origin/main"; cat "$folder/refspecs"; } |
    git -C "$folder/client" fetch --quiet --no-tags --stdin origin
git -C "$folder/server.git" update-ref -d refs/heads/then
git -C "$folder/client" update-ref refs/heads/main "$id"

# Its own 300 commits.
history $((commits + 1)) $((commits + ahead)) refs/heads/work "$id" client |
    git -C "$folder/client" fast-import --quiet
git -C "$folder/client" symbolic-ref HEAD refs/heads/work
git -C "$folder/client" repack -adq
rm -f "$folder/marks" "$folder/refspecs"

count() { git -C "$1" rev-list --count "$2"; }
main=$(git -C "$folder/server.git" rev-parse main)
printf '%s commits and %s refs on the server; the client is %s behind and %s ahead\n' \
    "$(count "$folder/server.git" --all)" "$(git -C "$folder/server.git" for-each-ref | wc -l)" \
    "$(count "$folder/server.git" "$id..$main")" "$(count "$folder/client" "$id..work")"
echo $mark >"$folder/complete"
