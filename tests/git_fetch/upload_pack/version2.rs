//! Version 2 beside `git upload-pack`: the same requests, the same answers.

use crate::scratch::scratch;
use bytes::Bytes;
use portline::git::fetch::server::{
    Action, Config, Error, FilterKind, FilterPolicy, Outcome, Unborn, WantPolicy,
};
use portline::git::{HiddenRefs, ObjectFormat, RefView, Serving, Version};

use super::support::*;
use super::{Setup, compare_as};

/// Git serves whatever exists in version 2; here that is a policy.
fn config() -> Config {
    Config { version: Version::V2, wants: WantPolicy::Any, ..Config::default() }
}

fn everything() -> Config {
    Config {
        filters: Some(FilterPolicy::default()),
        ref_in_want: true,
        sideband_all: true,
        object_info: true,
        bundle_uris: Some(BUNDLES.iter().map(|line| Bytes::from_static(line.as_bytes())).collect()),
        ..config()
    }
}

const BUNDLES: [&str; 3] = ["bundle.version=1", "bundle.mode=all", "bundle.one.uri=https://example.org/a"];

const EVERYTHING: [&str; 8] = [
    "uploadpack.allowFilter=true",
    "uploadpack.allowRefInWant=true",
    "uploadpack.allowSidebandAll=true",
    "transfer.advertiseObjectInfo=true",
    "uploadpack.advertiseBundleURIs=true",
    "bundle.version=1",
    "bundle.mode=all",
    "bundle.one.uri=https://example.org/a",
];

fn all() -> Setup<'static> {
    Setup { settings: &EVERYTHING, options: &[], config: everything() }
}

fn fetch(arguments: &str) -> String {
    format!("command=fetch\nagent=git/9\nobject-format=sha1\n|\n{arguments}\n-")
}

/// V2S-1: what is not configured is not there.
#[test]
fn v2s_1_the_capabilities_read_as_gits_own() {
    let repo = repository();
    let plain = |config, settings: &'static [&str]| Setup { settings, options: &[], config };
    let session = compare_as(&repo, "plain", &plain(config(), &[]), "-");
    assert_eq!(session.end, Action::Finished(Outcome::default()));
    compare_as(&repo, "hung up", &plain(config(), &[]), "");
    compare_as(&repo, "everything", &all(), "-");
    let uris = Config { packfile_uris: true, unborn: Unborn::Ignore, ..config() };
    let settings = &["uploadpack.blobPackfileUri=a b https://c", "lsrefs.unborn=ignore"];
    compare_as(&repo, "packfile-uris", &plain(uris, settings), "-");
    let allowed = Config { unborn: Unborn::Allow, ..config() };
    compare_as(&repo, "unborn", &plain(allowed, &["lsrefs.unborn=allow"]), "-");
    let said = serve(repo.path(), Config { session_id: Some("a b".into()), ..config() }, b"0000", 9).said;
    assert!(String::from_utf8(said).unwrap().contains("0017object-format=sha1\n0013session-id=a.b\n0000"));
}

/// V2S-4, V2S-5: prefixes in any order, overlapping, repeated, of no ref, empty.
#[test]
fn v2s_4_ls_refs_reads_as_gits_own() {
    let repo = repository();
    git(repo.path(), &["symbolic-ref", "refs/heads/link", "refs/heads/main"], b"");
    for arguments in [
        "",
        "peel",
        "symrefs",
        "peel\nsymrefs\nunborn",
        "peel\npeel\nref-prefix refs/tags/",
        "symrefs\nref-prefix HEAD\nref-prefix refs/heads/\nref-prefix refs/tags/",
        "ref-prefix refs/heads/ma\nref-prefix refs/heads/main\nref-prefix refs/heads/ma",
        "ref-prefix refs/tags/v1\nref-prefix refs/heads/many/0\nref-prefix H",
        "ref-prefix refs/none",
        "ref-prefix \\\nref-prefix refs/heads/main",
        "ref-prefix main\nref-prefix refs/heads/main/",
    ] {
        compare_as(&repo, arguments, &all(), &format!("command=ls-refs\n|\n{arguments}\n-\n-"));
    }
    compare_as(&repo, "no delimiter", &all(), "command=ls-refs\n-\n-");
    let hidden = ["refs/secret", "refs/heads/many"];
    let setup = Setup {
        settings: &["transfer.hideRefs=refs/secret", "uploadpack.hideRefs=refs/heads/many"],
        options: &[],
        config: Config { view: HiddenRefs::from_iter(hidden).into(), ..config() },
    };
    compare_as(&repo, "hidden", &setup, "command=ls-refs\n|\nref-prefix refs/\n-\n");
}

