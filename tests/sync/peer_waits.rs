//! A port session whose driver has not answered yet, or has nothing to answer: what is read, sent and told meanwhile.

use crate::peer_session::{NOW, fetch_config, pair, push_config, served};
use crate::toy::{id, name};
use bytes::Bytes;
use portline::git::{Misuse, ObjectId, fetch, push};
use portline::peer::{self, Client, Server, client, server};
use portline::port;

const ASKS_TO_FETCH: &[u8] = b"0028git-upload-pack /repo.git\0host=peer\0";
const ASKS_TO_PUSH: &[u8] = b"0029git-receive-pack /repo.git\0host=peer\0";

fn ack(block: u8) -> Bytes {
    Bytes::copy_from_slice(&[1, 0, 0, 0, block, 1])
}

fn data(block: u32, payload: &[u8]) -> Bytes {
    [&[0][..], &block.to_be_bytes(), payload].concat().into()
}

/// One packet.
fn packet(payload: &[u8]) -> Vec<u8> {
    [format!("{:04x}", payload.len() + 4).as_bytes(), payload].concat()
}

fn next(client: &mut Client) -> Option<Bytes> {
    client.poll_transmit().map(portline::Transmit::into_bytes)
}

/// The blocks are the session's to cut: what the port's own setting says is of no effect (PEER-2).
#[test]
fn peer_2_blocks_are_cut_by_the_session_alone() {
    let mut config = peer::Config::default();
    config.port.chunk_size = Some(1);
    let mut client = Client::new(&config, NOW).unwrap();
    client.begin_fetch(NOW, fetch_config()).unwrap();
    assert_eq!(next(&mut client), Some(data(0, ASKS_TO_FETCH)));
}

/// PEER-10: nothing begins on a port that has ended, whether or not that was told already.
#[test]
fn peer_10_nothing_begins_after_the_ports_end() {
    let (mut client, _) = pair();
    assert!(client.handle_closed(NOW).is_err());
    let ended = |verb| Err(Misuse::Ended { verb });
    assert_eq!(client.begin_fetch(NOW, fetch_config()), ended("begin_fetch"));
    let closed = client::Action::Closed(port::Error::Closed);
    assert_eq!((client.poll_action(), client.poll_action()), (Some(closed), None));
    assert_eq!(client.begin_push(NOW, push_config()), ended("begin_push"));

    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    assert!(server.handle_closed(NOW).is_err());
    let closed = server::Action::Closed(port::Error::Closed);
    assert_eq!((server.poll_action(), server.poll_action()), (Some(closed), None));
    assert_eq!(server.refuse(NOW, b"no"), ended("refuse"));
}

/// PEER-4: a request is decided once, and where there is none nothing is decided.
#[test]
fn peer_4_only_a_request_that_waits_can_be_decided() {
    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    let not_asked = |verb| Err(Misuse::NotAsked { verb });
    assert_eq!(server.refuse(NOW, b"no"), not_asked("refuse"));
    served(&mut server, ASKS_TO_FETCH);
    server.accept_fetch(NOW, fetch::server::Config::default()).unwrap();
    assert_eq!(server.accept_fetch(NOW, fetch::server::Config::default()), not_asked("accept_fetch"));
    assert_eq!(server.accept_push(NOW, push::server::Config::default()), not_asked("accept_push"));
    assert_eq!(server.refuse(NOW, b"no"), not_asked("refuse"));
    assert_eq!(server.poll_action(), Some(server::Action::Fetch(fetch::server::Action::ListRefs)));
}

/// PEER-10: refs may be moving, so the session's end waits for the driver of a receive-pack, and for nobody else.
#[test]
fn peer_10_the_end_waits_for_a_receive_pack_and_not_for_a_decision() {
    let closed = || Some(server::Action::Closed(port::Error::Closed));
    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    served(&mut server, ASKS_TO_FETCH);
    assert!(server.handle_closed(NOW).is_err());
    assert_eq!((server.poll_action(), server.poll_action()), (closed(), None));

    let mut server = Server::new(&peer::Config::default(), NOW).unwrap();
    served(&mut server, ASKS_TO_PUSH);
    server.accept_push(NOW, push::server::Config::default()).unwrap();
    assert_eq!(server.poll_action(), Some(server::Action::Push(push::server::Action::ListRefs)));
    assert!(server.handle_closed(NOW).is_err());
    assert_eq!(server.poll_action(), None);
    server.push(NOW).unwrap().refs_listed(NOW, Vec::new(), Vec::new()).unwrap();
    assert!(matches!(server.poll_action(), Some(server::Action::Push(_))));
    assert_eq!((server.poll_action(), server.poll_action()), (closed(), None));
}

/// A client that was shown `main`, and whose driver has not said yet what it wants.
fn shown() -> Client {
    let (mut client, _) = pair();
    client.begin_fetch(NOW, fetch_config()).unwrap();
    assert_eq!(next(&mut client), Some(data(0, ASKS_TO_FETCH)));
    client.handle_message(NOW, ack(0)).unwrap();
    let refs = packet(format!("{} refs/heads/main\0side-band-64k", id(2)).as_bytes());
    client.handle_message(NOW, data(0, &[&refs[..], b"0000"].concat())).unwrap();
    assert!(matches!(
        client.poll_action(),
        Some(client::Action::Fetch(fetch::client::Action::Advertised(_)))
    ));
    client
}

