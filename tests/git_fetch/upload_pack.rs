//! The upload-pack server says what `git upload-pack` says, byte for byte up to the pack, and survives peers
//! that mean harm.

mod border;
mod hostile;
mod live;
mod requests;
mod shallow;
mod stateless;
mod support;
mod version2;
mod version2_answers;
mod version2_hostile;

use crate::scratch::scratch;
use portline::git::fetch::server::{Action, Config, Error, Outcome, WantPolicy};
use portline::git::{HiddenRefs, SessionError, Version};
use support::*;
use tempfile::TempDir;

/// How both servers are set up: Git's by settings and options, ours by its config.
struct Setup<'a> {
    settings: &'a [&'a str],
    options: &'a [&'a str],
    config: Config,
}

/// Both servers get the same bytes; everything before the pack is equal, and so is what the pack holds.
fn compare(repo: &TempDir, name: &str, settings: &[&str], config: &Config, script: &str) -> Session {
    compare_as(repo, name, &Setup { settings, options: &[], config: config.clone() }, script)
}

fn compare_as(repo: &TempDir, name: &str, setup: &Setup<'_>, script: &str) -> Session {
    let (dir, config) = (repo.path(), &setup.config);
    let input = client(dir, script);
    let protocol = match config.version {
        Version::V0 => "version=0",
        Version::V1 => "version=1",
        Version::V2 => "version=2",
    };
    let theirs = take_apart(&upload_pack_as(dir, setup.settings, protocol, setup.options, &input));
    let session = serve(dir, config.clone(), &input, usize::MAX);
    let ours = take_apart(&session.said);
    assert_eq!(ours.lines, theirs.lines, "{name}: {script}");
    assert_eq!(ours.pack.is_empty(), theirs.pack.is_empty(), "{name}");
    assert_eq!(ours.flushed, theirs.flushed, "{name}");
    if !ours.pack.is_empty() {
        assert_eq!(check_pack(dir, &ours.pack), check_pack(dir, &theirs.pack), "{name}");
        assert!(ours.longest <= theirs.longest.max(1000), "{name}");
        assert!(matches!(session.end, Action::Finished(Outcome { pack: true, .. })), "{name}");
    }
    for piece in [1, 3, 50] {
        let again = serve(dir, config.clone(), &input, piece);
        assert_eq!(again.said, session.said, "{name}, in pieces of {piece}");
        assert_eq!(again.asked, session.asked, "{name}, in pieces of {piece}");
    }
    session
}

fn hiding() -> Config {
    Config { view: HiddenRefs::from_iter(["refs/secret"]).into(), ..Config::default() }
}

const HIDE: &str = "transfer.hideRefs=refs/secret";

/// FETCH-40, FETCH-41, FETCH-42, FETCH-43, FETCH-44: acknowledgements in all three modes.
const NEGOTIATIONS: [(&str, &str); 22] = [
    ("clone, no capabilities", "want {main}\n-\ndone"),
    ("clone, side-band-64k", "want {main} side-band-64k ofs-delta\n-\ndone"),
    ("clone, side-band", "want {main} side-band\n-\ndone"),
    (
        "clone of everything",
        "want {main} side-band-64k thin-pack include-tag\nwant {v2}\nwant {blob}\n-\ndone",
    ),
    (
        "no LF, extra spaces, repeats",
        "want {main}  side-band-64k   side-band-64k \\\nwant {main}\\\n-\ndone\\",
    ),
    (
        "capabilities on a later line",
        "want {main}\nwant {old} multi_ack side-band-64k\n-\nhave {old}\n-\ndone",
    ),
    ("one common, first only", "want {main} side-band-64k\n-\nhave {absent}\nhave {main~4}\n-\ndone"),
    ("nothing common, first only", "want {main}\n-\nhave {absent}\n-\nhave {gone}\n-\n-\ndone"),
    ("nothing common, multi_ack", "want {main} multi_ack\n-\nhave {absent}\n-\ndone"),
    ("nothing common, detailed", "want {main} multi_ack_detailed\n-\nhave {absent}\n-\n-\ndone"),
    ("multi_ack", "want {main} multi_ack\n-\nhave {old}\nhave {old~1}\n-\nhave {absent}\n-\ndone"),
    ("detailed", "want {main} multi_ack_detailed\n-\nhave {old}\nhave {old~1}\n-\nhave {absent}\n-\ndone"),
    ("both are detailed", "want {main} multi_ack multi_ack_detailed\n-\nhave {old}\n-\ndone"),
    ("ready before a later common", DETAILED_MIXED),
    (
        "continue before a later common",
        "want {main} multi_ack\n-\nhave {absent}\nhave {lone}\nhave {absent}\nhave {old}\nhave {absent}\nhave {main~1}\n-\ndone",
    ),
    (
        "a common that covers nothing",
        "want {main} multi_ack_detailed\n-\nhave {lone}\n-\nhave {absent}\n-\nhave {main~3}\n-\ndone",
    ),
    (
        "two wants, one covered",
        "want {main} multi_ack_detailed\nwant {lone}\n-\nhave {old}\n-\nhave {lone}\n-\ndone",
    ),
    (
        "repeated haves",
        "want {main} multi_ack_detailed\n-\nhave {old}\nhave {old}\nhave {absent}\nhave {absent}\n-\nhave {old}\n-\ndone",
    ),
    ("done in the round", "want {main} multi_ack_detailed\n-\nhave {old}\nhave {absent}\ndone"),
    (
        "no-done",
        "want {main} multi_ack_detailed no-done side-band-64k\n-\nhave {absent}\nhave {old}\nhave {absent}\n-",
    ),
    ("no-done, all common", "want {main} multi_ack_detailed no-done\n-\nhave {old}\n-"),
    ("tags and blobs", "want {v2} multi_ack_detailed\nwant {blob}\n-\nhave {v1}\n-\nhave {blob}\n-\ndone"),
];