/// V2S-4, V2S-6.
#[test]
fn v2s_6_an_unborn_head_is_told_where_it_is_asked_for() {
    let empty = scratch();
    git(empty.path(), &["init", "-q", "--bare", "-b", "main"], b"");
    for arguments in ["symrefs\nunborn", "unborn", "symrefs", "symrefs\nunborn\nref-prefix refs/", ""] {
        let script = format!("command=ls-refs\n|\n{arguments}\n-");
        compare_as(&empty, arguments, &all(), &script);
        let ignored = Setup {
            settings: &["lsrefs.unborn=ignore"],
            options: &[],
            config: Config { unborn: Unborn::Ignore, ..config() },
        };
        compare_as(&empty, arguments, &ignored, &script);
    }
    // A hidden branch stays hidden before it is born (Git names it).
    let view = HiddenRefs::from_iter(["refs/heads/main"]).into();
    let input = client(empty.path(), "command=ls-refs\n|\nsymrefs\nunborn\n-");
    let said = serve(empty.path(), Config { view, ..config() }, &input, 9).said;
    assert!(said.ends_with(b"object-format=sha1\n00000000"));
}

/// V2S-5: so many prefixes that none is used.
#[test]
fn v2s_5_too_many_prefixes_are_none() {
    let repo = repository();
    for count in [65_535, 65_536] {
        let many = "ref-prefix refs/heads/main\n".repeat(count);
        let input = client(repo.path(), &format!("command=ls-refs\n|\n{many}-"));
        let ours = take_apart(&serve(repo.path(), config(), &input, usize::MAX).said).lines;
        assert_eq!(ours, take_apart(&upload_pack_as(repo.path(), &[], "version=2", &[], &input)).lines);
        assert_eq!(ours.len() > 20, count == 65_536);
    }
}

/// V2S-10, V2S-12, V2S-15, V2S-17.
const FETCHES: [(&str, &str); 25] = [
    ("clone", "want {main}\ndone"),
    ("clone with everything", "thin-pack\nofs-delta\ninclude-tag\nno-progress\nwant {main}\nwant {v2}\ndone"),
    ("repeated wants", "want {main}\nwant {main}\ndone\ndone"),
    ("no done", "want {main}"),
    ("nothing", ""),
    ("only done", "done"),
    ("only haves", "have {main}"),
    ("nothing common", "want {main}\nhave {absent}\nhave {gone}"),
    ("unknown and known", "want {main}\nhave {absent}\nhave {lone}"),
    ("one common", "want {main}\nhave {old}"),
    ("parents of common ones", "want {main}\nhave {main~2}\nhave {main~3}\nhave {main~5}\nhave {main~4}"),
    ("parents of a merge", "want {main}\nhave {main~6}\nhave {side}\nhave {side~1}\nhave {main~7}"),
    ("parents first", "want {main}\nhave {main~3}\nhave {main~2}"),
    ("repeated haves", "want {main}\nhave {old}\nhave {absent}\nhave {old}"),
    ("tags and blobs", "want {v2}\nwant {blob}\nhave {v1}\nhave {blob}\nhave {main~2}"),
    ("haves and done", "want {main}\nhave {old}\nhave {absent}\ndone"),
    ("unrelated", "want {lone}\nhave {main}"),
    ("two wants, one covered", "want {main}\nwant {lone}\nhave {old}"),
    ("two wants, both covered", "want {main}\nwant {lone}\nhave {old}\nhave {lone}"),
    ("wait", "wait-for-done\nwant {main}\nhave {old}"),
    ("wait and done", "wait-for-done\nwant {main}\nhave {old}\ndone"),
    ("negotiate only", "wait-for-done\nhave {old}\nhave {absent}"),
    ("sideband-all", "sideband-all\nwant {main}\nhave {old}"),
    ("sideband-all, not yet", "sideband-all\nwant {main}\nhave {absent}"),
    ("no LF, a space behind", "want {main} \\\nhave {old} \\\ndone\\"),
];

