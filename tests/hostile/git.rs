//! The Git machines: lists without end, what may not be seen, names, injections, reports.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portline::git::fetch::client as fetching;
use portline::git::fetch::server::{self as serving, WantPolicy};
use portline::git::push::client as pushing;
use portline::git::push::report::ReportError;
use portline::git::push::{Command, server as receiving};
use portline::git::{
    AdvertisementError, AdvertisementParser, Capabilities, CapabilityError, HiddenRefs, ObjectId, Ref,
    RefName, RefNameError, Request, RequestError, Service, SessionError, Version,
};
use portline::pkt::Packet;
use portline::{Instant, Printable, limits, pkt as packets};

use super::{ID, NOW, id, name, pkt, pkts, sent};

fn numbered(number: usize) -> ObjectId {
    id(&format!("{number:040x}"))
}

/// A fetch client that has been shown one ref with these capabilities.
fn shown(config: fetching::Config, capabilities: &str) -> fetching::Client {
    let mut client = fetching::Client::new(config, NOW);
    client.handle_bytes(NOW, pkts(&[&format!("ID refs/heads/a\0{capabilities}"), ""])).unwrap();
    assert!(matches!(client.poll_action(), Some(fetching::Action::Advertised(_))));
    client
}

fn server(config: serving::Config, refs: Vec<Ref>) -> serving::Server {
    let mut server = serving::Server::new(config, NOW);
    assert_eq!(server.poll_action(), Some(serving::Action::ListRefs));
    server.refs_listed(NOW, refs).unwrap();
    sent(|| server.poll_transmit());
    server
}

fn receiver(config: receiving::Config) -> receiving::Server {
    let mut server = receiving::Server::new(config, NOW);
    assert_eq!(server.poll_action(), Some(receiving::Action::ListRefs));
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    sent(|| server.poll_transmit());
    server
}

/// T6: a flood of one-byte chunks towards a machine that waits for its driver stops where it is charged.
#[test]
fn t6_a_machine_that_waits_takes_tiny_chunks_only_up_to_its_cap() {
    let mut client = shown(fetching::Config::default(), "");
    let mut taken = 0;
    while client.wants_input() {
        client.handle_bytes(NOW, Bytes::from_static(b"0")).unwrap();
        taken += 1;
    }
    assert!(taken <= limits::GIT_INPUT / limits::CHUNK_OVERHEAD, "{taken}");
    let error = SessionError::Overrun { limit: limits::GIT_INPUT };
    assert_eq!(client.handle_bytes(NOW, Bytes::from_static(b"0")), Err(error.clone().into()));
    assert_eq!(client.poll_action(), Some(fetching::Action::Failed(error.into())));
}

/// T10: an advertisement without end is ended by each of its caps, skipped lines included.
#[test]
fn t10_an_advertisement_without_end_is_ended_by_its_caps() {
    let mut parser = AdvertisementParser::new();
    // A name that is too long to be one is skipped, and counted all the same.
    let line = Bytes::from([ID.as_bytes(), b" refs/heads/", &[b'a'; 65_000]].concat());
    let most = limits::ADVERTISEMENT / line.len();
    for _ in 0..most {
        assert_eq!(parser.handle_packet(Packet::Data(line.clone())), Ok(None));
    }
    let too_large = |what, limit| Err(AdvertisementError::TooLarge { what, limit });
    assert_eq!(parser.handle_packet(Packet::Data(line)), too_large("bytes", limits::ADVERTISEMENT));
    let mut parser = AdvertisementParser::new();
    let many = format!("{ID} refs/heads/a\0{}", "a ".repeat(limits::CAPABILITIES + 1));
    let error = AdvertisementError::Capabilities(CapabilityError::TooMany { limit: limits::CAPABILITIES });
    assert_eq!(parser.handle_packet(Packet::Data(many.into())), Err(error));
}

/// T10: wants, haves and rounds of a client.
#[test]
fn t10_wants_haves_and_rounds_without_end_are_ended_by_their_caps() {
    let ended = |config: serving::Config, lines: &[&str]| {
        let mut server = server(config, vec![Ref::new(name("refs/heads/a"), id(ID))]);
        lines.iter().find_map(|line| server.handle_bytes(NOW, pkts(&[line])).err())
    };
    let too_many = |what, limit| Some(SessionError::TooMany { what, limit }.into());
    let config = serving::Config { max_wants: 2, max_haves: 2, max_rounds: 2, ..serving::Config::default() };
    assert_eq!(ended(config.clone(), &["want ID"; 3]), too_many("want lines", 2));
    assert_eq!(
        ended(config.clone(), &["want ID", "", "have ID", "have ID", "have ID"]),
        too_many("have lines", 2)
    );
    assert_eq!(ended(config, &["want ID", "", "", "", ""]), too_many("rounds of negotiation", 2));
}

