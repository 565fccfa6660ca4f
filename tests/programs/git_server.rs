//! The example `git_server` serves fetches to the real `git`: clone, fetch, negotiation, policy, daemon.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support_repo::{Daemon, Sandbox, count, example, pkt, program, run, server, text};

const VERSIONS: [&str; 3] = ["protocol.version=0", "protocol.version=1", "protocol.version=2"];

/// Clones with the real git from our server program. A plain path would be copied past any server.
fn clone(sandbox: &Sandbox, version: &str, from: &str, to: &str, options: &[&str]) {
    let (url, command) = (format!("file://{}", sandbox.path(from).display()), server("upload-pack"));
    let fixed = ["-c", version, "clone", "-q", "--upload-pack", &command];
    sandbox.ok("", &[&fixed, options, &[&url, to]].concat());
}

#[test]
fn a_mirror_clone_in_every_version_has_every_ref_and_object() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 2000);
    for (n, version) in VERSIONS.into_iter().enumerate() {
        let copy = format!("copy{n}.git");
        clone(&sandbox, version, "origin.git", &copy, &["--mirror"]);
        assert_eq!(sandbox.refs(&copy), sandbox.refs("origin.git"));
        assert_eq!(sandbox.ok(&copy, &["symbolic-ref", "HEAD"]), "refs/heads/main");
        sandbox.check(&copy);
    }
}

#[test]
fn an_empty_repository_is_cloned_as_such() {
    let sandbox = Sandbox::new();
    sandbox.init("origin.git", true);
    for (n, version) in VERSIONS.into_iter().enumerate() {
        let copy = format!("copy{n}");
        clone(&sandbox, version, "origin.git", &copy, &[]);
        assert_eq!(sandbox.refs(&copy), "");
    }
}

#[test]
fn a_fetch_takes_only_what_is_new() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 50);
    clone(&sandbox, VERSIONS[0], "origin.git", "copy", &[]);
    for (n, version) in VERSIONS.into_iter().enumerate() {
        sandbox.commit("origin.git", "main", &format!("more {n}"));
        sandbox.commit("origin.git", &format!("new{n}"), "a branch of its own");
        sandbox.commit("copy", "local", &format!("not there {n}"));
        let command = format!("--upload-pack={}", server("upload-pack"));
        let trace = sandbox.path(&format!("trace{n}"));
        let mut git = program("git");
        git.arg("-C").arg(sandbox.path("copy")).args(["-c", version, "fetch", "-q", &command, "origin"]);
        git.env("GIT_TRACE_PACKET", &trace);
        let output = run(git, b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let trace = fs::read(trace).unwrap();
        // Both new tips are wanted, and nothing else.
        let wanted: BTreeSet<&[u8]> = trace
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.get(line.windows(7).position(|part| part == b"> want ")?..)?.get(7..47))
            .collect();
        assert_eq!(wanted.len(), 2, "{}", text(&trace));
        assert_eq!(sandbox.id("copy", "origin/main"), sandbox.id("origin.git", "main"));
        let new = format!("new{n}");
        assert_eq!(sandbox.id("copy", &format!("origin/{new}")), sandbox.id("origin.git", &new));
    }
    sandbox.check("copy");
}

#[test]
fn a_fetch_from_far_ahead_and_far_behind_ends_with_the_same_refs() {
    let sandbox = Sandbox::new();
    sandbox.init("origin.git", true);
    sandbox.feed("origin.git", &["fast-import", "--quiet"], &crate::support_repo::history(600, 0));
    sandbox.ok("", &["clone", "-q", "--mirror", "origin.git", "copy.git"]);
    for n in 0..120 {
        sandbox.commit("copy.git", "ours", &n.to_string());
    }
    for n in 0..60 {
        sandbox.commit("origin.git", "main", &n.to_string());
    }
    let command = format!("--upload-pack={}", server("upload-pack"));
    for version in VERSIONS {
        for algorithm in ["fetch.negotiationAlgorithm=consecutive", "fetch.negotiationAlgorithm=skipping"] {
            let target = "+refs/heads/main:refs/heads/theirs";
            sandbox
                .ok("copy.git", &["-c", version, "-c", algorithm, "fetch", "-q", &command, "origin", target]);
            assert_eq!(sandbox.id("copy.git", "theirs"), sandbox.id("origin.git", "main"));
            sandbox.check("copy.git");
            sandbox.ok("copy.git", &["update-ref", "-d", "refs/heads/theirs"]);
            sandbox.ok("copy.git", &["-c", "gc.reflogExpire=now", "prune", "--expire=now"]);
        }
    }
}

