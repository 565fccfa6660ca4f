//! Version 2: answers that are long, and sizes that are judged without a listing before them.

use bytes::Bytes;
use portline::git::fetch::server::{Action, Config, Error, Server, WantPolicy};
use portline::git::{Commit, HiddenRefs, Misuse, Ref, Serving, SessionError, ShallowUpdate};
use portline::{Instant, limits, pkt};

use super::version2_hostile::{config, drain, give, id, main_id, name, packet, ready};

const NOW: Instant = Instant::ZERO;
/// What one write may come to.
const MOST: usize = limits::GIT_OUTPUT + pkt::MAX_PACKET;

/// A server of one request.
fn alone(wants: WantPolicy) -> Server {
    let view = HiddenRefs::from_iter(["refs/x"]).into();
    Server::new(Config { object_info: true, serving: Serving::Request, wants, view, ..config() }, NOW)
}

fn refs() -> Vec<Ref> {
    vec![Ref::new(name("refs/heads/main"), main_id()), Ref::new(name("refs/x/y"), id(8))]
}

fn asked(server: &mut Server, ids: &[usize]) {
    give(server, &["command=object-info", "|", "size", "oid MAIN"]).unwrap();
    ids.iter().for_each(|number| give(server, &[&format!("oid {}", id(*number))]).unwrap());
    give(server, &["-"]).unwrap();
}

/// T15, V2S-20, V2S-24: a request that stands alone has its refs listed first, so that it is answered like any other.
#[test]
fn v2s_20_sizes_are_told_without_a_listing_before() {
    let mut server = alone(WantPolicy::Advertised);
    asked(&mut server, &[]);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    assert!(matches!(server.sizes(NOW, vec![]), Err(Misuse::NotAsked { .. })));
    server.refs_listed(NOW, refs()).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ObjectSizes(vec![main_id()])));
    server.sizes(NOW, vec![(main_id(), 217)]).unwrap();
    let answer = format!("0008size0030{} 2170000", main_id());
    assert_eq!(drain(&mut server), answer.as_bytes());
    assert!(server.has_ended());
}

/// T15, V2S-20: those that are no tips are judged by one question, and only that one is open.
#[test]
fn v2s_20_objects_that_are_no_tips_are_judged_as_one() {
    for may in [true, false] {
        let mut server = alone(WantPolicy::Reachable);
        asked(&mut server, &[3, 8]);
        assert_eq!(server.poll_action(), Some(Action::ListRefs));
        server.refs_listed(NOW, refs()).unwrap();
        let (ids, tips) = (vec![id(3), id(8)], vec![main_id()]);
        assert_eq!(server.poll_action(), Some(Action::CheckReachable { ids, tips }));
        assert!(matches!(server.sizes(NOW, vec![(id(8), 1)]), Err(Misuse::NotAsked { .. })));
        server.reachable(NOW, may).unwrap();
        let ids = if may { vec![id(3), id(8), main_id()] } else { vec![main_id()] };
        assert_eq!(server.poll_action(), Some(Action::ObjectSizes(ids)));
        assert!(matches!(server.reachable(NOW, true), Err(Misuse::NotAsked { .. })));
        server.sizes(NOW, vec![(main_id(), 9), (id(3), 5)]).unwrap();
        let size = if may { "5" } else { "" };
        let lines = [format!("{} 9", main_id()), format!("{} {size}", id(3)), format!("{} ", id(8))];
        let lines = lines.map(|line| format!("{:04x}{line}", line.len() + 4)).concat();
        assert_eq!(drain(&mut server), format!("0008size{lines}0000").as_bytes());
    }
    // Where everything may be had nothing is asked; where only tips may, in a session, nobody is.
    let mut server = alone(WantPolicy::Any);
    asked(&mut server, &[3]);
    assert_eq!(server.poll_action(), Some(Action::ObjectSizes(vec![id(3), main_id()])));
    let mut server = ready(Config { object_info: true, ..config() });
    asked(&mut server, &[3]);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    server.refs_listed(NOW, refs()).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ObjectSizes(vec![main_id()])));
}

/// All that is sent, no write of it longer than a full queue and a packet.
fn drained(server: &mut Server) -> (Vec<u8>, usize) {
    let (mut said, mut writes) = (Vec::new(), 0);
    while let Some(transmit) = server.poll_transmit() {
        assert!(transmit.len() <= MOST, "{}", transmit.len());
        writes += 1;
        said.extend_from_slice(&transmit.into_bytes());
    }
    (said, writes)
}

/// The data of all packets, special ones empty.
fn lines(mut said: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some((digits, rest)) = said.split_first_chunk::<4>() {
        let length = usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        let (line, rest) = rest.split_at(length.saturating_sub(4));
        lines.push(line);
        said = rest;
    }
    lines
}

