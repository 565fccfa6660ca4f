//! The example `git_client` fetches cut and partial histories in versions 0, 1 and 2, and the real `git` goes on with what
//! it made: from `git upload-pack`, `git daemon` and our own server.
#![cfg(unix)]

use std::fs;

use crate::support_repo::{Sandbox, text};

/// A run of our client that must end with `code`; what it prints.
fn ends(sandbox: &Sandbox, code: i32, arguments: &[&str]) -> String {
    let output = sandbox.client(arguments);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

/// A bare repository with 30 commits in a line, a minute apart, that lets itself be filtered.
fn origin(sandbox: &Sandbox, name: &str, format: &str) {
    sandbox.ok("", &["init", "-q", "--bare", "-b", "main", &format!("--object-format={format}"), name]);
    let commits = (0..30).map(|n| {
        let time = 1_690_000_000 + n * 60;
        format!("commit refs/heads/main\ncommitter C <c@example.org> {time} +0000\ndata 1\nx\nM 644 inline f{n}\ndata 3\n{n:02}\n\n")
    });
    sandbox.feed(name, &["fast-import", "--quiet"], commits.collect::<String>().as_bytes());
    sandbox.set(name, "uploadpack.allowFilter", "true");
}

/// Where a client goes: the version, and what stands for the URL of the repository.
fn ways(sandbox: &Sandbox, name: &str, ours: &str) -> Vec<(&'static str, Vec<String>)> {
    let daemon = format!("{}/{name}", sandbox.real_daemon());
    let pipe: Vec<String> = ["--", "git", "upload-pack", name].map(str::to_owned).into();
    vec![("--protocol=0", pipe), ("--protocol=2", vec![daemon]), ("--protocol=2", vec![ours.to_owned()])]
}

fn fetch(sandbox: &Sandbox, code: i32, copy: &str, way: &(&str, Vec<String>), options: &[&str]) -> String {
    let url = way.1.iter().map(String::as_str).collect::<Vec<_>>();
    // What stands for the URL comes last if it is a program, and right behind the directory if it is one.
    let arguments = match url.as_slice() {
        [url] => [&["fetch", copy, url, way.0], options].concat(),
        program => [&["fetch", copy, way.0], options, program].concat(),
    };
    ends(sandbox, code, &arguments)
}

fn commits(sandbox: &Sandbox, copy: &str) -> String {
    sandbox.ok(copy, &["rev-list", "--count", "refs/remotes/origin/main"])
}

#[test]
fn a_shallow_history_is_deepened_made_whole_and_gone_on_with() {
    let sandbox = Sandbox::new();
    for format in ["sha1", "sha256"] {
        let name = format!("origin-{format}.git");
        origin(&sandbox, &name, format);
        sandbox.ok(&name, &["tag", "old", "main~14"]);
        let daemon = sandbox.daemon(&[]);
        let ways = ways(&sandbox, &name, &daemon.url(&name));
        // The second format goes through the newest version only.
        for (n, way) in ways.iter().enumerate().skip(if format == "sha1" { 0 } else { 2 }) {
            let copy = format!("copy-{format}-{n}");
            sandbox.ok("", &["init", "-q", "-b", "main", &format!("--object-format={format}"), &copy]);
            let step = |options: &[&str], expected: &str| {
                fetch(&sandbox, 0, &copy, way, &[options, &["+refs/heads/*:refs/remotes/origin/*"]].concat());
                assert_eq!(commits(&sandbox, &copy), expected, "{way:?} {options:?}");
            };
            step(&["--depth=3"], "3");
            sandbox.check(&copy);
            step(&["--deepen", "2"], "5");
            step(&["--shallow-since=@1690001140"], "11");
            step(&["--shallow-exclude=old"], "14");
            sandbox.check(&copy);
            // The real Git goes on from there, both ways.
            sandbox.ok(
                &copy,
                &["fetch", "-q", "--deepen=1", &format!("../{name}"), "+refs/heads/*:refs/remotes/origin/*"],
            );
            assert_eq!(commits(&sandbox, &copy), "15");
            step(&["--unshallow"], "30");
            assert!(!sandbox.path(&copy).join(".git/shallow").exists());
            sandbox.check(&copy);
            let said = fetch(&sandbox, 2, &copy, way, &["--unshallow"]);
            assert!(said.contains("--unshallow on a complete repository does not make sense"), "{said}");
        }
    }
}

#[test]
fn a_partial_clone_is_completed_by_git_and_fetched_on() {
    let sandbox = Sandbox::new();
    origin(&sandbox, "origin.git", "sha1");
    let daemon = sandbox.daemon(&[]);
    for (n, way) in ways(&sandbox, "origin.git", &daemon.url("origin.git")).iter().enumerate() {
        let copy = format!("copy{n}");
        sandbox.init(&copy, false);
        fetch(&sandbox, 0, &copy, way, &["--filter=blob:none", "--filter=tree:9"]);
        let missing = || sandbox.ok(&copy, &["rev-list", "--objects", "--missing=print", "--all"]);
        assert_eq!(missing().matches('?').count(), 30 + n, "{way:?}");
        let spec = sandbox.ok(&copy, &["config", "remote.origin.partialCloneFilter"]);
        assert_eq!(spec, "combine:blob:none+tree:9");
        sandbox.ok(&copy, &["fsck"]);
        // A program has no URL that Git could remember.
        let url = sandbox.path("origin.git");
        sandbox.ok(&copy, &["config", "remote.origin.url", url.to_str().unwrap()]);
        sandbox.commit("origin.git", "main", &n.to_string());
        fetch(&sandbox, 0, &copy, way, &[]);
        assert_eq!(missing().matches('?').count(), 31 + n, "what was promised once is still left out");
        assert_eq!(sandbox.ok(&copy, &["show", "origin/main:f7"]), "07");
        assert_eq!(missing().matches('?').count(), 30 + n, "one was fetched");
        let stats = fetch(&sandbox, 0, &copy, way, &["--stats"]);
        assert_eq!(stats, "rounds=0 haves=0 wants=0\n");
    }
    sandbox.ok("origin.git", &["config", "uploadpack.allowFilter", "false"]);
    sandbox.init("all", false);
    let way = ("--protocol=2", vec![daemon.url("origin.git")]);
    let said = fetch(&sandbox, 0, "all", &way, &["--filter=blob:none"]);
    assert!(said.contains("warning: filtering not recognized by server, ignoring"), "{said}");
    sandbox.check("all");
    assert!(!sandbox.git("all", &["config", "remote.origin.promisor"]).status.success());
}

#[test]
fn a_shallow_server_is_cloned_and_otherwise_refused() {
    let sandbox = Sandbox::new();
    origin(&sandbox, "whole.git", "sha1");
    let url = format!("file://{}", sandbox.path("whole.git").display());
    sandbox.ok("", &["clone", "-q", "--bare", "--depth=4", &url, "origin.git"]);
    let daemon = sandbox.daemon(&[]);
    for (n, way) in ways(&sandbox, "origin.git", &daemon.url("origin.git")).iter().enumerate() {
        let copy = format!("copy{n}.git");
        sandbox.init(&copy, true);
        fetch(&sandbox, 0, &copy, way, &[]);
        assert_eq!(commits(&sandbox, &copy), "4", "{way:?}");
        sandbox.check(&copy);
        let other = format!("other{n}.git");
        sandbox.init(&other, true);
        sandbox.commit(&other, "own", "x");
        let said = fetch(&sandbox, 1, &other, way, &[]);
        assert!(
            said.contains("refs/heads/main -> refs/remotes/origin/main (shallow update not allowed)"),
            "{said}"
        );
        assert!(!sandbox.path(&other).join("shallow").exists());
        sandbox.check(&other);
        fetch(&sandbox, 0, &other, way, &["--update-shallow"]);
        assert_eq!(commits(&sandbox, &other), "4");
        let border = |name: &str| fs::read(sandbox.path(name).join("shallow")).unwrap();
        assert_eq!(border(&other), border("origin.git"));
        sandbox.check(&other);
    }
}

#[test]
fn options_that_make_no_sense_and_those_that_a_server_does_not_take() {
    let sandbox = Sandbox::new();
    origin(&sandbox, "origin.git", "sha1");
    sandbox.init("copy", false);
    for (options, words) in [
        (&["--depth=0"][..], "--depth takes a positive number, not '0'"),
        (&["--depth=1", "--deepen=1"], "exclude each other"),
        (&["--depth=1", "--shallow-exclude=x"], "--shallow-exclude goes with --shallow-since or alone"),
        (&["--filter=blob"], "--filter=blob: no filter of this name is known"),
        (&["--protocol=3"], "--protocol takes 0, 1 or 2, not '3'"),
        (&["--protocol=0", "--server-option=x"], "the server does not support server-option"),
    ] {
        let arguments = [&["fetch", "copy"], options, &["--", "git", "upload-pack", "origin.git"]].concat();
        let said = ends(&sandbox, 2, &arguments);
        assert!(said.contains(words), "{options:?}: {said}");
    }
    let arguments = ["fetch", "copy", "--server-option=x", "--", "git", "upload-pack", "origin.git"];
    ends(&sandbox, 0, &arguments);
    let said = ends(&sandbox, 2, &["push", "copy", "--depth=1", "main", "--", "true"]);
    assert!(said.contains("only a fetch has a depth"), "{said}");
}
