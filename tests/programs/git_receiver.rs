//! The example `git_server` takes pushes from the real `git`: refs, policy, hooks, races, bad packs.
#![cfg(unix)]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::process::{Output, Stdio};

use crate::support_repo::{Sandbox, count, example, pkt, program, run, server, text};

const VERSIONS: [&str; 3] = ["protocol.version=0", "protocol.version=1", "protocol.version=2"];

/// Pushes with the real git to our server program.
fn push(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let command = format!("--receive-pack={}", server("receive-pack"));
    let url = sandbox.path("origin.git");
    let (options, specs): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| word.starts_with('-'));
    let fixed = ["push", "--porcelain", &command];
    sandbox.git("work.git", &[&fixed, &options[..], &[url.to_str().unwrap()], &specs[..]].concat())
}

fn pushed(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = push(sandbox, arguments);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stderr)
}

/// A push that fails: the table and the messages.
fn refused(sandbox: &Sandbox, arguments: &[&str]) -> (String, String) {
    let output = push(sandbox, arguments);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    (text(&output.stdout), text(&output.stderr))
}

/// Our server given raw bytes.
fn receive(sandbox: &Sandbox, input: &[u8]) -> Output {
    let mut command = program(example("git_server"));
    command.arg("receive-pack").arg(sandbox.path("origin.git"));
    run(command, input)
}

#[test]
fn create_update_force_and_delete_in_every_version() {
    for version in VERSIONS {
        let sandbox = Sandbox::pair(3);
        let command = format!("--receive-pack={}", server("receive-pack"));
        let url = sandbox.path("origin.git");
        let url = url.to_str().unwrap();
        sandbox.commit("work.git", "main", "new");
        sandbox.ok("work.git", &["branch", "-f", "side", "main~3"]);
        sandbox.ok("work.git", &["tag", "-a", "-m", "x", "v2", "main"]);
        let specs = ["main", "+side", "main:refs/heads/created", "v2", ":refs/heads/many/00001"];
        sandbox.ok("work.git", &[&["-c", version, "push", "-q", &command, url], &specs[..]].concat());
        for (theirs, ours) in
            [("main", "main"), ("side", "main~3"), ("created", "main"), ("v2^{tag}", "v2^{tag}")]
        {
            let ours = if theirs == "side" { "main~3" } else { ours };
            assert_eq!(sandbox.id("origin.git", theirs), sandbox.id("work.git", ours), "{theirs}");
        }
        assert!(!sandbox.refs("origin.git").contains("many/00001"));
        sandbox.check("origin.git");
    }
}

#[test]
fn a_push_over_git_protocol_and_into_an_empty_repository() {
    let sandbox = Sandbox::pair(3);
    sandbox.init("empty.git", true);
    let daemon = sandbox.daemon(&["--enable-push"]);
    sandbox.ok("work.git", &["push", "-q", "--mirror", &daemon.url("empty.git")]);
    assert_eq!(sandbox.refs("empty.git"), sandbox.refs("work.git"));
    sandbox.check("empty.git");
    sandbox.commit("work.git", "main", "more");
    sandbox.ok("work.git", &["push", "-q", "--atomic", &daemon.url("empty.git"), "main", ":side"]);
    assert_eq!(sandbox.id("empty.git", "main"), sandbox.id("work.git", "main"));
    assert!(!sandbox.refs("empty.git").contains("refs/heads/side"));
    sandbox.check("empty.git");
}