#[test]
fn a_large_file_streams_through() {
    let sandbox = Sandbox::new();
    sandbox.init("origin.git", true);
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..3 << 20)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(state >> 56).unwrap()
        })
        .collect();
    let head = format!(
        "commit refs/heads/main\ncommitter C <c@x> 1700000000 +0000\ndata 1\nx\nM 644 inline f\ndata {}\n",
        noise.len()
    );
    sandbox.feed("origin.git", &["fast-import", "--quiet"], &[head.as_bytes(), &noise, b"\n"].concat());
    clone(&sandbox, VERSIONS[0], "origin.git", "copy", &[]);
    assert_eq!(fs::read(sandbox.path("copy/f")).unwrap(), noise);
    let daemon = sandbox.daemon(&[]);
    sandbox.ok("", &["clone", "-q", &daemon.url("origin.git"), "over-tcp"]);
    assert_eq!(fs::read(sandbox.path("over-tcp/f")).unwrap(), noise);
}

#[test]
fn a_directory_is_found_as_git_finds_it() {
    let sandbox = Sandbox::new();
    sandbox.rich("project.git", 0);
    sandbox.ok("", &["clone", "-q", "project.git", "work"]);
    sandbox.ok("work", &["worktree", "add", "-q", "--detach", "../linked"]);
    let serve = |arguments: &[&str]| {
        let mut command = program(example("git_server"));
        command.arg("upload-pack").args(arguments).current_dir(sandbox.path(""));
        run(command, b"0000")
    };
    for named in ["project.git", "project", "work", "work/.git", "linked"] {
        let output = serve(&[named]);
        assert!(output.status.success(), "{named}: {}", text(&output.stderr));
        assert!(count(&output.stdout, b" refs/heads/main\n") == 1, "{named}");
    }
    // Options stand anywhere.
    assert!(serve(&["--strict", "--timeout=5", "project.git"]).status.success());
    assert!(serve(&["work/.git", "--strict"]).status.success());
    for (arguments, shown) in [
        (&["--strict", "project"][..], "project"),
        (&["nothing"], "nothing"),
        (&["--strict", "work"], "work"),
    ] {
        let output = serve(arguments);
        assert_eq!(output.status.code(), Some(128));
        assert_eq!(
            text(&output.stderr),
            format!("fatal: '{shown}' does not appear to be a git repository\n")
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_command_line_is_explained() {
    let serve = |arguments: &[&str]| {
        let mut command = program(example("git_server"));
        command.args(arguments);
        run(command, b"")
    };
    for help in [&["--help"][..], &["-h"], &["daemon", "--help"], &["upload-pack", "x", "--help"]] {
        let output = serve(help);
        assert!(output.status.success(), "{help:?}");
        assert!(output.stdout.starts_with(b"usage: git_server upload-pack"), "{}", text(&output.stdout));
        assert!(output.stderr.is_empty());
    }
    for (arguments, words) in [
        (&[][..], "say what to serve"),
        (&["serve"], "there is no command serve"),
        (&["upload-pack"], "a directory is missing"),
        (&["upload-pack", "a", "b"], "b is one directory too many"),
        (&["upload-pack", "--oops", "a"], "there is no option --oops here"),
        (&["receive-pack", "--enable-push", "a"], "there is no option --enable-push here"),
        (&["daemon", "--timeout", "5", "a"], "--timeout needs a value: --timeout=N"),
        (&["daemon", "--max-connections=many", "a"], "--max-connections takes a whole number, not 'many'"),
        (&["daemon", "a", "--listen"], "--listen needs an address"),
    ] {
        let output = serve(arguments);
        assert_eq!(output.status.code(), Some(128), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("fatal: {words}\nusage: git_server")), "{said}");
    }
}

/// Git's protection against repositories of other users holds for our server as for Git's own.
#[test]
fn a_repository_of_another_user_is_not_served_unless_it_is_trusted() {
    let sandbox = Sandbox::new();
    let path = sandbox.rich("origin.git", 0);
    let serve = |trusted: bool| {
        let mut command = program(example("git_server"));
        command.args(["upload-pack", "origin.git"]).current_dir(sandbox.path(""));
        command.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
        if trusted {
            let settings = sandbox.path("settings");
            fs::write(&settings, format!("[safe]\n\tdirectory = {}\n", path.display())).unwrap();
            command.env("GIT_CONFIG_GLOBAL", settings);
        }
        run(command, b"0000")
    };
    let output = serve(false);
    assert_eq!(output.status.code(), Some(128));
    assert!(text(&output.stderr).starts_with("fatal: detected dubious ownership in repository at"));
    let output = serve(true);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The caller's own repository and settings do not leak into the one that is served.
#[test]
fn the_callers_repository_is_not_the_servers() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.init("other.git", true);
    let mut command = program(example("git_server"));
    command.arg("upload-pack").arg(sandbox.path("origin.git"));
    command
        .env("GIT_DIR", sandbox.path("other.git"))
        .env("GIT_OBJECT_DIRECTORY", sandbox.path("other.git/objects"));
    let output = run(command, b"0000");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(count(&output.stdout, b" refs/heads/main\n"), 1);
}

#[test]
fn hidden_refs_are_not_shown_and_not_served() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    let secret = sandbox.commit("origin.git", "secret", "hidden");
    sandbox.set("origin.git", "transfer.hideRefs", "refs/heads/secret");
    sandbox.set("origin.git", "uploadpack.hideRefs", "refs/tags");
    sandbox.set("origin.git", "uploadpack.hideRefs", "!refs/tags/light");
    let command = format!("--upload-pack={}", server("upload-pack"));
    let url = sandbox.path("origin.git");
    let url = url.to_str().unwrap();
    let listed = sandbox.ok("", &["ls-remote", &command, url]);
    assert!(listed.contains("refs/heads/main") && listed.contains("refs/tags/light"));
    assert!(!listed.contains("secret") && !listed.contains("refs/tags/v1"), "{listed}");
    sandbox.init("copy", false);
    // The client itself refuses to ask, so ask by hand: hidden and absent sound the same.
    let absent = "1".repeat(40);
    for id in [&secret, &absent] {
        let mut raw = program(example("git_server"));
        raw.arg("upload-pack").arg(url);
        let output =
            run(raw, &[pkt(format!("want {id} side-band-64k\n")), b"0000".to_vec(), pkt("done\n")].concat());
        assert_eq!(output.status.code(), Some(128));
        assert_eq!(count(&output.stdout, format!("ERR upload-pack: not our ref {id}").as_bytes()), 1);
    }
    sandbox.set("origin.git", "uploadpack.allowTipSHA1InWant", "true");
    sandbox.ok("copy", &["-c", VERSIONS[0], "fetch", "-q", &command, url, &secret]);
    assert_eq!(sandbox.id("copy", "FETCH_HEAD"), secret);
}

#[test]
fn what_is_reachable_or_just_there_is_served_when_the_settings_allow_it() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    let (inner, lost) =
        (sandbox.id("origin.git", "main~4"), sandbox.commit("origin.git", "gone", "unreachable"));
    sandbox.ok("origin.git", &["update-ref", "-d", "refs/heads/gone"]);
    let command = format!("--upload-pack={}", server("upload-pack"));
    let url = sandbox.path("origin.git");
    let fetch = |id: &str| {
        sandbox
            .git("copy", &["-c", VERSIONS[0], "fetch", "-q", &command, url.to_str().unwrap(), id])
            .status
            .success()
    };
    sandbox.init("copy", false);
    assert!(!fetch(&inner) && !fetch(&lost));
    sandbox.set("origin.git", "uploadpack.allowReachableSHA1InWant", "true");
    assert!(fetch(&inner) && !fetch(&lost));
    sandbox.set("origin.git", "uploadpack.allowAnySHA1InWant", "true");
    assert!(fetch(&lost));
}

