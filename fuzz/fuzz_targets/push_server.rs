//! A push server against any client and any driver.
#![no_main]

mod common;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{Event, Session, face, id, ids, name, part, refs};
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::git::push::report::Updated;
use portline::git::push::server::{Action, Config, Error, Server, Update};
use portline::git::{HiddenRefs, RefView, Serving};

face!(Server, Action, Error);

const LINES: &[&str] = &[
    "@ # $\0report-status side-band-64k\n",
    "@ # $\0 report-status-v2 atomic push-options agent=x",
    "@ # $\0report-status",
    "@ # $\0",
    "@ # $\n",
    "@ # $",
    "0000000000000000000000000000000000000000 # $",
    "@ 0000000000000000000000000000000000000000 $",
    "@ # refs/heads/../../config",
    "@ # refs/heads/x y\x1b",
    "@ # HEAD",
    "shallow @",
    "push-cert\0",
    "push-cert\0report-status-v2 side-band-64k push-options session-id=s agent=a",
    "certificate version 0.1\n",
    "nonce 1-a\n",
    "push-option a\n",
    "\n",
    "@ # $\n-----BEGIN SSH SIGNATURE-----\n",
    "push-cert-end\n",
    "key=value\n",
    "a\rb",
    "ERR no",
    "@ # $\0report-status-v2 side-band-64k portline-resume",
    "resume 0",
    "resume 5",
    "resume 5 07",
];

#[derive(Arbitrary, Debug)]
struct Input {
    setup: [bool; 8],
    /// And whether packs may go on: its first bit.
    serving: u8,
    events: Vec<Do>,
}

#[derive(Arbitrary, Debug)]
enum Do {
    Event(Event),
    Refs(Vec<(u8, u8)>, Vec<u8>),
    Stored(Result<(), Vec<u8>>),
    Updated(Vec<Result<(), Vec<u8>>>),
    Rewritten(Vec<Result<Vec<(u8, u8, u8, bool)>, Vec<u8>>>),
    Done,
    Progress(Vec<u8>),
    Part(u8),
    PackComplete,
}

/// What a driver is promised.
fn check(update: &Update) {
    let mut names: Vec<_> = update.commands.iter().map(|command| &command.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), update.commands.len(), "a name twice");
    for command in &update.commands {
        assert!(!command.name.is_head() && !command.name.as_bytes().starts_with(b"refs/hide"));
        assert!(!(command.old.is_null() && command.new.is_null()));
    }
    if let Some(certificate) = &update.certificate {
        let signed: Vec<_> = certificate.header("push-option").collect();
        assert!(update.commands.is_empty() || signed == update.push_options);
        assert_eq!(&[certificate.payload(), certificate.signature()].concat()[..], &certificate.text()[..]);
    }
    assert!(!update.push_options.iter().flatten().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
}

fn answer(server: &mut Server, now: Instant, action: Action) {
    let _ = match action {
        Action::ListRefs => server.refs_listed(now, refs(&[(0, 1), (1, 2), (3, 7)]), ids(&[5])),
        Action::FindPart(update) => {
            check(&update);
            server.part_found(now, part(5))
        }
        // Only what was named, or all of it.
        Action::Resumed { offset } => {
            assert!(offset == 0 || offset < 256);
            Ok(())
        }
        Action::ReceivePack(update) => {
            check(&update);
            Ok(())
        }
        Action::PackEnd => server.pack_stored(now, Ok(())),
        Action::UpdateRefs(update) => {
            check(&update);
            assert!(!update.commands.is_empty());
            server.refs_updated(now, vec![Ok(()); update.commands.len()])
        }
        Action::Reported => server.done(now),
        _ => Ok(()),
    };
}

fuzz_target!(|input: Input| common::heap::bounded(common::HELD, || run(input)));

fn run(input: Input) {
    let [idle, atomic, push_options, delete_refs, small, inside, nonce, after_report] = input.setup;
    let view = RefView::new(["refs/hide"].into_iter().collect::<HiddenRefs>());
    let serving = [Serving::Session, Serving::Advertisement, Serving::Request];
    let config = Config {
        serving: serving[usize::from(input.serving) % serving.len()],
        view: if inside { view.with_namespace(b"n").unwrap() } else { view },
        shallow: ids(&[1]),
        nonce: nonce.then(|| Bytes::from_static(b"1-a")),
        after_report,
        resume: input.serving >= 128,
        atomic,
        push_options,
        delete_refs,
        max_commands: if small { 2 } else { 20 },
        max_push_options: 2,
        idle_timeout: idle.then_some(Duration::from_millis(10)),
        ..Config::default()
    };
    let mut session = Session::new(Server::new(config, Instant::ZERO), Instant::ZERO);
    for event in input.events {
        let now = session.now;
        let result = |result: Result<(), Vec<u8>>| result.map_err(Bytes::from);
        let _ = match event {
            Do::Event(event) => {
                session.event(event, LINES, answer);
                continue;
            }
            Do::Refs(list, haves) => session.machine.refs_listed(now, refs(&list), ids(&haves)),
            Do::Stored(stored) => session.machine.pack_stored(now, result(stored)),
            Do::Updated(results) => {
                session.machine.refs_updated(now, results.into_iter().map(result).collect())
            }
            Do::Rewritten(results) => {
                let of = |(of, old, new, forced): (u8, u8, u8, bool)| Updated {
                    name: (of > 9).then(|| name(of)),
                    old: (old > 9).then(|| id(old)),
                    new: (new > 9).then(|| id(new)),
                    forced,
                };
                let each = |result: Result<Vec<_>, Vec<u8>>| {
                    result.map(|updates| updates.into_iter().map(of).collect()).map_err(Bytes::from)
                };
                session.machine.refs_rewritten(now, results.into_iter().map(each).collect())
            }
            Do::Done => session.machine.done(now),
            Do::Part(held) => session.machine.part_found(now, part(held)),
            Do::PackComplete => session.machine.pack_complete(now),
            Do::Progress(text) => session.machine.progress(now, text.into()),
        };
    }
    session.finish(answer);
}