/// T10: commands and push options of a client.
#[test]
fn t10_commands_and_push_options_without_end_are_ended_by_their_caps() {
    let config = receiving::Config {
        max_commands: 2,
        max_push_options: 2,
        push_options: true,
        ..receiving::Config::default()
    };
    let mut server = receiver(config.clone());
    let command = |at: usize| format!("{} ID refs/heads/{at}", ObjectId::null(id(ID).format()));
    server.handle_bytes(NOW, pkts(&[&command(0), &command(1)])).unwrap();
    let error = SessionError::TooMany { what: "commands in one push", limit: 2 };
    assert_eq!(server.handle_bytes(NOW, pkts(&[&command(2)])), Err(error.into()));
    let mut server = receiver(config);
    server.handle_bytes(NOW, pkts(&[&format!("{}\0push-options", command(0)), "", "a", "a"])).unwrap();
    let error = SessionError::TooMany { what: "push options", limit: 2 };
    assert_eq!(server.handle_bytes(NOW, pkts(&["a"])), Err(error.clone().into()));
    assert_eq!(server.poll_action(), Some(receiving::Action::Failed(error.into())));
    assert_eq!(sent(|| server.poll_transmit()), pkt("ERR more than 2 push options\n"));
}

/// T10: a report without end.
#[test]
fn t10_a_report_without_end_is_ended_by_its_cap() {
    let mut client = pushed("report-status-v2");
    client.handle_bytes(NOW, pkts(&["unpack ok", "ok refs/heads/a"])).unwrap();
    let line = Bytes::from(pkt([&b"option "[..], &[b'x'; 65_000]].concat()));
    let error = (0..limits::REPORT / 65_000 + 1).find_map(|_| client.handle_bytes(NOW, line.clone()).err());
    let Some(pushing::Error::Report { error, .. }) = error else { panic!("{error:?}") };
    assert_eq!(error, ReportError::TooLarge { limit: limits::REPORT });
}

/// T10: more acknowledgements than there were haves.
#[test]
fn t10_acknowledgements_without_end_are_ended_by_the_haves() {
    let mut client = shown(fetching::Config::default(), "multi_ack_detailed side-band-64k");
    client.want(NOW, vec![id(ID)], vec![numbered(1)]).unwrap();
    assert!(matches!(client.poll_action(), Some(fetching::Action::FindHeld(_))));
    client.held(NOW, vec![]).unwrap();
    while let Some(fetching::Action::LoadCommits(ids)) = client.poll_action() {
        let time = 1;
        let commit = |id: &ObjectId| portline::git::Commit {
            id: *id,
            parents: [numbered(2)].into_iter().collect(),
            time,
        };
        client.commits(NOW, ids.iter().filter(|id| **id == numbered(1)).map(commit).collect()).unwrap();
    }
    sent(|| client.poll_transmit());
    let ack = pkts(&[&format!("ACK {} common", numbered(1))]);
    let error = (0..10).find_map(|_| client.handle_bytes(NOW, ack.clone()).err());
    assert!(
        matches!(
            error,
            Some(fetching::Error::Session(SessionError::TooMany {
                what: "acknowledgements in one answer",
                ..
            }))
        ),
        "{error:?}"
    );
}

/// T10: what is said twice is asked once.
#[test]
fn t10_duplicates_are_removed_before_anybody_works_on_them() {
    let mut server = server(serving::Config::default(), vec![Ref::new(name("refs/heads/a"), id(ID))]);
    let have = format!("have {}", numbered(7));
    let mut lines = vec!["want ID"; 50];
    lines.push("");
    lines.extend(vec![have.as_str(); 50]);
    lines.push("done");
    server.handle_bytes(NOW, pkts(&lines)).unwrap();
    assert_eq!(server.poll_action(), Some(serving::Action::FindObjects(vec![numbered(7)])));
    server.objects_found(NOW, vec![numbered(7)]).unwrap();
    let Some(serving::Action::BuildPack(request)) = server.poll_action() else {
        panic!("no pack is asked for")
    };
    assert_eq!((request.wants, request.haves), (vec![id(ID)], vec![numbered(7)]));
}