fn count(said: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> usize {
    lines(said).into_iter().filter(|line| is_meant(line)).count()
}

/// T10, V2S-19: what a client makes a server say is written as the transport takes it.
#[test]
fn v2s_19_long_answers_are_written_as_the_transport_takes_them() {
    let mut server = ready(Config { wants: WantPolicy::Any, ref_in_want: true, ..config() });
    give(&mut server, &["command=fetch", "|", "want MAIN", "want-ref refs/heads/main", "deepen 1"]).unwrap();
    for have in 1..=20_000 {
        give(&mut server, &[&format!("have {}", id(have))]).unwrap();
        if let Some(Action::FindObjects(ids)) = server.poll_action() {
            server.objects_found(NOW, ids).unwrap();
        }
    }
    give(&mut server, &["-"]).unwrap();
    let (mut said, mut writes, mut seen) = (Vec::new(), 0, Vec::new());
    loop {
        let (more, count) = drained(&mut server);
        said.extend(more);
        writes += count;
        let Some(action) = server.poll_action() else { break };
        seen.push(format!("{action:?}").split(['(', ' ']).next().unwrap().to_owned());
        match action {
            Action::ListRefsBelow(_) => server.refs_listed(NOW, refs()).unwrap(),
            Action::FindObjects(ids) => server.objects_found(NOW, ids).unwrap(),
            Action::LoadCommits(_) => server.commits(NOW, Vec::<Commit>::new()).unwrap(),
            Action::CheckCovered { .. } => server.covered(NOW, true).unwrap(),
            Action::Deepen(_) => {
                let shallow = (1..=30_000).map(id).collect();
                server.deepened(NOW, ShallowUpdate { shallow, unshallow: vec![] }).unwrap();
            }
            Action::BuildPack(request) => assert_eq!(request.wants.len(), 1),
            other => panic!("{other:?}"),
        }
    }
    let expected =
        ["FindObjects", "ListRefsBelow", "FindObjects", "LoadCommits", "CheckCovered", "Deepen", "BuildPack"];
    assert_eq!(seen, expected);
    assert_eq!(
        (count(&said, |line| line.starts_with(b"ACK ")), count(&said, |line| line.starts_with(b"shallow "))),
        (20_000, 30_000)
    );
    assert!(writes > 9, "{writes}");
    let heads = [&b"acknowledgments\n"[..], b"ready\n", b"wanted-refs\n", b"shallow-info\n", b"packfile\n"];
    let lines = lines(&said);
    let at = heads.map(|head| lines.iter().position(|line| *line == head));
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{at:?}");
    // Each section but the last ends with a delimiter.
    for at in &at[2..] {
        assert_eq!(lines[at.unwrap() - 1], b"");
    }
}

/// V2S-19: a border in versions 0 and 1, and sizes. What follows waits until they have left.
#[test]
fn v2s_19_what_follows_a_long_answer_waits_for_it() {
    let mut server = Server::new(Config::default(), NOW);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    server.refs_listed(NOW, refs()).unwrap();
    drain(&mut server);
    give(&mut server, &["want MAIN", "deepen 1", "-"]).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::Deepen(_))));
    let shallow = (1..=30_000).map(id).collect();
    server.deepened(NOW, ShallowUpdate { shallow, unshallow: vec![] }).unwrap();
    give(&mut server, &["done"]).unwrap();
    assert_eq!(server.poll_action(), None, "the border has not left");
    let (said, writes) = drained(&mut server);
    assert!(said.ends_with(b"00000008NAK\n") && writes > 5, "{writes}");
    assert_eq!(count(&said, |line| line.starts_with(b"shallow ")), 30_000);
    assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));

    let mut server = ready(Config { object_info: true, wants: WantPolicy::Any, ..config() });
    let ids: Vec<usize> = (1..limits::OBJECT_INFO).collect();
    asked(&mut server, &ids);
    let Some(Action::ObjectSizes(ids)) = server.poll_action() else { panic!("no question") };
    server.sizes(NOW, ids.into_iter().map(|id| (id, u64::MAX)).collect()).unwrap();
    give(&mut server, &["-"]).unwrap();
    assert!(!server.has_ended());
    let (said, _) = drained(&mut server);
    assert_eq!(count(&said, |line| line.ends_with(b" 18446744073709551615")), limits::OBJECT_INFO);
    assert!(server.has_ended());
}

/// T10, V2S-18: the names are counted in bytes too.
#[test]
fn v2s_18_wanted_names_are_bounded_in_bytes() {
    let mut server = ready(Config { ref_in_want: true, ..config() });
    give(&mut server, &["command=fetch", "|"]).unwrap();
    let line = |number: usize| format!("want-ref refs/heads/{number:06}{}", "x".repeat(4000));
    let fits = limits::WANT_REF_BYTES / (line(0).len() - "want-ref ".len());
    for number in 0..fits {
        server.handle_bytes(NOW, packet(&line(number))).unwrap();
    }
    let (what, limit) = ("bytes of want-ref lines", limits::WANT_REF_BYTES);
    let error = Error::Session(SessionError::TooMany { what, limit });
    assert_eq!(server.handle_bytes(NOW, packet(&line(fits))), Err(error));
}

/// GIT-18, V2S-17: before the pack's section a client reads lines, and an empty one would be none.
#[test]
fn git_18_no_keep_alive_stands_before_the_section_of_the_pack() {
    let setup = Config { wants: WantPolicy::Any, sideband_all: true, packfile_uris: true, ..config() };
    let mut server = ready(setup);
    let lines = ["command=fetch", "|", "sideband-all", "packfile-uris https", "want MAIN", "done", "-"];
    give(&mut server, &lines).unwrap();
    assert_eq!(server.poll_action(), Some(Action::FindObjects(vec![main_id()])));
    server.objects_found(NOW, vec![main_id()]).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));
    assert_eq!((drain(&mut server), server.poll_timeout()), (vec![], None));
    server.packfile_uri(NOW, main_id(), "https://a".into()).unwrap();
    assert_eq!(server.poll_timeout(), None);
    server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
    drain(&mut server);
    let beat = server.poll_timeout().unwrap();
    server.handle_timeout(beat);
    assert_eq!(drain(&mut server), b"0005\x01");
}
