//! Packs that go on where they broke, between machines in memory: exact bytes, any split, every version, and peers that
//! know nothing of it.

use crate::common::Rng;
use bytes::{Bytes, BytesMut};
use portline::git::push::{self, Command};
use portline::git::{Misuse, ObjectId, Ref, RefName, Resume, Version, fetch};
use portline::{Blame, Instant};

const NOW: Instant = Instant::ZERO;
const ID: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";
/// Any bytes will do: machines do not read packs.
const PACK: &[u8] = b"PACK: these bytes stand for a pack, in which every place tells where it is. 0123456789";

fn id() -> ObjectId {
    ID.parse().unwrap()
}

fn main_ref() -> Ref {
    Ref::new(RefName::new("refs/heads/main").unwrap(), id())
}

fn part(offset: usize) -> Resume {
    // The drivers' digest: here the bytes' sum.
    let sum = PACK[..offset].iter().map(|byte| u32::from(*byte)).sum::<u32>();
    Resume::new(offset as u64, Bytes::copy_from_slice(&sum.to_be_bytes())).unwrap()
}

/// Whether the pack begins with the part.
fn begins(resume: &Resume) -> bool {
    let offset = resume.offset() as usize;
    offset <= PACK.len() && part(offset) == *resume
}

/// How the two meet.
#[derive(Clone, Debug)]
struct Setup {
    version: Version,
    sideband: bool,
    /// Whether the server, and the client, know of it.
    knows: (bool, bool),
    held: Option<Resume>,
}

/// What passed, and what it came to.
#[derive(Debug, Default)]
struct Ran {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    resumed: Option<u64>,
    pack: Vec<u8>,
    end: Option<fetch::client::Outcome>,
    asked: Option<(bool, Option<Resume>)>,
}

/// Sends what `bytes` holds in pieces that the seed chooses.
fn pieces(bytes: &[u8], rng: &mut Rng, mut take: impl FnMut(Bytes)) {
    let mut rest = Bytes::copy_from_slice(bytes);
    while !rest.is_empty() {
        let size = 1 + rng.below(rest.len().min(40));
        take(rest.split_to(size));
    }
}

fn answer_client(client: &mut fetch::client::Client, setup: &Setup, ran: &mut Ran) {
    while let Some(action) = client.poll_action() {
        use fetch::client::Action;
        match action {
            Action::Advertised(_) => client.want(NOW, vec![id()], Vec::new()).unwrap(),
            Action::FindHeld(_) => {
                if let Some(held) = &setup.held {
                    client.resume(NOW, held.clone()).unwrap();
                }
                client.held(NOW, Vec::new()).unwrap();
            }
            Action::LoadCommits(_) => client.commits(NOW, Vec::new()).unwrap(),
            Action::Resumed { offset } => {
                assert!(ran.pack.is_empty() && ran.resumed.replace(offset).is_none());
            }
            Action::Pack(bytes) => ran.pack.extend_from_slice(&bytes),
            Action::Finished(outcome) => ran.end = Some(outcome),
            other => panic!("{other:?}"),
        }
    }
}