/// PEER-6, PEER-10: what had come before the port's end is still the driver's: it is told of the end behind that.
#[test]
fn peer_10_what_came_before_the_end_is_taken_before_it() {
    let mut client = shown();
    while next(&mut client).is_some() {}
    // So much that not all of it is taken while the driver is silent.
    let mut block = 1;
    loop {
        client.handle_message(NOW, data(block, &[b'x'; 60_000])).unwrap();
        block += 1;
        if next(&mut client).is_none() {
            break;
        }
    }
    assert!(client.handle_closed(NOW).is_err());
    assert_eq!(client.poll_action(), None, "the driver has the word");
    client.fetch(NOW).unwrap().want(NOW, vec![id(2)], Vec::new()).unwrap();
    let asked = client::Action::Fetch(fetch::client::Action::FindHeld(vec![id(2)]));
    assert_eq!((client.poll_action(), client.poll_action()), (Some(asked), None));
    client.fetch(NOW).unwrap().held(NOW, Vec::new()).unwrap();
    let Some(client::Action::Fetch(fetch::client::Action::Failed(error))) = client.poll_action() else {
        panic!("the fetch goes on")
    };
    assert_eq!(error.blame(), portline::Blame::Peer, "what it has said is wrong: {error}");
    let closed = client::Action::Closed(port::Error::Closed);
    assert_eq!((client.poll_action(), client.poll_action()), (Some(closed), None));
}

/// PEER-6: what cannot be taken is not asked for.
#[test]
fn peer_6_nothing_is_read_while_the_blocks_that_wait_are_too_many() {
    let mut config = peer::Config::default();
    (config.port.window, config.port.receive_blocks) = (4, 1);
    let mut server = Server::new(&config, NOW).unwrap();
    served(&mut server, ASKS_TO_FETCH);
    assert!(server.wants_input());
    for block in 1..3 {
        server.handle_message(NOW, data(block, b"0")).unwrap();
    }
    assert!(!server.wants_input());
    server.accept_fetch(NOW, fetch::server::Config::default()).unwrap();
    while server.poll_transmit().is_some() {}
    assert!(server.wants_input());
}

/// A client whose pack was asked for.
fn packing(chunk: usize) -> Client {
    let mut client = Client::new(&peer::Config { chunk, ..peer::Config::default() }, NOW).unwrap();
    client.begin_push(NOW, push_config()).unwrap();
    let null = ObjectId::null(id(1).format());
    let refs = packet(format!("{null} capabilities^{{}}\0report-status side-band-64k").as_bytes());
    client.handle_message(NOW, data(0, &[&refs[..], b"0000"].concat())).unwrap();
    let mut block = 0;
    let mut drain = |client: &mut Client| {
        while let Some(message) = next(client) {
            if message[0] == 0 {
                client.handle_message(NOW, ack(block)).unwrap();
                block += 1;
            }
        }
    };
    drain(&mut client);
    assert!(matches!(client.poll_action(), Some(client::Action::Push(push::client::Action::Advertised(_)))));
    client.push(NOW).unwrap().push(NOW, vec![push::Command::create(name("new"), id(3))]).unwrap();
    drain(&mut client);
    assert!(matches!(client.poll_action(), Some(client::Action::Push(push::client::Action::BuildPack(_)))));
    client
}

/// PEER-6: what the peer says reaches the driver at once, however much is to be sent meanwhile.
#[test]
fn peer_6_much_to_send_does_not_hold_up_what_is_said() {
    let mut client = packing(64);
    client.push(NOW).unwrap().pack_chunk(NOW, Bytes::from(vec![7; 10_000])).unwrap();
    let said = packet(b"\x02counting\n");
    for (block, part) in [(1, &said[..3]), (2, &said[3..])] {
        client.handle_message(NOW, data(block, part)).unwrap();
    }
    let progress = push::client::Action::Progress(Bytes::from_static(b"counting\n"));
    assert_eq!(client.poll_action(), Some(client::Action::Push(progress)));
}

/// PEER-12: the end of the peer's stream is waited for when ours has ended; until then it is an acknowledgement.
#[test]
fn peer_12_what_is_waited_for_is_named() {
    let (mut client, _) = pair();
    client.begin_fetch(NOW, fetch_config()).unwrap();
    assert_eq!(next(&mut client), Some(data(0, ASKS_TO_FETCH)));
    client.handle_message(NOW, data(0, &packet(b"ERR no"))).unwrap();
    assert!(matches!(client.poll_action(), Some(client::Action::Fetch(fetch::client::Action::Failed(_)))));
    let until = client.poll_timeout().unwrap();
    client.handle_timeout(until);
    let told = client.poll_action();
    assert_eq!(told, Some(client::Action::Closed(port::Error::AckTimeout { block: 0 })));
}
