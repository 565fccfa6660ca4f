//! A fetch client against any server and any driver.
#![no_main]

mod common;

use std::time::Duration;

use arbitrary::Arbitrary;
use common::{Event, Session, face, id, ids};
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::git::fetch::client::{Action, Client, Config, Error};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{Commit, Request, Service};

face!(Client, Action, Error);

const LINES: &[&str] = &[
    "@ $\0multi_ack_detailed side-band-64k no-done ofs-delta agent=x",
    "@ HEAD\0multi_ack side-band symref=HEAD:$",
    "@ $\0",
    "@ $",
    "@ $^{}",
    "shallow @",
    "version 1",
    "0000000000000000000000000000000000000000 capabilities^{}\0object-format=sha1",
    "NAK\n",
    "ACK @",
    "ACK @ common\n",
    "ACK @ ready\n",
    "ACK @ continue\n",
    "ERR no\x1b[2J",
    "\x01PACK",
    "\x02Counting objects: 1\r",
    "\x03fatal",
];

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [bool; 8],
    events: Vec<Do>,
}

#[derive(Arbitrary, Debug)]
enum Do {
    Event(Event),
    Want(Vec<u8>, Vec<u8>),
    Held(Vec<u8>),
    Commits(Vec<(u8, Vec<u8>)>),
    PackComplete,
}

fn commit(of: u8, parents: &[u8]) -> Commit {
    Commit { id: id(of), parents: ids(parents).into(), time: i64::from(of) }
}

fn answer(client: &mut Client, now: Instant, action: Action) {
    let _ = match action {
        Action::Advertised(seen) => {
            client.want(now, seen.refs.iter().map(|one| one.id).collect(), ids(&[1, 2]))
        }
        Action::FindHeld(_) => client.held(now, ids(&[3])),
        Action::LoadCommits(asked) => {
            let of = |one: &portline::git::ObjectId| one.as_raw()[0];
            client.commits(
                now,
                asked.iter().map(|one| commit(of(one), &[of(one).saturating_sub(1).max(1)])).collect(),
            )
        }
        _ => Ok(()),
    };
}

fuzz_target!(|input: Input| {
    let [sideband, multi_ack, no_done, thin_pack, noop, request, idle, small] = input.setup;
    let config = Config {
        sideband,
        multi_ack,
        no_done,
        thin_pack,
        algorithm: if noop { Algorithm::Noop } else { Algorithm::default() },
        request: request.then(|| Request::new(Service::UploadPack)),
        idle_timeout: idle.then_some(Duration::from_millis(10)),
        max_haves: if small { 3 } else { 100 },
        max_rounds: if small { 2 } else { 100 },
        ..Config::default()
    };
    let mut session = Session::new(Client::new(config, Instant::ZERO), Instant::ZERO);
    for event in input.events {
        let now = session.now;
        let _ = match event {
            Do::Event(event) => {
                session.event(event, LINES, answer);
                continue;
            }
            Do::Want(wants, tips) => session.machine.want(now, ids(&wants), ids(&tips)),
            Do::Held(held) => session.machine.held(now, ids(&held)),
            Do::Commits(list) => {
                let list = list.iter().map(|(of, parents)| commit(*of, parents)).collect();
                session.machine.commits(now, list)
            }
            Do::PackComplete => session.machine.pack_complete(now),
        };
    }
    session.finish(answer);
});
