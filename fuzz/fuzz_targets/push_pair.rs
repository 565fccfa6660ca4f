//! A push client and a push server over a link that the fuzzer splits, delays and cuts: undisturbed both come to a good
//! end, the pack, the certificate and the options arrive as they were sent, and the report tells what was done;
//! disturbed, each side has its one end, and success is told only of what was done.
#![no_main]

mod common;
#[path = "common/pair.rs"]
mod pair;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{face, id, ids, name, refs};
use libfuzzer_sys::fuzz_target;
use pair::{Driver, Op, Pair, Side};
use portline::Instant;
use portline::git::push::client::{self, Action as ClientAction, Client, Error as ClientError, Signing};
use portline::git::push::report::Report;
use portline::git::push::server::{
    self, Action as ServerAction, Error as ServerError, Outcome, Server, Update,
};
use portline::git::push::{Command, NonceStatus};
use portline::git::{HiddenRefs, Resume, Version};

face!(Client, ClientAction, ClientError);
face!(Server, ServerAction, ServerError);

const PACK: &[u8] =
    b"PACK: bytes that stand for a pack, in which every place tells where it is. 0123456789abcdef";

#[derive(Arbitrary, Debug)]
struct Input {
    /// Sideband, atomic, quiet, options, a border, resuming, signing, version 1.
    asks: [bool; 8],
    /// Atomic, options, deletions, a nonce, something after the report, resuming, offsets, keep-alives.
    offers: [bool; 8],
    /// Which refs, and what each is to become.
    commands: Vec<(u8, u8)>,
    part: Option<u8>,
    refuses: u8,
    stored: bool,
    options: Vec<u8>,
    ops: Vec<Op>,
}

struct ClientDriver {
    commands: Vec<Command>,
    certificate: Option<Vec<u8>>,
    report: Option<Report>,
    /// Whether a pack was built.
    pack: bool,
}

const SIGNATURE: &[u8] = b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n";

impl Driver<Client> for ClientDriver {
    fn answer(&mut self, client: &mut Client, now: Instant, action: ClientAction) {
        let result = match action {
            ClientAction::Advertised(seen) => {
                assert!(!seen.refs.iter().any(|one| one.name == name(3)), "what is hidden is not shown");
                client.push(now, self.commands.clone())
            }
            ClientAction::Sign(text) => {
                self.certificate = Some([&text[..], SIGNATURE].concat());
                client.signed(now, SIGNATURE)
            }
            ClientAction::BuildPack(request) => {
                self.pack = true;
                assert!(!request.wants.is_empty() && request.wants.iter().all(|want| !want.is_null()));
                let from = request.resume.map_or(0, |part| usize::try_from(part.offset()).unwrap());
                let from = if from <= PACK.len() { from } else { 0 };
                if from > 0 {
                    client.pack_resumes(now).unwrap();
                }
                for chunk in PACK[from..].chunks(40) {
                    let _ = client.pack_chunk(now, Bytes::from_static(chunk));
                }
                client.pack_finished(now)
            }
            ClientAction::Finished(report) => {
                self.report = Some(report);
                Ok(())
            }
            _ => Ok(()),
        };
        assert!(result.is_ok() || client.has_ended(), "{result:?}");
    }
}

#[derive(Default)]
struct ServerDriver {
    part: Option<Resume>,
    refuses: u8,
    stores: bool,
    stored: Vec<u8>,
    resumed: bool,
    update: Option<Update>,
    done: Vec<Command>,
    outcome: Option<Outcome>,
}

impl ServerDriver {
    fn store(&mut self, server: &mut Server, now: Instant) {
        let result = if self.stores { Ok(()) } else { Err(Bytes::from_static(b"disk full")) };
        let _ = server.pack_stored(now, result);
    }
}

