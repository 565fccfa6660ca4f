//! Beside the real git: the example `git_server receive-pack` and `git receive-pack` are given the same bytes on the same
//! repositories, and say the same, run the same hooks in the same order with the same environment, and leave the same
//! refs (PUSH-8 to PUSH-15, PUSH-21 to PUSH-26).
#![cfg(unix)]

use std::fs;
use std::path::Path;

use crate::push_support::{EMPTY_PACK, NULL, pkt, pkts};
use crate::support_repo::{Sandbox, example, program, run};

const BAND: &str = "report-status-v2 side-band-64k object-format=sha1";
/// A hook that tells what it sees, in the order in which hooks run.
const TELL: &str = r#"
{ echo "$(basename "$0") $*"
env | grep -E '^GIT_(DIR|NAMESPACE|PUSH_OPTION|PUSH_CERT_(SIGNER|KEY|STATUS|NONCE_STATUS)|QUARANTINE_PATH|SHALLOW_FILE)' |
  sed -e 's,/[.]/,/,' -e 's/incoming-.*/incoming/' -e 's/shallow_.*/shallow/' -e 's/=.*\(real\|ours\)/=X/' | sort
case "$(basename "$0")" in update | post-update) ;; *) cat ;; esac; } >>told
"#;

/// One push, to be made twice.
#[derive(Default)]
struct Push {
    title: &'static str,
    environment: Vec<(&'static str, &'static str)>,
    settings: Vec<(&'static str, &'static str)>,
    hooks: Vec<(&'static str, String)>,
    input: Vec<u8>,
    /// What is done to the repository before.
    before: Vec<Vec<String>>,
}

/// What came of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Packets as text, the sideband taken apart.
    said: Vec<String>,
    refs: String,
    told: String,
    shallow: String,
    success: bool,
}

struct Bench {
    sandbox: Sandbox,
    first: String,
    second: String,
    /// A commit that only the pack brings.
    news: String,
    pack: Vec<u8>,
}

impl Bench {
    fn new(format: &str) -> Self {
        let sandbox = Sandbox::new();
        let object_format = format!("--object-format={format}");
        sandbox.ok("", &["init", "-q", "--bare", "-b", "main", &object_format, "base"]);
        let tree = String::from_utf8(sandbox.feed("base", &["mktree"], b"")).unwrap();
        let commit = |parents: &[&str], text: &str| {
            let parents: Vec<&str> = parents.iter().flat_map(|parent| ["-p", parent]).collect();
            sandbox.ok("base", &[&["commit-tree", tree.trim(), "-m", text], &parents[..]].concat())
        };
        let first = commit(&[], "first");
        let second = commit(&[&first], "second");
        for (name, id) in [("main", &first), ("side", &first), ("next", &second)] {
            sandbox.ok("base", &["update-ref", &format!("refs/heads/{name}"), id]);
        }
        sandbox.ok("", &["clone", "-q", "--bare", "base", "source"]);
        let news = sandbox.ok("source", &["commit-tree", tree.trim(), "-m", "news", "-p", &second]);
        let revs = format!("{news}\n^{second}\n");
        let pack =
            sandbox.feed("source", &["pack-objects", "--revs", "--stdout", "--thin", "-q"], revs.as_bytes());
        Self { sandbox, first, second, news, pack }
    }

    fn create(&self, name: &str) -> String {
        format!("{} {} {name}", NULL.repeat(2).get(..self.news.len()).unwrap(), self.news)
    }

    /// Commands with capabilities, and the pack.
    fn input(&self, commands: &[String], caps: &str) -> Vec<u8> {
        let mut bytes = pkt(format!("{}\0{caps}", commands[0]));
        commands[1..].iter().for_each(|line| bytes.extend(pkt(line)));
        bytes.extend(b"0000");
        [&bytes, &self.pack[..]].concat()
    }

