//! A fetch server against any client and any driver.
#![no_main]

mod common;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{Event, Session, face, ids, name, refs};
use libfuzzer_sys::fuzz_target;
use portline::git::fetch::server::{Action, Config, Error, FilterPolicy, Server, WantPolicy};
use portline::git::{Commit, HiddenRefs, ObjectId, Serving, ShallowUpdate, Version};
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
    "want @ filter deepen-relative side-band-64k\n",
    "deepen 2147483647\n",
    "deepen-since 5\n",
    "deepen-not $\n",
    "deepen-relative\n",
    "filter combine:tree:1+blob:limit=1k\n",
    "command=ls-refs\n",
    "command=fetch\n",
    "command=object-info",
    "command=bundle-uri",
    "agent=a",
    "object-format=sha1\n",
    "server-option=x",
    "session-id=y",
    "peel\n",
    "symrefs\n",
    "unborn\n",
    "ref-prefix $\n",
    "ref-prefix refs/",
    "want-ref $\n",
    "wait-for-done\n",
    "sideband-all\n",
    "packfile-uris https\n",
    "size\n",
    "oid @\n",
    "thin-pack\n",
    "include-tag",
    "no-progress",
    "ofs-delta\n",
    "want @ multi_ack_detailed side-band-64k portline-resume",
    "resume 0\n",
    "resume 5 07",
];

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [bool; 6],
    policy: u8,
    /// And whether packs may go on: its first bit.
    version: u8,
    events: Vec<Do>,
}

#[derive(Arbitrary, Debug)]
enum Do {
    Event(Event),
    Refs(Vec<(u8, u8)>),
    Found(Vec<u8>),
    Reachable(bool),
    Covered(bool),
    Commits(Vec<(u8, u8)>),
    Deepened(Vec<u8>, Vec<u8>),
    DeepenFailed(Vec<u8>),
    Sizes(Vec<(u8, u64)>),
    Uri(u8, Vec<u8>),
    Chunk(u16),
    Progress(Vec<u8>),
    PackFinished,
    PackFailed(Vec<u8>),
    Resumes,
}

/// `hides`: nobody has told the machine that what is hidden can be reached.
fn answer(server: &mut Server, now: Instant, action: Action, hides: bool) {
    let _ = match action {
        Action::ListRefs => server.refs_listed(now, refs(&[(0, 1), (1, 2), (3, 7)])),
        Action::ListRefsBelow(prefixes) => {
            // None begins with another, so none is asked for twice.
            let overlap = |one: &Bytes| prefixes.iter().filter(|other| one.starts_with(other)).count();
            assert!(prefixes.iter().all(|one| overlap(one) == 1));
            server.refs_listed(now, refs(&[(0, 1), (1, 2), (3, 7)]))
        }
        Action::LoadCommits(asked) => {
            let parents = |id: ObjectId| Commit { id, parents: ids(&[1, 2]).into_iter().collect(), time: 0 };
            server.commits(now, asked.into_iter().map(parents).collect())
        }
        Action::Deepen(request) => {
            assert!(!request.tips.contains(&common::id(7)));
            server.deepened(now, ShallowUpdate { shallow: ids(&[4]), unshallow: request.shallow })
        }
        Action::ObjectSizes(asked) => {
            assert!(!hides || !asked.contains(&common::id(7)));
            server.sizes(now, asked.into_iter().map(|id| (id, 5)).collect())
        }
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
            if request.resume.is_some() {
                assert!(request.resumable);
                let _ = server.pack_resumes(now);
            }
            let _ = server.pack_chunk(now, Bytes::from_static(b"PACK"));
            server.pack_finished(now)
        }
        _ => Ok(()),
    };
}

fuzz_target!(|input: Input| common::heap::bounded(common::HELD, || run(input)));