/// SHALLOW-7, SHALLOW-1, SHALLOW-2: a clone of a part, deepened, made whole; and a clone of such a part.
#[test]
fn shallow_clones_deepen_and_become_whole_and_are_served_themselves() {
    let sandbox = Sandbox::new();
    sandbox.init("origin.git", true);
    sandbox.feed("origin.git", &["fast-import", "--quiet"], &crate::support_repo::history(12, 0));
    let url = |name: &str| format!("file://{}", sandbox.path(name).display());
    let command = format!("--upload-pack={}", server("upload-pack"));
    for (n, version) in VERSIONS.into_iter().enumerate() {
        let cut = format!("cut{n}.git");
        sandbox.ok(
            "",
            &["-c", version, "clone", "-q", "--mirror", "--depth=2", &command, &url("origin.git"), &cut],
        );
        let copy = format!("copy{n}.git");
        sandbox.ok("", &["-c", version, "clone", "-q", "--mirror", &command, &url(&cut), &copy]);
        let border = |name: &str| fs::read_to_string(sandbox.path(name).join("shallow")).unwrap();
        assert_eq!(border(&copy), border(&cut));
        sandbox.check(&copy);
        sandbox.ok(&cut, &["-c", version, "fetch", "-q", "--deepen=3", &command]);
        assert_ne!(border(&copy), border(&cut));
        sandbox.ok(&cut, &["-c", version, "fetch", "-q", "--unshallow", &command]);
        assert_eq!(
            sandbox.ok(&cut, &["rev-list", "--all"]),
            sandbox.ok("origin.git", &["rev-list", "--all"])
        );
        sandbox.check(&cut);
    }
}