#[test]
fn v2s_10_every_fetch_reads_as_gits_own() {
    let repo = repository();
    for (name, arguments) in FETCHES {
        let session = compare_as(&repo, name, &all(), &fetch(arguments));
        assert!(matches!(session.end, Action::Finished(_)), "{name}: {:?}", session.end);
    }
}

/// V2S-12: seeded requests, so that no order of known, unknown, repeated and related haves is left out.
#[test]
fn v2s_12_random_fetches_read_as_gits_own() {
    let repo = repository();
    let mut seed: u32 = 0x9e37_79b9;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % limit
    };
    let names = ["lone", "old", "old~2", "side", "side~1", "main~1", "main~2", "main~6", "main~7", "main"];
    for _ in 0..25 {
        let mut script = String::new();
        for _ in 0..=below(2) {
            script += &format!("want {{{}}}\n", ["main", "lone", "side", "v2", "blob", "old"][below(6)]);
        }
        for _ in 0..below(9) {
            match below(6) {
                0 => script += &format!("have {:040x}\n", below(4) + 1),
                _ => script += &format!("have {{{}}}\n", names[below(names.len())]),
            }
        }
        script += ["", "", "done", "wait-for-done"][below(4)];
        let input = client(repo.path(), &fetch(&script));
        let theirs = take_apart(&upload_pack_as(repo.path(), &[], "version=2", &[], &input)).lines;
        let ours = serve(repo.path(), config(), &input, below(60) + 1);
        assert_eq!(take_apart(&ours.said).lines, theirs, "{script}");
    }
}

/// V2S-14.
#[test]
fn v2s_14_wants_by_name_read_as_gits_own() {
    let repo = repository();
    for arguments in [
        "want-ref refs/heads/main\ndone",
        "want-ref HEAD\nwant-ref refs/tags/v1\nwant {main}\nhave {old}",
        "want-ref refs/heads/old\nwant-ref refs/heads/main\ndeepen 2\nhave {old}",
        "sideband-all\nwant-ref refs/heads/main\ndone",
        "want-ref refs/heads/main\nwant-ref refs/heads/main\ndone",
        "want-ref refs/heads/none\ndone",
        "want-ref main\ndone",
    ] {
        compare_as(&repo, arguments, &all(), &fetch(arguments));
    }
}

/// V2S-15: packs by URI, from the driver's own list.
#[test]
fn v2s_15_uris_come_before_the_pack_where_the_client_takes_them() {
    let repo = repository();
    let blob = id(repo.path(), "main:file1");
    let pack = "2".repeat(40);
    git(
        repo.path(),
        &["config", "uploadpack.blobPackfileUri", &format!("{blob} {pack} https://example.org/p")],
        b"",
    );
    let config = Config { packfile_uris: true, ..everything() };
    for arguments in [
        "sideband-all\npackfile-uris https,http\nwant {main}\ndone",
        "packfile-uris https\nwant {main}\ndone",
    ] {
        let input = client(repo.path(), &fetch(arguments));
        let theirs = take_apart(&upload_pack_as(repo.path(), &EVERYTHING, "version=2", &[], &input)).lines;
        let ours = serve(repo.path(), config.clone(), &input, 9);
        assert_eq!(take_apart(&ours.said).lines, theirs, "{arguments}");
        assert_eq!(theirs.iter().any(|line| line.contains("https")), arguments.starts_with("side"));
    }
}

/// V2S-16: filters, and what is not allowed, in Git's words.
#[test]
fn v2s_16_filters_read_as_gits_own() {
    let repo = repository();
    for filter in ["blob:none", "tree:1", "blob:limit=10", "object:type=commit", "combine:tree:2+blob:none"] {
        compare_as(&repo, filter, &all(), &fetch(&format!("filter {filter}\nwant {{main}}\ndone")));
    }
    let cases: [(&[&str], FilterPolicy, &str); 4] = [
        (
            &["uploadpackfilter.allow=false"],
            FilterPolicy { refused: FilterKind::ALL.to_vec(), max_tree: None },
            "blob:none",
        ),
        (
            &["uploadpackfilter.combine.allow=true", "uploadpackfilter.allow=false"],
            FilterPolicy { refused: vec![FilterKind::BlobNone, FilterKind::Tree], max_tree: None },
            "combine:tree:1+blob:none",
        ),
        (
            &["uploadpackfilter.tree.maxDepth=3"],
            FilterPolicy { refused: vec![], max_tree: Some(3) },
            "tree:5",
        ),
        (
            &["uploadpackfilter.tree.maxDepth=3"],
            FilterPolicy { refused: vec![], max_tree: Some(3) },
            "tree:3",
        ),
    ];
    for (settings, policy, filter) in cases {
        let settings: Vec<&str> = settings.iter().copied().chain(EVERYTHING).collect();
        let config = Config { filters: Some(policy), ..everything() };
        let setup = Setup { settings: &settings, options: &[], config };
        compare_as(&repo, filter, &setup, &fetch(&format!("want {{main}}\nfilter {filter}\ndone")));
    }
}

