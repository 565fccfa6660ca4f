//! Version 2 alone: limits, backpressure, misuse, and peers that mean harm.

use bytes::Bytes;
use portline::git::fetch::server::{Action, Config, DeepenRequest, Error, Outcome, Server, WantPolicy};
use portline::git::{
    Depth, HiddenRefs, Misuse, ObjectFormat, ObjectId, PackRequest, Ref, RefName, RefView, SessionError,
    ShallowUpdate, Version,
};
use portline::{Blame, Instant, limits};

use super::support::take_apart;

const NOW: Instant = Instant::ZERO;
const MAIN: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";

pub(crate) fn id(number: usize) -> ObjectId {
    format!("{number:040x}").parse().unwrap()
}

pub(crate) fn main_id() -> ObjectId {
    MAIN.parse().unwrap()
}

pub(crate) fn name(text: &str) -> RefName {
    RefName::new(text).unwrap()
}

pub(crate) fn config() -> Config {
    Config { version: Version::V2, ..Config::default() }
}

pub(crate) fn drain(server: &mut Server) -> Vec<u8> {
    let sent = std::iter::from_fn(|| server.poll_transmit());
    sent.flat_map(portline::Transmit::into_bytes).collect()
}

/// A server that has said what it can do.
pub(crate) fn ready(config: Config) -> Server {
    let mut server = Server::new(config, NOW);
    assert!(drain(&mut server).starts_with(b"000eversion 2\n"));
    server
}

pub(crate) fn packet(line: &str) -> Bytes {
    match line {
        "-" => Bytes::from_static(b"0000"),
        "|" => Bytes::from_static(b"0001"),
        line => {
            let line = line.replace("MAIN", MAIN);
            Bytes::from(format!("{:04x}{line}", line.len() + 4))
        }
    }
}

pub(crate) fn give(server: &mut Server, lines: &[&str]) -> Result<(), Error> {
    lines.iter().try_for_each(|line| server.handle_bytes(NOW, packet(line)))
}

fn too_many<T>(what: &'static str, limit: usize) -> Result<T, Error> {
    Err(Error::Session(SessionError::TooMany { what, limit }))
}

/// T10: V2S-18, counted on every branch, repeats included.
#[test]
fn v2s_18_endless_requests_end_the_session() {
    let small = || Config { max_wants: 3, max_haves: 3, max_rounds: 2, ..config() };
    for (what, line) in [("want lines", "want MAIN"), ("have lines", "have MAIN")] {
        let mut server = ready(small());
        assert_eq!(give(&mut server, &["command=fetch", "|", line, line, line]), Ok(()));
        assert_eq!(give(&mut server, &[line]), too_many(what, 3));
        assert_eq!(give(&mut server, &[line]), too_many(what, 3), "sticky");
    }
    for head in [&["command=fetch", "|", "thin-pack"][..], &["command=ls-refs", "|", "ref-prefix refs/"]] {
        let mut server = ready(Config { max_arguments: 3, ..config() });
        assert_eq!(give(&mut server, head), Ok(()));
        assert_eq!(give(&mut server, &[head[2], head[2]]), Ok(()));
        assert_eq!(give(&mut server, &[head[2]]), too_many("lines in one request", 3));
    }
    let mut server = ready(small());
    let round = ["command=fetch", "|", "have MAIN", "-"];
    for _ in 0..2 {
        assert_eq!(give(&mut server, &round), Ok(()));
        server.poll_action().unwrap();
        server.objects_found(NOW, vec![]).unwrap();
    }
    assert_eq!(give(&mut server, &round), too_many("rounds of negotiation", 2));

    let ends = |config: Config, head: &[&str], line: &str, count: usize| {
        let mut server = ready(config);
        give(&mut server, head).unwrap();
        let many = packet(line).repeat(64);
        let mut given = 0;
        while server.wants_input() && given <= count {
            given += 64;
            if server.handle_bytes(NOW, many.clone().into()).is_err() {
                break;
            }
        }
        let Some(Action::Failed(Error::Session(error))) = server.poll_action() else { panic!("{line}") };
        assert_eq!(error.blame(), Blame::Peer);
        error
    };
    let fetch = ["command=fetch", "|"];
    for (config, head, line, what, limit) in [
        (config(), &["agent=x"][..], "agent=x", "lines in the head of a request", limits::REQUEST_LINES),
        (config(), &fetch, "shallow MAIN", "shallow lines", limits::SHALLOW),
        (config(), &fetch, "deepen-not main", "deepen-not lines", limits::DEEPEN_NOT),
        (
            Config { object_info: true, ..config() },
            &["command=object-info", "|"],
            "oid MAIN",
            "oid lines",
            limits::OBJECT_INFO,
        ),
    ] {
        assert_eq!(ends(config, head, line, limit), SessionError::TooMany { what, limit });
    }
    let long = format!("server-option={}", "x".repeat(60_000));
    let (what, limit) = ("bytes in the head of a request", limits::REQUEST_BYTES);
    assert_eq!(ends(config(), &["agent=x"], &long, 64), SessionError::TooMany { what, limit });
    let mut server = ready(config());
    for _ in 0..limits::REQUESTS {
        give(&mut server, &["command=fetch", "-"]).unwrap();
    }
    assert_eq!(give(&mut server, &["command=fetch", "-"]), too_many("requests", limits::REQUESTS));
}