    fn make(&self, side: &str, push: &Push) -> Outcome {
        let path = self.sandbox.path(side);
        let _ = fs::remove_dir_all(&path);
        copy(&self.sandbox.path("base"), &path);
        // What the real Git knows nothing of.
        self.sandbox.set(side, "portline.resume", "false");
        for words in &push.before {
            self.sandbox.ok(side, &words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for (key, value) in &push.settings {
            self.sandbox.set(side, key, value);
        }
        for (name, script) in &push.hooks {
            self.sandbox.hook(side, name, script);
        }
        let mut command = if side == "real" { program("git") } else { program(example("git_server")) };
        command.arg("receive-pack").arg(&path).envs(push.environment.iter().copied());
        let output = run(command, &push.input);
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        Outcome {
            said: said(&output.stdout, &path),
            refs: self.sandbox.refs(side),
            told: read("told"),
            shallow: read("shallow"),
            success: output.status.success(),
        }
    }

    fn compare(&self, push: &Push) -> Outcome {
        let (real, ours) = (self.make("real", push), self.make("ours", push));
        for (field, ours, real) in [
            ("said", ours.said.join("\n"), real.said.join("\n")),
            ("told", ours.told.clone(), real.told.clone()),
            ("refs", ours.refs.clone(), real.refs.clone()),
        ] {
            assert!(ours == real, "{}: {field}\n--- ours\n{ours}\n--- real\n{real}", push.title);
        }
        assert_eq!(ours, real, "{}", push.title);
        ours
    }
}

/// The packets, without what differs by nature: the agent, times, and how bands are cut into packets.
fn said(wire: &[u8], path: &Path) -> Vec<String> {
    let (mut rest, mut lines, mut band) = (wire, Vec::new(), None);
    while rest.len() >= 4 {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..4]).unwrap(), 16).unwrap();
        let data = if length == 0 { "0000".into() } else { rest[4..length].escape_ascii().to_string() };
        rest = &rest[length.max(4)..];
        let mut words: Vec<String> = data.split(' ').map(str::to_owned).collect();
        for word in &mut words {
            for varies in ["agent=", "session-id=", "push-cert="] {
                if let Some(at) = word.find(varies) {
                    word.truncate(at + varies.len());
                }
            }
        }
        let line = words.join(" ").replace(path.to_str().unwrap(), "DIR");
        let of = ["\\x01", "\\x02"].into_iter().find(|band| line.starts_with(band));
        // An empty packet on band 1 only says that the server lives.
        if line == "\\x01" {
            continue;
        }
        match (of, lines.last_mut()) {
            (Some(_), Some(last)) if of == band => {
                let last: &mut String = last;
                last.push_str(&line[4..]);
            }
            _ => lines.push(line),
        }
        band = of;
    }
    assert!(rest.is_empty());
    lines
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn all_hooks() -> Vec<(&'static str, String)> {
    ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"]
        .map(|name| (name, TELL.to_owned()))
        .to_vec()
}

/// PUSH-22: the order of hooks and report, and what hooks are told.
#[test]
fn push_22_hooks_run_as_gits_do_and_the_last_ones_behind_the_report() {
    let bench = Bench::new("sha1");
    let (new, delete) = (bench.create("refs/heads/new"), format!("{} {NULL} refs/heads/side", bench.first));
    let mut hooks = all_hooks();
    hooks
        .iter_mut()
        .for_each(|(name, script)| script.push_str(&format!("echo {name} speaks; echo >&2 loud")));
    hooks.retain(|(name, _)| *name != "reference-transaction");
    let mut push = Push { title: "hooks", hooks, ..Push::default() };
    push.input = bench.input(&[new.clone(), delete.clone()], BAND);
    let outcome = bench.compare(&push);
    let report = outcome.said.iter().position(|line| line.contains("unpack ok")).unwrap();
    assert!(outcome.said[report - 1].contains("update speaks"), "{:?}", outcome.said);
    assert!(outcome.said[report + 1].contains("post-receive speaks"), "{:?}", outcome.said);
    push.title = "hooks, a transaction's among them";
    push.hooks = all_hooks();
    bench.compare(&push);
    push.title = "hooks, atomic, with options";
    push.settings = vec![("receive.advertisePushOptions", "true")];
    let caps = format!("{BAND} atomic push-options");
    push.input = [pkt(format!("{new}\0{caps}")), pkt(&delete), pkts(&["", "a b\n", "c=d\n", ""])].concat();
    push.input.extend(&bench.pack);
    bench.compare(&push);
    push.title = "pre-receive declines";
    push.hooks =
        vec![("pre-receive", "cat >/dev/null; echo no; exit 1".into()), ("post-receive", TELL.into())];
    push.input = bench.input(std::slice::from_ref(&new), BAND);
    bench.compare(&push);
    push.title = "update declines one";
    push.hooks = all_hooks();
    push.hooks[1].1.push_str("test $1 != refs/heads/side");
    push.input = bench.input(&[new, delete], BAND);
    bench.compare(&push);
}

