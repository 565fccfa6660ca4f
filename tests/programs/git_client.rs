//! The example `git_client` fetches from and pushes to the real `git`: over pipes, over `git://`, and against our server.
#![cfg(unix)]

use crate::support_repo::{Sandbox, pkt, text};

/// A run that must end with `code`; what it prints.
fn ends(sandbox: &Sandbox, code: i32, arguments: &[&str]) -> String {
    let output = sandbox.client(arguments);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    text(&output.stdout)
}

fn number(stats: &str, name: &str) -> usize {
    let found = stats.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.unwrap().parse().unwrap()
}

#[test]
fn ls_remote_shows_what_git_shows() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 20);
    sandbox.init("empty.git", true);
    let expected = sandbox.ok("", &["ls-remote", "origin.git"]);
    let url = sandbox.real_daemon();
    assert_eq!(ends(&sandbox, 0, &["ls-remote", &format!("{url}/origin.git")]).trim_end(), expected);
    assert_eq!(
        ends(&sandbox, 0, &["ls-remote", "--", "git", "upload-pack", "origin.git"]).trim_end(),
        expected
    );
    assert_eq!(ends(&sandbox, 0, &["ls-remote", "--", "git", "upload-pack", "empty.git"]), "");
    let output = sandbox.client(&["ls-remote", &format!("{url}/nothing.git")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("access denied or repository not exported: /nothing.git"));
}

#[test]
fn a_mirror_has_every_ref_and_object_and_is_then_up_to_date() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 2000);
    let (git, daemon) = (sandbox.real_daemon(), sandbox.daemon(&[]));
    for (n, url) in [format!("{git}/origin.git"), daemon.url("origin.git")].iter().enumerate() {
        let copy = format!("copy{n}.git");
        sandbox.init(&copy, true);
        let stats = ends(&sandbox, 0, &["fetch", &copy, url, "--mirror", "--stats"]);
        assert_eq!(number(&stats, "haves"), 0);
        assert_eq!(sandbox.refs(&copy), sandbox.refs("origin.git"));
        sandbox.check(&copy);
        assert_eq!(
            ends(&sandbox, 0, &["fetch", &copy, url, "--mirror", "--stats"]),
            "rounds=0 haves=0 wants=0\n"
        );
    }
}

#[test]
fn a_fetch_negotiates_and_keeps_what_is_local() {
    let sandbox = Sandbox::new();
    sandbox.init("origin.git", true);
    sandbox.feed("origin.git", &["fast-import", "--quiet"], &crate::support_repo::history(400, 0));
    sandbox.ok("", &["clone", "-q", "origin.git", "copy"]);
    for n in 0..50 {
        sandbox.commit("copy", "local", &n.to_string());
        sandbox.commit("origin.git", "main", &n.to_string());
    }
    sandbox.ok("origin.git", &["tag", "-a", "-m", "x", "v1", "main"]);
    let stats = ends(&sandbox, 0, &["fetch", "copy", "--stats", "--", "git", "upload-pack", "origin.git"]);
    assert!(number(&stats, "wants") == 2 && number(&stats, "haves") > 0, "{stats}");
    assert!(stats.contains("refs/heads/main -> refs/remotes/origin/main"), "{stats}");
    assert_eq!(sandbox.id("copy", "origin/main"), sandbox.id("origin.git", "main"));
    assert_eq!(sandbox.id("copy", "v1"), sandbox.id("origin.git", "v1"));
    sandbox.check("copy");
}

