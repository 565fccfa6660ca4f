//! The push client: exact bytes, every split of the answer, what it refuses to send, and what it makes of hostile
//! reports (PUSH-1 to PUSH-7, PUSH-16, PUSH-17, T21). Against the real git: `git_push_real.rs`.

use crate::push_support::{EMPTY_PACK, ID, NULL, OTHER, id, name, pkt, pkts, recorded, splits};
use bytes::Bytes;
use portline::git::push::Command;
use portline::git::push::client::{Action, Client, Config, Error};
use portline::git::push::report::{RefReport, Report, ReportError};
use portline::git::{AdvertisementError, Misuse, PackRequest, Request, Service, SessionError, Version};
use portline::pkt::MAX_DATA;
use portline::{Blame, Instant, limits};

const NOW: Instant = Instant::ZERO;
const PLAIN: &str = "report-status delete-refs ofs-delta";
const BAND: &str = "report-status delete-refs side-band-64k ofs-delta";

fn config() -> Config {
    Config { agent: None, ..Config::default() }
}

fn advertisement(capabilities: &str) -> Vec<u8> {
    pkts(&[&format!("{ID} refs/heads/main\0{capabilities}\n"), ""])
}

fn create(of: &str) -> Command {
    Command::create(name(of), id(ID))
}

fn delete(of: &str) -> Command {
    Command::delete(name(of), id(ID))
}

/// Everything that is to be sent now.
fn sent(client: &mut Client) -> Vec<u8> {
    let mut wire = vec![];
    while let Some(transmit) = client.poll_transmit() {
        wire.extend_from_slice(&transmit.into_bytes());
    }
    wire
}

fn feed(client: &mut Client, bytes: impl AsRef<[u8]>) {
    let _ = client.handle_bytes(NOW, Bytes::copy_from_slice(bytes.as_ref()));
}

/// A client that was shown those capabilities and has been asked what to push.
fn shown(config: Config, capabilities: &str) -> Client {
    let mut client = Client::new(config, NOW);
    feed(&mut client, advertisement(capabilities));
    assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
    client
}

/// A client that has sent these commands, and what it sent.
fn pushed(config: Config, capabilities: &str, commands: &[Command]) -> (Client, Vec<u8>) {
    let mut client = shown(config, capabilities);
    client.push(NOW, commands.to_vec()).unwrap();
    let wire = sent(&mut client);
    (client, wire)
}

/// The one terminal action.
fn end(client: &mut Client) -> Action {
    let mut last = None;
    while let Some(action) = client.poll_action() {
        assert!(!matches!(last, Some(Action::Finished(_) | Action::Failed(_))), "two ends");
        last = Some(action);
    }
    assert!(client.has_ended());
    last.unwrap()
}

fn success(of: &[&str]) -> Action {
    let entry = |of: &&str| RefReport { name: name(of), result: Ok(()), updates: vec![] };
    Action::Finished(Report { unpack: Ok(()), refs: of.iter().map(entry).collect() })
}

/// PUSH-4, PUSH-5, C5: the two recorded pushes that a proper client makes.
#[test]
fn push_4_the_bytes_of_the_recorded_conversations() {
    for (title, offer) in [
        ("receive-pack: proper line (NUL before caps), sideband", BAND),
        ("receive-pack: proper line, no sideband", PLAIN),
    ] {
        let one = recorded(title).remove(0);
        let (mut client, mut wire) = pushed(config(), offer, &[create("refs/heads/new")]);
        let request = PackRequest {
            thin: true,
            ofs_delta: true,
            progress: true,
            ..PackRequest::new(vec![id(ID)], vec![id(ID)])
        };
        assert_eq!(client.poll_action(), Some(Action::BuildPack(request)));
        let pack = Bytes::from_static(EMPTY_PACK);
        client.pack_chunk(NOW, pack.clone()).unwrap();
        let transmit = client.poll_transmit().unwrap();
        assert_eq!(transmit.payload().as_ptr(), pack.as_ptr(), "the pack is not copied");
        wire.extend_from_slice(&transmit.into_bytes());
        client.pack_finished(NOW).unwrap();
        assert_eq!(wire.escape_ascii().to_string(), one.client.escape_ascii().to_string());
        let at = one.server.windows(5).position(|window| window == b"\n0000").unwrap() + 5;
        feed(&mut client, &one.server[at..]);
        assert_eq!(end(&mut client), success(&["refs/heads/new"]));
    }
}

