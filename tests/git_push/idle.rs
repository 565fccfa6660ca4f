//! The two clocks of the Git machines: only the peer's silence ends a session (GIT-13), and a client that waits for
//! a server's driver is told that the server lives (GIT-18); exact under the virtual clock.

use std::time::Duration;

use crate::push_support::{EMPTY_PACK, ID, NULL, id, name, pkts};
use bytes::Bytes;
use portline::Instant;
use portline::git::fetch::server as upload;
use portline::git::push::{Command, client as push, server as receive};
use portline::git::{ObjectFormat, ObjectId, Ref};

const KEEP_ALIVE: &[u8] = b"0005\x01";

fn at(second: u64) -> Instant {
    Instant::from_millis(second * 1000)
}

fn sent(mut poll: impl FnMut() -> Option<portline::Transmit>) -> Vec<u8> {
    std::iter::from_fn(|| poll().map(|transmit| transmit.into_bytes().to_vec())).flatten().collect()
}

/// An upload-pack whose driver has begun to build the pack at second 0.
fn packing(config: upload::Config, capabilities: &str) -> upload::Server {
    let mut server = upload::Server::new(config, at(0));
    server.poll_action();
    server.refs_listed(at(0), vec![Ref::new(name("refs/heads/main"), id(ID))]).unwrap();
    let input = pkts(&[&format!("want {ID} {capabilities}"), "", "done"]);
    server.handle_bytes(at(0), input.into()).unwrap();
    assert!(matches!(server.poll_action(), Some(upload::Action::BuildPack(_))));
    sent(|| server.poll_transmit());
    server
}

#[test]
fn git_18_a_client_that_waits_for_its_pack_hears_of_the_server_every_five_seconds() {
    let idle = Some(Duration::from_secs(3));
    let mut server = packing(upload::Config { idle_timeout: idle, ..upload::Config::default() }, "side-band");
    for beat in [5, 10, 15] {
        assert_eq!(server.poll_timeout(), Some(at(beat)));
        server.handle_timeout(Instant::from_millis(beat * 1000 - 1));
        assert!(server.poll_transmit().is_none(), "too early");
        server.handle_timeout(at(beat));
        assert_eq!(sent(|| server.poll_transmit()), KEEP_ALIVE);
    }
    server.progress(at(17), "x".into()).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(22)), "whatever is said counts");
    assert_eq!(sent(|| server.poll_transmit()), b"0006\x02x");
    server.handle_timeout(at(22));
    server.handle_timeout(at(27));
    assert_eq!(sent(|| server.poll_transmit()), KEEP_ALIVE, "not behind one that was not taken");
    server.pack_chunk(at(28), EMPTY_PACK.into()).unwrap();
    server.pack_finished(at(29)).unwrap();
    assert_eq!((server.has_ended(), server.poll_timeout()), (true, None));
    server.handle_timeout(at(60));
    assert!(sent(|| server.poll_transmit()).ends_with(b"0000"));
}

#[test]
fn git_18_no_keep_alive_without_a_sideband_or_where_it_is_off() {
    assert_eq!(packing(upload::Config::default(), "ofs-delta").poll_timeout(), None);
    for keep_alive in [None, Some(Duration::ZERO)] {
        let config = upload::Config { keep_alive, ..upload::Config::default() };
        assert_eq!(packing(config, "side-band-64k").poll_timeout(), None);
    }
}

/// A receive-pack that has asked for a pack at second 0.
fn receiving(capabilities: &str) -> receive::Server {
    let idle_timeout = Some(Duration::from_secs(60));
    let mut server = receive::Server::new(receive::Config { idle_timeout, ..Default::default() }, at(0));
    server.poll_action();
    server.refs_listed(at(0), vec![], vec![]).unwrap();
    sent(|| server.poll_transmit());
    let input = pkts(&[&format!("{NULL} {ID} refs/heads/new\0report-status {capabilities}"), ""]);
    server.handle_bytes(at(0), [input, EMPTY_PACK.to_vec()].concat().into()).unwrap();
    assert!(matches!(server.poll_action(), Some(receive::Action::ReceivePack(_))));
    assert!(matches!(server.poll_action(), Some(receive::Action::Pack(_))));
    server
}

#[test]
fn push_14_a_slow_index_pack_and_a_slow_hook_are_not_the_clients_silence() {
    for is_closed in [false, true] {
        let mut server = receiving("side-band-64k");
        assert_eq!(server.poll_timeout(), Some(at(60)), "the rest of the pack is awaited");
        if is_closed {
            server.handle_closed(at(1)).unwrap();
            assert_eq!(server.poll_action(), Some(receive::Action::PackEnd));
        } else {
            server.pack_complete(at(1)).unwrap();
        }
        for beat in 1..100 {
            assert_eq!(server.poll_timeout(), Some(at(1 + beat * 5)));
            server.handle_timeout(at(1 + beat * 5));
            assert_eq!(sent(|| server.poll_transmit()), KEEP_ALIVE);
        }
        server.pack_stored(at(499), Ok(())).unwrap();
        assert!(matches!(server.poll_action(), Some(receive::Action::UpdateRefs(_))));
        assert_eq!(server.poll_timeout(), Some(at(501)), "hooks run");
        server.handle_timeout(at(501));
        server.refs_updated(at(2000), vec![Ok(())]).unwrap();
        assert!(sent(|| server.poll_transmit()).starts_with(KEEP_ALIVE));
        assert_eq!((server.has_ended(), server.poll_timeout()), (true, None));
    }
    let mut quiet = receiving("");
    quiet.pack_complete(at(1)).unwrap();
    assert_eq!(quiet.poll_timeout(), None, "without a sideband nothing can be said");
}

#[test]
fn git_13_a_pack_that_stops_coming_is_silence() {
    let mut server = receiving("side-band-64k");
    server.handle_timeout(at(60));
    assert_eq!(server.poll_timeout(), Some(at(120)), "the pack was taken in between");
    server.handle_timeout(at(120));
    assert!(matches!(server.poll_action(), Some(receive::Action::Failed(_))));
    assert!(server.pack_complete(at(121)).is_err());
}

#[test]
fn git_13_a_slow_reader_of_the_pack_is_not_silent_but_one_that_reads_nothing_is() {
    let idle_timeout = Some(Duration::from_secs(10));
    let mut client = push::Client::new(push::Config { idle_timeout, ..Default::default() }, at(0));
    let offer = format!("{ID} refs/heads/main\0report-status");
    client.handle_bytes(at(0), pkts(&[&offer, ""]).into()).unwrap();
    client.poll_action();
    let new = ObjectId::from_raw(&[7; 20]).unwrap();
    let old = ObjectId::null(ObjectFormat::Sha1);
    client.push(at(0), vec![Command { name: name("refs/heads/new"), old, new }]).unwrap();
    assert!(matches!(client.poll_action(), Some(push::Action::BuildPack(_))));
    assert_eq!(client.poll_timeout(), None, "the driver builds the pack");
    for _ in 0..8 {
        client.pack_chunk(at(500), Bytes::from(vec![0; 65536])).unwrap();
    }
    assert!(!client.wants_pack());
    for lap in 1..=4 {
        assert_eq!(client.poll_timeout(), Some(at(500 + lap * 10)));
        assert!(client.poll_transmit().is_some());
        client.handle_timeout(at(500 + lap * 10));
        assert!(!client.has_ended(), "it reads slowly");
    }
    client.handle_timeout(at(550));
    assert!(matches!(client.poll_action(), Some(push::Action::Failed(_))), "it reads nothing");
}
