//! Git sessions over a port: operations in sequence, refusals, ends, backpressure.

use crate::toy::{Repo, Right, id, name};
use bytes::{Bytes, BytesMut};
use portline::git::{Request, RequestError, Service, SessionError, Version, fetch, push};
use portline::peer::server::RequestFault;
use portline::peer::{self, Client, Server, client, server};
use portline::{Instant, port};

pub(crate) const NOW: Instant = Instant::ZERO;

pub(crate) fn pair() -> (Client, Right) {
    let mut repo = Repo::default();
    repo.commit(1, &[]);
    repo.commit(2, &[1]);
    repo.set("main", 2);
    let config = peer::Config::default();
    (Client::new(&config, NOW).unwrap(), Right::new(repo, &config))
}

pub(crate) fn fetch_config() -> fetch::client::Config {
    fetch::client::Config {
        request: Some(Request::new(Service::UploadPack)),
        ..fetch::client::Config::default()
    }
}

pub(crate) fn push_config() -> push::client::Config {
    push::client::Config {
        request: Some(Request::new(Service::ReceivePack)),
        ..push::client::Config::default()
    }
}

/// Moves messages both ways until nothing moves; the messages of the client are returned.
fn settle(client: &mut Client, right: &mut Right) -> Vec<Bytes> {
    let mut sent = Vec::new();
    loop {
        let mut moved = right.act(NOW);
        while let Some(message) = client.poll_transmit() {
            let message = message.into_bytes();
            sent.push(message.clone());
            let _ = right.machine.handle_message(NOW, message);
            moved = true;
        }
        while let Some(message) = right.machine.poll_transmit() {
            let _ = client.handle_message(NOW, message.into_bytes());
            moved = true;
        }
        if !moved {
            return sent;
        }
    }
}

/// Runs one fetch of everything into `repo`.
fn fetch_all(client: &mut Client, right: &mut Right, repo: &mut Repo) -> fetch::client::Outcome {
    fetch_with(client, right, repo, fetch_config())
}