/// V2S-20.
#[test]
fn v2s_20_object_info_reads_as_gits_own() {
    let repo = repository();
    for arguments in [
        "size\noid {main}\noid {absent}\noid {main:file1}\noid {main}",
        "oid {main}\nsize",
        "oid {main}",
        "size",
        "",
    ] {
        compare_as(&repo, arguments, &all(), &format!("command=object-info\n|\n{arguments}\n-"));
    }
}

/// V2S-21.
#[test]
fn v2s_21_bundle_uris_read_as_gits_own() {
    let repo = repository();
    compare_as(&repo, "bundle-uri", &all(), "command=bundle-uri\n-\n-");
    compare_as(&repo, "bundle-uri", &all(), "command=bundle-uri\n|\n-\ncommand=ls-refs\n-");
}

/// V2S-2: several requests on one connection.
#[test]
fn v2s_2_requests_follow_each_other_until_a_flush_or_the_end() {
    let repo = repository();
    let ls = "command=ls-refs\n|\nref-prefix HEAD\n-\n";
    let round = |have: &str| fetch(&format!("want {{main}}\nhave {{{have}}}"));
    let script = [ls, &round("absent"), "\n", &round("gone"), "\n", ls, &round("old"), "\n-"].concat();
    let session = compare_as(&repo, "a session", &all(), &script);
    assert_eq!(
        session.end,
        Action::Finished(Outcome { pack: true, wants: 3, haves: 3, rounds: 3, common: 2, requests: 5 })
    );
}

/// V2S-3: where Git dies without a word to the client, ours says why; what came before is equal.
#[test]
fn v2s_3_what_was_not_advertised_is_refused() {
    let repo = repository();
    for (script, words) in [
        ("command=push\n-", "invalid command 'push'"),
        ("command=object-info\n-", "invalid command 'object-info'"),
        ("command=bundle-uri\n-", "invalid command 'bundle-uri'"),
        ("command=fetch\ncommand=fetch\n-", "command 'fetch' requested after already requesting another"),
        ("command=fetch\nsession-id=x\n-", "unknown capability 'session-id=x'"),
        ("command=fetch\nlazy\n-", "unknown capability 'lazy'"),
        ("agent=x\n-", "no command requested"),
        ("command=ls-refs\nobject-format=sha256\n-", "mismatched object format: server sha1; client sha256"),
        ("command=ls-refs\nobject-format=md5\n-", "mismatched object format: server sha1; client md5"),
        ("command=ls-refs\n|\nwant {main}\n-", ""),
        ("command=ls-refs\n|\npeel\n|\n-", ""),
        ("command=fetch\n|\nwant main\n-", ""),
        ("command=fetch\n|\nsideways\n-", ""),
        (
            "command=fetch\n|\nwant-ref refs/heads/main\n-",
            "the client sent a want-ref line, which was not offered",
        ),
        ("command=fetch\n|\nsideband-all\n-", "the client sent a sideband-all line, which was not offered"),
        ("command=fetch\n|\nfilter blob:none\n-", "the client sent a filter line, which was not offered"),
        (
            "command=fetch\n|\npackfile-uris https\n-",
            "the client sent a packfile-uris line, which was not offered",
        ),
        ("command=fetch\n|\nwant {main}\ndeepen 0\n-", ""),
        ("command=fetch\n|\nwant {main}\ndeepen 1\ndeepen-since 1\n-", ""),
    ] {
        let input = client(repo.path(), script);
        let session = serve(repo.path(), config(), &input, 9);
        let mut ours = take_apart(&session.said).lines;
        let last = ours.pop().unwrap();
        assert!(last.starts_with("ERR upload-pack: ") && last.contains(words), "{script}: {last}");
        let theirs = take_apart(&upload_pack_as(repo.path(), &[], "version=2", &[], &input)).lines;
        assert!(theirs.starts_with(&ours), "{script}");
        assert!(matches!(session.end, Action::Failed(_)), "{script}");
    }
    let sha256 = Config { format: ObjectFormat::Sha256, ..config() };
    let session = serve(repo.path(), sha256, &client(repo.path(), "command=ls-refs\n-"), 9);
    assert!(
        matches!(session.end, Action::Failed(Error::ObjectFormat { .. })),
        "SHA-1 is meant by who says nothing"
    );
}