/// V2S-11, V2S-16: what a partial clone left out is fetched when it is needed, under a policy that grants what is
/// reachable; under the default one it is refused.
#[test]
fn a_partial_clone_fetches_the_rest_when_it_is_needed() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.ok("origin.git", &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", sandbox.path("origin.git").display());
    let command = format!("--upload-pack={}", server("upload-pack"));
    let own = format!("remote.origin.uploadpack={}", server("upload-pack"));
    for (n, version) in VERSIONS.into_iter().enumerate() {
        let copy = format!("copy{n}");
        let clone =
            ["-c", version, "clone", "-q", "--no-checkout", "--filter=blob:none", &command, &url, &copy];
        sandbox.ok("", &clone);
        let checkout = ["-c", version, "-c", &own, "checkout", "-q", "main"];
        sandbox.ok("origin.git", &["config", "uploadpack.allowReachableSHA1InWant", "false"]);
        let said = sandbox.fails(&copy, &checkout);
        // In versions 0 and 1 the client itself knows that it may not ask.
        assert!(said.contains("not our ref") || said.contains("unadvertised object"), "{said}");
        sandbox.ok("origin.git", &["config", "uploadpack.allowReachableSHA1InWant", "true"]);
        sandbox.ok(&copy, &checkout);
        sandbox.check(&copy);
    }
}

#[test]
fn a_sha256_repository_is_served() {
    let sandbox = Sandbox::new();
    sandbox.ok("", &["init", "-q", "--bare", "--object-format=sha256", "-b", "main", "origin.git"]);
    sandbox.feed("origin.git", &["fast-import", "--quiet"], &crate::support_repo::history(10, 0));
    for (n, version) in VERSIONS.into_iter().enumerate() {
        let copy = format!("copy{n}.git");
        clone(&sandbox, version, "origin.git", &copy, &["--mirror"]);
        assert_eq!(sandbox.refs(&copy), sandbox.refs("origin.git"));
        sandbox.check(&copy);
    }
}