#[test]
fn small_packs_are_unpacked_and_large_ones_kept() {
    for (limit, packs) in [("1000", 0), ("1", 1)] {
        let sandbox = Sandbox::pair(3);
        sandbox.set("origin.git", "receive.unpackLimit", limit);
        sandbox.ok("origin.git", &["repack", "-adq"]);
        let before = fs::read_dir(sandbox.path("origin.git/objects/pack")).unwrap().count();
        sandbox.commit("work.git", "main", "new");
        let said = pushed(&sandbox, &["main"]);
        assert!(!said.contains('\0'), "{said}");
        let names = fs::read_dir(sandbox.path("origin.git/objects/pack")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        let new = names.iter().filter(|name| name.to_string_lossy().ends_with(".idx")).count() - 1;
        assert_eq!(new, packs, "{before} files before, now {names:?}");
        sandbox.check("origin.git");
    }
}

#[test]
fn thousands_of_refs_in_one_push() {
    let sandbox = Sandbox::pair(3);
    let id = sandbox.id("work.git", "main");
    let more: String = (0..1500).map(|n| format!("create refs/heads/lots/{n:05} {id}\n")).collect();
    sandbox.feed("work.git", &["update-ref", "--stdin"], more.as_bytes());
    pushed(&sandbox, &["--mirror"]);
    assert_eq!(sandbox.refs("origin.git"), sandbox.refs("work.git"));
    pushed(&sandbox, &["--atomic", ":refs/heads/lots/00000", "main:refs/heads/lots/x"]);
}

#[test]
fn policy_refuses_with_gits_own_words() {
    let sandbox = Sandbox::pair(3);
    for key in ["receive.denyNonFastForwards", "receive.denyDeletes"] {
        sandbox.set("origin.git", key, "true");
    }
    sandbox.ok("work.git", &["branch", "-f", "main", "main~2"]);
    let (table, said) = refused(&sandbox, &["+main", ":side", "main:refs/heads/fine"]);
    assert!(
        table.contains("!\trefs/heads/main:refs/heads/main\t[remote rejected] (non-fast-forward)"),
        "{table}"
    );
    assert!(table.contains("!\t:refs/heads/side\t[remote rejected] (deletion prohibited)"), "{table}");
    assert!(table.contains("*\trefs/heads/main:refs/heads/fine"), "{table}");
    assert!(said.contains("remote: error: denying non-fast-forward refs/heads/main (you should pull first)"));
    assert!(said.contains("remote: error: denying ref deletion for refs/heads/side"), "{said}");
    sandbox.ok("origin.git", &["config", "receive.denyDeletes", "false"]);
    let (table, _) = refused(&sandbox, &[":main"]);
    assert!(table.contains("(deletion of the current branch prohibited)"), "{table}");
    sandbox.ok("origin.git", &["config", "receive.denyDeleteCurrent", "warn"]);
    assert!(pushed(&sandbox, &[":main"]).contains("remote: warning: deleting the current branch"));
    sandbox.check("origin.git");
}

#[test]
fn a_checked_out_branch_is_refused_or_follows() {
    let sandbox = Sandbox::new();
    sandbox.rich("source.git", 0);
    sandbox.ok("", &["clone", "-q", "--bare", "source.git", "work.git"]);
    sandbox.ok("", &["clone", "-q", "source.git", "origin.git"]);
    sandbox.commit("work.git", "main", "new");
    let (table, said) = refused(&sandbox, &["main"]);
    assert!(table.contains("[remote rejected] (branch is currently checked out)"), "{table}");
    assert!(said.contains("remote: error: refusing to update checked out branch: refs/heads/main"), "{said}");
    sandbox.set("origin.git", "receive.denyCurrentBranch", "updateInstead");
    fs::write(sandbox.path("origin.git/file"), "changed").unwrap();
    let (table, _) = refused(&sandbox, &["main"]);
    assert!(table.contains("(Working directory has unstaged changes)"), "{table}");
    sandbox.ok("origin.git", &["checkout", "-q", "--", "file"]);
    pushed(&sandbox, &["main"]);
    assert_eq!(fs::read_to_string(sandbox.path("origin.git/main-file")).unwrap(), "new");
    assert_eq!(sandbox.ok("origin.git", &["status", "--porcelain"]), "");
    sandbox.commit("work.git", "main", "newer");
    sandbox.ok("origin.git", &["config", "receive.denyCurrentBranch", "ignore"]);
    pushed(&sandbox, &["main"]);
    assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("work.git", "main"));
    // Not bare: the branch has a reflog, and the push is in it.
    assert!(sandbox.ok("origin.git", &["reflog", "main"]).lines().next().unwrap().ends_with(": push"));
}

#[test]
fn hooks_see_what_git_shows_them_and_their_output_reaches_the_client() {
    let sandbox = Sandbox::pair(3);
    sandbox.set("origin.git", "receive.advertisePushOptions", "true");
    let log = sandbox.path("log");
    let log = log.display();
    sandbox.hook(
        "origin.git",
        "pre-receive",
        &format!(
            "test -n \"$GIT_QUARANTINE_PATH\" && test \"$GIT_DIR\" = . || exit 1
while read old new ref; do git cat-file -e $new && echo \"pre $ref\" >>'{log}'; done
echo \"options $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1\" >>'{log}'
echo said on stdout; echo said on stderr >&2"
        ),
    );
    sandbox.hook(
        "origin.git",
        "update",
        &format!("test -z \"$GIT_QUARANTINE_PATH\" && echo \"update $1\" >>'{log}'"),
    );
    sandbox.hook(
        "origin.git",
        "post-receive",
        &format!("cut -d' ' -f3 | sed 's/^/post /' >>'{log}'; echo afterwards"),
    );
    sandbox.hook("origin.git", "post-update", &format!("echo \"done $*\" >>'{log}'"));
    sandbox.commit("work.git", "main", "new");
    let said = pushed(
        &sandbox,
        &["--push-option=a b; $(touch oops)", "--push-option=c", "main", "main:refs/heads/x"],
    );
    for line in ["remote: said on stdout", "remote: said on stderr", "remote: afterwards"] {
        assert!(said.contains(line), "{said}");
    }
    let expected = "pre refs/heads/main\npre refs/heads/x\noptions 2 a b; $(touch oops) c\nupdate refs/heads/main\nupdate refs/heads/x\npost refs/heads/main\npost refs/heads/x\ndone refs/heads/main refs/heads/x\n";
    assert_eq!(fs::read_to_string(sandbox.path("log")).unwrap(), expected);
    assert!(!sandbox.path("origin.git/oops").exists());
    sandbox.check("origin.git");
}

