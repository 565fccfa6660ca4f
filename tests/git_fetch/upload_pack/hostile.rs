//! The machine alone: limits, backpressure, misuse, and peers that mean harm.

use core::time::Duration;

use bytes::Bytes;
use portline::git::fetch::server::{Action, Config, Error, Outcome, Server, WantPolicy};
use portline::git::{Misuse, ObjectFormat, ObjectId, PackRequest, Ref, RefName, SessionError};
use portline::{Blame, Instant, limits, pkt};

use super::support::{Said, take_apart};

const NOW: Instant = Instant::ZERO;
const MAIN: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";

fn main_id() -> ObjectId {
    MAIN.parse().unwrap()
}

pub(crate) fn main_refs() -> Vec<Ref> {
    let main = RefName::new("refs/heads/main").unwrap();
    let head = Ref { target: Some(main.clone()), ..Ref::new(RefName::head(), main_id()) };
    vec![head, Ref::new(main, main_id())]
}

fn drain(server: &mut Server) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(transmit) = server.poll_transmit() {
        said.extend_from_slice(&transmit.into_bytes());
    }
    said
}

/// A server that has advertised `main`.
pub(crate) fn ready(config: Config) -> Server {
    let mut server = Server::new(config, NOW);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    server.refs_listed(NOW, main_refs()).unwrap();
    drain(&mut server);
    server
}

fn packet(line: &str) -> Bytes {
    Bytes::from(format!("{:04x}{line}", line.len() + 4))
}

fn give(server: &mut Server, lines: &[&str]) -> Result<(), Error> {
    lines.iter().try_for_each(|line| match *line {
        "-" => server.handle_bytes(NOW, Bytes::from_static(b"0000")),
        line => server.handle_bytes(NOW, packet(&line.replace("MAIN", MAIN))),
    })
}

/// A server that has been asked for a pack, with these capabilities.
pub(crate) fn packing(config: Config, capabilities: &str) -> Server {
    let mut server = ready(config);
    give(&mut server, &[&format!("want MAIN {capabilities}"), "-", "done"]).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));
    assert_eq!(drain(&mut server), b"0008NAK\n");
    server
}