#[test]
fn push_1_the_request_names_receive_pack_and_never_version_2() {
    for (asked, written) in [(Version::V1, "\0version=1\0"), (Version::V2, "")] {
        let request = Request { version: asked, ..Request::new(Service::UploadPack) };
        let mut client = Client::new(Config { request: Some(request), ..config() }, NOW);
        let line = format!("git-receive-pack /repo.git\0host=peer\0{written}");
        assert_eq!(sent(&mut client), pkt(line));
    }
    let request = Request::new(Service::ReceivePack).with_path("/a\nb");
    let mut client = Client::new(Config { request: Some(request), ..config() }, NOW);
    let Action::Failed(error) = end(&mut client) else { panic!("a path with LF was sent") };
    assert_eq!((error.blame(), sent(&mut client)), (Blame::Caller, vec![]));
}

#[test]
fn push_1_refs_haves_and_shallow_lines_are_shown_and_become_haves() {
    let mut client = Client::new(config(), NOW);
    let lines = [
        "version 1\n".to_owned(),
        format!("{OTHER} refs/heads/main\0 {PLAIN} \n"),
        format!("{OTHER} refs/heads/side\n"),
        format!("{ID} .have\n"),
        format!("{ID} .have"),
        format!("shallow {OTHER}\n"),
        String::new(),
    ];
    feed(&mut client, pkts(&lines.each_ref().map(String::as_str)));
    let Some(Action::Advertised(seen)) = client.poll_action() else { panic!("nothing was advertised") };
    assert_eq!((seen.version, seen.refs.len(), seen.haves.len(), seen.shallow.len()), (Version::V1, 2, 2, 1));
    client.push(NOW, vec![create("refs/heads/a"), create("refs/heads/b")]).unwrap();
    let Some(Action::BuildPack(request)) = client.poll_action() else { panic!("no pack was asked for") };
    assert_eq!((request.wants, request.haves), (vec![id(ID)], vec![id(OTHER), id(ID)]));
}

#[test]
fn push_4_capabilities_are_requested_in_gits_order_and_only_if_advertised() {
    let all = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options \
               object-format=sha1 agent=git/2.47.3";
    let config = Config {
        agent: Some("portline/x".into()),
        atomic: true,
        quiet: true,
        push_options: vec!["ci.skip".into(), "a=b c".into()],
        ..Config::default()
    };
    let commands = [create("refs/heads/a"), delete("refs/heads/b")];
    let list = "report-status-v2 side-band-64k quiet atomic push-options object-format=sha1 agent=portline/x";
    let expected = pkts(&[
        &format!("{NULL} {ID} refs/heads/a\0{list}\n"),
        &format!("{ID} {NULL} refs/heads/b\n"),
        "",
        "ci.skip\n",
        "a=b c\n",
        "",
    ]);
    let (mut client, wire) = pushed(config, all, &commands);
    assert_eq!(wire.escape_ascii().to_string(), expected.escape_ascii().to_string());
    let Some(Action::BuildPack(request)) = client.poll_action() else { panic!("no pack was asked for") };
    assert!(!request.progress);
    // A server without extras gets none; one that wants no thin packs gets none.
    let plain = Config { quiet: true, ..Config::default() };
    let (mut client, wire) = pushed(plain, "report-status no-thin", &commands[..1]);
    assert_eq!(wire, pkts(&[&format!("{NULL} {ID} refs/heads/a\0report-status\n"), ""]));
    let Some(Action::BuildPack(request)) = client.poll_action() else { panic!("no pack was asked for") };
    assert!(!request.thin && !request.ofs_delta);
}

#[test]
fn push_5_only_deletions_need_no_pack() {
    let (mut client, wire) = pushed(config(), PLAIN, &[delete("refs/heads/a")]);
    assert_eq!(wire, pkts(&[&format!("{ID} {NULL} refs/heads/a\0report-status\n"), ""]));
    assert_eq!((client.poll_action(), client.wants_pack()), (None, false));
    assert_eq!(client.pack_chunk(NOW, "x".into()), Err(Misuse::NotAsked { verb: "pack_chunk" }));
    feed(&mut client, pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]));
    assert_eq!(end(&mut client), success(&["refs/heads/a"]));
}

