//! However a connection is cut, each Git machine ends once: the recorded conversations, cut at every byte, in every
//! split, with drivers that answer and drivers that do not (GIT-9, GIT-11, GIT-19; T13).

use crate::common::{Rng, split};
use crate::push_support::{EMPTY_PACK, ID, id, name, pkt, recorded};
use bytes::Bytes;
use portline::git::fetch::{client as fetch, server as upload};
use portline::git::push::{Command, client as push, server as receive};
use portline::git::{ObjectFormat, ObjectId, Ref, RefName, ShallowUpdate};
use portline::{Instant, Transmit};

const NOW: Instant = Instant::ZERO;

/// What a run came to: everything that was handed on and sent, and the terminal actions.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    handed: Vec<u8>,
    sent: Vec<u8>,
    ends: Vec<String>,
}

/// One machine with its driver.
trait Machine {
    fn bytes(&mut self, bytes: Bytes) -> Result<(), String>;
    fn closed(&mut self) -> Result<(), String>;
    fn abort(&mut self);
    fn transmit(&mut self) -> Option<Transmit>;
    fn has_ended(&self) -> bool;
    fn wants_input(&self) -> bool;
    /// Polls one action and answers it if `answers`; `None`: there was none. `Some(true)`: it asked for an answer.
    fn act(&mut self, answers: bool, seen: &mut Seen) -> Option<bool>;
}

macro_rules! machine {
    ($type:ty, |$machine:ident, $action:ident, $answers:ident, $seen:ident| $act:expr) => {
        impl Machine for $type {
            fn bytes(&mut self, bytes: Bytes) -> Result<(), String> {
                self.handle_bytes(NOW, bytes).map_err(|error| error.to_string())
            }
            fn closed(&mut self) -> Result<(), String> {
                self.handle_closed(NOW).map_err(|error| error.to_string())
            }
            fn abort(&mut self) {
                Self::abort(self, NOW);
            }
            fn transmit(&mut self) -> Option<Transmit> {
                self.poll_transmit()
            }
            fn has_ended(&self) -> bool {
                Self::has_ended(self)
            }
            fn wants_input(&self) -> bool {
                Self::wants_input(self)
            }
            fn act(&mut self, $answers: bool, $seen: &mut Seen) -> Option<bool> {
                let $action = self.poll_action()?;
                let $machine = &mut *self;
                Some($act)
            }
        }
    };
}

fn tip() -> ObjectId {
    id(ID)
}

machine!(fetch::Client, |machine, action, answers, seen| match action {
    fetch::Action::Advertised(_) => {
        answers.then(|| machine.want(NOW, vec![tip()], vec![tip()]).unwrap());
        true
    }
    fetch::Action::FindHeld(_) => {
        answers.then(|| machine.held(NOW, vec![]).unwrap());
        true
    }
    fetch::Action::LoadCommits(_) => {
        answers.then(|| machine.commits(NOW, vec![]).unwrap());
        true
    }
    fetch::Action::Pack(bytes) | fetch::Action::Progress(bytes) => {
        seen.handed.extend_from_slice(&bytes);
        false
    }
    fetch::Action::Shallow(_)
    | fetch::Action::RemoteShallow(_)
    | fetch::Action::WantedRefs(_)
    | fetch::Action::PackUris(_)
    | fetch::Action::Resumed { .. }
    | fetch::Action::ObjectInfo(_)
    | fetch::Action::Bundles(_) => false,
    end @ (fetch::Action::Finished(_) | fetch::Action::Failed(_)) => {
        seen.ends.push(format!("{end:?}"));
        false
    }
});

machine!(upload::Server, |machine, action, answers, seen| match action {
    upload::Action::Finished(_) | upload::Action::Failed(_) => {
        seen.ends.push(format!("{action:?}"));
        false
    }
    question => {
        if answers {
            match question {
                upload::Action::ListRefs | upload::Action::ListRefsBelow(_) => {
                    let refs = [RefName::head(), name("refs/heads/main")].map(|name| Ref::new(name, tip()));
                    machine.refs_listed(NOW, refs.to_vec()).unwrap();
                }
                upload::Action::FindObjects(ids) => machine.objects_found(NOW, ids).unwrap(),
                upload::Action::LoadCommits(_) => machine.commits(NOW, Vec::new()).unwrap(),
                upload::Action::Deepen(_) => machine.deepened(NOW, ShallowUpdate::default()).unwrap(),
                upload::Action::ObjectSizes(_) => machine.sizes(NOW, Vec::new()).unwrap(),
                upload::Action::CheckReachable { .. } => machine.reachable(NOW, true).unwrap(),
                upload::Action::CheckCovered { .. } => machine.covered(NOW, true).unwrap(),
                upload::Action::BuildPack(_) => {
                    machine.pack_chunk(NOW, EMPTY_PACK.into()).unwrap();
                    machine.pack_finished(NOW).unwrap();
                }
                upload::Action::ServerOptions(_)
                | upload::Action::Finished(_)
                | upload::Action::Failed(_) => {}
            }
        }
        true
    }
});