/// T10, T12, V2S-12: haves are looked up in parts, and what is not here is not kept.
#[test]
fn v2s_12_a_request_with_many_haves_is_looked_up_in_batches() {
    let mut server = ready(config());
    give(&mut server, &["command=fetch", "|", "want MAIN"]).unwrap();
    let mut asked = Vec::new();
    for have in 0..10_000 {
        give(&mut server, &[&format!("have {have:040x}")]).unwrap();
        if let Some(Action::FindObjects(ids)) = server.poll_action() {
            asked.push(ids.len());
            server.objects_found(NOW, vec![]).unwrap();
        }
    }
    assert_eq!(asked, [4096, 4096]);
}

/// T10, V2S-5: prefixes without end cost no memory without end.
#[test]
fn v2s_5_prefixes_are_bounded_in_bytes_too() {
    let mut server = ready(config());
    give(&mut server, &["command=ls-refs", "|"]).unwrap();
    let long = format!("ref-prefix refs/heads/{}", "x".repeat(4000));
    for _ in 0..2000 {
        give(&mut server, &[&long]).unwrap();
    }
    give(&mut server, &["-"]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    let mut server = ready(config());
    give(&mut server, &["command=ls-refs", "|", &format!("ref-prefix {}", "x".repeat(60_000)), "-"]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ListRefsBelow(vec![])));
}