#[test]
fn push_2_nothing_to_push_is_a_flush_and_success() {
    for offer in [PLAIN, ""] {
        let (mut client, wire) = pushed(Config { atomic: true, ..config() }, offer, &[]);
        assert_eq!((wire, end(&mut client)), (b"0000".to_vec(), success(&[])));
    }
}

/// T21: without a report nothing could be believed.
#[test]
fn push_2_what_the_server_cannot_do_ends_the_push_before_a_command_is_sent() {
    let options = Config { push_options: vec!["x".into()], ..config() };
    let cases = [
        (config(), "delete-refs side-band-64k", "report-status"),
        (config(), "report-status", "delete-refs"),
        (Config { atomic: true, ..config() }, PLAIN, "atomic"),
        (options, PLAIN, "push-options"),
    ];
    for (config, offer, capability) in cases {
        let (mut client, wire) = pushed(config, offer, &[create("refs/heads/a"), delete("refs/heads/b")]);
        let error = Error::NotSupported { capability };
        assert_eq!((wire, end(&mut client)), (b"0000".to_vec(), Action::Failed(error.clone())));
        assert_eq!(client.handle_closed(NOW), Err(error));
    }
}

/// T17.
#[test]
fn push_2_push_options_keep_to_their_line() {
    let offer = format!("{PLAIN} push-options");
    for bad in ["a\0", "\n", "x\ry", &"y".repeat(70_000)] {
        let push_options = vec!["good".into(), Bytes::copy_from_slice(bad.as_bytes())];
        let (mut client, wire) =
            pushed(Config { push_options, ..config() }, &offer, &[create("refs/heads/a")]);
        assert_eq!(end(&mut client), Action::Failed(Error::PushOption { index: 1 }));
        assert_eq!(wire, b"0000");
    }
}

/// T10, T17: the longest option and the most of them, and one more.
#[test]
fn push_2_push_options_are_bounded() {
    let offer = format!("{PLAIN} push-options");
    let longest = |more: usize| vec![Bytes::from("y".repeat(MAX_DATA - 1 + more))];
    let most = |more: usize| vec![Bytes::from_static(b"y"); limits::PUSH_OPTIONS + more];
    for (push_options, refused) in
        [(longest(0), None), (longest(1), Some(0)), (most(0), None), (most(1), Some(limits::PUSH_OPTIONS))]
    {
        let config = Config { push_options, ..config() };
        let (mut client, wire) = pushed(config, &offer, &[delete("refs/heads/a")]);
        match refused {
            None => assert!(!client.has_ended() && wire.ends_with(b"y\n0000")),
            Some(index) => assert_eq!(end(&mut client), Action::Failed(Error::PushOption { index })),
        }
    }
}

/// What is asked for may change until the advertisement is answered, as a remote helper needs it.
#[test]
fn push_2_the_config_may_change_until_the_commands_are_given() {
    let mut client = shown(config(), &format!("{PLAIN} atomic push-options"));
    client.config_mut().atomic = true;
    client.config_mut().push_options = vec!["late".into()];
    client.push(NOW, vec![delete("refs/heads/a")]).unwrap();
    let list = format!("{ID} {NULL} refs/heads/a\0report-status atomic push-options\n");
    let wire = pkts(&[&list, "", "late\n", ""]);
    assert_eq!(sent(&mut client).escape_ascii().to_string(), wire.escape_ascii().to_string());
}

#[test]
fn push_3_commands_that_make_no_sense_are_misuse_and_the_question_stays_open() {
    let mut client = Client::new(config(), NOW);
    assert_eq!(client.push(NOW, vec![]), Err(Misuse::NotAsked { verb: "push" }));
    feed(&mut client, advertisement(PLAIN));
    let sha256 = Command::create(name("refs/heads/a"), id(&"1".repeat(64)));
    let mixed = [(ID, "1".repeat(64)), (&"1".repeat(64), ID.to_owned())]
        .map(|(old, new)| vec![Command::update(name("refs/heads/a"), id(old), id(&new))]);
    let same = Command::update(name("refs/heads/a"), id(ID), id(ID));
    let [old, new] = mixed;
    for commands in [
        vec![create("refs/heads/a"), create("refs/heads/b"), delete("refs/heads/a")],
        vec![create("HEAD")],
        vec![sha256],
        old,
        new,
        vec![same],
    ] {
        assert!(matches!(client.push(NOW, commands), Err(Misuse::Argument { verb: "push", .. })));
    }
    assert_eq!(sent(&mut client), b"");
    client.push(NOW, vec![create("refs/heads/a")]).unwrap();
    assert_eq!(client.push(NOW, vec![]), Err(Misuse::NotAsked { verb: "push" }));
}

