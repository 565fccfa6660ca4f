//! A fetch server against any client and any driver.
#![no_main]

mod common;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{Event, Session, face, ids, name, refs};
use libfuzzer_sys::fuzz_target;
use portline::git::fetch::server::{Action, Config, Error, Server, WantPolicy};
use portline::git::{HiddenRefs, Version};
use portline::{Instant, limits};

face!(Server, Action, Error);

const LINES: &[&str] = &[
    "want @ multi_ack_detailed side-band-64k ofs-delta thin-pack\n",
    "want @ multi_ack_detailed no-done side-band-64k",
    "want @ multi_ack side-band",
    "want @",
    "want @\n",
    "have @",
    "have @\n",
    "done\n",
    "done",
    "shallow @",
    "deepen 1",
    "filter blob:none",
    "ERR no",
];

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [bool; 4],
    policy: u8,
    events: Vec<Do>,
}

#[derive(Arbitrary, Debug)]
enum Do {
    Event(Event),
    Refs(Vec<(u8, u8)>),
    Found(Vec<u8>),
    Reachable(bool),
    Covered(bool),
    Chunk(u16),
    Progress(Vec<u8>),
    PackFinished,
    PackFailed(Vec<u8>),
}

fn answer(server: &mut Server, now: Instant, action: Action) {
    let _ = match action {
        Action::ListRefs => server.refs_listed(now, refs(&[(0, 1), (1, 2), (3, 7)])),
        Action::FindObjects(asked) => {
            let known = ids(&[1, 2, 3, 4, 7]);
            server.objects_found(now, asked.into_iter().filter(|one| known.contains(one)).collect())
        }
        Action::CheckReachable { ids: asked, tips } => {
            // What is hidden is never offered as a tip.
            assert!(!tips.contains(&common::id(7)));
            server.reachable(now, asked.iter().all(|one| ids(&[1, 2, 3]).contains(one)))
        }
        Action::CheckCovered { common, .. } => server.covered(now, common.len() > 1),
        Action::BuildPack(request) => {
            assert!(!request.wants.is_empty());
            let _ = server.pack_chunk(now, Bytes::from_static(b"PACK"));
            server.pack_finished(now)
        }
        _ => Ok(()),
    };
}

fuzz_target!(|input: Input| {
    let [idle, v1, no_done, small] = input.setup;
    let policies = [WantPolicy::Advertised, WantPolicy::Tips, WantPolicy::Reachable, WantPolicy::Any];
    let config = Config {
        version: if v1 { Version::V1 } else { Version::V0 },
        hidden: ["refs/hide"].into_iter().collect::<HiddenRefs>(),
        wants: policies[usize::from(input.policy) % 4],
        stateless_no_done: no_done,
        max_wants: 5,
        max_haves: if small { 3 } else { 50 },
        max_rounds: if small { 2 } else { 50 },
        idle_timeout: idle.then_some(Duration::from_millis(10)),
        ..Config::default()
    };
    assert!(config.hidden.hides(&name(3)));
    let mut session = Session::new(Server::new(config, Instant::ZERO), Instant::ZERO);
    for event in input.events {
        let now = session.now;
        let _ = match event {
            Do::Event(event) => {
                session.event(event, LINES, answer);
                continue;
            }
            Do::Refs(list) => session.machine.refs_listed(now, refs(&list)),
            Do::Found(found) => session.machine.objects_found(now, ids(&found)),
            Do::Reachable(all) => session.machine.reachable(now, all),
            Do::Covered(all) => session.machine.covered(now, all),
            Do::Chunk(size) if session.machine.wants_pack() => {
                session.machine.pack_chunk(now, vec![b'P'; usize::from(size)].into())
            }
            Do::Chunk(_) => Ok(()),
            Do::Progress(text) => session.machine.progress(now, text.into()),
            Do::PackFinished => session.machine.pack_finished(now),
            Do::PackFailed(reason) => session.machine.pack_failed(now, reason.into()),
        };
    }
    // What waits to be sent stays within the limit, one chunk and one line more at the most.
    let waiting: usize = std::iter::from_fn(|| session.machine.poll_transmit()).map(|sent| sent.len()).sum();
    assert!(waiting <= limits::GIT_OUTPUT + (1 << 17), "{waiting}");
    session.finish(answer);
});