#[test]
fn refspecs_force_and_what_is_refused_without_it() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.ok("", &["clone", "-q", "--mirror", "origin.git", "copy.git"]);
    sandbox.ok("origin.git", &["branch", "-f", "main", "main~2"]);
    sandbox.ok("origin.git", &["tag", "-f", "light", "main"]);
    let fetch = |code, specs: &[&str]| {
        let arguments = [&["fetch", "copy.git"], specs, &["--", "git", "upload-pack", "origin.git"]].concat();
        ends(&sandbox, code, &arguments)
    };
    let said = fetch(1, &["refs/heads/*:refs/heads/*", "refs/tags/light:refs/tags/light"]);
    assert!(
        said.contains(" ! [rejected]       refs/heads/main -> refs/heads/main (non-fast-forward)"),
        "{said}"
    );
    assert!(said.contains("refs/tags/light -> refs/tags/light (already exists)"), "{said}");
    fetch(0, &["+refs/heads/main:refs/heads/main", "+refs/tags/light:refs/tags/light"]);
    assert_eq!(sandbox.refs("copy.git"), sandbox.refs("origin.git"));
    // A branch that is checked out does not move under its work tree.
    sandbox.ok("", &["clone", "-q", "origin.git", "work"]);
    sandbox.commit("origin.git", "main", "x");
    let arguments = ["fetch", "work", "--mirror", "--", "git", "upload-pack", "origin.git"];
    assert!(
        ends(&sandbox, 1, &arguments).contains("(refusing to fetch into the branch that is checked out)")
    );
}

/// The server is a recording of the real one that ends or changes somewhere.
#[test]
fn a_cut_or_lying_server_moves_no_ref() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.init("copy.git", true);
    let wants = sandbox.refs("origin.git");
    let wants = wants.lines().enumerate().map(|(n, line)| {
        let agreed = if n == 0 { " side-band-64k ofs-delta" } else { "" };
        pkt(format!("want {}{agreed}\n", &line[..40]))
    });
    let asked = [wants.collect::<Vec<_>>().concat(), b"0000".to_vec(), pkt("done\n")].concat();
    let recorded = sandbox.feed("", &["upload-pack", "origin.git"], &asked);
    let pack = recorded.windows(5).position(|window| window == b"\x01PACK").unwrap();
    let mut answers: Vec<Vec<u8>> =
        [0, 3, 100, pack - 4, pack, pack + 9, pack + 200, recorded.len() - 30, recorded.len() - 1]
            .into_iter()
            .map(|cut| recorded[..cut].to_vec())
            .collect();
    for place in [pack + 1, pack + 12, pack + 300] {
        let mut changed = recorded.clone();
        changed[place] ^= 0x10;
        answers.push(changed);
    }
    answers.push(pkt("ERR sorry"));
    for (n, answer) in answers.iter().enumerate() {
        std::fs::write(sandbox.path("answer"), answer).unwrap();
        let output = sandbox.client(&["fetch", "copy.git", "--mirror", "--", "cat", "answer"]);
        assert_eq!(output.status.code(), Some(2), "answer {n}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("fatal: "), "{}", text(&output.stderr));
        assert_eq!(sandbox.refs("copy.git"), "");
        sandbox.check("copy.git");
    }
    std::fs::write(sandbox.path("answer"), &recorded).unwrap();
    ends(&sandbox, 0, &["fetch", "copy.git", "--mirror", "--", "cat", "answer"]);
    assert_eq!(sandbox.refs("copy.git"), sandbox.refs("origin.git"));
}

/// T18: what the server says cannot act on the terminal.
#[test]
fn progress_and_errors_are_shown_without_their_escapes() {
    let sandbox = Sandbox::pair(0);
    sandbox.commit("work.git", "main", "new");
    sandbox.hook("origin.git", "pre-receive", "printf 'a\\033]0;title\\007b\\n' >&2");
    let output = sandbox.client(&["push", "work.git", "main", "--", "git", "receive-pack", "origin.git"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("remote: a\\u{1b}]0;title\\u{7}b"), "{said}");
    let output = sandbox.client(&["ls-remote", "--", "printf", "000dERR \\033[2J"]);
    assert!(!output.stderr.contains(&0x1b) && output.status.code() == Some(2), "{}", text(&output.stderr));
    sandbox.init("copy.git", true);
    let arguments = ["fetch", "copy.git", "--mirror", "--progress", "--", "git", "upload-pack", "origin.git"];
    assert!(text(&sandbox.client(&arguments).stderr).contains("remote: Counting objects: "));
}

#[test]
fn pushes_create_update_and_delete() {
    let sandbox = Sandbox::pair(2);
    let (git, ours) = (sandbox.real_daemon(), sandbox.daemon(&["--enable-push"]));
    for (n, url) in [format!("{git}/origin.git"), ours.url("origin.git")].iter().enumerate() {
        sandbox.commit("work.git", "main", &format!("new {n}"));
        let many = format!("refs/heads/many/0000{n}");
        let created = format!("main:created{n}");
        let said = ends(&sandbox, 0, &["push", "work.git", url, "main", &created, "--delete", &many]);
        assert_eq!(said.lines().count(), 3, "{said}");
        assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("work.git", "main"));
        assert_eq!(sandbox.id("origin.git", &format!("created{n}")), sandbox.id("work.git", "main"));
        assert!(!sandbox.refs("origin.git").contains(&many));
        sandbox.check("origin.git");
        assert_eq!(ends(&sandbox, 0, &["push", "work.git", url, "main"]), "");
    }
}