/// PUSH-23, GIT-21.
#[test]
fn push_23_a_namespace_is_all_that_a_client_sees() {
    for format in ["sha1", "sha256"] {
        let bench = Bench::new(format);
        let null = NULL.repeat(2).get(..bench.first.len()).unwrap().to_owned();
        let inner = "refs/namespaces/n/refs/namespaces/m";
        let mut push = Push {
            title: "namespaces",
            environment: vec![("GIT_NAMESPACE", "n/m")],
            settings: vec![
                ("transfer.hideRefs", "refs/hid"),
                ("receive.hideRefs", "^refs/namespaces/n/refs/namespaces/m/refs/deep"),
            ],
            hooks: all_hooks(),
            before: vec![
                words(&format!("update-ref {inner}/refs/heads/x {}", bench.first)),
                words(&format!("update-ref {inner}/refs/hid/x {}", bench.second)),
                words(&format!("update-ref {inner}/refs/deep/x {}", bench.first)),
                words(&format!("symbolic-ref {inner}/HEAD {inner}/refs/heads/x")),
                words(&format!("update-ref refs/namespaces/n/refs/heads/outer {}", bench.second)),
            ],
            ..Push::default()
        };
        let caps = BAND.replace("sha1", format);
        let commands = [
            bench.create("refs/heads/new"),
            bench.create("refs/hid/y"),
            bench.create("refs/deep/y"),
            format!("{} {} refs/heads/x", bench.first, bench.second),
            format!("{} {null} refs/heads/main", bench.first),
        ];
        // Git tells its `pre-receive` hook also of what is refused already.
        push.hooks.remove(0);
        push.input = bench.input(&commands, &caps);
        let outcome = bench.compare(&push);
        assert!(outcome.refs.contains(&format!("{} {inner}/refs/heads/new", bench.news)), "{}", outcome.refs);
        assert!(outcome.refs.contains(&format!("{} refs/heads/main", bench.first)), "not its ref");
        push.title = "a namespace that is none";
        push.environment = vec![("GIT_NAMESPACE", "a..b")];
        assert!(!bench.compare(&push).success);
    }
}

/// A `proc-receive` hook that says this, and writes down what it was told.
fn proc_receive(features: &str, report: &[&str]) -> (&'static str, String) {
    let mut wire = pkts(&[&format!("version=1\0{features}"), ""]);
    wire.extend(report.iter().flat_map(pkt));
    wire.extend(b"0000");
    let octal: String = wire.iter().map(|byte| format!("\\{byte:03o}")).collect();
    ("proc-receive", format!("printf '{octal}'; tr '\\000' '~' >>told; echo loud >&2"))
}

/// PUSH-21.
#[test]
fn push_21_the_proc_receive_hook_does_something_else_instead() {
    let bench = Bench::new("sha1");
    let (one, two) = (bench.create("refs/for/main/one"), bench.create("refs/for/main/two"));
    let (new, ids) = (bench.create("refs/heads/new"), (&bench.first, &bench.second));
    let rewritten = [
        "option refname refs/changes/1".to_owned(),
        format!("option old-oid {}", ids.0),
        format!("option new-oid {}", ids.1),
        "option forced-update".to_owned(),
    ];
    let rewritten: Vec<&str> = rewritten.iter().map(String::as_str).collect();
    let (ok_one, ok_two) = ("ok refs/for/main/one", "ok refs/for/main/two");
    let again = [&[ok_one], &rewritten[..], &[ok_one, "option refname refs/changes/2", ok_two]].concat();
    let reports: Vec<(&str, Vec<&str>)> = vec![
        ("one rewritten, twice", again),
        ("one refused", vec!["ng refs/for/main/one not now", ok_two]),
        ("one is ours after all", vec![ok_one, "option fall-through", ok_two]),
        ("one without a word", vec![ok_two]),
        ("an unknown one", vec!["ok refs/for/main/three", ok_one, ok_two]),
        ("no sense", vec!["what", "is refs/for/main/one", "option refname refs/x/y", ok_one, ok_two]),
    ];
    let settings = vec![("receive.procReceiveRefs", "refs/for/"), ("receive.advertisePushOptions", "true")];
    let commands = [one.clone(), new, two];
    for (title, report) in reports {
        let others = [format!("{BAND} atomic"), "report-status".to_owned()];
        let others = if title.starts_with("one re") { others.to_vec() } else { vec![] };
        for caps in [vec![BAND.to_owned()], others].concat() {
            let mut hooks = all_hooks();
            // Git commits an empty transaction when nothing is left of an atomic push.
            hooks.truncate(4);
            hooks.push(proc_receive("push-options", &report));
            let input = bench.input(&commands, &caps);
            bench.compare(&Push { title, settings: settings.clone(), hooks, input, ..Push::default() });
        }
    }
    let mut push = Push { settings: settings.clone(), ..Push::default() };
    push.input = bench.input(&commands, BAND);
    push.title = "no hook";
    bench.compare(&push);
    push.title = "a hook that does not speak";
    push.hooks = vec![("proc-receive", "exit 1".into())];
    bench.compare(&push);
    push.title = "a hook of another time";
    push.hooks = vec![("proc-receive", "printf '000dversion=20000'; cat >/dev/null".into())];
    bench.compare(&push);
    push.title = "options";
    push.hooks = vec![proc_receive("push-options", &["ok refs/for/main/one"])];
    push.input = [pkt(format!("{one}\0{BAND} push-options")), pkts(&["", "x=y\n", ""])].concat();
    push.input.extend(&bench.pack);
    bench.compare(&push);
    push.title = "only some changes";
    push.settings =
        vec![("receive.procReceiveRefs", "ad:refs/heads"), ("receive.procReceiveRefs", "m!:refs/heads")];
    push.hooks = vec![proc_receive("", &["ok refs/heads/new"])];
    push.input = bench.input(&commands, BAND);
    bench.compare(&push);
}

