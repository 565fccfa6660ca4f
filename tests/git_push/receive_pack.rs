//! The receive-pack server: the recorded bytes of the real git, every split of them, what hostile
//! clients get, and the protocol's ends (PUSH-8 to PUSH-20). What it refuses: `git_receive_pack_refusals.rs`; the real
//! git beside it: `git_push_real.rs`.

use std::time::Duration;

use crate::push_support::server::{NOW, Script};
use crate::push_support::{EMPTY_PACK, ID, NULL, OTHER, demultiplex, id, name, pkt, pkts, recorded, splits};
use bytes::Bytes;
use portline::git::push::Command;
use portline::git::push::server::{Action, Config, Error, Outcome, Server, Update};
use portline::git::{HiddenRefs, Misuse, ObjectFormat, Ref, SessionError, Version};
use portline::{Blame, Instant, limits, pkt as portline_pkt};

/// A driver that answers as the real git did in that conversation.
fn script(title: &str) -> Script {
    let mut script = Script::default();
    let mut say = |lines: &[&'static str]| script.progress = lines.iter().copied().map(Bytes::from).collect();
    let missing = |command: &Command| match command.new == id(OTHER) {
        true => Err("missing necessary objects".into()),
        false => Ok(()),
    };
    match title {
        "receive-pack: missing object -> ng rc 0" => {
            say(&["fatal: bad object 2222222222222222222222222222222222222222\n"]);
            script.update = missing;
        }
        "receive-pack: stale old id -> ng rc 0" => {
            say(&[
                "error: cannot lock ref 'refs/heads/main': is at 59718b6e26b96150c7dd3435f053958592fc24f1 but expected 3333333333333333333333333333333333333333\n",
            ]);
            script.update = |_| Err("failed to update ref".into());
        }
        "receive-pack: bad pack -> unpack error rc 0" => {
            say(&["fatal: final sha1 did not match\n"]);
            script.stored = Err("unpack-objects abnormal exit\n".into());
        }
        "receive-pack: delete, no pack rc 0" => {
            script.update = |_| Err("deletion of the current branch prohibited".into());
        }
        "receive-pack: atomic, one bad rc 0" => {
            say(&["fatal: bad object 2222222222222222222222222222222222222222\n"]);
            script.update = missing;
        }
        _ => {}
    }
    script
}

/// PUSH-8, PUSH-9, PUSH-15: C5, C7.
#[test]
fn push_8_the_bytes_of_the_recorded_conversations() {
    let all = recorded("receive-pack: ");
    assert_eq!(all.len(), 9);
    for one in all {
        let mut script = script(&one.title);
        let mut expected = one.server.clone();
        if one.title.contains("delete") {
            // Git explains at length here, and the record cuts it short: only the report counts.
            let at = expected.windows(5).position(|window| window == b"\n0000").unwrap() + 5;
            let report = expected.windows(5).position(|window| window == b"\x01000e").unwrap() - 4;
            expected.drain(at..report);
        }
        if one.title.contains("atomic") {
            // Git moves the good ref and calls that atomic: here it really is all or none.
            let report = pkts(&[
                "unpack ok\n",
                "ng refs/heads/a atomic push failure\n",
                "ng refs/heads/b missing necessary objects\n",
                "",
            ]);
            let at = expected.windows(2).rposition(|window| window == b"\x010").unwrap() - 4;
            expected.truncate(at);
            expected.extend(pkt([&b"\x01"[..], &report].concat()));
            expected.extend(b"0000");
        }
        let seen = script.whole(&one.client);
        assert_eq!(
            seen.wire.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{}",
            one.title
        );
        assert!(matches!(seen.end(), Action::Finished(_)), "{}: {:?}", one.title, seen.end());
        script.pack = EMPTY_PACK.len();
        for chunks in splits(&one.client) {
            assert_eq!(script.run(&chunks, false), seen, "{}", one.title);
        }
    }
}

#[test]
fn push_8_hidden_refs_head_and_peeled_tags_are_not_shown_and_haves_come_once() {
    let mut tag = Ref::new(name("refs/tags/v1"), id(OTHER));
    tag.peeled = Some(id(ID));
    let script = Script {
        refs: vec![
            Ref::new(name("HEAD"), id(ID)),
            Ref::new(name("refs/heads/main"), id(ID)),
            Ref::new(name("refs/pull/1/head"), id(ID)),
            tag,
        ],
        haves: vec![id(&"3".repeat(40)), id(ID), id(&"3".repeat(40))],
        config: Config {
            view: HiddenRefs::from_iter(["refs/pull"]).into(),
            version: Version::V1,
            agent: None,
            atomic: false,
            ofs_delta: false,
            delete_refs: false,
            push_options: true,
            ..Config::default()
        },
        ..Script::default()
    };
    let caps = "report-status report-status-v2 side-band-64k quiet push-options object-format=sha1";
    let expected = pkts(&[
        "version 1\n",
        &format!("{ID} refs/heads/main\0{caps}\n"),
        &format!("{OTHER} refs/tags/v1\n"),
        &format!("{} .have\n", "3".repeat(40)),
        "",
    ]);
    assert_eq!(script.whole(b"").wire, expected);
}

#[test]
fn push_8_an_empty_repository_still_shows_its_capabilities() {
    let caps = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta \
                object-format=sha256 agent=git/2.47.3";
    let mut script = Script { refs: vec![], ..Script::default() };
    script.config.format = ObjectFormat::Sha256;
    script.config.version = Version::V2;
    let line = format!("{} capabilities^{{}}\0{caps}\n", "0".repeat(64));
    assert_eq!(script.whole(b"").wire, pkts(&[&line, ""]));
    script.haves = vec![id(&"3".repeat(64))];
    let line = format!("{} .have\0{caps}\n", "3".repeat(64));
    assert_eq!(script.whole(b"").wire, pkts(&[&line, ""]));
}

/// T10: the advertisement is made only as fast as the transport takes it.
#[test]
fn push_8_the_advertisement_is_written_while_there_is_room() {
    let mut server = Server::new(Config::default(), NOW);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    let refs = (0..20_000).map(|at| Ref::new(name(&format!("refs/heads/{at:08}")), id(ID))).collect();
    server.refs_listed(NOW, refs, vec![]).unwrap();
    let (mut pieces, mut bytes) = (0, 0);
    while let Some(transmit) = server.poll_transmit() {
        assert!(transmit.len() < limits::GIT_OUTPUT + 1024);
        pieces += 1;
        bytes += transmit.len();
    }
    assert!(pieces > 4 && bytes > 20_000 * 60, "{pieces} pieces, {bytes} bytes");
}

#[test]
fn push_10_capabilities_may_stand_on_any_line_and_be_spaced_and_repeated() {
    let input = [
        pkts(&[
            &format!("{NULL} {ID} refs/heads/a\0  report-status   report-status unknown=1 "),
            &format!("{NULL} {} refs/heads/b\0 side-band-64k\n", ID.to_uppercase()),
            "",
        ]),
        EMPTY_PACK.to_vec(),
    ]
    .concat();
    let seen = Script::default().whole(&input);
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", "ok refs/heads/b\n", ""]);
    assert_eq!(demultiplex(seen.answer()), (report, vec![], vec![]));
    let outcome = Outcome { commands: 2, updated: 2, pack: true, reported: true };
    assert_eq!(*seen.end(), Action::Finished(outcome));
}

#[test]
fn push_10_push_options_shallow_lines_and_quiet_reach_the_driver() {
    let mut script = Script::default();
    script.config.push_options = true;
    let command = format!("{ID} {NULL} refs/heads/a\0report-status quiet push-options\n");
    let seen =
        script.whole(&pkts(&[&format!("shallow {OTHER}\n"), &command, "", "ci.skip\n", "x=\x1b y", ""]));
    let expected = Update {
        quiet: true,
        push_options: vec!["ci.skip".into(), "x=\x1b y".into()],
        shallow: vec![id(OTHER)],
        ..Update::new(vec![Command::delete(name("refs/heads/a"), id(ID))])
    };
    assert_eq!(seen.updates(), [&expected]);
    assert_eq!(seen.answer(), pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]));
    // Not offered: the words mean nothing, and no options are read.
    let seen = Script::default().whole(&pkts(&[&command, ""]));
    assert_eq!(seen.updates()[0].push_options, Vec::<Bytes>::new());
    assert!(matches!(seen.end(), Action::Finished(_)));
}