#[test]
fn a_push_is_refused_here_or_there_and_atomic_is_all_or_nothing() {
    let sandbox = Sandbox::pair(0);
    sandbox.ok("work.git", &["branch", "-f", "main", "main~2"]);
    let push = |code, arguments: &[&str]| {
        let all = [&["push", "work.git"], arguments, &["--", "git", "receive-pack", "origin.git"]].concat();
        ends(&sandbox, code, &all)
    };
    let said = push(1, &["main", "side:fresh"]);
    assert!(said.contains("! [rejected]       refs/heads/main (non-fast-forward)"), "{said}");
    assert!(said.contains("* [new]            refs/heads/fresh"), "{said}");
    let said = push(1, &["--atomic", "main", "side:other"]);
    assert!(said.contains("refs/heads/other (atomic push failed)"), "{said}");
    sandbox.hook("origin.git", "update", "test $1 != refs/heads/guarded");
    let said = push(1, &["--atomic", "main:guarded", "side:other"]);
    assert!(said.contains("refs/heads/guarded (hook declined)"), "{said}");
    assert!(!sandbox.refs("origin.git").contains("refs/heads/other"));
    let said = push(1, &["main:guarded", "side:other"]);
    assert!(said.contains("* [new]            refs/heads/other"), "{said}");
    push(0, &["--force", "main"]);
    assert_eq!(sandbox.id("origin.git", "main"), sandbox.id("work.git", "main"));
    assert!(push(1, &["--delete", "nothing"]).contains("(remote ref does not exist)"));
    sandbox.check("origin.git");
}

#[test]
fn push_options_reach_the_hook_and_a_server_that_takes_none_is_an_error() {
    let sandbox = Sandbox::pair(0);
    sandbox.hook("origin.git", "pre-receive", "echo \"$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0\"");
    let arguments = ["push", "work.git", "main:new", "-o", "a;b", "--", "git", "receive-pack", "origin.git"];
    let output = sandbox.client(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("push-options"), "{}", text(&output.stderr));
    sandbox.set("origin.git", "receive.advertisePushOptions", "true");
    let output = sandbox.client(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("remote: 1 a;b"), "{}", text(&output.stderr));
}

/// The server stops reading, and answers, in the middle of the pack.
#[test]
fn a_server_that_refuses_the_pack_early_is_heard() {
    let sandbox = Sandbox::pair(0);
    let mut state = 7_u32;
    let noise: String = (0..2_000_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from(state >> 28).unwrap())
        })
        .collect();
    sandbox.commit("work.git", "main", &noise);
    sandbox.set("origin.git", "receive.maxInputSize", "10000");
    let daemon = sandbox.daemon(&["--enable-push"]);
    let url = daemon.url("origin.git");
    for server in [&["main", "--", "git", "receive-pack", "origin.git"][..], &[&url, "main"]] {
        let output = sandbox.client(&[&["push", "work.git"], server].concat());
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("remote: fatal: pack exceeds maximum allowed size"), "{said}");
        assert!(said.contains("(unpacker error)"), "{said}");
        sandbox.check("origin.git");
    }
}