/// T11: an idle timeout that leaves the range is never; one that has come is not left standing.
#[test]
fn t11_idle_deadlines_clamp_and_move() {
    let late = Instant::from_micros(u64::MAX - 5);
    let config = |idle| fetching::Config { idle_timeout: Some(idle), ..fetching::Config::default() };
    let mut client = fetching::Client::new(config(Duration::from_micros(6)), late);
    assert_eq!(client.poll_timeout(), None);
    client.handle_timeout(Instant::from_micros(u64::MAX));
    assert!(!client.has_ended());
    let mut client = fetching::Client::new(config(Duration::from_micros(5)), late);
    assert_eq!(client.poll_timeout(), Some(Instant::from_micros(u64::MAX)));
    client.handle_timeout(Instant::from_micros(u64::MAX));
    assert!(client.has_ended() && client.poll_timeout().is_none());
}

/// T12: every packet is consumed by the call that brings it, and no poll repeats itself.
#[test]
fn t12_a_thousand_progress_packets_make_a_thousand_actions_and_then_silence() {
    let mut client = shown(fetching::Config::default(), "side-band-64k");
    client.want(NOW, vec![id(ID)], vec![]).unwrap();
    client.poll_action();
    client.held(NOW, vec![]).unwrap();
    sent(|| client.poll_transmit());
    client.handle_bytes(NOW, pkts(&["NAK"])).unwrap();
    let mut polls = 0;
    for _ in 0..1000 {
        client.handle_bytes(NOW, pkt(b"\x02.").into()).unwrap();
    }
    while let Some(action) = client.poll_action() {
        assert_eq!(action, fetching::Action::Progress(Bytes::from_static(b".")));
        polls += 1;
    }
    assert_eq!(polls, 1000);
    for _ in 0..10 {
        assert!(client.poll_action().is_none() && client.poll_transmit().is_none() && client.wants_input());
    }
}

/// T15: hidden and absent are refused in the same bytes, whatever the policy and the version.
#[test]
fn t15_hidden_and_absent_objects_are_refused_alike() {
    let (hidden, absent) = (numbered(1), numbered(2));
    let refused = |version, wants, want: ObjectId| {
        let hide: HiddenRefs = ["refs/hidden"].into_iter().collect();
        let config = serving::Config { version, wants, view: hide.into(), ..serving::Config::default() };
        let refs = vec![Ref::new(name("refs/heads/a"), id(ID)), Ref::new(name("refs/hidden/x"), numbered(1))];
        let line = format!("want {want}");
        let (mut server, asked) = if version == Version::V2 {
            // Refs are listed when they are needed.
            let mut server = serving::Server::new(config, NOW);
            sent(|| server.poll_transmit());
            let asked = [pkts(&["command=fetch"]), "0001".into(), pkts(&[&line, "done", ""])].concat();
            (server, asked.into())
        } else {
            (server(config, refs.clone()), pkts(&[&line, ""]))
        };
        let _ = server.handle_bytes(NOW, asked);
        while let Some(action) = server.poll_action() {
            match action {
                serving::Action::ListRefs => server.refs_listed(NOW, refs.clone()).unwrap(),
                serving::Action::CheckReachable { ids, tips } => {
                    assert_eq!((ids, tips), (vec![want], vec![id(ID)]), "a hidden ref is no tip");
                    server.reachable(NOW, false).unwrap();
                }
                serving::Action::Failed(error) => assert_eq!(error, serving::Error::NotOurRef { id: want }),
                other => panic!("{other:?}"),
            }
        }
        assert!(server.has_ended());
        String::from_utf8(sent(|| server.poll_transmit())).unwrap().replace(&want.to_string(), "ID")
    };
    for version in [Version::V0, Version::V1, Version::V2] {
        for policy in [WantPolicy::Advertised, WantPolicy::Reachable] {
            let words = refused(version, policy, hidden);
            assert_eq!(words, "0049ERR upload-pack: not our ref ID");
            assert_eq!(refused(version, policy, absent), words);
        }
    }
}

const BAD_NAMES: [&[u8]; 9] = [
    b"refs/heads/../../config",
    b"refs/heads/x y",
    b"refs/heads/\x1b[2J",
    b"refs/heads/a.lock",
    b"refs/heads/.a",
    b"refs/heads//a",
    b"refs/heads/a@{1}",
    b"../etc/passwd",
    b"-upload-pack",
];