/// T15, V2S-11: Git's version 2 serves whatever exists, hidden or not; ours what the policy allows, and says the same
/// of what is hidden, unreachable and not there.
#[test]
fn v2s_11_the_want_policy_holds_in_version_2() {
    let repo = repository();
    let hidden = id(repo.path(), "refs/secret/x");
    let unreachable = id(repo.path(), "gone");
    let hide = ["transfer.hideRefs=refs/secret"];
    let policies = [
        (WantPolicy::Advertised, vec!["main", "v1"], vec!["main~3", "gone", "refs/secret/x", "absent"]),
        (WantPolicy::Tips, vec!["main", "refs/secret/x"], vec!["main~3", "gone", "absent"]),
        (WantPolicy::Reachable, vec!["main~3", "main:file1"], vec!["gone", "refs/secret/x", "absent"]),
        (WantPolicy::TipsAndReachable, vec!["main~3", "refs/secret/x"], vec!["gone", "absent"]),
        (WantPolicy::Any, vec!["main~3", "gone", "refs/secret/x"], vec!["absent"]),
    ];
    for (wants, granted, refused) in policies {
        let view: RefView = HiddenRefs::from_iter(["refs/secret"]).into();
        let ours = |serving, name: &str| {
            let config = Config { wants, serving, view: view.clone(), ..config() };
            serve(repo.path(), config, &client(repo.path(), &fetch(&format!("want {{{name}}}\ndone"))), 9)
        };
        for name in granted {
            let end = ours(Serving::Session, name).end;
            assert!(matches!(end, Action::Finished(Outcome { pack: true, .. })), "{wants:?} {name}: {end:?}");
        }
        for name in refused {
            let session = ours(Serving::Session, name);
            let object = id(repo.path(), name);
            let words = format!("0049ERR upload-pack: not our ref {object}");
            assert!(session.said.ends_with(words.as_bytes()), "{wants:?} {name}");
            // One request knows nothing of an advertisement that may be old: what is reached now is granted.
            let alone = ours(Serving::Request, name);
            assert_eq!(matches!(alone.end, Action::Finished(_)), name == "main~3", "{wants:?} {name}");
        }
    }
    for object in [hidden, unreachable] {
        let input = client(repo.path(), &fetch(&format!("want {object}\ndone")));
        let theirs = take_apart(&upload_pack_as(repo.path(), &hide, "version=2", &[], &input));
        assert!(!theirs.pack.is_empty(), "Git serves it");
    }
    // Sizes tell as much as packs do.
    let view: RefView = HiddenRefs::from_iter(["refs/secret"]).into();
    let narrow = Config { wants: WantPolicy::Advertised, view, ..everything() };
    let script =
        "command=ls-refs\n-\ncommand=object-info\n|\nsize\noid {refs/secret/x}\noid {absent}\noid {main}\n-";
    let said = take_apart(&serve(repo.path(), narrow, &client(repo.path(), script), 9).said).lines;
    let sizes: Vec<usize> = said[said.len() - 4..said.len() - 1].iter().map(String::len).collect();
    assert_eq!(sizes, [41, 41, 44]);
}

/// V2S-3, V2S-13: the driver hears server options; agent and session id are kept.
#[test]
fn v2s_13_server_options_reach_the_driver() {
    let repo = repository();
    let script = "command=ls-refs\nserver-option=a=b c\nserver-option=\nagent=git/9\n|\nref-prefix HEAD\n-";
    let session = compare_as(&repo, "server options", &all(), script);
    assert_eq!(session.asked[0], Action::ServerOptions(vec!["a=b c".into(), Bytes::new()]));
    assert_eq!(session.asked[1], Action::ListRefsBelow(vec!["HEAD".into()]));
}
