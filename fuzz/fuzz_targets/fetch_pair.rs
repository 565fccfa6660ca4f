//! A fetch client and a fetch server over a link that the fuzzer splits, delays and cuts, in every version: undisturbed
//! both come to a good end that is the same on both sides and the pack arrives as it was built; disturbed, each side
//! has its one end.
#![no_main]

mod common;
#[path = "common/pair.rs"]
mod pair;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{face, id, ids, refs};
use libfuzzer_sys::fuzz_target;
use pair::{Driver, Op, Pair, Side};
use portline::Instant;
use portline::git::fetch::client::{
    self, Action as ClientAction, Client, Error as ClientError, Listing, Outcome,
};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::fetch::server::{
    self, Action as ServerAction, Error as ServerError, FilterPolicy, Server,
};
use portline::git::{Commit, Deepen, Depth, Filter, ObjectId, Resume, ShallowUpdate, Version};

face!(Client, ClientAction, ClientError);
face!(Server, ServerAction, ServerError);

const PACK: &[u8] =
    b"PACK: bytes that stand for a pack, in which every place tells where it is. 0123456789abcdef";

#[derive(Arbitrary, Debug)]
struct Input {
    version: u8,
    /// Sideband, multi_ack, no_done, algorithm (2), sideband_all, wait_for_done, prefixes.
    asks: [bool; 8],
    /// Ref-in-want and the rest of version 2, no-done, keep-alives, resuming.
    offers: [bool; 4],
    filter: bool,
    depth: u8,
    /// The client has the commits up to here, and one on top if so.
    holds: u8,
    ahead: bool,
    /// What is held of the pack, and whether its digest is right.
    part: Option<(u8, bool)>,
    wants: u8,
    ops: Vec<Op>,
}

fn number(id: &ObjectId) -> u8 {
    id.as_raw()[0]
}

/// A line of commits, each on the one before.
fn commit(of: &ObjectId, holds: u8) -> Commit {
    let parent = match number(of) {
        6 => holds,
        one => one.saturating_sub(1),
    };
    let parents = if parent > 0 { ids(&[parent]) } else { vec![] };
    Commit { id: *of, parents: parents.into_iter().collect(), time: number(of).into() }
}

struct ClientDriver {
    holds: u8,
    ahead: bool,
    wants: u8,
    by_name: bool,
    part: Option<Resume>,
    pack: Vec<u8>,
    resumed: bool,
    outcome: Option<Outcome>,
}

impl Driver<Client> for ClientDriver {
    fn answer(&mut self, client: &mut Client, now: Instant, action: ClientAction) {
        let result = match action {
            ClientAction::Advertised(seen) => {
                assert!(seen.refs.iter().all(|one| number(&one.id) != 7), "what is hidden is not shown");
                let tips = if self.ahead { ids(&[6]) } else { ids(&[self.holds]) };
                let tips = tips.into_iter().filter(|tip| !tip.is_null()).collect();
                if self.by_name && seen.capabilities.has_feature("fetch", "ref-in-want") {
                    let names = seen.refs.iter().map(|one| one.name.clone()).collect();
                    client.want_refs(now, names, vec![], tips)
                } else {
                    let keep = |at: &usize| self.wants & (1 << (at % 8)) != 0;
                    let wants = seen.refs.iter().enumerate().filter(|(at, _)| keep(at));
                    client.want(now, wants.map(|(_, one)| one.id).collect(), tips)
                }
            }
            ClientAction::FindHeld(asked) => {
                if let Some(part) = self.part.clone() {
                    let _ = client.resume(now, part);
                }
                client.held(now, asked.into_iter().filter(|one| number(one) <= self.holds).collect())
            }
            ClientAction::LoadCommits(asked) => {
                let held = |one: &&ObjectId| number(one) <= self.holds || (self.ahead && number(one) == 6);
                client.commits(now, asked.iter().filter(held).map(|one| commit(one, self.holds)).collect())
            }
            ClientAction::Resumed { offset } => {
                assert!(self.pack.is_empty() && !self.resumed);
                self.resumed = true;
                self.pack.extend_from_slice(&PACK[..usize::try_from(offset).unwrap()]);
                Ok(())
            }
            ClientAction::Pack(bytes) => {
                self.pack.extend_from_slice(&bytes);
                Ok(())
            }
            ClientAction::Finished(outcome) => {
                self.outcome = Some(outcome);
                Ok(())
            }
            _ => Ok(()),
        };
        assert!(result.is_ok() || client.has_ended(), "{result:?}");
    }
}

#[derive(Default)]
struct ServerDriver {
    outcome: Option<server::Outcome>,
}

fn begins(part: &Resume) -> bool {
    part.offset() <= PACK.len() as u64 && part.digest() == &b"right"[..]
}

