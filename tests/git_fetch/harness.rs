//! The recorded server, the driver and its repository for the fetch client's tests.

#![allow(dead_code)]

#[path = "../recorded/mod.rs"]
pub(crate) mod recorded;

use bytes::Bytes;
use portline::Instant;
use portline::git::fetch::client::{Action, Client, Config, Error, Outcome};
use portline::git::{Commit, ObjectId};

pub(crate) const TIP: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";
pub(crate) const ZERO: Instant = Instant::from_micros(0);

/// What the client had sent in the recorded conversation, and what the server sent.
pub(crate) fn recorded(name: &str) -> (Vec<u8>, Vec<u8>) {
    let one = recorded::recorded(name).remove(0);
    (one.client, one.server)
}

/// A recorded server that lets any object be wanted.
pub(crate) fn allowing(server: &[u8]) -> Vec<u8> {
    let length = usize::from_str_radix(std::str::from_utf8(&server[..4]).unwrap(), 16).unwrap();
    let first = String::from_utf8_lossy(&server[4..length]).trim_end().to_owned();
    [line(&(first + " allow-tip-sha1-in-want")).as_bytes(), &server[length..]].concat()
}

pub(crate) fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

pub(crate) fn id(n: u8) -> ObjectId {
    ObjectId::from_raw(&[n; 20]).unwrap()
}

pub(crate) fn tip() -> ObjectId {
    TIP.parse().unwrap()
}

pub(crate) fn advertise(capabilities: &str) -> String {
    let refs = format!("{TIP} refs/heads/main\0{capabilities}");
    line(&refs) + "0000"
}

/// What the driver answers: what it wants, holds and has for tips (each a root commit).
#[derive(Clone, Default)]
pub(crate) struct Repo {
    pub(crate) wants: Vec<ObjectId>,
    pub(crate) held: Vec<ObjectId>,
    pub(crate) tips: Vec<ObjectId>,
}

/// What a session did: writes, the pack, progress, its end.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) writes: Vec<Bytes>,
    pub(crate) pack: Vec<u8>,
    pub(crate) progress: Vec<u8>,
    /// What the driver is told besides.
    pub(crate) told: Vec<Action>,
    pub(crate) end: Option<Result<Outcome, Error>>,
}

impl Seen {
    pub(crate) fn sent(&self) -> String {
        self.writes.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    pub(crate) fn outcome(&self) -> &Outcome {
        self.end.as_ref().unwrap().as_ref().unwrap()
    }

    pub(crate) fn error(&self) -> &Error {
        self.end.as_ref().unwrap().as_ref().unwrap_err()
    }
}

pub(crate) fn drain(client: &mut Client, repo: &Repo, seen: &mut Seen) {
    while let Some(action) = client.poll_action() {
        assert_eq!(seen.end, None, "one terminal action, and the last");
        match action {
            Action::Advertised(_) => client.want(ZERO, repo.wants.clone(), repo.tips.clone()).unwrap(),
            Action::FindHeld(_) => client.held(ZERO, repo.held.clone()).unwrap(),
            Action::LoadCommits(ids) => {
                let commit = |id: &ObjectId| Commit { id: *id, parents: Default::default(), time: 1 };
                client.commits(ZERO, ids.iter().map(commit).collect()).unwrap();
            }
            told @ (Action::Shallow(_)
            | Action::RemoteShallow(_)
            | Action::WantedRefs(_)
            | Action::PackUris(_)
            | Action::Resumed { .. }
            | Action::ObjectInfo(_)
            | Action::Bundles(_)) => seen.told.push(told),
            Action::Progress(bytes) => seen.progress.extend_from_slice(&bytes),
            Action::Pack(bytes) => seen.pack.extend_from_slice(&bytes),
            Action::Finished(outcome) => seen.end = Some(Ok(outcome)),
            Action::Failed(error) => seen.end = Some(Err(error)),
        }
    }
    while let Some(transmit) = client.poll_transmit() {
        seen.writes.push(transmit.into_bytes());
    }
}

/// Feeds the server's bytes in chunks of `size`, then closes.
pub(crate) fn feed(config: Config, repo: &Repo, server: &[u8], size: usize) -> Seen {
    let (mut client, mut seen) = (Client::new(config, ZERO), Seen::default());
    drain(&mut client, repo, &mut seen);
    for chunk in server.chunks(size.max(1)) {
        let _ = client.handle_bytes(ZERO, Bytes::copy_from_slice(chunk));
        drain(&mut client, repo, &mut seen);
    }
    // In a stateless session the end of a response is not yet that of the session.
    for _ in 0..8 {
        let _ = client.handle_closed(ZERO);
        drain(&mut client, repo, &mut seen);
    }
    assert!(client.has_ended() && !client.wants_input());
    seen
}

/// Feeds the server's bytes one by one; every split must come to the same.
pub(crate) fn play(config: Config, repo: &Repo, server: impl AsRef<[u8]>) -> Seen {
    let server = server.as_ref();
    let bytewise = feed(config.clone(), repo, server, 1);
    let joined = |seen: &Seen| (seen.sent(), seen.pack.clone(), seen.progress.clone(), seen.end.clone());
    for size in [2, 3, 5, 7, 64, server.len()] {
        let seen = feed(config.clone(), repo, server, size);
        assert_eq!(joined(&seen), joined(&bytewise), "in chunks of {size}");
    }
    for cut in 1..server.len() {
        let (mut client, mut seen) = (Client::new(config.clone(), ZERO), Seen::default());
        for part in [&server[..cut], &server[cut..]] {
            let _ = client.handle_bytes(ZERO, Bytes::copy_from_slice(part));
            drain(&mut client, repo, &mut seen);
        }
        let _ = client.handle_closed(ZERO);
        drain(&mut client, repo, &mut seen);
        assert_eq!(joined(&seen), joined(&bytewise), "cut at {cut}");
    }
    bytewise
}

pub(crate) fn plain() -> Config {
    Config { agent: None, thin_pack: false, include_tag: false, ..Config::default() }
}

pub(crate) fn clone_of_tip() -> Repo {
    Repo { wants: vec![tip(), tip()], ..Repo::default() }
}

/// Twenty tips: more than the first round holds.
pub(crate) fn many_tips() -> Repo {
    Repo { wants: vec![tip()], held: vec![], tips: (1..=20).map(id).collect() }
}