fn fetch_with(
    client: &mut Client,
    right: &mut Right,
    repo: &mut Repo,
    config: fetch::client::Config,
) -> fetch::client::Outcome {
    client.begin_fetch(NOW, config).unwrap();
    let mut pack = BytesMut::new();
    let mut end = None;
    loop {
        settle(client, right);
        let Some(action) = client.poll_action() else { panic!("the fetch stands still") };
        match action {
            client::Action::Ready => return end.unwrap(),
            client::Action::Fetch(fetch::client::Action::Advertised(seen)) => {
                let wants = seen.refs.iter().map(|entry| entry.id).collect();
                let tips = repo.refs.values().copied().collect();
                client.fetch(NOW).unwrap().want(NOW, wants, tips).unwrap();
            }
            client::Action::Fetch(fetch::client::Action::FindHeld(ids)) => {
                let held = ids.into_iter().filter(|id| repo.commits.contains_key(id)).collect();
                client.fetch(NOW).unwrap().held(NOW, held).unwrap();
            }
            client::Action::Fetch(fetch::client::Action::LoadCommits(ids)) => {
                let commits = ids.iter().filter_map(|id| repo.commits.get(id).cloned()).collect();
                client.fetch(NOW).unwrap().commits(NOW, commits).unwrap();
            }
            client::Action::Fetch(fetch::client::Action::Pack(bytes)) => pack.extend_from_slice(&bytes),
            client::Action::Fetch(fetch::client::Action::Finished(outcome)) => {
                if outcome.pack {
                    repo.store(&pack).unwrap();
                }
                end = Some(outcome);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Runs one push of `main` from nothing to `new` under another name.
fn push_one(
    client: &mut Client,
    right: &mut Right,
    repo: &Repo,
    branch: &str,
    new: u64,
) -> push::report::Report {
    client.begin_push(NOW, push_config()).unwrap();
    let mut end = None;
    loop {
        settle(client, right);
        let Some(action) = client.poll_action() else { panic!("the push stands still") };
        match action {
            client::Action::Ready => return end.unwrap(),
            client::Action::Push(push::client::Action::Advertised(_)) => {
                let new = id(new);
                let old = portline::git::ObjectId::null(new.format());
                let commands = vec![push::Command { name: name(branch), old, new }];
                client.push(NOW).unwrap().push(NOW, commands).unwrap();
            }
            client::Action::Push(push::client::Action::BuildPack(request)) => {
                let push = client.push(NOW).unwrap();
                push.pack_chunk(NOW, repo.pack(&request)).unwrap();
                push.pack_finished(NOW).unwrap();
            }
            client::Action::Push(push::client::Action::Finished(report)) => end = Some(report),
            other => panic!("{other:?}"),
        }
    }
}

/// PEER-1, PEER-3, PEER-11: fetch, fetch again (nothing new), push, fetch on one port; each stream restarts at 0.
#[test]
fn peer_3_operations_follow_each_other_on_one_port() {
    let (mut client, mut right) = pair();
    let mut repo = Repo::default();
    assert!(fetch_all(&mut client, &mut right, &mut repo).pack);
    assert_eq!(repo.commits, right.repo.commits);
    repo.set("main", 2);
    assert!(!fetch_all(&mut client, &mut right, &mut repo).pack);
    repo.commit(3, &[2]);
    assert!(push_one(&mut client, &mut right, &repo, "new", 3).is_success());
    assert_eq!(right.repo.at("new"), Some(id(3)));
    right.repo.commit(4, &[3]);
    right.repo.set("main", 4);
    assert!(fetch_all(&mut client, &mut right, &mut repo).pack);
    assert!(repo.commits.contains_key(&id(4)));
    assert_eq!(right.served, 4);
}

/// V2C-24: the version that the request asks for is spoken, or the one that the peer knows.
#[test]
fn v2c_24_a_fetch_over_a_port_in_every_version() {
    for (asked, newest) in [
        (Version::V0, Version::V2),
        (Version::V1, Version::V2),
        (Version::V2, Version::V2),
        (Version::V2, Version::V0),
    ] {
        let (mut client, mut right) = pair();
        right.newest = newest;
        let mut repo = Repo::default();
        let request = Request { version: asked, ..Request::new(Service::UploadPack) };
        let config = fetch::client::Config { request: Some(request), ..fetch_config() };
        assert!(fetch_with(&mut client, &mut right, &mut repo, config.clone()).pack);
        repo.set("main", 2);
        right.repo.commit(7, &[2]);
        right.repo.set("main", 7);
        let outcome = fetch_with(&mut client, &mut right, &mut repo, config.clone());
        assert!(outcome.pack && outcome.haves > 0);
        repo.set("main", 7);
        assert!(!fetch_with(&mut client, &mut right, &mut repo, config).pack);
        assert_eq!((repo.commits.len(), right.served), (3, 3));
        assert!(right.asked.iter().all(|version| *version == asked));
    }
}

/// PEER-1: the first block of an operation is the request packet, exactly.
#[test]
fn peer_1_the_first_block_is_the_request() {
    let (mut client, _) = pair();
    client.begin_fetch(NOW, fetch_config()).unwrap();
    let first = client.poll_transmit().unwrap().into_bytes();
    assert_eq!(first, &b"\0\0\0\0\x000028git-upload-pack /repo.git\0host=peer\0"[..]);
    assert_eq!(client.poll_transmit(), None);
}

pub(crate) fn served(server: &mut Server, first: &'static [u8]) -> (Option<server::Action>, Vec<Bytes>) {
    let message = [&[0, 0, 0, 0, 0], first].concat();
    server.handle_message(NOW, message.into()).unwrap();
    let action = server.poll_action();
    (action, core::iter::from_fn(|| server.poll_transmit()).map(portline::Transmit::into_bytes).collect())
}

/// PEER-4: a bad first packet is named, answered with ERR and END, and the server goes on.
#[test]
fn peer_4_a_bad_request_is_answered_and_the_server_goes_on() {
    let cases: [(&'static [u8], RequestFault); 4] = [
        (b"0000", RequestError::Flush.into()),
        (b"0013git-upload-pack", RequestError::NoSpace.into()),
        (b"000agit x\0", RequestError::UnknownService.into()),
        (b"00zz", RequestFault::Pkt(portline::pkt::Error::InvalidLength { header: *b"00zz" })),
    ];
    for (first, fault) in cases {
        let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
        let (action, sent) = served(&mut server, first);
        let text = format!("ERR {fault}");
        assert_eq!(action, Some(server::Action::BadRequest(fault)));
        let line = format!("\0\0\0\0\0{:04x}{text}", text.len() + 4);
        assert_eq!(sent[0], &b"\x01\0\0\0\0\x01"[..], "the block is acknowledged");
        assert_eq!(sent[1], line.as_bytes());
        // The refusal is acknowledged and the client ends its stream: the next request is taken.
        server.handle_message(NOW, Bytes::from_static(&[1, 0, 0, 0, 0, 1])).unwrap();
        server.handle_message(NOW, Bytes::from_static(&[2, 0, 0, 0, 1])).unwrap();
        assert_eq!(server.poll_transmit().unwrap().into_bytes(), &b"\x02\0\0\0\x01"[..]);
        assert_eq!(server.poll_action(), Some(server::Action::Ready));
        let (action, _) = served(&mut server, b"0028git-upload-pack /repo.git\0host=peer\0");
        assert_eq!(action, Some(server::Action::Requested(Request::new(Service::UploadPack))));
    }
}

/// PEER-5, T17: the driver's refusal reaches the client as the server's error, its control bytes as spaces.
#[test]
fn peer_5_a_refused_request_tells_the_drivers_words() {
    let (mut client, mut right) = pair();
    client.begin_fetch(NOW, fetch_config()).unwrap();
    let request = client.poll_transmit().unwrap().into_bytes();
    right.machine.handle_message(NOW, request).unwrap();
    assert!(matches!(right.machine.poll_action(), Some(server::Action::Requested(_))));
    right.machine.refuse(NOW, b"no such\nrepository\0").unwrap();
    settle(&mut client, &mut right);
    let Some(client::Action::Fetch(fetch::client::Action::Failed(error))) = client.poll_action() else {
        panic!("no report")
    };
    assert!(error.to_string().contains("no such repository "), "{error}");
    settle(&mut client, &mut right);
    assert_eq!(client.poll_action(), Some(client::Action::Ready));
    // The port lives on.
    assert!(fetch_all(&mut client, &mut right, &mut Repo::default()).pack);
}

/// PEER-8: what comes after the protocol's end is refused at once, and END does not wait for it.
#[test]
fn peer_8_what_comes_after_the_end_is_refused_at_once() {
    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    served(&mut server, b"0000");
    server.handle_message(NOW, Bytes::from_static(&[1, 0, 0, 0, 0, 1])).unwrap();
    server.handle_message(NOW, Bytes::from_static(b"\0\0\0\0\x01more")).unwrap();
    let sent: Vec<_> =
        core::iter::from_fn(|| server.poll_transmit()).map(portline::Transmit::into_bytes).collect();
    assert_eq!(sent, [&b"\x02\0\0\0\x01"[..], b"\x01\0\0\0\x01\0"]);
}

/// PEER-9: a server that stops reading the pack, because it has seen enough, is heard all the same.
#[test]
fn peer_9_a_server_that_refuses_the_pack_is_still_heard() {
    let (mut client, _) = pair();
    client.begin_push(NOW, push_config()).unwrap();
    let said = |client: &mut Client, block: u8, text: &str| {
        let message = [&[0, 0, 0, 0, block], text.as_bytes()].concat();
        client.handle_message(NOW, message.into()).unwrap();
    };
    let poll = |client: &mut Client| core::iter::from_fn(|| client.poll_transmit()).count();
    assert_eq!(poll(&mut client), 1);
    client.handle_message(NOW, Bytes::from_static(&[1, 0, 0, 0, 0, 1])).unwrap();
    let null = portline::git::ObjectId::null(id(1).format());
    let line = format!("{null} capabilities^{{}}\0report-status");
    said(&mut client, 0, &format!("{:04x}{line}0000", line.len() + 4));
    assert!(matches!(client.poll_action(), Some(client::Action::Push(push::client::Action::Advertised(_)))));
    client.push(NOW).unwrap().push(NOW, vec![push::Command::create(name("new"), id(3))]).unwrap();
    poll(&mut client);
    client.handle_message(NOW, Bytes::from_static(&[1, 0, 0, 0, 1, 1])).unwrap();
    assert!(matches!(client.poll_action(), Some(client::Action::Push(push::client::Action::BuildPack(_)))));
    client.push(NOW).unwrap().pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
    poll(&mut client);
    client.handle_message(NOW, Bytes::from_static(&[1, 0, 0, 0, 2, 0])).unwrap();
    said(&mut client, 1, "0011unpack broken0023ng refs/heads/new unpack failed0000");
    let report = match client.poll_action() {
        Some(client::Action::Push(push::client::Action::Finished(report))) => report,
        other => panic!("{other:?}"),
    };
    assert_eq!(report.unpack, Err(Bytes::from_static(b"broken")));
    assert!(!report.is_success());
    client.handle_message(NOW, Bytes::from_static(&[2, 0, 0, 0, 2])).unwrap();
    assert_eq!(client.poll_action(), Some(client::Action::Ready));
}

/// PEER-8, PEER-11, PEER-12: a push that fails before its pack is written ends its stream, and the port lives on.
#[test]
fn peer_11_a_push_that_fails_early_ends_its_stream_too() {
    for script in [fail_to_build, refused_before_the_pack] {
        let (mut client, mut right) = pair();
        client.begin_push(NOW, push_config()).unwrap();
        settle(&mut client, &mut right);
        assert!(matches!(
            client.poll_action(),
            Some(client::Action::Push(push::client::Action::Advertised(_)))
        ));
        client.push(NOW).unwrap().push(NOW, vec![push::Command::create(name("new"), id(3))]).unwrap();
        script(&mut client, &mut right);
        let failed = core::iter::from_fn(|| client.poll_action()).last();
        assert!(matches!(failed, Some(client::Action::Push(push::client::Action::Failed(_)))), "{failed:?}");
        settle(&mut client, &mut right);
        assert_eq!(client.poll_action(), Some(client::Action::Ready));
        assert_eq!(right.served, 1, "the server has the end, too");
        assert!(fetch_all(&mut client, &mut right, &mut Repo::default()).pack);
    }
}

fn fail_to_build(client: &mut Client, right: &mut Right) {
    settle(client, right);
    assert!(matches!(client.poll_action(), Some(client::Action::Push(push::client::Action::BuildPack(_)))));
    client.push(NOW).unwrap().pack_failed(NOW, Bytes::from_static(b"out of memory")).unwrap();
}

/// The user gives up while the commands are on their way.
fn refused_before_the_pack(client: &mut Client, _right: &mut Right) {
    client.push(NOW).unwrap().abort(NOW);
}

/// PEER-10, T13: the port's end gives the machine its end and the session its own, each once.
#[test]
fn peer_10_the_ports_end_is_told_once_to_each() {
    let (mut client, mut right) = pair();
    client.begin_fetch(NOW, fetch_config()).unwrap();
    settle(&mut client, &mut right);
    assert!(client.handle_closed(NOW).is_err());
    let mut actions: Vec<_> = core::iter::from_fn(|| client.poll_action()).collect();
    assert!(matches!(actions.remove(0), client::Action::Fetch(fetch::client::Action::Advertised(_))));
    assert!(
        matches!(
            actions[..],
            [
                client::Action::Fetch(fetch::client::Action::Failed(_)),
                client::Action::Closed(port::Error::Closed)
            ]
        ),
        "{actions:?}"
    );
    assert_eq!(client.poll_timeout(), None);
    assert!(client.begin_fetch(NOW, fetch_config()).is_err());
    let mut idle = Server::new(&peer::Config::default(), NOW).unwrap();
    assert!(idle.handle_closed(NOW).is_err());
    let end = |server: &mut Server| -> Vec<_> { core::iter::from_fn(|| server.poll_action()).collect() };
    assert_eq!(end(&mut idle), [server::Action::Closed(port::Error::Closed)]);
    // Between two operations, and in the middle of a request.
    let (mut client, mut right) = pair();
    fetch_all(&mut client, &mut right, &mut Repo::default());
    let _ = right.machine.handle_closed(NOW);
    assert_eq!(end(&mut right.machine), [server::Action::Closed(port::Error::Closed)]);
    let mut partly = Server::new(&peer::Config::default(), NOW).unwrap();
    assert_eq!(served(&mut partly, b"0028git-up").0, None);
    assert!(partly.handle_closed(NOW).is_err());
    assert_eq!(end(&mut partly), [server::Action::Closed(port::Error::Closed)]);
}

/// PEER-4: a stream without a request is one that nobody can answer.
#[test]
fn peer_4_an_empty_stream_is_a_bad_request() {
    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    server.handle_message(NOW, Bytes::from_static(&[2, 0, 0, 0, 0])).unwrap();
    assert_eq!(server.poll_action(), Some(server::Action::BadRequest(RequestFault::Ended)));
}

/// PEER-9: an upload-pack whose blocks are refused is aborted, so that no pack is built for nobody.
#[test]
fn peer_9_an_upload_pack_that_nobody_listens_to_is_aborted() {
    let (mut server, next) = streaming();
    server.fetch(NOW).unwrap().pack_chunk(NOW, Bytes::from(vec![7; 10_000])).unwrap();
    assert_eq!(server.poll_transmit().map(|sent| sent.head()[0]), Some(0));
    let refused = [&[1][..], &next.to_be_bytes(), &[0]].concat();
    server.handle_message(NOW, refused.into()).unwrap();
    let aborted = fetch::server::Action::Failed(fetch::server::Error::Session(SessionError::Aborted));
    assert_eq!(server.poll_action(), Some(server::Action::Fetch(aborted)));
    assert!(!server.fetch(NOW).unwrap().wants_pack());
    assert_eq!(server.cause(), Some(&port::Error::Refused { block: next }));
    // The port lives on.
    server.handle_message(NOW, Bytes::from_static(&[2, 0, 0, 0, 3])).unwrap();
    assert_eq!(server.poll_action(), Some(server::Action::Ready));
}

/// PEER-6: while the driver has not decided, no further block is acknowledged.
#[test]
fn peer_6_a_machine_that_waits_for_its_driver_stops_the_peer() {
    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    let (_, sent) = served(&mut server, b"0028git-upload-pack /repo.git\0host=peer\0");
    assert_eq!(sent, [&b"\x01\0\0\0\0\x01"[..]]);
    server.handle_message(NOW, Bytes::from_static(b"\0\0\0\0\x010000")).unwrap();
    assert_eq!(server.poll_transmit(), None);
    server.accept_fetch(NOW, fetch::server::Config::default()).unwrap();
    assert_eq!(server.poll_transmit().unwrap().into_bytes(), &b"\x01\0\0\0\x01\x01"[..]);
}

/// Leads a server to the point where it streams a pack, with a client that has acknowledged everything so far.
fn streaming() -> (Server, u32) {
    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    let want = format!("003fwant {} side-band-64k0000", id(2));
    let (_, _) = served(&mut server, b"0028git-upload-pack /repo.git\0host=peer\0");
    server.accept_fetch(NOW, fetch::server::Config::default()).unwrap();
    assert_eq!(server.poll_action(), Some(server::Action::Fetch(fetch::server::Action::ListRefs)));
    server.fetch(NOW).unwrap().refs_listed(NOW, vec![portline::git::Ref::new(name("main"), id(2))]).unwrap();
    let mut next = 0;
    for said in [want, "0009done\n".to_owned()] {
        while let Some(sent) = server.poll_transmit() {
            if sent.into_bytes().first() == Some(&0) {
                acknowledge(&mut server, &mut next);
            }
        }
        let at = if said.starts_with("0009") { 2 } else { 1 };
        let message = [&[0, 0, 0, 0, at], said.as_bytes()].concat();
        server.handle_message(NOW, message.into()).unwrap();
    }
    loop {
        match server.poll_action().unwrap() {
            server::Action::Fetch(fetch::server::Action::BuildPack(_)) => break,
            server::Action::Fetch(fetch::server::Action::FindObjects(_)) => {
                server.fetch(NOW).unwrap().objects_found(NOW, vec![]).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    while let Some(sent) = server.poll_transmit() {
        if sent.into_bytes().first() == Some(&0) {
            acknowledge(&mut server, &mut next);
        }
    }
    (server, next)
}

fn acknowledge(server: &mut Server, next: &mut u32) {
    let message = [&[1][..], &next.to_be_bytes(), &[1]].concat();
    server.handle_message(NOW, message.into()).unwrap();
    *next += 1;
}

/// PEER-2: a sideband packet is one block, its payload the driver's own bytes; a block is never above the limit.
#[test]
fn peer_2_a_packet_is_one_block_and_its_payload_is_not_copied() {
    let (mut server, mut next) = streaming();
    let chunk = Bytes::from(vec![7; 100_000]);
    server.fetch(NOW).unwrap().pack_chunk(NOW, chunk.clone()).unwrap();
    server.fetch(NOW).unwrap().pack_finished(NOW).unwrap();
    let mut seen = 0;
    while let Some(sent) = server.poll_transmit() {
        if sent.head().first() != Some(&0) {
            continue;
        }
        assert!(sent.len() <= (64 << 10) + 5);
        if sent.head().get(9) == Some(&1) {
            assert_eq!(sent.payload().as_ptr(), chunk[seen..].as_ptr(), "the payload is the driver's");
            seen += sent.payload().len();
        }
        acknowledge(&mut server, &mut next);
    }
    assert_eq!(seen, chunk.len());
}

/// PEER-7, T4: a peer that acknowledges nothing stops the pack's producer within the configured buffers.
#[test]
fn peer_7_a_peer_that_does_not_acknowledge_stops_the_machine() {
    let (mut server, mut next) = streaming();
    let chunk = Bytes::from(vec![7; 10_000]);
    let mut given = 0;
    while server.fetch(NOW).unwrap().wants_pack() {
        server.fetch(NOW).unwrap().pack_chunk(NOW, chunk.clone()).unwrap();
        while server.poll_transmit().is_some() {}
        given += chunk.len();
        assert!(given < 2 << 20, "nobody takes the pack, yet it goes on");
    }
    // Acknowledged blocks make room: the producer is let on again.
    for _ in 0..60 {
        acknowledge(&mut server, &mut next);
        while server.poll_transmit().is_some() {}
    }
    assert!(server.fetch(NOW).unwrap().wants_pack());
}