/// PUSH-26: the border of a shallow clone.
#[test]
fn push_26_a_shallow_clone_pushes_where_its_history_is_known_or_may_end() {
    let bench = Bench::new("sha1");
    let lost =
        bench.sandbox.ok("source", &["commit-tree", "-m", "lost", &format!("{}^{{tree}}", bench.first)]);
    let border = bench
        .sandbox
        .ok("source", &["commit-tree", "-m", "border", "-p", &lost, &format!("{}^{{tree}}", bench.first)]);
    let tip = bench
        .sandbox
        .ok("source", &["commit-tree", "-m", "tip", "-p", &border, &format!("{}^{{tree}}", bench.first)]);
    let revs = format!("{tip}\n{}\n^{lost}\n", bench.news);
    let pack = bench.sandbox.feed("source", &["pack-objects", "--revs", "--stdout", "-q"], revs.as_bytes());
    // Git loses the commands behind one that makes the repository shallow: here it is the last one.
    let commands = [bench.create("refs/heads/new"), format!("{NULL} {tip} refs/heads/shallow")];
    for (title, settings) in [
        ("shallow, not allowed", vec![]),
        ("shallow, allowed", vec![("receive.shallowUpdate", "true")]),
        ("shallow, checked", vec![("receive.shallowUpdate", "true"), ("transfer.fsckObjects", "true")]),
        (
            "shallow, checked and kept",
            vec![
                ("receive.shallowUpdate", "true"),
                ("transfer.fsckObjects", "true"),
                ("receive.unpackLimit", "1"),
            ],
        ),
    ] {
        // (A border that we have and whose history is not there is a fatal error to Git.)
        for told in [&border, &lost] {
            for caps in [BAND.to_owned(), format!("{BAND} atomic")] {
                // Git moves the other refs of an atomic push when one is refused at this point; ours is atomic.
                if caps.contains("atomic") && (settings.is_empty() || told != &border) {
                    continue;
                }
                let mut input = pkt(format!("shallow {told}"));
                input.extend(pkt(format!("{}\0{caps}", commands[0])));
                input.extend(pkt(&commands[1]));
                input.extend(b"0000");
                input.extend(&pack);
                let push =
                    Push { title, settings: settings.clone(), hooks: all_hooks(), input, ..Push::default() };
                let outcome = bench.compare(&push);
                let becomes = told == &border && !settings.is_empty();
                assert_eq!(outcome.shallow == format!("{border}\n"), becomes, "{title} {caps}");
            }
        }
    }
}

