//! A push client against any server and any driver; success only with a complete report.
#![no_main]

mod common;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{Event, Session, face, id, name};
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::git::push::Command;
use portline::git::push::client::{Action, Client, Config, Error, Signing};

face!(Client, Action, Error);

const LINES: &[&str] = &[
    "@ $\0report-status delete-refs side-band-64k ofs-delta atomic push-options",
    "@ $\0report-status-v2 delete-refs side-band-64k quiet object-format=sha1 agent=x",
    "@ $\0report-status-v2 side-band-64k push-cert=1-a session-id=s push-options",
    "@ $\0report-status push-cert=a\x1b",
    "# service=git-receive-pack\n",
    "shallow @",
    "@ $\0report-status",
    "@ $",
    "@ .have",
    "version 1",
    "unpack ok\n",
    "unpack no space",
    "ok $\n",
    "ok $",
    "ng $ stale info\n",
    "option refname $",
    "option old-oid @",
    "option forced-update",
    "ERR no\x1b[2J",
    "\x02remote: hello\r",
    "\x03fatal",
    "@ $\0report-status side-band-64k delete-refs portline-resume",
    "resume 0\n",
    "resume 5 07\n",
];

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [bool; 7],
    events: Vec<Do>,
}

#[derive(Arbitrary, Debug)]
enum Do {
    Event(Event),
    Push(Vec<(u8, u8, u8)>),
    Chunk(u16),
    PackFinished,
    PackFailed(Vec<u8>),
    Signed(Vec<u8>),
    SignFailed,
    Resumes,
}

fn answer(client: &mut Client, now: Instant, action: Action) {
    let _ = match action {
        Action::Advertised(_) => {
            client.push(now, vec![Command::create(name(0), id(1)), Command::create(name(1), id(2))])
        }
        Action::Sign(text) => {
            assert!(text.starts_with(b"certificate version 0.1\npusher "));
            client.signed(now, b"-----BEGIN SSH SIGNATURE-----\n")
        }
        Action::BuildPack(request) => {
            assert!(request.wants.iter().all(|want| !want.is_null()));
            if request.resume.is_some() {
                assert!(request.resumable);
                let _ = client.pack_resumes(now);
            }
            let _ = client.pack_chunk(now, Bytes::from_static(b"PACK"));
            client.pack_finished(now)
        }
        _ => Ok(()),
    };
}

fuzz_target!(|input: Input| common::heap::bounded(common::HELD, || run(input)));

fn run(input: Input) {
    let [sideband, atomic, options, idle, signs, required, stateless] = input.setup;
    let config = Config {
        sideband,
        atomic,
        push_options: if options {
            vec![Bytes::from_static(b"a"), Bytes::from_static(b"b=c")]
        } else {
            vec![]
        },
        stateless,
        session_id: Some(Bytes::from_static(b"c")),
        shallow: if required { vec![id(1), id(1)] } else { vec![] },
        signing: signs.then(|| Signing {
            pusher: Bytes::from_static(b"A <a@b> 1 +0000"),
            pushee: None,
            required,
        }),
        idle_timeout: idle.then_some(Duration::from_millis(10)),
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
            Do::Push(commands) => {
                let of =
                    |(of, old, new): &(u8, u8, u8)| Command { name: name(*of), old: id(*old), new: id(*new) };
                session.machine.push(now, commands.iter().map(of).collect())
            }
            Do::Chunk(size) if session.machine.wants_pack() => {
                session.machine.pack_chunk(now, vec![b'P'; usize::from(size)].into())
            }
            Do::Chunk(_) => Ok(()),
            Do::Signed(signature) => session.machine.signed(now, &signature),
            Do::SignFailed => session.machine.sign_failed(now, Bytes::from_static(b"no")),
            Do::Resumes => session.machine.pack_resumes(now),
            Do::PackFinished => session.machine.pack_finished(now),
            Do::PackFailed(reason) => session.machine.pack_failed(now, reason.into()),
        };
    }
    session.finish(answer);
}