/// PUSH-6, PUSH-17: the report inside band 1, split anywhere, by packets and by bytes.
#[test]
fn push_17_every_split_of_the_answer_gives_the_same_result() {
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", "ng refs/heads/b no\n", ""]);
    let commands = [delete("refs/heads/a"), delete("refs/heads/b")];
    let mut answers = vec![(PLAIN, report.clone())];
    for at in 0..report.len() {
        let (one, two) = report.split_at(at);
        let mut packets = pkt([b"\x02", &b"half\r"[..]].concat());
        packets.extend(pkt([b"\x01", one].concat()));
        packets.extend(pkt(b"\x02done\n"));
        packets.extend(pkt([b"\x01", two].concat()));
        packets.extend(b"0000");
        answers.push((BAND, packets));
    }
    let mut ends = vec![];
    for (at, (offer, answer)) in answers.into_iter().enumerate() {
        let mut all = vec![vec![Bytes::from(answer.clone())]];
        if at < 2 || at == 30 {
            all = splits(&answer);
        }
        for chunks in all {
            let (mut client, _) = pushed(config(), offer, &commands);
            let mut progress = vec![];
            for chunk in chunks {
                client.handle_bytes(NOW, chunk).unwrap();
                while let Some(action) = client.poll_action() {
                    match action {
                        Action::Progress(bytes) => progress.extend_from_slice(&bytes),
                        action => ends.push(action),
                    }
                }
            }
            assert!(client.has_ended(), "{offer}");
            let said: &[u8] = if offer == BAND { b"half\rdone\n" } else { b"" };
            assert_eq!(progress, said);
        }
    }
    let Action::Finished(report) = &ends[0] else { panic!("{:?}", ends[0]) };
    assert_eq!((report.is_success(), report.refs[0].result.is_ok()), (false, true));
    assert!(ends.iter().all(|end| *end == ends[0]));
}

/// C8: a port carries further sessions, so the close is not waited for, nor is it needed after the report.
#[test]
fn push_17_the_sideband_ends_at_its_flush_or_with_the_connection_once_the_report_is_complete() {
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]);
    let packet = pkt([&b"\x01"[..], &report].concat());
    let (mut client, _) = pushed(config(), BAND, &[delete("refs/heads/a")]);
    feed(&mut client, &packet);
    feed(&mut client, pkt(b"\x02post-receive\n"));
    assert!(!client.has_ended());
    assert_eq!(client.poll_action(), Some(Action::Progress("post-receive\n".into())));
    client.handle_closed(NOW).unwrap();
    assert_eq!(end(&mut client), success(&["refs/heads/a"]));
    let (mut client, _) = pushed(config(), BAND, &[delete("refs/heads/a")]);
    feed(&mut client, [&packet[..], &packet].concat());
    assert!(matches!(end(&mut client), Action::Failed(Error::Session(SessionError::Unexpected { .. }))));
}

/// T18: band 3 and `ERR` are the server's own words, however they are cut.
#[test]
fn push_17_a_fatal_error_ends_the_push_with_the_servers_words() {
    let error = Action::Failed(Error::Session(SessionError::Remote { message: "no \x1b[1m way".into() }));
    let band = pkt(b"\x03no \x1b[1m way\n");
    let plain = pkt(b"ERR no \x1b[1m way\n");
    let nested = pkt([&b"\x01"[..], &plain].concat());
    for (offer, answer) in [(BAND, band), (BAND, plain.clone()), (BAND, nested), (PLAIN, plain)] {
        for chunks in splits(&answer) {
            let (mut client, _) = pushed(config(), offer, &[delete("refs/heads/a")]);
            for chunk in chunks {
                let _ = client.handle_bytes(NOW, chunk);
            }
            assert_eq!(end(&mut client), error, "{offer}");
        }
    }
}

