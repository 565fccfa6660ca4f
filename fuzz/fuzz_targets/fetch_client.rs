//! A fetch client against any server and any driver.
#![no_main]

mod common;

use std::time::Duration;

use arbitrary::Arbitrary;
use common::{Event, Session, face, id, ids, part};
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::git::fetch::client::{Action, Client, Config, Error, Listing};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{Commit, Deepen, Depth, Filter, Request, Service, Version};

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
    "version 2",
    "ls-refs=unborn",
    "fetch=shallow wait-for-done filter ref-in-want sideband-all packfile-uris",
    "object-format=sha1",
    "object-info",
    "bundle-uri",
    "server-option",
    "@ $ symref-target:$ peeled:#",
    "unborn HEAD symref-target:$",
    "acknowledgments\n",
    "ready\n",
    "shallow-info\n",
    "unshallow @",
    "wanted-refs\n",
    "packfile-uris\n",
    "@ https://h/p",
    "packfile\n",
    "size",
    "@ 12",
    "bundle.a.uri=https://h/b",
    "# service=git-upload-pack\n",
    "@ $\0multi_ack_detailed side-band-64k no-done shallow deepen-since deepen-not deepen-relative filter allow-tip-sha1-in-want",
    "@ $\0multi_ack_detailed side-band-64k no-done portline-resume",
    "fetch=shallow portline-resume",
    "resume 0",
    "resume 5",
];

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [bool; 8],
    /// Stateless, `sideband-all`, a listing, a filter, a border, URIs, refs by name, `wait-for-done`.
    more: [bool; 8],
    /// And whether packs may go on: its first bit.
    version: u8,
    depth: (u8, u8),
    events: Vec<Do>,
}

#[derive(Arbitrary, Debug)]
enum Do {
    Event(Event),
    Want(Vec<u8>, Vec<u8>),
    Held(Vec<u8>),
    Commits(Vec<(u8, Vec<u8>)>),
    PackComplete,
    ObjectInfo(Vec<u8>),
    BundleUri,
    Resume(u8),
}

fn commit(of: u8, parents: &[u8]) -> Commit {
    Commit { id: id(of), parents: ids(parents).into(), time: i64::from(of) }
}

fn depth((kind, depth): (u8, u8)) -> Deepen {
    let to = match kind % 5 {
        0 => Depth::Commits(depth.into()),
        1 => Depth::Further(depth.into()),
        2 => Depth::Since(depth.into()),
        _ => Depth::Full,
    };
    Deepen { to, not: if kind % 7 == 3 { vec!["refs/heads/a".into()] } else { vec![] } }
}

fn answer(client: &mut Client, now: Instant, action: Action) {
    let _ = match action {
        Action::Advertised(seen) if seen.capabilities.has_feature("fetch", "ref-in-want") => {
            let names = seen.refs.iter().map(|one| one.name.clone()).collect();
            client.want_refs(now, names, vec![], ids(&[1, 2]))
        }
        Action::Advertised(seen) => {
            client.want(now, seen.refs.iter().map(|one| one.id).collect(), ids(&[1, 2]))
        }
        Action::FindHeld(_) => {
            let _ = part(5).map(|part| client.resume(now, part));
            client.held(now, ids(&[3]))
        }
        // What was named, or all of it.
        Action::Resumed { offset } => {
            assert!(offset < 256);
            Ok(())
        }
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

fuzz_target!(|input: Input| common::heap::bounded(common::HELD, || run(input)));

fn run(input: Input) {
    let [sideband, multi_ack, no_done, thin_pack, noop, request, idle, small] = input.setup;
    let [stateless, sideband_all, lists, filters, borders, takes_uris, asks, wait_for_done] = input.more;
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
        stateless,
        sideband_all,
        wait_for_done,
        listing: if lists { Listing::Prefixes(vec!["refs/".into()]) } else { Listing::None },
        filter: filters.then_some(Filter::BlobNone),
        shallow: if borders { ids(&[1, 2]) } else { vec![] },
        packfile_uris: if takes_uris { vec!["https".into()] } else { vec![] },
        version: [Version::V0, Version::V1, Version::V2][usize::from(input.version % 3)],
        resume: input.version >= 128,
        deepen: depth(input.depth),
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
            Do::Resume(held) => part(held).map_or(Ok(()), |part| session.machine.resume(now, part)),
            Do::PackComplete => session.machine.pack_complete(now),
            Do::ObjectInfo(of) if asks => session.machine.object_info(now, &ids(&of)),
            Do::BundleUri if asks => session.machine.bundle_uri(now),
            Do::ObjectInfo(_) | Do::BundleUri => Ok(()),
        };
    }
    session.finish(answer);
}