/// V2S-4, FETCH-33: 200,000 refs leave as the transport takes them, and the next request waits until they have.
#[test]
fn v2s_4_a_large_answer_is_written_lazily() {
    let mut server = ready(config());
    give(&mut server, &["command=ls-refs", "-", "command=fetch", "-"]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    let refs = (0..200_000).map(|n| Ref::new(name(&format!("refs/heads/{n:06}")), id(n + 1))).collect();
    server.refs_listed(NOW, refs).unwrap();
    let (mut sent, mut lines) = (0, 0);
    while let Some(transmit) = server.poll_transmit() {
        assert!(transmit.len() <= limits::GIT_OUTPUT + 1000);
        sent += 1;
        lines += transmit.into_bytes().iter().filter(|byte| **byte == b'\n').count();
    }
    assert_eq!(lines, 200_000);
    assert!(sent > 40, "{sent}");
    assert!(!server.has_ended());
}

/// GIT-21, V2S-4, V2S-14: every name passes through the view, in both directions.
#[test]
fn v2s_4_a_namespace_is_all_there_is() {
    let view = RefView::new(HiddenRefs::from_iter(["refs/pull"])).with_namespace(b"a").unwrap();
    let inside = |name: &str| RefName::new(format!("refs/namespaces/a/{name}")).unwrap();
    let refs = || {
        let head = Ref { target: Some(inside("refs/heads/main")), ..Ref::new(inside("HEAD"), id(1)) };
        let elsewhere = Ref::new(name("refs/heads/main"), id(9));
        vec![
            elsewhere,
            head,
            Ref::new(inside("refs/heads/main"), id(1)),
            Ref::new(inside("refs/pull/1"), id(7)),
        ]
    };
    let mut server = ready(Config { view, ref_in_want: true, ..config() });
    let ls = ["command=ls-refs", "|", "symrefs", "ref-prefix HEAD", "ref-prefix refs/", "-"];
    give(&mut server, &ls).unwrap();
    let prefixes = ["refs/namespaces/a/HEAD", "refs/namespaces/a/refs/"].map(Bytes::from);
    assert_eq!(server.poll_action(), Some(Action::ListRefsBelow(prefixes.to_vec())));
    server.refs_listed(NOW, refs()).unwrap();
    let one = id(1);
    assert_eq!(
        take_apart(&drain(&mut server)).lines,
        [
            format!("{one} HEAD symref-target:refs/heads/main\n"),
            format!("{one} refs/heads/main\n"),
            "0000".into()
        ]
    );
    give(&mut server, &["command=fetch", "|", "want-ref refs/pull/1", "done", "-"]).unwrap();
    let asked = vec![Bytes::from_static(b"refs/namespaces/a/refs/pull/1")];
    assert_eq!(server.poll_action(), Some(Action::ListRefsBelow(asked)));
    server.refs_listed(NOW, refs()).unwrap();
    assert_eq!(drain(&mut server), b"001fERR unknown ref refs/pull/1");
}

/// T15, V2S-11, V2S-23: the refs are listed once a session, and what was granted is not asked again.
#[test]
fn v2s_11_wants_are_judged_once() {
    let mut server = ready(Config { wants: WantPolicy::Reachable, ..config() });
    let want = format!("want {}", id(5));
    for round in 0..3 {
        give(&mut server, &["command=fetch", "|", &want, "want MAIN", "have MAIN", "wait-for-done", "-"])
            .unwrap();
        assert_eq!(server.poll_action(), Some(Action::FindObjects(vec![main_id()])));
        server.objects_found(NOW, vec![]).unwrap();
        if round == 0 {
            assert_eq!(server.poll_action(), Some(Action::ListRefs));
            server.refs_listed(NOW, vec![Ref::new(name("refs/heads/main"), main_id())]).unwrap();
            let (ids, tips) = (vec![id(5)], vec![main_id()]);
            assert_eq!(server.poll_action(), Some(Action::CheckReachable { ids, tips }));
            server.reachable(NOW, true).unwrap();
        }
        assert_eq!(drain(&mut server), b"0014acknowledgments\n0008NAK\n0000");
    }
}

/// SHALLOW-5, SHALLOW-6, SHALLOW-8: what the driver is asked, and the pack that comes of it.
#[test]
fn shallow_5_the_driver_is_told_what_the_client_may_see() {
    let mut server = ready(config());
    let lines = [&format!("shallow {}", id(1)), &format!("shallow {}", id(2)), &format!("shallow {}", id(1))];
    give(&mut server, &["command=fetch", "|", "want MAIN", "deepen 2147483647", "done"]).unwrap();
    give(&mut server, &lines.map(String::as_str)).unwrap();
    give(&mut server, &["-"]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    let hidden = Ref::new(name("refs/x/y"), id(8));
    server.refs_listed(NOW, vec![Ref::new(name("refs/heads/main"), main_id()), hidden]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::FindObjects(vec![id(1), id(2)])));
    server.objects_found(NOW, vec![id(1)]).unwrap();
    let mut tips = vec![main_id(), id(8)];
    tips.sort();
    let (wants, to) = (vec![main_id()], Depth::Commits(Depth::INFINITE));
    let asked = DeepenRequest { wants, shallow: vec![id(1)], tips, to, not: vec![] };
    assert_eq!(server.poll_action(), Some(Action::Deepen(asked)));
    let wrong = ShallowUpdate { unshallow: vec![id(3)], ..ShallowUpdate::default() };
    assert!(matches!(server.deepened(NOW, wrong), Err(Misuse::Argument { .. })));
    let foreign =
        ShallowUpdate { shallow: vec![ObjectId::null(ObjectFormat::Sha256)], ..ShallowUpdate::default() };
    assert!(matches!(server.deepened(NOW, foreign), Err(Misuse::Argument { .. })));
    server.deepened(NOW, ShallowUpdate { shallow: vec![id(4)], unshallow: vec![id(1)] }).unwrap();
    let (shallow, unshallow) = (vec![id(4)], vec![id(1)]);
    let plain = PackRequest::new(vec![main_id()], vec![]);
    let request = PackRequest { shallow, unshallow, progress: true, ..plain };
    assert_eq!(server.poll_action(), Some(Action::BuildPack(request)));
}

/// V2S-3, V2S-17: once all is in the sideband, so are errors.
#[test]
fn v2s_17_errors_follow_the_sideband() {
    let config = || Config { sideband_all: true, ..config() };
    let mut server = ready(config());
    assert!(give(&mut server, &["command=fetch", "|", "sideband-all", "sideways"]).is_err());
    assert!(drain(&mut server)[4..].starts_with(b"\x03upload-pack: expected an argument of fetch"));
    let mut server = ready(config());
    assert!(give(&mut server, &["command=fetch", "|", "sideways"]).is_err());
    assert!(drain(&mut server)[4..].starts_with(b"ERR upload-pack: expected an argument of fetch"));
}

/// T13, V2S-2: whenever the client hangs up, there is exactly one end.
#[test]
fn v2s_2_hanging_up_at_any_byte_gives_one_end() {
    let lines = [
        "command=ls-refs",
        "|",
        "peel",
        "-",
        "command=fetch",
        "|",
        "want MAIN",
        "have MAIN",
        "done",
        "-",
        "-",
    ];
    let input: Vec<u8> = lines.iter().flat_map(|line| packet(line)).collect();
    let whole = input.len() - 4;
    for cut in 0..=input.len() {
        let mut server = ready(config());
        let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(&input[..cut]));
        let _ = server.handle_closed(NOW);
        let mut ends = Vec::new();
        while let Some(action) = server.poll_action() {
            match action {
                Action::ListRefs => {
                    server.refs_listed(NOW, vec![Ref::new(name("refs/heads/main"), main_id())]).unwrap();
                }
                Action::FindObjects(ids) => server.objects_found(NOW, ids).unwrap(),
                Action::BuildPack(_) => {
                    server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
                    server.pack_finished(NOW).unwrap();
                }
                end => ends.push(end),
            }
            drain(&mut server);
        }
        assert_eq!(ends.len(), 1, "cut at {cut}");
        assert!(server.has_ended());
        let fine = matches!(ends[0], Action::Finished(_));
        let between = [0, 35, whole, input.len()].contains(&cut);
        assert_eq!(fine, between, "cut at {cut}: {:?}", ends[0]);
        if let Action::Finished(Outcome { requests, pack, .. }) = ends[0] {
            assert_eq!((requests, pack), (usize::from(cut > 0) + usize::from(cut >= whole), cut >= whole));
        }
    }
}