#[test]
fn hooks_refuse_all_or_one() {
    let sandbox = Sandbox::pair(3);
    sandbox.hook("origin.git", "update", "case $1 in */bad) echo no >&2; exit 1;; esac");
    sandbox.commit("work.git", "main", "new");
    let (table, said) = refused(&sandbox, &["main:refs/heads/good", "main:refs/heads/bad"]);
    assert!(table.contains("*\trefs/heads/main:refs/heads/good"), "{table}");
    assert!(
        table.contains("!\trefs/heads/main:refs/heads/bad\t[remote rejected] (hook declined)"),
        "{table}"
    );
    assert!(said.contains("remote: no\n") || said.contains("remote: no "), "{said}");
    assert!(said.contains("remote: error: hook declined to update refs/heads/bad"), "{said}");
    let (table, _) = refused(&sandbox, &["--atomic", "main:refs/heads/good2", "main:refs/heads/bad"]);
    assert!(table.contains("refs/heads/good2\t[remote rejected] (atomic push failure)"), "{table}");
    assert!(!sandbox.refs("origin.git").contains("good2"));
    sandbox.hook("origin.git", "pre-receive", "exit 1");
    let id = sandbox.commit("work.git", "main", "never");
    let (table, _) = refused(&sandbox, &["main", ":side"]);
    assert_eq!(table.matches("[remote rejected] (pre-receive hook declined)").count(), 2, "{table}");
    assert!(
        !sandbox.git("origin.git", &["cat-file", "-e", &id]).status.success(),
        "refused objects stay out"
    );
    sandbox.check("origin.git");
}

#[test]
fn hooks_are_looked_for_where_the_settings_say() {
    let sandbox = Sandbox::pair(3);
    sandbox.set("origin.git", "core.hooksPath", sandbox.path("elsewhere").to_str().unwrap());
    sandbox.hook("origin.git", "pre-receive", "exit 1");
    assert!(sandbox.path("elsewhere/pre-receive").exists());
    sandbox.commit("work.git", "main", "new");
    assert!(refused(&sandbox, &["main"]).0.contains("pre-receive hook declined"));
}

/// T22: the hook moves the ref while the push is under way.
#[test]
fn a_ref_that_has_moved_meanwhile_is_not_overwritten() {
    let sandbox = Sandbox::pair(3);
    sandbox.hook(
        "origin.git",
        "pre-receive",
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY\ngit update-ref refs/heads/main refs/heads/side",
    );
    sandbox.commit("work.git", "main", "new");
    let (table, said) = refused(&sandbox, &["main", "main:refs/heads/other"]);
    assert!(
        table.contains("!\trefs/heads/main:refs/heads/main\t[remote rejected] (failed to update ref)"),
        "{table}"
    );
    assert!(table.contains("*\trefs/heads/main:refs/heads/other"), "{table}");
    assert!(said.contains("remote: error: cannot lock ref 'refs/heads/main': is at "), "{said}");
    assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("origin.git", "side"));
    let script =
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY\ngit update-ref refs/heads/main refs/heads/island";
    sandbox.hook("origin.git", "pre-receive", script);
    let (table, _) = refused(&sandbox, &["--atomic", "+main", "main:refs/heads/third"]);
    assert_eq!(table.matches("[remote rejected] (atomic transaction failed)").count(), 2, "{table}");
    assert!(!sandbox.refs("origin.git").contains("third"), "{table}");
    sandbox.check("origin.git");
}