/// T21, T14: what is not a report is not success.
#[test]
fn push_6_hostile_answers_are_never_success() {
    let bad = |error| Action::Failed(Error::Report { error, report: Box::new(failed_unpack()) });
    let ended = Action::Failed(Error::Session(SessionError::Ended { expected: "the report of the push" }));
    let one = |commands: &[Command], offer, answer: &[u8]| {
        let (mut client, _) = pushed(config(), offer, commands);
        feed(&mut client, answer);
        let _ = client.handle_closed(NOW);
        end(&mut client)
    };
    let commands = [delete("refs/heads/a"), delete("refs/heads/b")];
    assert_eq!(one(&commands, PLAIN, b""), ended);
    assert_eq!(one(&commands, BAND, b""), ended);
    assert_eq!(one(&commands, PLAIN, b"0000"), bad(ReportError::NoUnpack));
    assert_eq!(one(&commands, BAND, b"0000"), bad(ReportError::NoUnpack));
    let half = pkts(&["unpack ok\n", "ok refs/heads/a\n"]);
    assert_eq!(one(&commands, PLAIN, &half), ended);
    let half_band = [pkt([&b"\x01"[..], &half].concat()), b"0000".to_vec()].concat();
    let Action::Failed(Error::Report { error, report }) = one(&commands, BAND, &half_band) else { panic!() };
    assert_eq!((error, report.unpack, report.refs.len()), (ReportError::Cut, Ok(()), 1));
    let missing = pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]);
    let Action::Failed(Error::Report { error, report }) = one(&commands, PLAIN, &missing) else { panic!() };
    assert_eq!((error, report.refs.len()), (ReportError::Missing { name: name("refs/heads/b") }, 1));
    for garbage in
        [&b"00zz"[..], b"0003", b"fff1", b"HTTP/1.1 400\r\n", b"0001", b"0002", b"0005\x04", b"0004"]
    {
        for offer in [PLAIN, BAND] {
            let Action::Failed(error) = one(&commands, offer, garbage) else { panic!("{offer}") };
            assert_eq!(error.blame(), Blame::Peer, "{error}");
        }
    }
    assert_eq!(Error::EarlyReport.blame(), Blame::Peer);
}

fn failed_unpack() -> Report {
    Report { unpack: Err(Bytes::new()), refs: vec![] }
}

/// A server that gives up early is heard while the pack is still being written.
#[test]
fn push_16_a_failed_report_ends_the_push_before_the_pack_is_complete() {
    for offer in [PLAIN, BAND] {
        let (mut client, _) = pushed(config(), offer, &[create("refs/heads/a")]);
        assert!(matches!(client.poll_action(), Some(Action::BuildPack(_))));
        assert!(client.wants_pack());
        client.pack_chunk(NOW, "PACK".into()).unwrap();
        let mut report = pkts(&["unpack too large\n", "ng refs/heads/a unpacker error\n", ""]);
        if offer == BAND {
            report = [pkt([&b"\x01"[..], &report].concat()), b"0000".to_vec()].concat();
        }
        feed(&mut client, report);
        assert!(!client.wants_pack());
        let Action::Finished(report) = end(&mut client) else { panic!("{offer}") };
        assert_eq!((report.is_success(), report.unpack), (false, Err("too large".into())));
        assert_eq!(client.pack_chunk(NOW, "x".into()), Err(Misuse::Ended { verb: "pack_chunk" }));
    }
    let (mut client, _) = pushed(config(), PLAIN, &[create("refs/heads/a")]);
    feed(&mut client, pkt("ERR disk full"));
    assert!(matches!(end(&mut client), Action::Failed(Error::Session(SessionError::Remote { .. }))));
}

/// The report may overtake the driver's `pack_finished`, but not the pack.
#[test]
fn push_16_success_waits_for_the_packs_end_and_is_not_believed_before_it() {
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]);
    let (mut client, _) = pushed(config(), PLAIN, &[create("refs/heads/a")]);
    client.pack_chunk(NOW, Bytes::from_static(EMPTY_PACK)).unwrap();
    feed(&mut client, &report);
    assert!(!client.wants_pack() && !client.has_ended());
    client.pack_finished(NOW).unwrap();
    assert_eq!(end(&mut client), success(&["refs/heads/a"]));
    let (mut client, _) = pushed(config(), PLAIN, &[create("refs/heads/a")]);
    feed(&mut client, &report);
    client.pack_chunk(NOW, "more".into()).unwrap();
    assert_eq!(end(&mut client), Action::Failed(Error::EarlyReport));
}