/// T14.
#[test]
fn malformed_packets_end_version_2_with_their_error() {
    for bad in ["0003", "00zz", "-001", "fff1", "0002"] {
        for before in
            [&[][..], &["command=fetch"], &["command=fetch", "|", "want MAIN"], &["command=ls-refs", "|"]]
        {
            let mut server = ready(config());
            give(&mut server, before).unwrap();
            let error = server.handle_bytes(NOW, Bytes::from_static(bad.as_bytes())).unwrap_err();
            assert_eq!(error.blame(), Blame::Peer);
            assert_eq!(server.poll_action(), Some(Action::Failed(error)));
            assert!(take_apart(&drain(&mut server)).lines.concat().starts_with("ERR upload-pack: "));
        }
    }
}

/// GIT-14: answers to nothing are refused and end nothing.
#[test]
fn v2s_15_verbs_of_version_2_are_refused_where_nothing_was_asked() {
    let mut server = ready(config());
    let refused = |result: Result<(), Misuse>| assert!(matches!(result, Err(Misuse::NotAsked { .. })));
    refused(server.commits(NOW, vec![]));
    refused(server.deepened(NOW, ShallowUpdate::default()));
    refused(server.deepen_failed(NOW, Bytes::new()));
    refused(server.sizes(NOW, vec![]));
    refused(server.packfile_uri(NOW, main_id(), "x".into()));
    refused(server.refs_listed(NOW, vec![]));
    let setup = Config { wants: WantPolicy::Any, sideband_all: true, packfile_uris: true, ..config() };
    for (protocols, takes) in [("packfile-uris https", true), ("no-progress", false)] {
        let mut server = ready(setup.clone());
        let lines = ["command=fetch", "|", "sideband-all", protocols, "want MAIN", "done", "-"];
        give(&mut server, &lines).unwrap();
        assert_eq!(server.poll_action(), Some(Action::FindObjects(vec![main_id()])));
        server.objects_found(NOW, vec![main_id()]).unwrap();
        assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));
        for bad in ["", "a\nb", "a\0"] {
            assert!(matches!(server.packfile_uri(NOW, main_id(), bad.into()), Err(Misuse::Argument { .. })));
        }
        assert_eq!(server.packfile_uri(NOW, main_id(), "https://a".into()).is_ok(), takes);
        assert!(matches!(server.pack_finished(NOW), Err(Misuse::Argument { .. })));
        server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
        assert!(matches!(
            server.packfile_uri(NOW, main_id(), "https://a".into()),
            Err(Misuse::Argument { .. })
        ));
        server.pack_finished(NOW).unwrap();
        let said = drain(&mut server);
        assert_eq!(said.ends_with(b"0001000e\x01packfile\n0009\x01PACK0000"), takes);
    }
}

/// V2S-4: so a driver that lists what is below each of them lists nothing twice.
#[test]
fn v2s_4_none_of_the_prefixes_begins_with_another() {
    let mut server = ready(Config { ref_in_want: true, ..config() });
    let asked = ["command=fetch", "|", "want-ref refs/heads/a", "deepen-not a", "done", "-"];
    give(&mut server, &asked).unwrap();
    let Some(Action::ListRefsBelow(prefixes)) = server.poll_action() else {
        panic!("the refs are asked for")
    };
    assert_eq!(prefixes, ["a", "refs/a", "refs/heads/a", "refs/remotes/a", "refs/tags/a"]);
}