/// T21: a report that comes before the pack was sent is no success.
#[test]
fn a_server_that_confirms_what_it_cannot_have_is_not_believed() {
    let sandbox = Sandbox::pair(0);
    let report = [pkt("unpack ok\n"), pkt("ok refs/heads/new\n"), b"0000".to_vec()].concat();
    let lie = |report: &[u8]| {
        let id = sandbox.id("origin.git", "island");
        let shown = pkt(format!("{id} refs/heads/island\0report-status\n"));
        std::fs::write(sandbox.path("answer"), [&shown, &b"0000"[..], report].concat()).unwrap();
        // It answers at once and then listens, or not even that.
        for server in ["cat answer; cat >/dev/null", "cat answer"] {
            let output =
                sandbox.client(&["push", "work.git", "main~1:new", "--timeout=1", "--", "sh", "-c", server]);
            assert_ne!(output.status.code(), Some(0), "{}", text(&output.stdout));
        }
    };
    lie(&report);
    lie(&report[..20]);
    lie(&[pkt("unpack ok\n"), pkt("ok refs/heads/other\n"), b"0000".to_vec()].concat());
}

#[test]
fn a_sha256_repository_is_fetched_and_pushed_and_formats_do_not_mix() {
    let sandbox = Sandbox::new();
    for name in ["origin.git", "copy.git"] {
        sandbox.ok("", &["init", "-q", "--bare", "--object-format=sha256", "-b", "main", name]);
    }
    sandbox.feed("origin.git", &["fast-import", "--quiet"], &crate::support_repo::history(10, 0));
    ends(&sandbox, 0, &["fetch", "copy.git", "--mirror", "--", "git", "upload-pack", "origin.git"]);
    assert_eq!(sandbox.refs("copy.git"), sandbox.refs("origin.git"));
    sandbox.commit("copy.git", "main", "x");
    ends(&sandbox, 0, &["push", "copy.git", "main", "--", "git", "receive-pack", "origin.git"]);
    assert_eq!(sandbox.refs("copy.git"), sandbox.refs("origin.git"));
    sandbox.check("origin.git");
    sandbox.init("sha1.git", true);
    ends(&sandbox, 2, &["fetch", "sha1.git", "--mirror", "--", "git", "upload-pack", "origin.git"]);
}

#[test]
fn the_command_line_is_checked() {
    let sandbox = Sandbox::new();
    sandbox.init("repo.git", true);
    for arguments in [
        &[][..],
        &["clone"],
        &["fetch", "repo.git"],
        &["ls-remote", "http://x/y"],
        &["ls-remote", "git:///y"],
        &["fetch", "repo.git", "git://h/p", "main"],
        &["fetch", "nowhere", "git://h/p"],
        &["push", "repo.git", "--", "true"],
        &["push", "repo.git", "unknown", "--", "true"],
        &["push", "repo.git", "--oops", "x", "--", "true"],
    ] {
        let output = sandbox.client(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).starts_with("fatal: "), "{}", text(&output.stderr));
    }
    for (arguments, words) in [
        (&[][..], "a command is missing"),
        (&["clone"], "there is no command clone"),
        (&["fetch", "repo.git"], "URL is missing"),
        (&["push", "repo.git", "--oops", "x"], "there is no option --oops"),
        (&["push", "repo.git", "--delete"], "--delete needs a value"),
        (&["ls-remote", "--timeout=soon"], "--timeout takes whole seconds, not 'soon'"),
    ] {
        let said = text(&sandbox.client(arguments).stderr);
        assert!(said.starts_with(&format!("fatal: {words}\nusage: git_client")), "{said}");
    }
    for help in [&["--help"][..], &["-h"], &["push", "--help"]] {
        let output = sandbox.client(help);
        assert_eq!(output.status.code(), Some(0), "{help:?}");
        assert!(output.stdout.starts_with(b"usage: git_client ls-remote"), "{}", text(&output.stdout));
        assert!(output.stderr.is_empty());
    }
}