impl Driver<Server> for ServerDriver {
    fn answer(&mut self, server: &mut Server, now: Instant, action: ServerAction) {
        let result = match action {
            ServerAction::ListRefs => server.refs_listed(now, refs(&[(0, 1), (3, 7)]), ids(&[5])),
            ServerAction::FindPart(_) => server.part_found(now, self.part.clone()),
            ServerAction::Resumed { offset } => {
                assert!(self.stored.is_empty() && !self.resumed);
                self.resumed = true;
                self.stored.extend_from_slice(&PACK[..usize::try_from(offset).unwrap()]);
                if self.stored.len() == PACK.len() {
                    self.store(server, now);
                }
                Ok(())
            }
            ServerAction::ReceivePack(_) => server.progress(now, Bytes::from_static(b"storing\r")),
            ServerAction::Pack(bytes) => {
                self.stored.extend_from_slice(&bytes);
                if self.stored.len() == PACK.len() {
                    self.store(server, now);
                }
                Ok(())
            }
            ServerAction::PackEnd => server.pack_stored(now, Err(Bytes::from_static(b"early EOF"))),
            ServerAction::UpdateRefs(update) => {
                let refuses = self.refuses;
                let of = |(at, command): (usize, &Command)| {
                    assert!(!command.name.is_head() && command.name != name(3));
                    if refuses & (1 << (at % 8)) != 0 {
                        Err(Bytes::from_static(b"hook declined"))
                    } else {
                        Ok(())
                    }
                };
                let results: Vec<_> = update.commands.iter().enumerate().map(of).collect();
                let all = results.iter().all(Result::is_ok);
                for (command, result) in update.commands.iter().zip(&results) {
                    if result.is_ok() && (all || !update.atomic) {
                        self.done.push(command.clone());
                    }
                }
                self.update = Some(update);
                server.refs_updated(now, results)
            }
            ServerAction::Reported => server.done(now),
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
    let [sideband, atomic, quiet, options, border, resumes, signs, newer] = input.asks;
    let [offers_atomic, offers_options, delete_refs, nonce, after_report, resume, ofs_delta, keeps] =
        input.offers;
    let words = input.options.iter().map(|of| Bytes::from(vec![b'a' + of % 26; usize::from(of % 5) + 1]));
    let client = client::Config {
        sideband,
        atomic: atomic && offers_atomic,
        quiet,
        push_options: if options && offers_options { words.take(20).collect() } else { vec![] },
        shallow: if border { ids(&[1]) } else { vec![] },
        resume: resumes,
        signing: (signs && nonce).then(|| Signing {
            pusher: Bytes::from_static(b"A <a@b> 1 +0000"),
            pushee: Some(Bytes::from_static(b"host")),
            required: true,
        }),
        ..client::Config::default()
    };
    let server = server::Config {
        version: if newer { Version::V1 } else { Version::V0 },
        view: ["refs/hide"].into_iter().collect::<HiddenRefs>().into(),
        nonce: nonce.then(|| Bytes::from_static(b"1-a")),
        atomic: offers_atomic,
        push_options: offers_options,
        delete_refs,
        after_report,
        resume,
        ofs_delta,
        keep_alive: keeps.then_some(portline::limits::KEEP_ALIVE),
        ..server::Config::default()
    };
    (Client::new(client, Instant::ZERO), Server::new(server, Instant::ZERO))
}

fn commands(input: &Input) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for (of, to) in &input.commands {
        // The hidden one is not to be pushed to; a deletion needs the server's word for it.
        let (of, new) = (name(of % 3), id(*to));
        let old = if of == name(0) { id(1) } else { id(0) };
        let is_known = commands.iter().any(|one| one.name == of);
        if !is_known && old != new && (input.offers[2] || !new.is_null()) {
            commands.push(Command { name: of, old, new });
        }
    }
    commands
}

fuzz_target!(|input: Input| {
    let (client, server) = machines(&input);
    let commands = commands(&input);
    let part = input.part.and_then(|offset| Resume::new(offset.into(), Bytes::from_static(b"any")).ok());
    let ours = ClientDriver { commands: commands.clone(), certificate: None, report: None, pack: false };
    let theirs =
        ServerDriver { part, refuses: input.refuses, stores: input.stored, ..ServerDriver::default() };
    let mut pair = Pair { client: Side::new(client, ours), server: Side::new(server, theirs) };
    let honest = pair.run(&input.ops);
    let (ours, theirs) = (&pair.client.driver, &pair.server.driver);
    let garbage = input.ops.iter().any(|op| matches!(op, Op::Garbage(..)));
    if let (Some(report), false) = (&ours.report, garbage) {
        assert_eq!(report.refs.len(), commands.len());
        for (entry, command) in report.refs.iter().zip(&commands) {
            assert_eq!(entry.name, command.name);
            assert_eq!(entry.result.is_ok(), theirs.done.contains(command), "told is what was done");
        }
    }
    if let (Some(update), false) = (&theirs.update, garbage) {
        assert_eq!(update.commands, commands);
        let found = update.certificate.as_ref();
        assert_eq!(found.map(|one| one.text().to_vec()), ours.certificate);
        assert!(found.is_none_or(|one| one.nonce == NonceStatus::Ok && one.signature() == SIGNATURE));
    }
    if honest {
        assert_eq!((&pair.client.end, &pair.server.end), (&Some(None), &Some(None)), "both end well");
        assert!(ours.report.is_some());
        assert_eq!(theirs.stored, if ours.pack { PACK } else { b"" });
        let outcome = theirs.outcome.unwrap();
        assert_eq!((outcome.commands, outcome.updated), (commands.len(), theirs.done.len()));
    }
});