/// T16: in both directions a name that is none never becomes a `RefName`.
#[test]
fn t16_names_that_are_none_are_refused_in_both_directions() {
    for bad in BAD_NAMES {
        assert!(RefName::new(bad).is_err());
        let mut parser = AdvertisementParser::new();
        let line = [ID.as_bytes(), b" ", bad].concat();
        assert_eq!(parser.handle_packet(Packet::Data(line.into())), Ok(None));
        let seen = parser.handle_packet(Packet::Flush).unwrap().unwrap();
        assert_eq!((seen.refs.len(), seen.skipped), (0, 1), "{}", bad.escape_ascii());
        let mut server = receiver(receiving::Config::default());
        let null = ObjectId::null(id(ID).format()).to_string();
        let command = [null.as_bytes(), b" ", ID.as_bytes(), b" ", bad, b"\0report-status"].concat();
        server.handle_bytes(NOW, [pkt(command), b"0000".to_vec()].concat().into()).unwrap();
        let Some(receiving::Action::ReceivePack(update)) = server.poll_action() else { panic!("no pack") };
        assert_eq!(update.commands, [], "{}", bad.escape_ascii());
    }
    assert_eq!(RefName::new("refs/heads/x y"), Err(RefNameError::Byte { byte: b' ' }));
    assert!(!name("refs/heads/con").is_portable() && !name("refs/heads/Aux.txt").is_portable());
}

/// T17: what would break out of its line is refused when it is written, and when it is read.
#[test]
fn t17_paths_hosts_agents_and_options_cannot_break_their_lines() {
    for bad in [&b"/a\nb"[..], b"/a\rb", b"/a\0b", b""] {
        let mut out = BytesMut::new();
        let request = Request::new(Service::UploadPack);
        let path = request.clone().with_path(Bytes::from_static(bad));
        assert_eq!(path.encode(&mut out), Err(RequestError::Path));
        let host = Request { host: Some(Bytes::from_static(bad)), ..request };
        assert_eq!(host.encode(&mut out), Err(RequestError::Path));
        assert!(out.is_empty());
    }
    for line in [&b"git-upload-pack /a\rb\0"[..], b"git-upload-pack /a\0host=a\nb\0", b"git-upload-pack \0"] {
        assert_eq!(Request::parse(line), Err(RequestError::Path));
    }
    // What no rule forbids is opaque: quoting is the business of whoever runs a program with it.
    let odd = b"git-upload-pack $(reboot);'`\x1b\0";
    assert_eq!(Request::parse(odd).unwrap().path, &b"$(reboot);'`\x1b"[..]);
    for bad in [&b"a b"[..], b"a\0", b"a\n"] {
        assert_eq!(Capabilities::new().push_value("agent", bad), Err(CapabilityError::Byte));
        let config = fetching::Config { agent: Some(Bytes::from_static(bad)), ..fetching::Config::default() };
        let mut client = fetching::Client::new(config, NOW);
        let error = client.handle_bytes(NOW, pkts(&["ID refs/heads/a\0agent=x", ""])).unwrap_err();
        assert_eq!(error, fetching::Error::Agent(CapabilityError::Byte));
    }
    let mut server = receiver(receiving::Config { push_options: true, ..receiving::Config::default() });
    let null = ObjectId::null(id(ID).format());
    let lines = [&format!("{null} ID refs/heads/a\0push-options")[..], "", "a\rb"];
    let error = receiving::Error::PushOption { option: Bytes::from_static(b"a\rb") };
    assert_eq!(server.handle_bytes(NOW, pkts(&lines)), Err(error));
}

/// T18: no error's text acts on a terminal, and the raw words are kept for who wants them.
#[test]
fn t18_the_peers_words_are_kept_raw_and_shown_harmless() {
    const WORDS: &[u8] = b"\x1b]0;pwned\x07\x1b[2J\r\xe2\x80\xae";
    let mut client = shown(fetching::Config::default(), "side-band-64k");
    client.want(NOW, vec![id(ID)], vec![]).unwrap();
    client.poll_action();
    client.held(NOW, vec![]).unwrap();
    client.handle_bytes(NOW, pkts(&["NAK"])).unwrap();
    client.handle_bytes(NOW, pkt([b"\x02", WORDS].concat()).into()).unwrap();
    let Some(fetching::Action::Progress(raw)) = client.poll_action() else { panic!("no progress") };
    assert_eq!(raw, WORDS);
    assert_eq!(Printable(&raw).to_string(), r"\u{1b}]0;pwned\u{7}\u{1b}[2J\u{d}\u{202e}");
    let error = client.handle_bytes(NOW, pkt([b"\x03", WORDS].concat()).into()).unwrap_err();
    let kept = Bytes::from_static(WORDS);
    assert_eq!(error, fetching::Error::Session(SessionError::Remote { message: kept }));
    assert!(!error.to_string().contains(|one: char| one.is_control() || one == '\u{202e}'), "{error}");
    let mut reader = packets::Reader::new();
    reader.handle_bytes(Bytes::from_static(b"\x1b[2J"));
    assert!(!reader.next_packet().unwrap_err().to_string().contains('\x1b'));
}