/// What a server with the recorded repository says before the pack.
pub(crate) fn recorded(input: &[u8]) -> Vec<String> {
    let mut server = Server::new(Config::default(), NOW);
    let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(input));
    let mut said = Vec::new();
    loop {
        said.extend_from_slice(&drain(&mut server));
        match server.poll_action() {
            Some(Action::ListRefs) => server.refs_listed(NOW, main_refs()).unwrap(),
            Some(Action::FindObjects(ids)) => server.objects_found(NOW, ids).unwrap(),
            Some(Action::CheckCovered { .. }) => server.covered(NOW, true).unwrap(),
            Some(Action::BuildPack(_)) => {
                server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
                server.pack_finished(NOW).unwrap();
            }
            Some(Action::Finished(_) | Action::Failed(_)) => {
                said.extend_from_slice(&drain(&mut server));
                return take_apart(&said).lines;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// T10: FETCH-47, counted on every branch, repeats included.
#[test]
fn fetch_47_endless_wants_haves_and_rounds_end_the_session() {
    let small = || Config { max_wants: 3, max_haves: 3, max_rounds: 3, ..Config::default() };
    let too_many = |what| Err(Error::Session(SessionError::TooMany { what, limit: 3 }));
    let want = "want MAIN multi_ack";
    let mut server = ready(small());
    assert_eq!(give(&mut server, &[want; 3]), Ok(()));
    assert_eq!(give(&mut server, &[want]), too_many("want lines"));
    let have = &format!("have {}", "1".repeat(40))[..];
    let mut server = ready(small());
    assert_eq!(give(&mut server, &[want, "-", have, have, have]), Ok(()));
    assert_eq!(give(&mut server, &[have]), too_many("have lines"));
    assert_eq!(give(&mut server, &[have]), too_many("have lines"), "sticky");
    let mut server = ready(small());
    assert_eq!(give(&mut server, &[want, "-", "-", "-", "-"]), Ok(()));
    assert_eq!(give(&mut server, &["-"]), too_many("rounds of negotiation"));
    assert_eq!(
        drain(&mut server),
        b"0008NAK\n0008NAK\n0008NAK\n0036ERR upload-pack: more than 3 rounds of negotiation"
    );
    let mut server = ready(Config { max_arguments: 3, ..Config::default() });
    assert_eq!(give(&mut server, &[want, "deepen 1", "deepen 1"]), Ok(()));
    assert_eq!(give(&mut server, &["deepen 1"]), too_many("lines in one request"));
    let mut server = ready(Config::default());
    let many = format!("want MAIN {}", "a ".repeat(limits::CAPABILITIES + 1));
    assert!(matches!(give(&mut server, &[&many]), Err(Error::Capabilities(_))));
}

/// T10, T12: a round without an end is answered in batches, so what it can hold is bounded.
#[test]
fn fetch_47_a_round_without_an_end_is_looked_up_in_batches() {
    let mut server = ready(Config::default());
    give(&mut server, &["want MAIN multi_ack", "-"]).unwrap();
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

/// T14.
#[test]
fn malformed_packets_end_the_session_with_their_error() {
    for bad in ["0003", "00zz", "-001", "fff1", "0001", "0002", "0004"] {
        for before in [&[][..], &["want MAIN", "-"][..]] {
            let mut server = ready(Config::default());
            give(&mut server, before).unwrap();
            let error = server.handle_bytes(NOW, Bytes::from_static(bad.as_bytes())).unwrap_err();
            assert_eq!(error.blame(), Blame::Peer);
            assert_eq!(server.poll_action(), Some(Action::Failed(error)));
            assert!(take_apart(&drain(&mut server)).lines.concat().starts_with("ERR upload-pack: "));
            assert!(server.has_ended() && !server.wants_input());
            assert_eq!(server.poll_action(), None);
        }
    }
}

/// T13: whenever the client hangs up, there is exactly one end.
#[test]
fn fetch_46_hanging_up_at_any_byte_gives_one_end() {
    let line = format!("want {MAIN} multi_ack_detailed\n");
    let input = [&packet(&line)[..], b"0000", &packet(&format!("have {MAIN}")), b"00000009done\n"].concat();
    for cut in 0..=input.len() {
        let mut server = ready(Config::default());
        let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(&input[..cut]));
        let mut ends = Vec::new();
        let _ = server.handle_closed(NOW);
        while let Some(action) = server.poll_action() {
            match action {
                Action::FindObjects(ids) => server.objects_found(NOW, ids).unwrap(),
                Action::CheckCovered { .. } => server.covered(NOW, true).unwrap(),
                Action::BuildPack(_) => server.pack_failed(NOW, Bytes::new()).unwrap(),
                end => ends.push(end),
            }
        }
        assert_eq!(ends.len(), 1, "cut at {cut}");
        match cut {
            0 => assert_eq!(ends[0], Action::Finished(Outcome::default())),
            cut if cut == input.len() => assert!(matches!(ends[0], Action::Failed(Error::PackFailed { .. }))),
            _ => assert!(matches!(
                ends[0],
                Action::Failed(Error::Session(
                    SessionError::Ended { .. } | SessionError::Pkt(pkt::Error::Truncated { .. })
                ))
            )),
        }
    }
}

fn many_refs() -> Vec<Ref> {
    (0..200_000).map(|n| Ref::new(RefName::new(format!("refs/heads/{n:06}")).unwrap(), main_id())).collect()
}

/// FETCH-51, FETCH-33: a slow reader is not a silent one; one that takes nothing is.
#[test]
fn fetch_51_a_peer_that_takes_the_advertisement_slowly_is_waited_for() {
    let after = Duration::from_secs(1);
    let mut server = Server::new(Config { idle_timeout: Some(after), ..Config::default() }, NOW);
    server.poll_action();
    server.refs_listed(NOW, many_refs()).unwrap();
    for second in 1..=5 {
        assert!(server.poll_transmit().is_some());
        assert!(server.poll_action().is_none());
        server.handle_timeout(Instant::from_millis(second * 1000));
        assert!(!server.has_ended());
    }
    server.handle_timeout(Instant::from_millis(6000));
    assert_eq!(server.poll_action(), Some(Action::Failed(SessionError::TimedOut { after }.into())));
}

/// FETCH-33: 200,000 refs are written as the transport takes them.
#[test]
fn fetch_33_a_large_advertisement_is_written_lazily() {
    let mut server = Server::new(Config::default(), NOW);
    server.poll_action();
    server.refs_listed(NOW, many_refs()).unwrap();
    server.handle_bytes(NOW, Bytes::from_static(b"0000")).unwrap();
    let (mut total, mut largest) = (0, 0);
    while let Some(transmit) = server.poll_transmit() {
        total += transmit.len();
        largest = largest.max(transmit.len());
    }
    assert!(total > 200_000 * 60 && largest <= limits::GIT_OUTPUT + 1024, "{largest}");
    assert!(matches!(server.poll_action(), Some(Action::Finished(Outcome { pack: false, .. }))));
}

/// FETCH-48, FETCH-49: packet sizes, no copy, and the room that is asked for.
#[test]
fn fetch_48_the_pack_leaves_in_the_largest_packets_and_is_not_copied() {
    for (capabilities, most) in
        [("side-band-64k", 65520), ("side-band", 1000), ("side-band side-band-64k", 65520)]
    {
        let mut server = packing(Config::default(), capabilities);
        let pack = Bytes::from(vec![b'P'; 200_000]);
        assert!(server.wants_pack());
        server.pack_chunk(NOW, pack.clone()).unwrap();
        let first = server.poll_transmit().unwrap();
        assert_eq!(first.len(), most);
        assert_eq!(first.head(), format!("{most:04x}\x01").as_bytes());
        assert_eq!(first.payload().as_ptr(), pack.as_ptr());
        server.progress(NOW, Bytes::from_static(b"half\r")).unwrap();
        server.pack_finished(NOW).unwrap();
        let rest = drain(&mut server);
        assert!(rest.ends_with(b"000a\x02half\r0000"));
        let end = Outcome { pack: true, wants: 1, ..Outcome::default() };
        assert_eq!(server.poll_action(), Some(Action::Finished(end)));
    }
}

#[test]
fn fetch_49_a_full_transport_stops_the_packs_producer() {
    for capabilities in ["side-band-64k", ""] {
        let mut server = packing(Config::default(), capabilities);
        let mut chunks = 0;
        while server.wants_pack() {
            server.pack_chunk(NOW, Bytes::from(vec![b'P'; 8192])).unwrap();
            chunks += 1;
        }
        assert!((32..=33).contains(&chunks), "{chunks}");
        server.poll_transmit();
        assert!(server.wants_pack());
    }
}

/// FETCH-50.
#[test]
fn fetch_50_a_pack_that_fails_is_never_whole() {
    let reason = Bytes::from_static(b"object store on fire");
    let end = Action::Failed(Error::PackFailed { reason: reason.clone() });
    let mut server = packing(Config::default(), "side-band-64k");
    server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
    server.pack_failed(NOW, reason.clone()).unwrap();
    assert_eq!(drain(&mut server), b"0009\x01PACK0019\x03object store on fire");
    assert_eq!(server.poll_action(), Some(end.clone()));
    let mut server = packing(Config::default(), "side-band");
    server.pack_failed(NOW, Bytes::new()).unwrap();
    assert_eq!(drain(&mut server), b"002d\x03upload-pack: the pack could not be built");
    let mut server = packing(Config::default(), "");
    server.progress(NOW, Bytes::from_static(b"nobody sees this")).unwrap();
    server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
    server.pack_chunk(NOW, Bytes::from_static(b"trailer")).unwrap();
    server.pack_failed(NOW, reason).unwrap();
    assert_eq!(drain(&mut server), b"PACK");
    assert_eq!(server.poll_action(), Some(end));
}

#[test]
fn fetch_49_without_sideband_the_pack_leaves_as_it_is() {
    let mut server = packing(Config::default(), "");
    for chunk in ["PACK", "", "body", "trailer"] {
        server.pack_chunk(NOW, Bytes::from_static(chunk.as_bytes())).unwrap();
    }
    server.pack_finished(NOW).unwrap();
    assert_eq!(drain(&mut server), b"PACKbodytrailer");
}

/// FETCH-51.
#[test]
fn fetch_51_only_the_peers_silence_counts() {
    let after = Duration::from_secs(10);
    let config = || Config { idle_timeout: Some(after), ..Config::default() };
    let at = Instant::from_millis;
    let mut server = Server::new(config(), NOW);
    assert_eq!(server.poll_timeout(), None, "the driver lists refs");
    server.handle_timeout(at(10_000));
    assert!(!server.has_ended());
    server.poll_action();
    server.refs_listed(at(11_000), main_refs()).unwrap();
    drain(&mut server);
    assert_eq!(server.poll_timeout(), Some(at(21_000)));
    server.handle_timeout(at(21_000));
    assert_eq!(server.poll_timeout(), Some(at(31_000)), "nobody knows when the output was taken");
    server.handle_timeout(at(30_999));
    assert!(!server.has_ended());
    server.handle_timeout(at(31_000));
    assert_eq!(server.poll_action(), Some(Action::Failed(SessionError::TimedOut { after }.into())));
    assert_eq!(server.poll_timeout(), None);
    let mut server = packing(config(), "side-band-64k");
    server.handle_timeout(at(60_000));
    assert!(!server.has_ended(), "the driver builds the pack");
    server.pack_chunk(at(61_000), Bytes::from(vec![b'P'; limits::GIT_OUTPUT])).unwrap();
    for second in [66, 71, 76, 81, 86] {
        server.handle_timeout(at(second * 1000));
    }
    assert_eq!(server.poll_action(), Some(Action::Failed(SessionError::TimedOut { after }.into())));
    let said: Said = take_apart(&drain(&mut server));
    assert!(said.fatal.starts_with(b"upload-pack: nothing arrived"), "band 3 tells why");
}

#[test]
fn a_verb_that_answers_nothing_is_refused_and_ends_nothing() {
    let mut server = Server::new(Config::default(), NOW);
    let not_asked = |verb| Err(Misuse::NotAsked { verb });
    assert_eq!(server.objects_found(NOW, vec![]), not_asked("objects_found"));
    assert_eq!(server.reachable(NOW, true), not_asked("reachable"));
    assert_eq!(server.covered(NOW, true), not_asked("covered"));
    assert_eq!(server.pack_chunk(NOW, Bytes::new()), not_asked("pack_chunk"));
    assert_eq!(server.progress(NOW, Bytes::new()), not_asked("progress"));
    assert_eq!(server.pack_finished(NOW), not_asked("pack_finished"));
    assert_eq!(server.pack_failed(NOW, Bytes::new()), not_asked("pack_failed"));
    let wrong = Ref::new(RefName::head(), ObjectId::null(ObjectFormat::Sha256));
    assert!(matches!(server.refs_listed(NOW, vec![wrong]), Err(Misuse::Argument { .. })));
    server.refs_listed(NOW, main_refs()).unwrap();
    assert_eq!(server.refs_listed(NOW, vec![]), not_asked("refs_listed"));
    drain(&mut server);
    give(&mut server, &["want MAIN", "-", "done"]).unwrap();
    assert!(matches!(server.pack_finished(NOW), Err(Misuse::Argument { .. })));
    server.pack_failed(NOW, Bytes::new()).unwrap();
    assert_eq!(server.pack_failed(NOW, Bytes::new()), Err(Misuse::Ended { verb: "pack_failed" }));
}

/// FETCH-31: `HEAD` comes first wherever the driver put it, and an agent cannot break the line (T17).
#[test]
fn fetch_31_the_first_line_is_sound_whatever_the_driver_gives() {
    let agent = Some(Bytes::from_static(b"my agent\n\0x"));
    let mut server = Server::new(Config { agent, stateless_no_done: true, ..Config::default() }, NOW);
    let mut refs = main_refs();
    refs.reverse();
    server.refs_listed(NOW, refs).unwrap();
    let said = take_apart(&drain(&mut server)).lines;
    assert!(said[0].starts_with(&format!("{MAIN} HEAD\0multi_ack thin-pack ")));
    assert!(said[0].contains(" multi_ack_detailed no-done symref=HEAD:refs/heads/main object-format=sha1"));
    assert_eq!(said[1..], [format!("{MAIN} refs/heads/main\n"), "0000".to_owned()]);
}

/// FETCH-35: an id that the driver did not find is refused even where everything may be wanted.
#[test]
fn fetch_35_any_still_means_any_that_exists() {
    let mut server = ready(Config { wants: WantPolicy::Any, ..Config::default() });
    let absent = "1".repeat(40);
    give(&mut server, &[&format!("want {absent}"), "-"]).unwrap();
    let id: ObjectId = absent.parse().unwrap();
    assert_eq!(server.poll_action(), Some(Action::FindObjects(vec![id])));
    server.objects_found(NOW, vec![main_id()]).unwrap();
    assert_eq!(drain(&mut server), format!("0049ERR upload-pack: not our ref {id}").as_bytes());
}

#[test]
fn fetch_45_the_pack_is_asked_for_as_the_client_asked() {
    let request = |capabilities: &str| {
        let mut server = ready(Config::default());
        give(&mut server, &[&format!("want MAIN {capabilities}"), "-", "have MAIN", "have MAIN", "done"])
            .unwrap();
        assert_eq!(server.poll_action(), Some(Action::FindObjects(vec![main_id()])));
        server.objects_found(NOW, vec![main_id()]).unwrap();
        match server.poll_action() {
            Some(Action::BuildPack(request)) => request,
            other => panic!("{other:?}"),
        }
    };
    let ids = vec![main_id()];
    let plain = PackRequest::new(ids.clone(), ids);
    assert_eq!(request(""), plain);
    assert_eq!(request("no-progress side-band"), plain);
    assert_eq!(request("side-band"), PackRequest { progress: true, ..plain.clone() });
    let all = PackRequest { thin: true, ofs_delta: true, include_tag: true, ..plain };
    assert_eq!(request("thin-pack ofs-delta include-tag"), all);
}

/// Git repeats the ACK for a repeated have and for ancestors of the first; a client would take it for the pack.
#[test]
fn fetch_41_without_multi_ack_only_the_first_common_object_is_acknowledged() {
    let mut server = ready(Config::default());
    let other = format!("have {}", "2".repeat(40));
    give(&mut server, &["want MAIN", "-", "have MAIN", "have MAIN", &other, "-", "have MAIN", "-", "done"])
        .unwrap();
    while let Some(action) = server.poll_action() {
        match action {
            Action::FindObjects(ids) => server.objects_found(NOW, ids).unwrap(),
            action => assert!(matches!(action, Action::BuildPack(_))),
        }
    }
    assert_eq!(drain(&mut server), format!("0031ACK {MAIN}\n").as_bytes());
}

/// V2S-3, FETCH-39: what the client calls itself is told in every version, raw, and only where we said who we are.
#[test]
fn fetch_39_the_clients_name_is_kept_for_the_log() {
    for (ours, told) in [(Some(Bytes::from_static(b"s")), Some(&b"theirs"[..])), (None, None)] {
        let mut server = ready(Config { session_id: ours, ..Config::default() });
        let want = format!("want {MAIN} agent=a/1 session-id=theirs");
        give(&mut server, &[&want, "-"]).unwrap();
        assert_eq!(server.client_agent().map(|agent| &agent[..]), Some(&b"a/1"[..]));
        assert_eq!(server.client_session_id().map(|id| &id[..]), told);
        give(&mut server, &["done"]).unwrap();
        assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));
        server.abort(NOW);
        assert!(server.client_agent().is_some(), "after the end too");
    }
}