#[test]
fn hidden_refs_are_neither_shown_nor_touched() {
    let sandbox = Sandbox::pair(3);
    sandbox.set("origin.git", "receive.hideRefs", "refs/heads/side");
    let shown = receive(&sandbox, b"0000");
    assert!(shown.status.success());
    assert_eq!(count(&shown.stdout, b"refs/heads/side"), 0);
    let (table, _) = refused(&sandbox, &["+main:side"]);
    assert!(table.contains("(deny updating a hidden ref)"), "{table}");
    sandbox.check("origin.git");
}

#[test]
fn alternates_show_what_they_have() {
    let sandbox = Sandbox::pair(3);
    sandbox.ok("", &["clone", "-q", "--bare", "--shared", "origin.git", "fork.git"]);
    sandbox.ok("fork.git", &["update-ref", "-d", "refs/heads/island"]);
    let mut command = program(example("git_server"));
    command.arg("receive-pack").arg(sandbox.path("fork.git"));
    let shown = run(command, b"0000").stdout;
    let island = format!("{} .have\n", sandbox.id("origin.git", "island"));
    assert_eq!(count(&shown, island.as_bytes()), 1, "{}", text(&shown));
}

/// The commands and the pack of a push that creates `refs/heads/raw`.
fn raw_push(new: &str, pack: &[u8]) -> Vec<u8> {
    let zero = "0".repeat(40);
    [&pkt(format!("{zero} {new} refs/heads/raw\0report-status")), &b"0000"[..], pack].concat()
}

#[test]
fn a_corrupt_or_cut_pack_changes_nothing() {
    for limit in ["1", "1000"] {
        let sandbox = Sandbox::pair(3);
        sandbox.set("origin.git", "receive.unpackLimit", limit);
        let new = sandbox.commit("work.git", "raw", "content of the new file");
        let list = format!("{new}\n--not\n{new}^@\n");
        let pack = sandbox.feed("work.git", &["pack-objects", "--revs", "--stdout", "-q"], list.as_bytes());
        let program = if limit == "1" { "index-pack" } else { "unpack-objects" };
        let refs = sandbox.refs("origin.git");
        let mut flipped = pack.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x55;
        let mut trailer = pack.clone();
        *trailer.last_mut().unwrap() ^= 1;
        for bad in [&flipped, &trailer, &pack[..pack.len() - 5].to_vec()] {
            let output = receive(&sandbox, &raw_push(&new, bad));
            let expected = format!("unpack {program} abnormal exit\n");
            assert_eq!(count(&output.stdout, expected.as_bytes()), 1, "{}", text(&output.stdout));
            assert_eq!(count(&output.stdout, b"ng refs/heads/raw "), 1);
            sandbox.check("origin.git");
        }
        for (bad, reason) in [
            (&b"PACK\0\0"[..], "eof before pack header was fully read"),
            (b"JUNKjunkjunk", "protocol error (pack signature mismatch detected)"),
            (b"PACK\0\0\0\x09\0\0\0\0", "protocol error (pack version unsupported)"),
        ] {
            let output = receive(&sandbox, &raw_push(&new, bad));
            let expected = format!("unpack {reason}\n");
            assert_eq!(count(&output.stdout, expected.as_bytes()), 1, "{}", text(&output.stdout));
        }
        assert_eq!(sandbox.refs("origin.git"), refs);
        let output = receive(&sandbox, &raw_push(&new, &pack));
        assert_eq!(count(&output.stdout, b"ok refs/heads/raw\n"), 1, "{}", text(&output.stdout));
        sandbox.check("origin.git");
    }
}

#[test]
fn a_pack_that_leaves_objects_out_is_not_accepted() {
    let sandbox = Sandbox::pair(3);
    let new = sandbox.commit("work.git", "raw", "the file that will be missing");
    // The commit alone, without its tree and file.
    let pack = sandbox.feed("work.git", &["pack-objects", "--stdout", "-q"], format!("{new}\n").as_bytes());
    let output = receive(&sandbox, &raw_push(&new, &pack));
    assert_eq!(count(&output.stdout, b"unpack ok\n"), 1, "{}", text(&output.stdout));
    assert_eq!(count(&output.stdout, b"ng refs/heads/raw missing necessary objects\n"), 1);
    assert!(!sandbox.git("origin.git", &["cat-file", "-e", &new]).status.success());
    sandbox.check("origin.git");
}