/// A push client that has sent `refs/heads/a` and `refs/heads/b`, all of it.
fn pushed(capabilities: &str) -> pushing::Client {
    let mut client = pushing::Client::new(pushing::Config::default(), NOW);
    client.handle_bytes(NOW, pkts(&[&format!("ID refs/heads/z\0delete-refs {capabilities}"), ""])).unwrap();
    assert!(matches!(client.poll_action(), Some(pushing::Action::Advertised(_))));
    let delete = |of| Command::delete(name(of), id(ID));
    client.push(NOW, vec![delete("refs/heads/a"), delete("refs/heads/b")]).unwrap();
    sent(|| client.poll_transmit());
    client
}

/// T21: success is `unpack ok` and one `ok` for each ref that was asked, and nothing less or else.
#[test]
fn t21_a_push_succeeds_only_with_a_whole_report_for_its_own_refs() {
    let missing = ReportError::Missing { name: name("refs/heads/b") };
    let unknown = ReportError::Unknown { name: Bytes::from_static(b"refs/heads/c") };
    let repeated = ReportError::Repeated { name: name("refs/heads/a") };
    let (a, b) = ("ok refs/heads/a", "ok refs/heads/b");
    for (lines, expected) in [
        (&["unpack ok", a, ""][..], missing),
        (&["unpack ok", a, "ok refs/heads/c"], unknown),
        (&["unpack ok", a, a], repeated),
        (&[a, b, ""], ReportError::NoUnpack),
        (&[""], ReportError::NoUnpack),
    ] {
        let Err(pushing::Error::Report { error, .. }) =
            pushed("report-status").handle_bytes(NOW, pkts(lines))
        else {
            panic!("{lines:?} was taken")
        };
        assert_eq!(error, expected, "{lines:?}");
    }
    // Nothing at all, or half of it.
    for lines in [&[][..], &["unpack ok"], &["unpack ok", a, b]] {
        let mut client = pushed("report-status");
        client.handle_bytes(NOW, pkts(lines)).unwrap();
        assert!(client.handle_closed(NOW).is_err(), "{lines:?}");
        let Some(pushing::Action::Failed(_)) = client.poll_action() else { panic!("{lines:?} was success") };
    }
    let mut client = pushed("report-status");
    client.handle_bytes(NOW, pkts(&["unpack ok", b, a, ""])).unwrap();
    assert!(matches!(client.poll_action(), Some(pushing::Action::Finished(report)) if report.is_success()));
    // A server that reports nothing is not pushed to at all.
    let mut client = pushing::Client::new(pushing::Config::default(), NOW);
    client.handle_bytes(NOW, pkts(&["ID refs/heads/z\0delete-refs", ""])).unwrap();
    client.poll_action();
    client.push(NOW, vec![Command::delete(name("refs/heads/a"), id(ID))]).unwrap();
    let error = pushing::Error::NotSupported { capability: "report-status" };
    assert_eq!(client.poll_action(), Some(pushing::Action::Failed(error)));
}

/// T10, GIT-5: capabilities stand on the first line; a later list cannot turn the object format under the ids before it.
#[test]
fn t10_one_advertisement_has_one_object_format() {
    let long = "1".repeat(64);
    let read = |lines: &[&str]| {
        let mut parser = AdvertisementParser::new();
        for line in lines {
            let line = line.replace("LONG", &long).replace("ID", ID);
            parser.handle_packet(Packet::Data(line.into()))?;
        }
        parser.handle_packet(Packet::Flush)
    };
    let format = Err(AdvertisementError::Format);
    assert_eq!(read(&["ID refs/heads/a", "LONG refs/heads/b\0object-format=sha256"]), format);
    assert_eq!(read(&["ID .have", "LONG refs/heads/b\0object-format=sha256"]), format);
    assert_eq!(read(&["ID refs/heads/a", "shallow LONG"]), format);
    assert_eq!(read(&["shallow ID", "LONG refs/heads/b\0object-format=sha256"]), format);
    let seen = read(&["ID refs/heads/a", "ID refs/heads/b\0late"]).unwrap().unwrap();
    assert_eq!((seen.refs.len(), seen.capabilities.is_empty()), (2, true));
}