machine!(push::Client, |machine, action, answers, seen| match action {
    push::Action::Advertised(_) => {
        let (old, new) = (ObjectId::null(ObjectFormat::Sha1), tip());
        let command = Command { name: name("refs/heads/new"), old, new };
        answers.then(|| machine.push(NOW, vec![command]).unwrap());
        true
    }
    push::Action::BuildPack(_) => {
        if answers {
            // The answer may have come before: then no pack is wanted any more.
            let _ = machine.pack_chunk(NOW, EMPTY_PACK.into());
            let _ = machine.pack_finished(NOW);
        }
        true
    }
    // A push that is not to be signed asks for no signature.
    push::Action::Sign(_) => false,
    push::Action::Progress(bytes) => {
        seen.handed.extend_from_slice(&bytes);
        false
    }
    end @ (push::Action::Finished(_) | push::Action::Failed(_)) => {
        seen.ends.push(format!("{end:?}"));
        false
    }
});

machine!(receive::Server, |machine, action, answers, seen| match action {
    receive::Action::ListRefs => {
        answers.then(|| {
            machine.refs_listed(NOW, vec![Ref::new(name("refs/heads/main"), tip())], vec![]).unwrap();
        });
        true
    }
    receive::Action::FindPart(_) => {
        answers.then(|| machine.part_found(NOW, None).unwrap());
        true
    }
    receive::Action::ReceivePack(_) | receive::Action::Resumed { .. } => true,
    receive::Action::Pack(bytes) => {
        seen.handed.extend_from_slice(&bytes);
        true
    }
    receive::Action::PackEnd => {
        answers.then(|| machine.pack_stored(NOW, Ok(())).unwrap());
        true
    }
    receive::Action::Reported => {
        answers.then(|| machine.done(NOW).unwrap());
        true
    }
    receive::Action::UpdateRefs(update) => {
        answers.then(|| machine.refs_updated(NOW, vec![Ok(()); update.commands.len()]).unwrap());
        true
    }
    end @ (receive::Action::Finished(_) | receive::Action::Failed(_)) => {
        seen.ends.push(format!("{end:?}"));
        false
    }
});

/// A machine at its start.
type New = fn() -> Box<dyn Machine>;

/// Polls until nothing comes; whether a question is left open.
fn drain(machine: &mut dyn Machine, answers: bool, seen: &mut Seen) -> bool {
    let mut asked = false;
    loop {
        let mut moved = false;
        while let Some(question) = machine.act(answers, seen) {
            moved = true;
            asked |= question;
        }
        while let Some(transmit) = machine.transmit() {
            moved = true;
            seen.sent.extend_from_slice(&transmit.into_bytes());
        }
        if !moved {
            return asked && !answers;
        }
    }
}

/// Feeds the pieces, closes, and sees that the machine ends as it must.
fn run(mut machine: Box<dyn Machine>, pieces: &[Bytes], answers: bool) -> Seen {
    let machine = &mut *machine;
    let mut seen = Seen::default();
    let mut asked = drain(machine, answers, &mut seen);
    for piece in pieces {
        assert!(machine.wants_input() || machine.has_ended());
        let result = machine.bytes(piece.clone());
        asked |= drain(machine, answers, &mut seen);
        assert!(result.is_ok() || machine.has_ended());
    }
    let result = machine.closed();
    asked |= drain(machine, answers, &mut seen);
    assert!(result.is_ok() || machine.has_ended());
    if !machine.has_ended() {
        assert!(asked, "closed, nothing asked, and not ended: {seen:?}");
        machine.abort();
        drain(machine, answers, &mut seen);
    }
    assert!(machine.has_ended() && !machine.wants_input());
    assert_eq!(seen.ends.len(), 1, "{seen:?}");
    // After the end nothing changes, and the error sticks.
    let first = machine.bytes(Bytes::from_static(b"0000"));
    assert_eq!(first.is_err(), seen.ends[0].starts_with("Failed"));
    assert_eq!((machine.closed(), machine.bytes("00zz".into())), (first.clone(), first));
    machine.abort();
    let before = (seen.ends.len(), seen.sent.len());
    drain(machine, answers, &mut seen);
    assert_eq!((seen.ends.len(), seen.sent.len()), before);
    seen
}