fn answer_server(server: &mut fetch::server::Server, rng: &mut Rng, ran: &mut Ran) {
    while let Some(action) = server.poll_action() {
        use fetch::server::Action;
        match action {
            Action::ListRefs | Action::ListRefsBelow(_) => {
                server.refs_listed(NOW, vec![main_ref()]).unwrap();
            }
            Action::BuildPack(request) => {
                let mut rest = PACK;
                if let Some(offset) = request.resume.as_ref().filter(|part| begins(part)).map(Resume::offset)
                {
                    server.pack_resumes(NOW).unwrap();
                    rest = &PACK[offset as usize..];
                }
                ran.asked = Some((request.resumable, request.resume));
                pieces(rest, rng, |bytes| server.pack_chunk(NOW, bytes).unwrap());
                server.pack_finished(NOW).unwrap();
            }
            Action::Finished(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn fetch(setup: &Setup, seed: u64) -> Ran {
    let mut rng = Rng::new(seed);
    let client = fetch::client::Config {
        version: setup.version,
        sideband: setup.sideband,
        resume: setup.knows.1,
        ..Default::default()
    };
    let server =
        fetch::server::Config { version: setup.version, resume: setup.knows.0, ..Default::default() };
    let (mut client, mut server) =
        (fetch::client::Client::new(client, NOW), fetch::server::Server::new(server, NOW));
    let mut ran = Ran::default();
    for _ in 0..200 {
        answer_client(&mut client, setup, &mut ran);
        answer_server(&mut server, &mut rng, &mut ran);
        let mut said = BytesMut::new();
        while let Some(transmit) = client.poll_transmit() {
            said.extend_from_slice(&transmit.into_bytes());
        }
        pieces(&said, &mut rng, |bytes| server.handle_bytes(NOW, bytes).unwrap());
        ran.to_server.extend_from_slice(&said);
        let mut said = BytesMut::new();
        while let Some(transmit) = server.poll_transmit() {
            said.extend_from_slice(&transmit.into_bytes());
        }
        pieces(&said, &mut rng, |bytes| client.handle_bytes(NOW, bytes).unwrap());
        ran.to_client.extend_from_slice(&said);
        if !setup.sideband
            && ran.pack.len() + ran.resumed.unwrap_or(0) as usize == PACK.len()
            && ran.end.is_none()
        {
            client.pack_complete(NOW).unwrap();
        }
    }
    ran
}

fn setups() -> Vec<Setup> {
    [(Version::V0, true), (Version::V0, false), (Version::V1, true), (Version::V2, true)]
        .map(|(version, sideband)| Setup { version, sideband, knows: (true, true), held: None })
        .into()
}

fn holds(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

/// RESUME-3, RESUME-4, RESUME-5: whatever part is held, the part and what comes are the pack.
#[test]
fn resume_5_the_part_and_the_rest_are_the_pack_in_every_version_and_split() {
    for setup in setups() {
        for offset in [1, 2, 40, PACK.len() - 1, PACK.len()] {
            for seed in 0..20 {
                let setup = Setup { held: Some(part(offset)), ..setup.clone() };
                let ran = fetch(&setup, seed);
                assert_eq!(ran.resumed, Some(offset as u64), "{setup:?}");
                assert_eq!([&PACK[..offset], &ran.pack].concat(), PACK, "{setup:?}");
                assert_eq!(ran.end.unwrap().resumed, offset as u64);
                assert_eq!(ran.asked, Some((true, Some(part(offset)))));
            }
        }
    }
}

#[test]
fn resume_4_a_part_of_another_pack_is_told_to_be_of_no_use() {
    for setup in setups() {
        let other = Resume::new(40, Bytes::from_static(b"another")).unwrap();
        assert_eq!((other.offset(), &other.digest()[..]), (40, &b"another"[..]));
        let beyond = Resume::new(1 << 40, Bytes::from_static(b"x")).unwrap();
        for held in [other, beyond] {
            let ran = fetch(&Setup { held: Some(held), ..setup.clone() }, 7);
            assert_eq!((ran.resumed, &ran.pack[..], ran.end.unwrap().resumed), (Some(0), PACK, 0));
        }
    }
}

#[test]
fn resume_2_who_holds_nothing_says_so_and_the_driver_hears_nothing_of_it() {
    for setup in setups() {
        let ran = fetch(&setup, 3);
        assert_eq!((ran.resumed, &ran.pack[..]), (None, PACK));
        assert_eq!(ran.asked, Some((true, None)));
        assert!(holds(&ran.to_server, "000dresume 0\n"), "{}", ran.to_server.escape_ascii());
        assert!(holds(&ran.to_client, "resume 0"));
    }
}

/// The bytes of versions 0 and 2, as a peer written from the chapter would send them.
#[test]
fn resume_3_exact_bytes() {
    let setups = setups();
    let held = Some(Resume::new(77, Bytes::from_static(b"\x0a\xff")).unwrap());
    let v0 = fetch(&Setup { held: held.clone(), ..setups[0].clone() }, 1);
    assert!(holds(&v0.to_client, " portline-resume "));
    assert!(holds(&v0.to_server, "0013resume 77 0aff\n0000"), "{}", v0.to_server.escape_ascii());
    assert!(holds(&v0.to_client, "0008NAK\n0011\x01000cresume 0"), "{}", v0.to_client.escape_ascii());
    let raw = fetch(&Setup { held: held.clone(), ..setups[1].clone() }, 1);
    assert!(holds(&raw.to_client, "0008NAK\n000cresume 0PACK"), "{}", raw.to_client.escape_ascii());
    let v2 = fetch(&Setup { held, ..setups[3].clone() }, 1);
    assert!(holds(&v2.to_client, "fetch=shallow wait-for-done portline-resume\n"));
    assert!(holds(&v2.to_server, "0013resume 77 0aff\n"), "{}", v2.to_server.escape_ascii());
    assert!(holds(&v2.to_client, "000dpackfile\n0011\x01000cresume 0"), "{}", v2.to_client.escape_ascii());
}

/// RESUME-1.
#[test]
fn resume_1_peers_that_do_not_know_of_it_are_served_as_ever() {
    for setup in setups() {
        for knows in [(false, true), (true, false), (false, false)] {
            let ran = fetch(&Setup { knows, held: Some(part(40)), ..setup.clone() }, 5);
            assert_eq!((ran.resumed, &ran.pack[..]), (None, PACK), "{knows:?}");
            assert_eq!(ran.asked, Some((false, None)));
            assert!(!holds(&ran.to_server, "resume"));
            assert!(!holds(&ran.to_client, "\x01000cresume"));
        }
    }
}

/// A server at the point where wants come.
fn server(config: fetch::server::Config) -> fetch::server::Server {
    let mut server = fetch::server::Server::new(config, NOW);
    assert_eq!(server.poll_action(), Some(fetch::server::Action::ListRefs));
    server.refs_listed(NOW, vec![main_ref()]).unwrap();
    while server.poll_transmit().is_some() {}
    server
}

fn line(text: &str) -> Bytes {
    format!("{:04x}{text}", text.len() + 4).into()
}

/// T14.
#[test]
fn resume_1_resume_3_lines_out_of_place_are_refused() {
    use fetch::server::Config;
    let offers = || Config { resume: true, ..Config::default() };
    let want = |list: &str| line(&format!("want {ID} {list}\n"));
    for (config, lines, words) in [
        (Config::default(), vec![want("portline-resume"), line("resume 0")], "not offered"),
        (offers(), vec![want(""), line("resume 0")], "not offered"),
        (offers(), vec![want("portline-resume"), line("resume 0"), line("resume 0")], "named twice"),
        (offers(), vec![want("portline-resume"), line("resume 5")], "a part of a pack"),
    ] {
        let mut server = server(config);
        let error = lines.into_iter().find_map(|bytes| server.handle_bytes(NOW, bytes).err()).unwrap();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.blame(), Blame::Peer);
        assert!(server.poll_transmit().is_some(), "the peer is told");
    }
}

/// RESUME-4, RESUME-7: the server cannot make up a place.
#[test]
fn resume_4_a_server_that_goes_on_from_elsewhere_is_refused() {
    for (head, fine) in
        [("000dresume 40", true), ("000cresume 0", true), ("000dresume 41", false), ("0008PACK", false)]
    {
        let config = fetch::client::Config { sideband: false, ..Default::default() };
        let mut client = fetch::client::Client::new(config, NOW);
        let seen = format!("{ID} refs/heads/main\0portline-resume");
        client.handle_bytes(NOW, line(&seen)).unwrap();
        client.handle_bytes(NOW, Bytes::from_static(b"0000")).unwrap();
        client.poll_action().unwrap();
        client.want(NOW, vec![id()], Vec::new()).unwrap();
        client.poll_action().unwrap();
        client.resume(NOW, part(40)).unwrap();
        client.held(NOW, Vec::new()).unwrap();
        let ended = [line("NAK\n"), Bytes::from(head)]
            .into_iter()
            .find_map(|bytes| client.handle_bytes(NOW, bytes).err());
        assert_eq!(ended.is_none(), fine, "{head}: {ended:?}");
        assert!(client.resume(NOW, part(1)).is_err(), "the time for it is over");
    }
}

/// Whether the push has come to a good end.
fn answer_pusher(client: &mut push::client::Client, resumable: bool, rng: &mut Rng) -> bool {
    while let Some(action) = client.poll_action() {
        use push::client::Action;
        match action {
            Action::Advertised(_) => {
                let name = RefName::new("refs/heads/new").unwrap();
                let old = ObjectId::null(id().format());
                client.push(NOW, vec![Command { name, old, new: id() }]).unwrap();
            }
            Action::BuildPack(request) => {
                let mut rest = PACK;
                if let Some(offset) = request.resume.as_ref().filter(|part| begins(part)).map(Resume::offset)
                {
                    client.pack_resumes(NOW).unwrap();
                    rest = &PACK[offset as usize..];
                }
                assert_eq!(request.resumable, resumable);
                pieces(rest, rng, |bytes| client.pack_chunk(NOW, bytes).unwrap());
                client.pack_finished(NOW).unwrap();
            }
            Action::Finished(report) => return report.is_success(),
            other => panic!("{other:?}"),
        }
    }
    false
}

/// RESUME-6, RESUME-7: a push over both machines; what the server holds, and what came of it.
fn push(knows: (bool, bool), held: Option<Resume>, seed: u64) -> (Option<u64>, Vec<u8>, Vec<u8>, bool) {
    let mut rng = Rng::new(seed);
    let client = push::client::Config { resume: knows.1, ..Default::default() };
    let server = push::server::Config { resume: knows.0, ..Default::default() };
    let (mut client, mut server) =
        (push::client::Client::new(client, NOW), push::server::Server::new(server, NOW));
    let (mut resumed, mut pack, mut told, mut success) = (None, Vec::new(), Vec::new(), false);
    for _ in 0..200 {
        success |= answer_pusher(&mut client, knows == (true, true), &mut rng);
        while let Some(action) = server.poll_action() {
            use push::server::Action;
            match action {
                Action::ListRefs => server.refs_listed(NOW, Vec::new(), Vec::new()).unwrap(),
                Action::FindPart(update) => {
                    assert_eq!(update.commands.len(), 1);
                    server.part_found(NOW, held.clone()).unwrap();
                }
                Action::ReceivePack(_) => assert!(pack.is_empty()),
                Action::Resumed { offset } => assert!(pack.is_empty() && resumed.replace(offset).is_none()),
                Action::Pack(bytes) => pack.extend_from_slice(&bytes),
                Action::UpdateRefs(_) => server.refs_updated(NOW, vec![Ok(())]).unwrap(),
                Action::Finished(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let mut said = BytesMut::new();
        while let Some(transmit) = client.poll_transmit() {
            said.extend_from_slice(&transmit.into_bytes());
        }
        told.extend_from_slice(&said);
        pieces(&said, &mut rng, |bytes| server.handle_bytes(NOW, bytes).unwrap());
        let mut said = BytesMut::new();
        while let Some(transmit) = server.poll_transmit() {
            said.extend_from_slice(&transmit.into_bytes());
        }
        told.extend_from_slice(&said);
        pieces(&said, &mut rng, |bytes| client.handle_bytes(NOW, bytes).unwrap());
        if !success && pack.len() + resumed.unwrap_or(0) as usize >= PACK.len() {
            let _: Result<(), Misuse> = server.pack_stored(NOW, Ok(()));
        }
    }
    (resumed, pack, told, success)
}

#[test]
fn resume_6_a_push_goes_on_from_what_the_server_holds() {
    for seed in 0..20 {
        for offset in [1, 40, PACK.len() - 1] {
            let (resumed, pack, told, success) = push((true, true), Some(part(offset)), seed);
            assert_eq!((resumed, success), (Some(offset as u64), true));
            assert_eq!(pack, &PACK[offset..]);
            assert!(holds(&told, &format!("resume {offset} 0000")), "{}", told.escape_ascii());
            assert!(holds(&told, &format!("resume {offset}{}", &String::from_utf8_lossy(&PACK[offset..]))));
        }
        let other = Resume::new(40, Bytes::from_static(b"another")).unwrap();
        let (resumed, pack, _, success) = push((true, true), Some(other), seed);
        assert_eq!((resumed, &pack[..], success), (Some(0), PACK, true));
        let (resumed, pack, told, success) = push((true, true), None, seed);
        assert_eq!((resumed, &pack[..], success), (None, PACK, true));
        assert!(holds(&told, "000dresume 0\n") && holds(&told, "000cresume 0PACK"));
        for knows in [(false, true), (true, false)] {
            let (resumed, pack, told, success) = push(knows, Some(part(40)), seed);
            assert_eq!((resumed, &pack[..], success), (None, PACK, true));
            assert!(!holds(&told, "resume 0"));
        }
    }
}

/// T14, RESUME-7.
/// A server that waits for the head of the pack's stream is never left to wait for it.
#[test]
fn resume_6_a_pack_is_not_finished_before_it_is_told_where_it_begins() {
    let mut client = push::client::Client::new(push::client::Config::default(), NOW);
    let shown = line(&format!("{} refs/heads/main\0report-status portline-resume", id()));
    client.handle_bytes(NOW, [&shown[..], b"0000"].concat().into()).unwrap();
    assert!(matches!(client.poll_action(), Some(push::client::Action::Advertised(_))));
    let (name, old) = (RefName::new("refs/heads/new").unwrap(), ObjectId::null(id().format()));
    client.push(NOW, vec![Command { name, old, new: id() }]).unwrap();
    client.handle_bytes(NOW, line("resume 5 00\n")).unwrap();
    assert!(matches!(client.poll_action(), Some(push::client::Action::BuildPack(_))));
    assert!(matches!(client.pack_finished(NOW), Err(Misuse::Argument { .. })));
    client.pack_resumes(NOW).unwrap();
    client.pack_finished(NOW).unwrap();
    assert!(client.has_sent_all(), "the server holds all of it");
}

#[test]
fn resume_7_a_client_that_goes_on_from_elsewhere_is_refused() {
    for (head, fine) in
        [("000dresume 40", true), ("000cresume 0", true), ("000cresume 4", false), ("PACK", false)]
    {
        let config = push::server::Config { resume: true, ..Default::default() };
        let mut server = push::server::Server::new(config, NOW);
        server.poll_action();
        server.refs_listed(NOW, Vec::new(), Vec::new()).unwrap();
        while server.poll_transmit().is_some() {}
        let null = "0".repeat(40);
        let command = format!("{null} {ID} refs/heads/x\0 report-status portline-resume");
        server.handle_bytes(NOW, line(&command)).unwrap();
        server.handle_bytes(NOW, Bytes::from_static(b"0000")).unwrap();
        assert!(matches!(server.poll_action(), Some(push::server::Action::FindPart(_))));
        server.part_found(NOW, Some(part(40))).unwrap();
        let ended = server.handle_bytes(NOW, Bytes::from(head)).err();
        assert_eq!(ended.is_none(), fine, "{head}: {ended:?}");
        assert!(server.part_found(NOW, None).is_err(), "it was answered");
    }
}