const SCRIPTS: usize = 40;
const DETAILED_MIXED: &str = "want {main} multi_ack_detailed side-band-64k\n-\nhave {absent}\nhave {lone}\n\
     have {absent}\nhave {old}\nhave {absent}\nhave {main~1}\nhave {absent}\nhave {main~2}\n-\n-\nhave {old}\n-\ndone";

#[test]
fn fetch_40_every_negotiation_reads_as_gits_own() {
    let repo = repository();
    for (name, script) in NEGOTIATIONS {
        let session = compare(&repo, name, &[], &Config::default(), script);
        assert!(matches!(session.end, Action::Finished(_)), "{name}: {:?}", session.end);
    }
}

/// FETCH-42, FETCH-43: seeded scripts, so that no order of known, unknown and repeated haves is left out.
#[test]
fn fetch_42_random_negotiations_read_as_gits_own() {
    let repo = repository();
    let mut seed: u32 = 0x2545_f491;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % limit
    };
    let names =
        ["absent", "lone", "old", "old~2", "side", "side~1", "main~1", "main~6", "main", "v1", "blob"];
    for _ in 0..SCRIPTS {
        let mut script = String::new();
        for want in 0..=below(3) {
            let caps = ["multi_ack", "multi_ack_detailed", "multi_ack_detailed no-done"][below(3)];
            let want_name = ["main", "lone", "side", "v2", "blob", "old"][below(6)];
            script += &format!("want {{{want_name}}} {}\n", if want == 0 { caps } else { "" });
        }
        script += "-\n";
        for _ in 0..below(14) {
            match below(6) {
                0 => script += "-\n",
                1 => script += &format!("have {:040x}\n", below(4) + 1),
                _ => script += &format!("have {{{}}}\n", names[below(names.len())]),
            }
        }
        script += "done";
        let input = client(repo.path(), &script);
        let theirs = take_apart(&upload_pack(repo.path(), &[], &input)).lines;
        let ours = serve(repo.path(), Config::default(), &input, below(60) + 1);
        assert_eq!(take_apart(&ours.said).lines, theirs, "{script}");
    }
}

/// FETCH-30, FETCH-31, FETCH-32, FETCH-33, FETCH-37.
#[test]
fn fetch_30_advertisements_read_as_gits_own() {
    let repo = repository();
    let empty = scratch();
    git(empty.path(), &["init", "-q", "--bare", "-b", "main"], b"");
    for (repo, name) in [(&repo, "full"), (&empty, "empty")] {
        let session = compare(repo, name, &[], &Config::default(), "-");
        assert_eq!(session.end, Action::Finished(Outcome::default()));
        compare(repo, name, &[HIDE], &hiding(), "-");
        let everything = Config { view: HiddenRefs::from_iter(["refs", "HEAD"]).into(), ..Config::default() };
        if name == "empty" {
            compare(repo, name, &["transfer.hideRefs=refs", "transfer.hideRefs=HEAD"], &everything, "-");
        }
        for (policy, setting) in [
            (WantPolicy::Tips, "uploadpack.allowTipSHA1InWant=true"),
            (WantPolicy::Reachable, "uploadpack.allowReachableSHA1InWant=true"),
            (WantPolicy::Any, "uploadpack.allowAnySHA1InWant=true"),
        ] {
            let config = Config { wants: policy, ..Config::default() };
            compare(repo, name, &[setting], &config, "-");
        }
    }
    git(repo.path(), &["symbolic-ref", "HEAD", "refs/heads/unborn"], b"");
    forget();
    compare(&repo, "unborn", &[], &Config::default(), "-");
}