/// The driver may refuse in the middle of the pack, or before it.
#[test]
fn push_14_the_pack_can_be_refused_before_its_end() {
    let mut server = Server::new(Config::default(), NOW);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    while server.poll_transmit().is_some() {}
    let input = pkts(&[&format!("{NULL} {ID} refs/heads/a\0report-status"), ""]);
    server.handle_bytes(NOW, input.into()).unwrap();
    server.handle_bytes(NOW, EMPTY_PACK[..10].to_vec().into()).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::ReceivePack(_))));
    server.pack_stored(NOW, Err("too large".into())).unwrap();
    let wire = server.poll_transmit().unwrap().into_bytes();
    assert_eq!(wire, pkts(&["unpack too large\n", "ng refs/heads/a unpacker error\n", ""]));
    assert!(matches!(server.poll_action(), Some(Action::Finished(_))));
    assert!(server.has_ended() && !server.wants_input());
    assert_eq!(server.pack_stored(NOW, Ok(())), Err(Misuse::Ended { verb: "pack_stored" }));
}

/// PUSH-12, T5, T6: a driver that does not drain stops the peer, and the chunks are the peer's own.
#[test]
fn push_12_the_pack_is_handed_on_uncopied_and_waits_in_a_bounded_queue() {
    let mut server = Server::new(Config::default(), NOW);
    server.poll_action();
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    while server.poll_transmit().is_some() {}
    let input = pkts(&[&format!("{NULL} {ID} refs/heads/a\0report-status"), ""]);
    server.handle_bytes(NOW, input.into()).unwrap();
    let chunk = Bytes::from(vec![7; 32 << 10]);
    let mut given = 0;
    while server.wants_input() {
        server.handle_bytes(NOW, chunk.clone()).unwrap();
        given += 1;
    }
    assert!(given <= 9, "{given} chunks of 32 KiB were taken");
    assert!(matches!(server.poll_action(), Some(Action::ReceivePack(_))));
    for _ in 0..given {
        let Some(Action::Pack(bytes)) = server.poll_action() else { panic!("a chunk is missing") };
        assert_eq!(bytes.as_ptr(), chunk.as_ptr());
    }
    assert_eq!(server.poll_action(), None);
    assert!(server.wants_input());
    server.handle_closed(NOW).unwrap();
    assert_eq!(server.poll_action(), Some(Action::PackEnd));
}