/// Every cut of `input`, in one piece, bytewise and in random pieces: the same end, and the same payload. What stands
/// behind `border` comes only when everything before it was answered.
fn cut_everywhere(input: &[u8], border: usize, seed: u64, new: impl Fn() -> Box<dyn Machine>) {
    let mut rng = Rng::new(seed);
    for cut in 0..=input.len() {
        let input = &input[..cut];
        let (before, behind) = input.split_at(border.min(cut));
        let mut pieces =
            |most: usize| [split(&mut rng, before, most), split(&mut rng, behind, most)].concat();
        let halves = [before, behind].map(Bytes::copy_from_slice);
        let whole = run(new(), &halves, true);
        for pieces in [pieces(1), pieces(9 + cut % 2 * 60)] {
            let again = run(new(), &pieces, true);
            assert_eq!((&again.ends, &again.handed), (&whole.ends, &whole.handed), "cut at {cut}");
            // Where the peer's verdict is there at once, less is sent to it.
            assert!(again.sent.starts_with(&whole.sent), "cut at {cut}");
            run(new(), &pieces, false);
        }
        run(new(), &halves, false);
    }
}

/// The length of an advertisement, its flush included.
fn offer(wire: &[u8]) -> usize {
    wire.windows(5).position(|five| five == b"\n0000").unwrap() + 5
}

/// The server's half up to its first sideband packet, so that other ends can be put behind it.
fn opening(wire: &[u8]) -> &[u8] {
    let at = wire.windows(4).position(|four| four == b"NAK\n").unwrap();
    &wire[..at + 4]
}

#[test]
fn git_9_a_fetch_client_ends_once_wherever_the_input_is_cut() {
    for conversation in recorded("upload-pack: ") {
        cut_everywhere(&conversation.server, 0, 1, || {
            Box::new(fetch::Client::new(fetch::Config { agent: None, ..Default::default() }, NOW))
        });
    }
}

#[test]
fn git_9_an_upload_pack_ends_once_wherever_the_input_is_cut() {
    for conversation in recorded("upload-pack: ") {
        cut_everywhere(&conversation.client, 0, 2, || Box::new(upload::Server::new(Default::default(), NOW)));
    }
}

#[test]
fn git_9_a_push_client_ends_once_wherever_the_input_is_cut() {
    for conversation in recorded("receive-pack: ") {
        cut_everywhere(&conversation.server, offer(&conversation.server), 3, || {
            Box::new(push::Client::new(Default::default(), NOW))
        });
    }
}

#[test]
fn git_9_a_receive_pack_ends_once_wherever_the_input_is_cut() {
    for conversation in recorded("receive-pack: ") {
        cut_everywhere(&conversation.client, 0, 4, || {
            Box::new(receive::Server::new(Default::default(), NOW))
        });
    }
}

/// Fatal messages with their LF at, before and behind the limit, and an `ERR` packet in place of a band.
fn fatal_ends() -> Vec<Vec<u8>> {
    let banded = |words: &[u8]| pkt([b"\x03", words].concat());
    let long = |count: usize, end: &[u8]| banded(&[&vec![b'w'; count][..], end].concat());
    vec![
        banded(b"no\n"),
        long(4095, b"\n"),
        long(4096, b"\n"),
        long(4095, b"\nmore"),
        long(9000, b"\n"),
        pkt("ERR no\n"),
        [pkt("\x02on the way"), pkt("ERR no")].concat(),
        pkt("Else"),
    ]
}

#[test]
fn git_19_a_fatal_message_is_the_same_in_every_split() {
    let fetched = recorded("upload-pack: clone").remove(0).server;
    let pushed = recorded("receive-pack: proper line (NUL").remove(0).server;
    for end in fatal_ends() {
        let starts: [(&[u8], New); 2] = [
            (opening(&fetched), || Box::new(fetch::Client::new(Default::default(), NOW))),
            (&pushed[..offer(&pushed)], || Box::new(push::Client::new(Default::default(), NOW))),
        ];
        for (start, new) in starts {
            for cut in [1, 5, 6, 8, 4100, end.len() - 1, end.len()] {
                let input = [start, &end[..cut.min(end.len())]].concat();
                let whole = run(new(), &[input.clone().into()], true);
                assert!(whole.ends[0].starts_with("Failed"));
                for most in [1, 2, 7, 5000] {
                    let pieces = split(&mut Rng::new(most as u64), &input, most);
                    let again = run(new(), &pieces, true);
                    assert_eq!((again.ends, again.handed), (whole.ends.clone(), whole.handed.clone()));
                }
            }
        }
    }
}