/// FETCH-31, FETCH-32: a hidden ref's name does not slip out through `symref`, and with everything hidden the
/// repository looks empty.
#[test]
fn fetch_32_hidden_refs_appear_nowhere() {
    let repo = repository();
    let hide =
        |patterns: &[&str]| Config { view: HiddenRefs::from_iter(patterns).into(), ..Config::default() };
    let said = serve(repo.path(), hide(&["refs/heads/main"]), b"0000", 9).said;
    assert!(!String::from_utf8_lossy(&said).contains("main"));
    let said = serve(repo.path(), hide(&["refs", "HEAD"]), b"0000", 9).said;
    let lines = take_apart(&said).lines;
    assert!(lines[0].starts_with("0000000000000000000000000000000000000000 capabilities^{}\0multi_ack "));
    assert_eq!(lines[1..], ["0000"]);
}

/// FETCH-34, V2S-7.
#[test]
fn fetch_34_version_1_announces_itself_and_what_is_not_spoken_is_answered_in_0() {
    let repo = repository();
    let said = |version, newest| {
        serve(repo.path(), Config { version, newest, ..Config::default() }, b"0000", 9).said
    };
    let plain = said(Version::V0, Version::V2);
    assert_eq!(said(Version::V1, Version::V2), [b"000eversion 1\n", &plain[..]].concat());
    assert_eq!(said(Version::V1, Version::V0), plain);
    assert_eq!(said(Version::V2, Version::V1), plain);
    assert_eq!(said(Version::V2, Version::V0), plain);
}

/// T15: FETCH-35, FETCH-36.
#[test]
fn fetch_35_what_may_not_be_wanted_is_refused_as_git_does_and_alike() {
    let repo = repository();
    let cases = [
        (WantPolicy::Advertised, "", vec!["refs/secret/x", "main~3", "gone", "absent", "v1^0"], vec!["v1"]),
        (
            WantPolicy::Tips,
            "uploadpack.allowTipSHA1InWant=true",
            vec!["main~3", "gone", "absent"],
            vec!["refs/secret/x"],
        ),
        (
            WantPolicy::Reachable,
            "uploadpack.allowReachableSHA1InWant=true",
            vec!["gone", "absent"],
            vec!["main~3", "v1^0"],
        ),
        (
            WantPolicy::Any,
            "uploadpack.allowAnySHA1InWant=true",
            vec!["absent"],
            vec!["gone", "main~3", "refs/secret/x", "main:file0"],
        ),
    ];
    for (policy, setting, refused, granted) in cases {
        let config = Config { wants: policy, ..hiding() };
        let settings: Vec<&str> = [HIDE, setting].into_iter().filter(|set| !set.is_empty()).collect();
        for name in refused {
            let script = format!("want {{main}} side-band-64k\nwant {{{name}}}\n-\ndone");
            let session = compare(&repo, name, &settings, &config, &script);
            let id = id(repo.path(), name);
            assert_eq!(session.end, Action::Failed(Error::NotOurRef { id: id.parse().unwrap() }));
            assert!(session.said.ends_with(format!("0049ERR upload-pack: not our ref {id}").as_bytes()));
        }
        for name in granted {
            let script = format!("want {{{name}}} side-band-64k\n-\ndone");
            compare(&repo, name, &settings, &config, &script);
        }
    }
}

/// T15, FETCH-35: stricter than Git, whose "reachable" begins at hidden refs too.
#[test]
fn fetch_35_a_hidden_tip_is_not_reachable() {
    let repo = repository();
    let config = Config { wants: WantPolicy::Reachable, ..hiding() };
    let input = client(repo.path(), "want {refs/secret/x}\n-\ndone");
    let session = serve(repo.path(), config, &input, 9);
    assert!(matches!(session.end, Action::Failed(Error::NotOurRef { .. })));
}

/// FETCH-36, FETCH-38: where Git dies without a word to the client, ours says why; what came before is equal.
#[test]
fn fetch_38_lines_that_do_not_belong_are_refused() {
    let repo = repository();
    for script in [
        "wan {main}\n-\ndone",
        "want {main}x\n-\ndone",
        "want main\n-\ndone",
        "want {main}\nfilter blob:none\n-\ndone",
        "want {main}\n-\nhav {main}\ndone",
        "want {main}\n-\nhave main\ndone",
        "want {main}\n-\ndone now",
    ] {
        let input = client(repo.path(), script);
        let session = serve(repo.path(), Config::default(), &input, 9);
        let mut ours = take_apart(&session.said).lines;
        assert!(ours.pop().unwrap().starts_with("ERR upload-pack: "), "{script}");
        if !script.contains("}x") {
            assert_eq!(ours, take_apart(&upload_pack(repo.path(), &[], &input)).lines, "{script}");
        }
        assert!(matches!(session.end, Action::Failed(_)), "{script}");
    }
    let session = serve(
        repo.path(),
        Config::default(),
        &client(repo.path(), "want {main} filter\nfilter blob:none\n-"),
        9,
    );
    assert_eq!(session.end, Action::Failed(Error::NotOffered { line: "filter" }));
    let words = "ERR upload-pack: the client sent a filter line, which was not offered";
    assert_eq!(take_apart(&session.said).lines.pop().as_deref(), Some(words));
    let session = serve(repo.path(), Config::default(), &client(repo.path(), "ERR no\n"), 9);
    let message = bytes::Bytes::from_static(b"no");
    assert_eq!(session.end, Action::Failed(SessionError::Remote { message }.into()));
}