#[test]
fn push_15_a_long_report_is_split_over_sideband_packets() {
    let commands: Vec<String> = (0..5000).map(|at| format!("{ID} {NULL} refs/heads/{at:05}")).collect();
    let mut input = pkt(format!("{}\0report-status-v2 side-band-64k", commands[0]));
    commands[1..].iter().for_each(|line| input.extend(pkt(line)));
    input.extend(b"0000");
    let seen = Script::default().whole(&input);
    let (data, _, rest) = demultiplex(seen.answer());
    let mut expected = pkt("unpack ok\n");
    (0..5000).for_each(|at| expected.extend(pkt(format!("ok refs/heads/{at:05}\n"))));
    expected.extend(b"0000");
    assert!(data == expected && rest.is_empty());
    assert_eq!(&seen.answer()[..5], b"fff0\x01");
    assert_eq!(seen.answer().len(), data.len() + 5 * data.len().div_ceil(portline_pkt::MAX_BAND_DATA) + 4);
}

/// What a hook says while a long report is written is not lost.
#[test]
fn push_15_progress_has_its_place_between_the_packets_of_the_report() {
    let mut server = Server::new(Config::default(), NOW);
    server.poll_action();
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    while server.poll_transmit().is_some() {}
    let line = |at: usize, caps: &str| pkt(format!("{ID} {NULL} refs/heads/{at:05}{caps}"));
    let mut input = line(0, "\0report-status side-band-64k");
    (1..20_000).for_each(|at| input.extend(line(at, "")));
    input.extend(b"0000");
    for piece in input.chunks(1 << 16) {
        server.handle_bytes(NOW, Bytes::copy_from_slice(piece)).unwrap();
    }
    assert!(matches!(server.poll_action(), Some(Action::UpdateRefs(_))));
    server.refs_updated(NOW, vec![Ok(()); 20_000]).unwrap();
    assert!(!server.has_ended(), "more than there is room for");
    server.progress(NOW, "hook\n".into()).unwrap();
    let mut wire = Vec::new();
    while let Some(transmit) = server.poll_transmit() {
        wire.extend_from_slice(&transmit.into_bytes());
    }
    let (data, progress, rest) = demultiplex(&wire);
    assert_eq!((&progress[..], rest.len()), (&b"hook\n"[..], 0));
    assert!(data.starts_with(b"000eunpack ok\n") && data.ends_with(b"ok refs/heads/19999\n0000"));
}