/// PUSH-24: the certificate's commands, its nonce, its options.
#[test]
fn push_24_certificates_are_read_as_git_reads_them() {
    let bench = Bench::new("sha1");
    let (new, side) = (bench.create("refs/heads/new"), format!("{} {NULL} refs/heads/side", bench.first));
    let signature = ["-----BEGIN SSH SIGNATURE-----\n", "U1NIU0lH\n", "-----END SSH SIGNATURE-----\n"];
    let certificate = |header: &[&str], commands: &[&str], caps: &str| {
        let mut bytes = pkt(format!("push-cert\0{caps}"));
        let lines = ["certificate version 0.1\n", "pusher A <a@b> 1 +0000\n"];
        for line in lines.iter().chain(header).chain(&["\n"]) {
            bytes.extend(pkt(line));
        }
        commands.iter().for_each(|line| bytes.extend(pkt(format!("{line}\n"))));
        signature.iter().for_each(|line| bytes.extend(pkt(line)));
        bytes.extend(pkts(&["push-cert-end\n", ""]));
        bytes
    };
    let with_pack = |bytes: Vec<u8>| [bytes, bench.pack.clone()].concat();
    let seed = ("receive.certNonceSeed", "secret");
    let options = ("receive.advertisePushOptions", "true");
    let both = [new.as_str(), side.as_str()];
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, Vec<u8>);
    let cases: Vec<Case<'_>> = vec![
        ("unsolicited", vec![], with_pack(certificate(&["nonce x\n"], &both, BAND))),
        ("no nonce", vec![seed], with_pack(certificate(&[], &both, BAND))),
        ("another nonce", vec![seed], with_pack(certificate(&["nonce x\n"], &both, BAND))),
        ("only a deletion", vec![seed], certificate(&[], &both[1..], BAND)),
        ("the same options", vec![seed, options], {
            let caps = format!("{BAND} push-options");
            let bytes = certificate(&["push-option a b\n", "push-option c\n"], &both, &caps);
            with_pack([bytes, pkts(&["a b\n", "c\n", ""])].concat())
        }),
        ("other options", vec![seed, options], {
            let bytes = certificate(&["push-option a\n"], &both, &format!("{BAND} push-options"));
            with_pack([bytes, pkts(&["a\n", "b\n", ""])].concat())
        }),
        ("options that were not agreed on", vec![seed], {
            with_pack(certificate(&["push-option a\n"], &both, BAND))
        }),
    ];
    for (title, settings, input) in cases {
        // What is refused as a whole by its options is not shown to our hooks.
        let refused = title.contains("other options") || title.contains("not agreed");
        let hooks = if refused { vec![] } else { all_hooks() };
        let told = !hooks.is_empty();
        let outcome = bench.compare(&Push { title, settings, hooks, input, ..Push::default() });
        assert_eq!((outcome.success, outcome.told.contains("GIT_PUSH_CERT_STATUS=")), (true, told));
    }
}

/// PUSH-22: symbolic refs, the deletion of nothing, a repository that is shallow itself.
#[test]
fn push_22_symbolic_refs_and_refs_that_are_not_there() {
    let bench = Bench::new("sha1");
    let link = vec![words("symbolic-ref refs/heads/link refs/heads/side")];
    let moved = |name: &str, to: &str| format!("{} {to} refs/heads/{name}", bench.first);
    let (second, news) = (&bench.second[..], &bench.news[..]);
    let nothing = format!("{} {NULL} refs/heads/nowhere", "3".repeat(40));
    for (title, commands) in [
        ("the same way", [moved("link", second), moved("side", second)]),
        ("other ways", [moved("link", second), moved("side", news)]),
        ("through the link", [moved("link", second), bench.create("refs/heads/new")]),
        ("nothing is deleted", [nothing, bench.create("refs/heads/new")]),
    ] {
        for caps in [BAND.to_owned(), format!("{BAND} atomic")] {
            // Git carries out what is left of an atomic push then: nothing.
            if title == "other ways" && caps.contains("atomic") {
                continue;
            }
            let input = bench.input(&commands, &caps);
            bench.compare(&Push {
                title,
                before: link.clone(),
                hooks: all_hooks(),
                input,
                ..Push::default()
            });
        }
    }
    let mut push = Push { title: "nothing to do", input: b"0000".to_vec(), ..Push::default() };
    bench.compare(&push);
    push.title = "version 1, with a session id";
    push.environment = vec![("GIT_PROTOCOL", "version=1")];
    push.settings = vec![("transfer.advertiseSID", "true"), ("receive.certNonceSeed", "x")];
    bench.compare(&push);
    push.title = "an empty pack";
    push.input = [pkts(&[&format!("{}\0{BAND}", moved("side", second)), ""]), EMPTY_PACK.to_vec()].concat();
    bench.compare(&push);
}
