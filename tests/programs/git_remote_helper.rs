//! The example `git_remote_helper` by its own words: what it answers Git line by line, and what it does not take.
//! What the real `git` does through it is `tests/interop/`.
#![cfg(unix)]

use std::process::Output;

use crate::support_repo::{Sandbox, example, program, run, text};

/// The helper in the repository `name`, told `words`.
fn helper(sandbox: &Sandbox, name: &str, url: &str, words: &str) -> Output {
    let mut command = program(example("git_remote_helper"));
    command.args(["origin", url]).env("GIT_DIR", sandbox.path(name)).current_dir(sandbox.path(""));
    run(command, words.as_bytes())
}

fn says(sandbox: &Sandbox, name: &str, url: &str, words: &str) -> String {
    let output = helper(sandbox, name, url, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn options_are_taken_refused_or_unknown() {
    let sandbox = Sandbox::new();
    sandbox.init("repo.git", true);
    let answers = |words: &str| says(&sandbox, "repo.git", "git://nowhere.invalid/x", words);
    assert_eq!(answers("capabilities\n\n"), "fetch\npush\noption\nobject-format\ncheck-connectivity\n\n");
    for (option, answer) in [
        ("verbosity 2", "ok"),
        ("verbosity much", "error the value is not understood"),
        ("progress true", "ok"),
        ("progress perhaps", "error the value is not understood"),
        ("depth 3", "ok"),
        ("depth -1", "error the value is not understood"),
        ("deepen-relative true", "ok"),
        ("deepen-since 2020-01-01", "ok"),
        ("deepen-not \"v1\"", "ok"),
        ("filter blob:none", "ok"),
        ("filter nonsense", "error the value is not understood"),
        ("push-option \"a \\\"b\\\" \\303\\244\"", "ok"),
        ("push-option \"unfinished", "error the value is not understood"),
        ("pushcert if-asked", "ok"),
        ("cas refs/heads/main:0000000000000000000000000000000000000000", "ok"),
        ("cas refs/heads/main", "error the value is not understood"),
        ("family ipv4", "unsupported"),
        ("what", "unsupported"),
    ] {
        assert_eq!(answers(&format!("option {option}\n\n")), format!("{answer}\n"), "{option}");
    }
}

#[test]
fn a_list_names_the_format_the_refs_what_head_stands_for_and_what_tags_peel_to() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.init("repo.git", true);
    let url = sandbox.path("origin.git").display().to_string();
    let listed = says(&sandbox, "repo.git", &url, "option object-format true\nlist\n\n");
    let (main, tag) = (sandbox.id("origin.git", "main"), sandbox.id("origin.git", "v1"));
    let peeled = sandbox.id("origin.git", "v1^{}");
    assert!(listed.starts_with("ok\n:object-format sha1\n@refs/heads/main HEAD\n"), "{listed}");
    for line in [
        format!("{main} refs/heads/main"),
        format!("{tag} refs/tags/v1"),
        format!("{peeled} refs/tags/v1^{{}}"),
    ] {
        assert!(listed.contains(&format!("\n{line}\n")), "{line} in {listed}");
    }
    assert!(listed.ends_with("\n\n"));
}

#[test]
fn a_fetch_brings_the_objects_and_says_that_they_are_connected() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.init("repo.git", true);
    let (url, id) = (sandbox.path("origin.git").display().to_string(), sandbox.id("origin.git", "main"));
    let words = format!("option check-connectivity true\nlist\nfetch {id} refs/heads/main\n\n\n");
    let said = says(&sandbox, "repo.git", &url, &words);
    let (_, after) = said.split_once("\n\n").unwrap();
    // The mark is Git's to take away, when the refs are there.
    let (lock, rest) = after.split_once('\n').unwrap();
    let mark = lock.strip_prefix("lock ").expect(after);
    assert!(std::path::Path::new(mark).is_file(), "{mark}");
    assert_eq!(rest, "connectivity-ok\n\n");
    assert_eq!(sandbox.ok("repo.git", &["cat-file", "-t", &id]), "commit");
}

#[test]
fn a_push_that_is_not_what_was_expected_sends_nothing() {
    let sandbox = Sandbox::new();
    sandbox.rich("origin.git", 0);
    sandbox.ok("", &["clone", "-q", "--bare", "origin.git", "repo.git"]);
    let (url, before) = (sandbox.path("origin.git").display().to_string(), sandbox.refs("origin.git"));
    let null = "0".repeat(40);
    let words = format!(
        "list for-push\noption cas refs/heads/main:{null}\npush +refs/heads/side:refs/heads/main\npush nowhere:refs/heads/x\n\n\n"
    );
    let said = says(&sandbox, "repo.git", &url, &words);
    assert!(
        said.ends_with("ok\nerror refs/heads/main stale info\nerror refs/heads/x no match\n\n"),
        "{said}"
    );
    assert_eq!(sandbox.refs("origin.git"), before);
}

#[test]
fn what_git_never_says_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.init("repo.git", true);
    for words in ["import x\n", "fetch zz refs/heads/main\n\n", "push main\n\n", "\0\n"] {
        let output = helper(&sandbox, "repo.git", "git://nowhere.invalid/x", words);
        assert_eq!(output.status.code(), Some(128), "{words:?}");
        assert!(text(&output.stderr).starts_with("fatal: Git said something unknown: "), "{words:?}");
    }
}