impl Driver<Server> for ServerDriver {
    fn answer(&mut self, server: &mut Server, now: Instant, action: ServerAction) {
        let has = |one: &ObjectId| (1..=4).contains(&number(one));
        let result = match action {
            ServerAction::ListRefs | ServerAction::ListRefsBelow(_) => {
                server.refs_listed(now, refs(&[(0, 4), (1, 3), (3, 7)]))
            }
            ServerAction::FindObjects(asked) => {
                server.objects_found(now, asked.into_iter().filter(has).collect())
            }
            ServerAction::LoadCommits(asked) => {
                server.commits(now, asked.iter().filter(|one| has(one)).map(|one| commit(one, 0)).collect())
            }
            ServerAction::CheckReachable { .. } => server.reachable(now, true),
            ServerAction::CheckCovered { wants, common } => {
                let covered = |want: &ObjectId| common.iter().any(|one| number(one) <= number(want));
                server.covered(now, wants.iter().all(covered))
            }
            ServerAction::Deepen(request) => {
                assert!(!request.tips.contains(&id(7)));
                server.deepened(now, ShallowUpdate { shallow: ids(&[3]), unshallow: vec![] })
            }
            ServerAction::BuildPack(request) => {
                assert!(!request.wants.is_empty() && request.wants.iter().all(has));
                assert!(request.haves.iter().all(has), "what both have was found here");
                let from = request.resume.filter(begins).map_or(0, |part| part.offset());
                if from > 0 {
                    let _ = server.pack_resumes(now);
                }
                let _ = server.progress(now, Bytes::from_static(b"counting\r"));
                for chunk in PACK[usize::try_from(from).unwrap()..].chunks(40) {
                    let _ = server.pack_chunk(now, Bytes::from_static(chunk));
                }
                server.pack_finished(now)
            }
            ServerAction::Finished(outcome) => {
                self.outcome = Some(outcome);
                Ok(())
            }
            _ => Ok(()),
        };
        assert!(result.is_ok() || server.has_ended(), "{result:?}");
    }
}

fn machines(input: &Input) -> (Client, Server) {
    let version = [Version::V0, Version::V1, Version::V2][usize::from(input.version) % 3];
    let [sideband, multi_ack, no_done, skips, all, sideband_all, wait_for_done, prefixes] = input.asks;
    let [rest, stateless_no_done, keeps_alive, resume] = input.offers;
    let algorithm = match (skips, all) {
        (true, _) => Algorithm::Skipping,
        (false, true) => Algorithm::Consecutive,
        (false, false) => Algorithm::Noop,
    };
    let client = client::Config {
        version,
        sideband,
        multi_ack,
        no_done,
        algorithm,
        sideband_all,
        wait_for_done,
        listing: if prefixes { Listing::Prefixes(vec!["refs/heads/".into()]) } else { Listing::All },
        filter: input.filter.then_some(Filter::BlobNone),
        deepen: Deepen {
            to: match input.depth % 4 {
                1 => Depth::Commits(u32::from(input.depth / 4) + 1),
                2 => Depth::Since(input.depth.into()),
                _ => Depth::Full,
            },
            not: vec![],
        },
        ..client::Config::default()
    };
    let server = server::Config {
        version,
        view: ["refs/hide"].into_iter().collect::<portline::git::HiddenRefs>().into(),
        filters: (rest || input.filter).then(FilterPolicy::default),
        ref_in_want: rest,
        sideband_all: rest,
        object_info: rest,
        stateless_no_done,
        resume,
        keep_alive: keeps_alive.then_some(portline::limits::KEEP_ALIVE),
        ..server::Config::default()
    };
    (Client::new(client, Instant::ZERO), Server::new(server, Instant::ZERO))
}

fuzz_target!(|input: Input| {
    let (client, server) = machines(&input);
    let part = input.part.and_then(|(offset, right)| {
        let digest = if right { &b"right"[..] } else { b"wrong" };
        Resume::new(u64::from(offset) % 120, Bytes::from_static(digest)).ok()
    });
    let driver = ClientDriver {
        holds: input.holds % 5,
        ahead: input.ahead,
        wants: input.wants,
        by_name: input.wants % 3 == 0,
        part,
        pack: vec![],
        resumed: false,
        outcome: None,
    };
    let mut pair =
        Pair { client: Side::new(client, driver), server: Side::new(server, ServerDriver::default()) };
    if !pair.run(&input.ops) {
        return;
    }
    let (client, server) = (&pair.client, &pair.server);
    assert_eq!((&client.end, &server.end), (&Some(None), &Some(None)), "undisturbed, both end well");
    let (ours, theirs) = (client.driver.outcome.as_ref().unwrap(), server.driver.outcome.as_ref().unwrap());
    assert_eq!(ours.pack, theirs.pack);
    assert_eq!(client.driver.pack, if ours.pack { PACK } else { b"" });
    assert!(ours.pack || ours.wants == 0 || input.wants % 3 == 0);
});