/// T22: a push names the value that it saw, the server's driver compares; what does not fit is told for that ref alone.
#[test]
fn t22_a_push_carries_the_value_that_was_seen_and_the_loser_is_told() {
    let (seen, new) = (id(ID), numbered(2));
    let mut server = receiving::Server::new(receiving::Config::default(), NOW);
    assert_eq!(server.poll_action(), Some(receiving::Action::ListRefs));
    let both = ["refs/heads/a", "refs/heads/b"].map(|one| Ref::new(name(one), seen));
    server.refs_listed(NOW, both.to_vec(), vec![]).unwrap();
    sent(|| server.poll_transmit());
    let lines = [&format!("ID {new} refs/heads/a\0report-status")[..], &format!("ID {new} refs/heads/b"), ""];
    server.handle_bytes(NOW, [&pkts(&lines)[..], b"PACK"].concat().into()).unwrap();
    assert!(matches!(server.poll_action(), Some(receiving::Action::ReceivePack(_))));
    assert!(matches!(server.poll_action(), Some(receiving::Action::Pack(_))));
    server.pack_stored(NOW, Ok(())).unwrap();
    let Some(receiving::Action::UpdateRefs(update)) = server.poll_action() else { panic!("no update") };
    assert!(update.commands.iter().all(|command| (command.old, command.new) == (seen, new)));
    // Somebody was faster at the first of them.
    server.refs_updated(NOW, vec![Err("fetch first".into()), Ok(())]).unwrap();
    let report = pkts(&["unpack ok\n", "ng refs/heads/a fetch first\n", "ok refs/heads/b\n", ""]);
    assert_eq!(sent(|| server.poll_transmit()), report);
    let Some(receiving::Action::Finished(outcome)) = server.poll_action() else { panic!("no end") };
    assert_eq!((outcome.commands, outcome.updated), (2, 1));
}

/// T5: keep-alives are passed over, a flood of them is not (PKT-11).
#[test]
fn t5_a_sideband_of_empty_packets_ends_the_fetch() {
    let mut client = shown(fetching::Config::default(), "side-band-64k");
    client.want(NOW, vec![id(ID)], vec![]).unwrap();
    client.poll_action();
    client.held(NOW, vec![]).unwrap();
    sent(|| client.poll_transmit());
    client.handle_bytes(NOW, pkts(&["NAK"])).unwrap();
    let ended = (0..10_000).position(|_| client.handle_bytes(NOW, pkt(b"\x01").into()).is_err());
    assert_eq!(ended, Some(limits::EMPTY_PACKETS as usize));
    let Some(fetching::Action::Failed(error)) = client.poll_action() else { panic!("it goes on") };
    assert!(error.to_string().contains("empty"), "{error}");
}

/// T9, T14: a packet that announces more than comes holds what came; its end is told as missing bytes.
#[test]
fn t9_a_packet_that_is_announced_and_does_not_come_costs_nothing() {
    let mut client = fetching::Client::new(fetching::Config::default(), NOW);
    client.handle_bytes(NOW, Bytes::from_static(b"ffefx")).unwrap();
    assert!(client.wants_input() && client.poll_action().is_none());
    let error = client.handle_closed(NOW).unwrap_err();
    assert_eq!(error, SessionError::Pkt(packets::Error::Truncated { missing: 0xffef - 5 }).into());
    for bad in ["0003", "00zz", "-001", "fff1"] {
        let mut client = fetching::Client::new(fetching::Config::default(), NOW);
        let error = client.handle_bytes(NOW, Bytes::copy_from_slice(bad.as_bytes())).unwrap_err();
        assert!(matches!(error, fetching::Error::Session(SessionError::Pkt(_))), "{bad}: {error:?}");
        assert_eq!(client.poll_action(), Some(fetching::Action::Failed(error)));
        let mut server = receiver(receiving::Config::default());
        assert!(server.handle_bytes(NOW, Bytes::copy_from_slice(bad.as_bytes())).is_err(), "{bad}");
    }
}