#[test]
fn push_16_a_pack_of_no_byte_is_misuse_and_the_end_is_the_end_of_the_output() {
    let (mut client, _) = pushed(config(), PLAIN, &[create("refs/heads/a")]);
    let nothing = Misuse::Argument { verb: "pack_finished", reason: "no byte of a pack was given" };
    assert_eq!(client.pack_finished(NOW), Err(nothing));
    assert!(!client.has_sent_all() && client.wants_pack());
    client.pack_failed(NOW, "no".into()).unwrap();
    assert!(client.has_sent_all(), "nothing more will come");
    let (mut client, _) = pushed(config(), PLAIN, &[delete("refs/heads/a")]);
    assert!(client.has_sent_all());
    feed(&mut client, pkt("ERR no"));
    assert!(client.has_ended() && client.has_sent_all());
}

/// T21: nor while commands are still to be written.
#[test]
fn push_16_success_is_not_believed_while_commands_are_unsent() {
    let names: Vec<String> = (0..9000).map(|at| format!("refs/heads/{at:06}")).collect();
    let mut client = shown(config(), PLAIN);
    client.push(NOW, names.iter().map(|name| delete(name)).collect()).unwrap();
    let mut report = pkt("unpack ok");
    names.iter().for_each(|name| report.extend(pkt(format!("ok {name}"))));
    report.extend(b"0000");
    for chunk in report.chunks(60_000) {
        feed(&mut client, chunk);
    }
    assert_eq!(end(&mut client), Action::Failed(Error::EarlyReport));
}

#[test]
fn push_16_the_packs_producer_is_held_back_while_the_wire_is_full() {
    let (mut client, _) = pushed(config(), PLAIN, &[create("refs/heads/a")]);
    let chunk = Bytes::from(vec![7; 64 << 10]);
    let mut given = 0;
    while client.wants_pack() {
        client.pack_chunk(NOW, chunk.clone()).unwrap();
        given += 1;
    }
    assert_eq!(given, limits::GIT_OUTPUT / chunk.len());
    assert_eq!(client.poll_transmit().unwrap().payload().as_ptr(), chunk.as_ptr());
    assert!(client.wants_pack());
    client.pack_failed(NOW, "killed".into()).unwrap();
    let mut last = None;
    while let Some(action) = client.poll_action() {
        last = Some(action);
    }
    let Some(Action::Failed(error)) = last else { panic!("no end") };
    assert_eq!((error.blame(), &error), (Blame::Caller, &Error::Pack { reason: "killed".into() }));
}

/// T10: many commands are written only as fast as the transport takes them.
#[test]
fn push_4_commands_are_written_while_there_is_room() {
    let commands: Vec<Command> = (0..9000).map(|at| delete(&format!("refs/heads/{at:06}"))).collect();
    let mut client = shown(config(), PLAIN);
    client.push(NOW, commands).unwrap();
    let (mut pieces, mut wire) = (0, vec![]);
    while let Some(transmit) = client.poll_transmit() {
        assert!(transmit.len() < limits::GIT_OUTPUT + 1024);
        pieces += 1;
        wire.extend_from_slice(&transmit.into_bytes());
    }
    assert!(pieces > 3);
    assert!(wire.ends_with(&pkts(&[&format!("{ID} {NULL} refs/heads/008999\n"), ""])));
}

#[test]
fn push_18_errors_before_the_commands_are_the_servers_or_the_connections() {
    let run = |input: &[u8]| {
        let mut client = Client::new(config(), NOW);
        feed(&mut client, input);
        let _ = client.handle_closed(NOW);
        end(&mut client)
    };
    let remote = AdvertisementError::Remote { message: "access denied".into() };
    assert_eq!(run(&pkt("ERR access denied\n")), Action::Failed(Error::Advertisement(remote)));
    let version = Error::Advertisement(AdvertisementError::UnsupportedVersion);
    assert_eq!(run(&pkt("version 2\n")), Action::Failed(version));
    let ended = SessionError::Ended { expected: "the ref advertisement" };
    assert_eq!(run(b""), Action::Failed(Error::Session(ended)));
    assert!(matches!(run(b"00"), Action::Failed(Error::Session(SessionError::Pkt(_)))));
}