#[test]
fn settings_limit_and_check_what_is_received() {
    let sandbox = Sandbox::pair(3);
    sandbox.set("origin.git", "receive.maxInputSize", "200");
    sandbox.commit("work.git", "main", &"0123456789abcdefghij".repeat(500));
    let (table, said) = refused(&sandbox, &["main"]);
    assert!(table.contains("[remote rejected] (unpacker error)"), "{table}{said}");
    assert!(said.contains("remote: fatal: pack exceeds maximum allowed size"), "{said}");
    sandbox.check("origin.git");
    sandbox.ok("origin.git", &["config", "receive.maxInputSize", "0"]);
    sandbox.set("origin.git", "transfer.fsckObjects", "true");
    let bad =
        "commit refs/heads/bad\ncommitter <> 1700000000 +0000\ndata 1\nx\nM 644 inline .git\ndata 1\nx\n";
    let tree = sandbox.feed("work.git", &["hash-object", "-w", "--stdin"], b"x");
    let tree = format!("100644 blob {}\t.git\n", text(&tree).trim());
    let tree = text(&sandbox.feed("work.git", &["mktree"], tree.as_bytes()));
    let commit = text(&sandbox.feed("work.git", &["commit-tree", tree.trim()], bad.as_bytes()));
    let (_, said) = refused(&sandbox, &[&format!("{}:refs/heads/bad", commit.trim())]);
    assert!(said.contains("hasDotgit"), "{said}");
    sandbox.check("origin.git");
    sandbox.set("origin.git", "receive.fsck.hasDotgit", "ignore");
    pushed(&sandbox, &[&format!("{}:refs/heads/bad", commit.trim())]);
}

#[test]
fn a_ref_that_is_gone_is_deleted_with_a_warning_only_if_its_object_is_gone_too() {
    let sandbox = Sandbox::pair(3);
    let delete = |id: &str| {
        let line = format!("{id} {} refs/heads/nothing\0report-status side-band-64k", "0".repeat(40));
        receive(&sandbox, &[&pkt(line), &b"0000"[..]].concat()).stdout
    };
    let answer = delete(&"1".repeat(40));
    assert_eq!(count(&answer, b"warning: deleting a non-existent ref"), 1, "{}", text(&answer));
    assert_eq!(count(&answer, b"ok refs/heads/nothing\n"), 1);
    let answer = delete(&sandbox.id("origin.git", "main"));
    assert_eq!(count(&answer, b"ng refs/heads/nothing failed to update ref\n"), 1, "{}", text(&answer));
}

#[test]
fn a_real_client_waits_for_a_hook_that_takes_longer_than_a_keep_alive() {
    let sandbox = Sandbox::pair(3);
    sandbox.set("origin.git", "receive.keepAlive", "1");
    // Waits on a file that does not grow.
    sandbox.hook("origin.git", "pre-receive", "timeout 1.5 tail -f /dev/null; exit 0");
    sandbox.commit("work.git", "main", "new");
    pushed(&sandbox, &["main"]);
    assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("work.git", "main"));
}

/// A packet of the server's answer; `None` at its end.
fn packet(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let length = usize::from_str_radix(&text(&length), 16).unwrap();
    let mut data = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut data).unwrap();
    Some(data)
}

/// GIT-18: the hook takes as long as it takes the client to hear four keep-alives, and that is longer than the
/// timeout: the time that a hook takes is not the client's silence.
#[test]
fn a_client_hears_that_the_server_lives_while_a_hook_takes_longer_than_the_timeout() {
    let sandbox = Sandbox::pair(3);
    sandbox.set("origin.git", "receive.keepAlive", "1");
    let gate = sandbox.path("gate");
    assert!(program("mkfifo").arg(&gate).status().unwrap().success());
    // Open for both, so that neither side waits for the other to open it.
    let mut opener = OpenOptions::new().read(true).write(true).open(&gate).unwrap();
    sandbox.hook(
        "origin.git",
        "pre-receive",
        &format!("timeout 100 head -n 1 '{}' >/dev/null", gate.display()),
    );
    let mut server = program(example("git_server"));
    server.args(["receive-pack", "--timeout=3"]).arg(sandbox.path("origin.git"));
    let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
    let (side, zero) = (sandbox.id("origin.git", "side"), "0".repeat(40));
    let delete = pkt(format!("{side} {zero} refs/heads/side\0report-status side-band-64k"));
    input.write_all(&[&delete, &b"0000"[..]].concat()).unwrap();
    let mut heard = 0;
    while heard < 4 {
        heard += usize::from(packet(&mut output).expect("the hook waits for us") == [1]);
    }
    opener.write_all(b"go on\n").unwrap();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    drop(input);
    assert!(server.wait().unwrap().success());
    assert_eq!(count(&rest, b"ok refs/heads/side\n"), 1, "{}", text(&rest));
    assert!(!sandbox.refs("origin.git").contains("refs/heads/side"));
}
