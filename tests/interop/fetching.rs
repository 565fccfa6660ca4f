//! The operations that fetch.

use crate::matrix::Operation;

/// In the order of the table.
pub const FETCHES: &[Operation] = &[
    Operation::fetch("ls-remote", |cell| {
        let remote = format!("remote.origin.url={}", cell.shared("origin.git"));
        for arguments in [&["--symref", "origin"][..], &["--heads", "origin", "ma*"]] {
            let listed = cell.ok("", &[&["-c", &remote, "ls-remote"], arguments].concat());
            cell.note(&listed);
        }
    }),
    Operation::fetch("clone", |cell| {
        cell.clone(&[], "origin.git", "copy");
        let status = cell.local("copy", &["status", "--porcelain", "--branch"]);
        cell.note(&status);
        cell.look("copy");
    }),
    Operation::fetch("clone of an empty repository", |cell| {
        cell.clone(&[], "empty.git", "copy");
        let format = cell.local("copy", &["rev-parse", "--show-object-format"]);
        cell.note(&format);
    }),
    Operation::fetch("mirror", |cell| {
        cell.clone(&["--mirror"], "origin.git", "copy");
        cell.look("copy");
    }),
    Operation::fetch("single branch, no tags", |cell| {
        cell.clone(&["--single-branch", "--branch=side", "--no-tags"], "origin.git", "copy");
        cell.look("copy");
    }),
    Operation::fetch("fetch, both sides ahead", |cell| {
        cell.copy("origin.git", "origin.git", None);
        cell.commit("origin.git", "main", "news");
        cell.local("origin.git", &["update-ref", "refs/heads/new", "main~3"]);
        cell.copy("work", "work", Some("origin.git"));
        let updates = cell.ok("work", &["fetch", "--porcelain", "origin"]);
        cell.note(&updates);
        cell.look("work");
    }),
    Operation::fetch("tags: followed, all, pruned", |cell| {
        cell.copy("origin.git", "origin.git", None);
        cell.clone_from(&["--no-tags"], &cell.own("origin.git"), "copy");
        cell.local("copy", &["config", "--unset", "remote.origin.tagOpt"]);
        cell.commit("origin.git", "main", "tagged");
        cell.local("origin.git", &["tag", "-a", "-m", "news", "v2", "main"]);
        cell.local("origin.git", &["branch", "-D", "side"]);
        for options in [&["--prune"][..], &["--tags"]] {
            let updates = cell.ok("copy", &[&["fetch", "--porcelain"], options, &["origin"]].concat());
            cell.note(&updates);
            cell.look("copy");
        }
    }),
    Operation::fetch("one object by its id", |cell| {
        let id = cell.fixture.ok("origin.git", &["rev-parse", "main~9"]);
        cell.local("", &["init", "-q", &format!("--object-format={}", cell.fixture.format), "copy"]);
        cell.local("copy", &["remote", "add", "origin", &cell.shared("origin.git")]);
        cell.ok("copy", &["fetch", "-q", "origin", &format!("{id}:refs/heads/x")]);
        cell.look("copy");
    }),
    Operation::fetch("shallow clone", |cell| {
        cell.clone(&["--depth=1"], "origin.git", "copy");
        cell.look("copy");
        cell.clone(&["--depth=3", "--no-single-branch"], "origin.git", "all");
        cell.look("all");
    }),
    Operation::fetch("shallow since, shallow exclude", |cell| {
        // Commits are a minute apart.
        cell.clone(&["--shallow-since=1690001200 +0000"], "origin.git", "since");
        cell.look("since");
        cell.clone(&["--shallow-exclude=light"], "origin.git", "exclude");
        cell.look("exclude");
    }),
    Operation::fetch("deepen", |cell| {
        cell.clone(&["--depth=1"], "origin.git", "copy");
        cell.ok("copy", &["fetch", "-q", "--deepen=2", "origin"]);
        cell.look("copy");
        cell.ok("copy", &["fetch", "-q", "--depth=8", "origin"]);
        cell.look("copy");
    }),
    Operation::fetch("unshallow", |cell| {
        cell.clone(&["--depth=2"], "origin.git", "copy");
        cell.ok("copy", &["fetch", "-q", "--unshallow", "origin"]);
        cell.look("copy");
    }),
    Operation::fetch("fetch into a shallow clone", |cell| {
        cell.copy("origin.git", "origin.git", None);
        cell.clone_from(&["--depth=2"], &cell.own("origin.git"), "copy");
        cell.commit("origin.git", "main", "news");
        cell.ok("copy", &["fetch", "-q", "origin"]);
        cell.look("copy");
    }),
    Operation::fetch("clone of a shallow repository", |cell| {
        cell.clone(&[], "shallow.git", "copy");
        cell.look("copy");
    }),
    Operation::fetch("partial clone without blobs, read lazily", |cell| {
        cell.clone(&["--filter=blob:none"], "origin.git", "copy");
        cell.look("copy");
        let content = cell.ok("copy", &["show", "v1:file"]);
        cell.note(&content);
        cell.ok("copy", &["log", "-p", "-3"]);
        cell.look("copy");
    }),
    Operation::fetch("partial clone without trees", |cell| {
        cell.clone(&["--filter=tree:0", "--no-checkout"], "origin.git", "copy");
        cell.look("copy");
        let listed = cell.ok("copy", &["ls-tree", "-r", "light"]);
        cell.note(&listed);
    }),
    Operation::fetch("partial clone, blob limit", |cell| {
        cell.clone(&["--bare", "--filter=blob:limit=200"], "origin.git", "copy");
        cell.look("copy");
    }),
    Operation::fetch("partial and shallow clone, refetched", |cell| {
        cell.clone(&["--filter=blob:none", "--depth=2", "--no-checkout"], "origin.git", "copy");
        cell.look("copy");
        cell.ok("copy", &["fetch", "-q", "--refetch", "--no-filter", "origin"]);
        cell.look("copy");
    }),
];