#[test]
fn push_15_a_client_that_asks_for_no_report_gets_none() {
    let push = |caps: &str| {
        let head = pkts(&[&format!("{NULL} {ID} refs/heads/a\0{caps}"), ""]);
        Script { progress: vec!["hook\n".into()], ..Script::default() }.whole(&[&head, EMPTY_PACK].concat())
    };
    assert_eq!(push("").answer(), b"");
    assert_eq!(push("side-band-64k").answer(), b"000a\x02hook\n0000");
    assert!(matches!(push("").end(), Action::Finished(Outcome { updated: 1, reported: false, .. })));
    // Progress has no place outside a sideband.
    assert_eq!(push("report-status").answer(), pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]));
}

#[test]
fn push_18_a_flush_or_the_end_in_place_of_commands_is_success() {
    let nothing = Action::Finished(Outcome::default());
    assert_eq!(*Script::default().whole(b"0000").end(), nothing);
    assert_eq!(*Script::default().run(&[], true).end(), nothing);
    let shallow = Script::default().whole(&pkts(&[&format!("shallow {ID}"), ""]));
    assert_eq!(*shallow.end(), nothing);
}

#[test]
fn push_18_the_end_anywhere_else_names_what_was_expected() {
    let command = pkt(format!("{NULL} {ID} refs/heads/a\0report-status push-options"));
    let mut script = Script::default();
    script.config.push_options = true;
    let run = |input: &[u8]| script.run(&[Bytes::copy_from_slice(input)], true);
    let ended = |expected| Error::Session(SessionError::Ended { expected });
    assert_eq!(run(&command).result, Err(ended("push commands or a flush")));
    let options = [&command[..], b"0000", &pkt("x")].concat();
    assert_eq!(run(&options).result, Err(ended("push options or a flush")));
    let cut = run(&command[..50]).result.unwrap_err();
    assert_eq!(
        cut,
        Error::Session(SessionError::Pkt(portline_pkt::Error::Truncated { missing: command.len() - 50 }))
    );
    // Nobody listens any more: nothing is said.
    assert_eq!(run(&command).answer(), b"");
    assert_eq!(ended("").blame(), Blame::Transport);
}

/// T10, T14, T17: what ends a session, and what the client is told.
#[test]
fn push_9_what_is_not_a_command_ends_the_session_and_the_client_is_told() {
    let good = format!("{NULL} {ID} refs/heads/a");
    let sideband = format!("{good}\0report-status side-band-64k");
    let cases: Vec<(Vec<u8>, String)> = vec![
        (pkt("hello"), "ERR protocol error: expected old/new/ref, got 'hello'\n".into()),
        (b"0004".to_vec(), "ERR protocol error: expected old/new/ref, got ''\n".into()),
        (
            pkt(format!("{NULL} {} x", &ID[1..])),
            format!("ERR protocol error: expected old/new/ref, got '{NULL} {} x'\n", &ID[1..]),
        ),
        (pkts(&[&sideband, "hello"]), "\x03protocol error: expected old/new/ref, got 'hello'\n".into()),
        (pkt("shallow x"), "ERR protocol error: expected old/new/ref, got 'shallow x'\n".into()),
        (pkt(format!("{good}\0object-format=sha256")), "ERR unsupported object format 'sha256'\n".into()),
        (
            pkts(&[&good]).into_iter().chain(*b"0001").collect(),
            "ERR expected push commands or a flush, got \"0001\"\n".into(),
        ),
        (b"00zz".to_vec(), "ERR \"00zz\" is not a pkt-line length\n".into()),
        (b"fff1".to_vec(), "ERR a packet of 65521 bytes is longer than the limit of 65520\n".into()),
        (pkt(format!("{good}\0{}", "a ".repeat(1025))), "ERR more than 1024 capabilities\n".into()),
    ];
    for (input, words) in cases {
        let seen = Script::default().whole(&input);
        assert_eq!(seen.answer(), pkt(&words), "{}", input.escape_ascii());
        let error = seen.result.clone().unwrap_err();
        assert_eq!((error.blame(), seen.end()), (Blame::Peer, &Action::Failed(error.clone())));
    }
    let said = Script::default().whole(&pkt("ERR no more\n"));
    let error = Error::Session(SessionError::Remote { message: "no more".into() });
    assert_eq!((said.result.as_ref(), said.answer()), (Err(&error), &b""[..]));
}