#[test]
fn the_daemon_serves_in_every_version_and_several_clients_at_once() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 500);
    let daemon = sandbox.daemon(&["--timeout=3600"]);
    let url = daemon.url("origin.git");
    std::thread::scope(|scope| {
        for (n, version) in VERSIONS.into_iter().enumerate() {
            let (sandbox, url) = (&sandbox, &url);
            scope.spawn(move || {
                let copy = format!("copy{n}.git");
                sandbox.ok("", &["-c", version, "clone", "-q", "--mirror", url, &copy]);
                assert_eq!(sandbox.refs(&copy), sandbox.refs("origin.git"));
                sandbox.check(&copy);
            });
        }
    });
}

/// T17: paths mean nothing but themselves.
#[test]
fn the_daemon_leaves_its_root_neither_by_words_nor_by_links() {
    let sandbox = Sandbox::new();
    sandbox.rich("root/inside.git", 0);
    sandbox.rich("outside.git", 0);
    std::os::unix::fs::symlink(sandbox.path("outside.git"), sandbox.path("root/link.git")).unwrap();
    let inner = Sandbox::new();
    let mut command = program(example("git_server"));
    command.arg("daemon").arg(sandbox.path("root")).args(["--listen", "127.0.0.1:0"]);
    let daemon = Daemon::start(command);
    assert!(inner.ok("", &["ls-remote", &daemon.url("inside.git")]).contains("refs/heads/main"));
    assert!(inner.ok("", &["ls-remote", &daemon.url("/inside")]).contains("refs/heads/main"));
    for path in ["../outside.git", "inside.git/../../outside.git", "link.git", "nothing", "~root/x"] {
        let said = inner.fails("", &["ls-remote", &daemon.url(path)]);
        assert!(
            said.starts_with("fatal: remote error: access denied or repository not exported: "),
            "{said}"
        );
        assert!(said.trim_end().ends_with(path), "{said}");
    }
    // Read-only unless it is told otherwise.
    inner.init("work", false);
    inner.commit("work", "main", "x");
    let said = inner.fails("work", &["push", &daemon.url("inside.git"), "main:new"]);
    assert!(said.contains("access denied or repository not exported"), "{said}");
}

#[test]
fn the_daemon_answers_bad_requests_and_too_many_clients_with_err() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    let ask = |daemon: &Daemon, bytes: &[u8]| {
        let mut stream = daemon.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        text(&answer)
    };
    let daemon = sandbox.daemon(&[]);
    for bad in [&b"0000"[..], b"00zz", &pkt("git-upload-archive /origin.git\0host=x\0"), b"0030git-up"] {
        let answer = ask(&daemon, bad);
        assert!(answer[4..].starts_with("ERR "), "{answer}");
    }
    // One that has been served the refs stays; the next one is told.
    let daemon = sandbox.daemon(&["--max-connections=1"]);
    let mut first = daemon.connect();
    first.write_all(&pkt("git-upload-pack /origin.git\0host=x\0")).unwrap();
    first.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(ask(&daemon, b""), text(&pkt("ERR too many connections")));
    drop(first);
}

/// T14, T10: what is malformed ends the session and names why; nothing hangs.
#[test]
fn malformed_requests_end_with_an_error() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    for input in [&b"00zz"[..], b"0003", b"0009want\n", b"0032want 1111", b"0001"] {
        let mut command = program(example("git_server"));
        command.arg("upload-pack").arg(sandbox.path("origin.git"));
        let output = run(command, input);
        assert_eq!(output.status.code(), Some(128), "{}", input.escape_ascii());
        assert!(text(&output.stderr).starts_with("fatal: "), "{}", text(&output.stderr));
    }
}

#[test]
fn a_silent_client_is_given_up_after_the_timeout() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    let daemon = sandbox.daemon(&["--timeout=1"]);
    let mut stream = daemon.connect();
    stream.write_all(&pkt("git-upload-pack /origin.git\0host=x\0")).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(count(&answer, b" refs/heads/main\n"), 1);
}