fn run(input: Input) {
    let [idle, all, no_done, small, alone, shallow] = input.setup;
    // Where hidden tips may be had, or anything, the oracles below would not hold.
    let policies = [WantPolicy::Advertised, WantPolicy::Reachable];
    let config = Config {
        version: [Version::V0, Version::V1, Version::V2, Version::V2][usize::from(input.version) % 4],
        serving: if alone { Serving::Request } else { Serving::Session },
        view: ["refs/hide"].into_iter().collect::<HiddenRefs>().into(),
        wants: policies[usize::from(input.policy) % 2],
        shallow: if shallow { ids(&[4]) } else { Vec::new() },
        filters: all.then(FilterPolicy::default),
        ref_in_want: all,
        sideband_all: all,
        packfile_uris: all,
        object_info: all,
        bundle_uris: all.then(|| vec![Bytes::from_static(b"bundle.version=1")]),
        session_id: all.then(|| Bytes::from_static(b"s")),
        resume: input.version >= 128,
        stateless_no_done: no_done,
        max_wants: 5,
        max_haves: if small { 3 } else { 50 },
        max_rounds: if small { 2 } else { 50 },
        idle_timeout: idle.then_some(Duration::from_millis(10)),
        ..Config::default()
    };
    assert!(config.view.shown(&name(3)).is_none());
    let mut session = Session::new(Server::new(config, Instant::ZERO), Instant::ZERO);
    let hides = !input.events.iter().any(|event| matches!(event, Do::Reachable(true)));
    let answer = move |server: &mut Server, now: Instant, action: Action| answer(server, now, action, hides);
    for event in input.events {
        let now = session.now;
        let _ = match event {
            Do::Event(event) => {
                session.event(event, LINES, answer);
                continue;
            }
            // What is only hidden is in no other ref.
            Do::Refs(list) => {
                let shown = |(of, to): (u8, u8)| (of, if of % 4 < 3 && to % 8 == 7 { 6 } else { to });
                let list: Vec<(u8, u8)> = list.into_iter().map(shown).collect();
                session.machine.refs_listed(now, refs(&list))
            }
            Do::Found(found) => session.machine.objects_found(now, ids(&found)),
            Do::Reachable(all) => session.machine.reachable(now, all),
            Do::Covered(all) => session.machine.covered(now, all),
            Do::Commits(list) => {
                let commit = |(id, parent): &(u8, u8)| Commit {
                    id: common::id(*id),
                    parents: ids(&[*parent]).into_iter().collect(),
                    time: 0,
                };
                session.machine.commits(now, list.iter().map(commit).collect())
            }
            Do::Deepened(shallow, unshallow) => {
                let update = ShallowUpdate { shallow: ids(&shallow), unshallow: ids(&unshallow) };
                session.machine.deepened(now, update)
            }
            Do::DeepenFailed(reason) => session.machine.deepen_failed(now, reason.into()),
            Do::Sizes(list) => {
                let sizes = list.iter().map(|(of, size)| (common::id(*of), *size));
                session.machine.sizes(now, sizes.collect())
            }
            Do::Uri(of, uri) => session.machine.packfile_uri(now, common::id(of), uri.into()),
            Do::Chunk(size) if session.machine.wants_pack() => {
                session.machine.pack_chunk(now, vec![b'P'; usize::from(size)].into())
            }
            Do::Chunk(_) => Ok(()),
            Do::Progress(text) => session.machine.progress(now, text.into()),
            Do::Resumes => session.machine.pack_resumes(now),
            Do::PackFinished => session.machine.pack_finished(now),
            Do::PackFailed(reason) => session.machine.pack_failed(now, reason.into()),
        };
    }
    // What waits to be sent stays within the limit, one chunk and one line more at the most.
    let waiting: usize = std::iter::from_fn(|| session.machine.poll_transmit()).map(|sent| sent.len()).sum();
    assert!(waiting <= limits::GIT_OUTPUT + (1 << 17), "{waiting}");
    session.finish(answer);
}