/// FETCH-39: and a NUL in front of the capabilities is a space.
#[test]
fn fetch_39_capabilities_behind_a_nul_count() {
    let repo = repository();
    let said = |gap: &str| {
        let script = format!("want {{main}}{gap}side-band-64k multi_ack_detailed\n-\nhave {{old}}\n-\ndone");
        serve(repo.path(), Config::default(), &client(repo.path(), &script), 9).said
    };
    assert_eq!(said("\\0"), said(" "));
}

/// FETCH-46.
#[test]
fn fetch_46_the_end_of_input_is_fine_only_where_nothing_is_owed() {
    let repo = repository();
    let end = |script: &str| serve(repo.path(), Config::default(), &client(repo.path(), script), 9).end;
    assert_eq!(end(""), Action::Finished(Outcome::default()));
    for (script, expected) in [
        ("want {main}", "a want line or a flush packet"),
        ("want {main}\n-", "a have line, a flush packet or done"),
        ("want {main}\n-\nhave {main}", "a have line, a flush packet or done"),
        ("want {main}\n-\nhave {main}\n-", "a have line, a flush packet or done"),
    ] {
        assert_eq!(end(script), Action::Failed(SessionError::Ended { expected }.into()));
    }
}

/// FETCH-43: coverage is asked once a round and only when more became common; the extra questions come in the
/// one round in which it is reached, to find from which line on Git would have said `ready`.
#[test]
fn fetch_43_coverage_is_asked_only_when_the_common_set_grew() {
    let repo = repository();
    let asked = |script: &str| {
        let session = serve(repo.path(), Config::default(), &client(repo.path(), script), 99);
        session.asked.iter().filter(|action| matches!(action, Action::CheckCovered { .. })).count()
    };
    let caps = "want {main} multi_ack_detailed\n-\n";
    let unknown = "have {absent}\nhave {gone}\n-\n".replace("{gone}", &"2".repeat(40));
    assert_eq!(asked(&format!("{caps}{unknown}{unknown}done")), 0);
    assert_eq!(asked(&format!("{caps}have {{lone}}\n-\n{unknown}{unknown}done")), 1);
    assert_eq!(asked(&format!("{caps}have {{lone}}\n-\nhave {{old}}\n-\n{unknown}{unknown}done")), 2);
    assert_eq!(asked("want {main}\n-\nhave {old}\n-\nhave {absent}\n-\ndone"), 0);
}

/// The conversations of `spec/vectors/git-conversations.txt`: the same lines before the pack. The record cuts
/// long lines, so those are compared as far as they go.
#[test]
fn recorded_conversations_are_answered_as_recorded() {
    let vectors = include_str!("../../spec/vectors/git-conversations.txt");
    let mut seen = 0;
    for conversation in vectors.split("## ").filter(|part| part.starts_with("upload-pack")) {
        let (mut input, mut theirs) = (String::new(), Vec::new());
        for line in conversation.lines().map(str::trim_start) {
            let Some((from, packet)) = line.split_once(' ') else { continue };
            let packet = packet.replace("\\n", "\n").replace("\\x00", "\0");
            let (length, data) = packet.split_once(' ').unwrap_or((&packet, ""));
            match from {
                "C>S" => input += &format!("{length}{data}"),
                "S>C" if !data.starts_with("\\x0") && !length.starts_with("RAW") => {
                    theirs.push(if length == "0000" { "0000".to_owned() } else { data.to_owned() });
                }
                _ => {}
            }
        }
        if conversation.contains("\\x01PACK") {
            assert_eq!(theirs.pop().unwrap(), "0000", "the flush behind the pack");
        }
        let ours = hostile::recorded(input.as_bytes());
        assert_eq!(ours.len(), theirs.len(), "{conversation}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            match theirs.contains('\0') {
                true => assert!(ours.starts_with(&normal(theirs.rsplit_once(' ').unwrap().0)), "{ours}"),
                false => assert_eq!(*ours, theirs, "{conversation}"),
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}
