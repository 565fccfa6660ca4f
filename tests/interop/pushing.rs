//! The operations that push.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cell::Cell;
use crate::matrix::Operation;

/// A repository to push to, and one with commits of its own to push from.
fn pair(cell: &Cell) {
    cell.copy("origin.git", "origin.git", None);
    cell.copy("work", "work", Some("origin.git"));
}

fn hook(cell: &Cell, name: &str, script: &str) {
    let path = cell.dir.join("origin.git/hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// In the order of the table.
pub const PUSHES: &[Operation] = &[
    Operation::push("push: new, update, tag", |cell| {
        pair(cell);
        cell.local("work", &["tag", "-a", "-m", "of ours", "v2", "topic"]);
        cell.push("work", &["origin", "main", "topic", "v2", "topic:refs/for/review"]);
        cell.push("work", &["origin", "main"]);
        cell.look("origin.git");
    }),
    Operation::push("push into an empty repository", |cell| {
        cell.copy("empty.git", "origin.git", None);
        cell.copy("work", "work", Some("origin.git"));
        cell.push("work", &["--all", "origin"]);
        cell.look("origin.git");
    }),
    Operation::push("force, with lease, refused", |cell| {
        pair(cell);
        cell.push("work", &["origin", "topic:side"]);
        cell.push("work", &["--force-with-lease=side:main", "origin", "topic:side"]);
        cell.push("work", &["--force-with-lease=side:origin/side", "origin", "topic:side"]);
        cell.push("work", &["--force", "origin", "topic~1:side", "+topic:island"]);
        cell.push("work", &["origin", "topic:refs/tags/light"]);
        cell.look("origin.git");
    }),
    Operation::push("delete", |cell| {
        pair(cell);
        cell.push("work", &["origin", ":side", "--delete", "light"]);
        cell.push("work", &["origin", "--delete", "side", "light", "v1"]);
        cell.push("work", &["origin", "topic", ":refs/tags/v1-nested", ":nowhere"]);
        cell.look("origin.git");
    }),
    Operation::push("atomic", |cell| {
        pair(cell);
        cell.push("work", &["--atomic", "origin", "main", "topic", ":side"]);
        hook(cell, "update", "test \"$1\" != refs/heads/island");
        cell.push("work", &["--atomic", "origin", "topic:new", "+topic:island"]);
        cell.push("work", &["origin", "topic:new", "+topic:island"]);
        cell.look("origin.git");
    }),
    Operation::push("push options", |cell| {
        pair(cell);
        hook(cell, "post-receive", "env | grep ^GIT_PUSH_OPTION | sort >options");
        cell.push("work", &["-o", "one", "-o", "two \"words\"", "origin", "topic"]);
        let options = fs::read_to_string(cell.dir.join("origin.git/options")).unwrap_or_default();
        cell.note(&options);
        cell.local("origin.git", &["config", "receive.advertisePushOptions", "false"]);
        cell.push("work", &["-o", "one", "origin", "topic:x"]);
        cell.look("origin.git");
    }),
    Operation::push("signed", |cell| {
        pair(cell);
        let key = cell.fixture.dir("key").display().to_string();
        for (name, value) in [("gpg.format", "ssh"), ("user.signingKey", key.as_str())] {
            cell.local("work", &["config", name, value]);
        }
        hook(
            cell,
            "post-receive",
            "env | grep -E '^GIT_PUSH_CERT_(NONCE_STATUS|SIGNER)=' | sort >certificate",
        );
        cell.push("work", &["--signed", "origin", "topic"]);
        let certificate = fs::read_to_string(cell.dir.join("origin.git/certificate")).unwrap_or_default();
        // Over HTTP the nonce is made anew for the second request, perhaps a second later.
        cell.note(&certificate.replace("SLOP", "OK"));
        cell.look("origin.git");
    }),
    Operation::push("mirror, tags, prune", |cell| {
        pair(cell);
        cell.local("work", &["tag", "-a", "-m", "of ours", "v2", "topic"]);
        cell.local("work", &["tag", "ours", "topic"]);
        cell.push("work", &["--follow-tags", "origin", "topic"]);
        cell.push("work", &["--tags", "origin"]);
        cell.push("work", &["--prune", "origin", "refs/heads/*"]);
        cell.push("work", &["--mirror", "origin"]);
        cell.look("origin.git");
    }),
    Operation::push("dry run", |cell| {
        pair(cell);
        cell.push("work", &["--dry-run", "origin", "main", "topic", ":side"]);
        cell.look("origin.git");
    }),
    Operation::push("refused by settings and hooks", |cell| {
        pair(cell);
        cell.local("origin.git", &["config", "receive.denyNonFastForwards", "true"]);
        cell.local("origin.git", &["config", "receive.denyDeletes", "true"]);
        cell.push("work", &["origin", "topic", "+main~4:main", ":side"]);
        hook(cell, "pre-receive", "echo not today >&2; exit 1");
        cell.push("work", &["origin", "main:other"]);
        cell.look("origin.git");
    }),
    Operation::push("a large push", |cell| {
        pair(cell);
        // More than an HTTP client keeps in memory before it sends in pieces.
        let noise: Vec<u8> =
            (0..1_500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(cell.dir.join("noise"), noise).unwrap();
        let path = cell.dir.join("noise");
        let id = cell.local("work", &["hash-object", "-w", "--no-filters", path.to_str().unwrap()]);
        cell.local("work", &["update-index", "--add", "--cacheinfo", &format!("100644,{id},noise")]);
        let tree = cell.local("work", &["write-tree"]);
        let commit = cell.local("work", &["commit-tree", "-p", "topic", "-m", "noise", &tree]);
        cell.local("work", &["update-ref", "refs/heads/topic", &commit]);
        cell.push("work", &["origin", "topic"]);
        cell.look("origin.git");
    }),
    Operation::push("push from a shallow clone", |cell| {
        cell.copy("origin.git", "origin.git", None);
        cell.local(
            "",
            &[
                "clone",
                "-q",
                "--depth=1",
                &format!("file://{}", cell.dir.join("origin.git").display()),
                "work",
            ],
        );
        cell.local("work", &["config", "remote.origin.url", &cell.own("origin.git")]);
        cell.commit("work", "main", "from the shallow end");
        cell.push("work", &["origin", "main", "main:new"]);
        cell.look("origin.git");
    }),
];