/// T10.
#[test]
fn push_19_commands_and_push_options_have_limits() {
    let mut script = Script::default();
    (script.config.max_commands, script.config.max_push_options) = (2, 2);
    script.config.push_options = true;
    let command = |at: usize| pkt(format!("{ID} {NULL} refs/heads/{at}\0push-options"));
    let three: Vec<u8> = (0..3).flat_map(command).collect();
    let too_many = |what, limit| Err(Error::Session(SessionError::TooMany { what, limit }));
    assert_eq!(script.whole(&three).result, too_many("commands in one push", 2));
    let options = [command(0), pkts(&["", "a", "b", "c"])].concat();
    assert_eq!(script.whole(&options).result, too_many("push options", 2));
    // T17.
    for bad in ["a\0b", "a\nb", "a\rb"] {
        let seen = script.whole(&[command(0), pkts(&["", bad])].concat());
        assert_eq!(seen.result, Err(Error::PushOption { option: bad.into() }));
    }
}

#[test]
fn push_20_answers_to_nothing_are_misuse_and_end_nothing() {
    let mut server = Server::new(Config::default(), NOW);
    let not_asked = |verb| Err(Misuse::NotAsked { verb });
    assert_eq!(server.pack_stored(NOW, Ok(())), not_asked("pack_stored"));
    assert_eq!(server.refs_updated(NOW, vec![]), not_asked("refs_updated"));
    assert_eq!(server.progress(NOW, "dropped".into()), Ok(()));
    let sha256 = id(&"1".repeat(64));
    assert!(matches!(server.refs_listed(NOW, vec![], vec![sha256]), Err(Misuse::Argument { .. })));
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    assert_eq!(server.refs_listed(NOW, vec![], vec![]), not_asked("refs_listed"));
    let input = pkts(&[&format!("{ID} {NULL} refs/heads/a\0report-status"), ""]);
    server.handle_bytes(NOW, input.into()).unwrap();
    assert!(matches!(server.refs_updated(NOW, vec![]), Err(Misuse::Argument { .. })));
    server.refs_updated(NOW, vec![Ok(())]).unwrap();
    assert!(!server.has_ended() || server.poll_transmit().is_some());
}

#[test]
fn push_18_silence_ends_a_session_that_has_a_deadline() {
    let after = Duration::from_secs(3);
    let mut server = Server::new(Config { idle_timeout: Some(after), ..Config::default() }, NOW);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    assert_eq!(server.poll_timeout(), None, "the driver lists refs");
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    server.handle_timeout(Instant::from_millis(2999));
    assert!(!server.has_ended());
    assert_eq!(server.poll_timeout(), Some(Instant::from_millis(3000)));
    server.handle_timeout(Instant::from_millis(3000));
    let error = Error::Session(SessionError::TimedOut { after });
    assert_eq!(server.poll_action(), Some(Action::Failed(error)));
    assert_eq!((server.poll_action(), server.poll_timeout()), (None, None));
}

#[test]
fn push_8_an_agent_that_would_break_the_line_is_the_callers_error() {
    let mut script = Script::default();
    script.config.agent = Some("a b".into());
    let seen = script.whole(b"");
    let Action::Failed(error) = seen.end() else { panic!("{seen:?}") };
    assert_eq!((error.blame(), seen.wire.len()), (Blame::Caller, 0));
}
