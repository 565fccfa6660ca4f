//! The fetch client, byte for byte: recorded conversations of the real upload-pack, every split, and hostile
//! servers.

use std::time::Duration;

use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Error, Outcome};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{AdvertisementError, Commit, Misuse, ObjectId, Request, Service, SessionError, Version};
use portline::{Blame, Instant, limits, pkt};

use crate::harness::{
    Repo, Seen, TIP, ZERO, advertise, allowing, clone_of_tip, drain, feed, id, line, many_tips, plain, play,
    recorded, tip,
};

/// FETCH-4, FETCH-7, FETCH-8, GIT-10: wants once each, the capabilities on the first, everything in one write.
#[test]
fn fetch_8_a_clone_of_the_recorded_server() {
    let (_, server) = recorded("upload-pack: clone");
    let config = Config { agent: Some("a/1".into()), ..Config::default() };
    let seen = play(config, &clone_of_tip(), &server);
    let caps =
        "multi_ack_detailed side-band-64k thin-pack include-tag ofs-delta object-format=sha1 agent=a/1";
    let want = line(&format!("want {TIP} {caps}"));
    assert_eq!(seen.writes, [Bytes::from(want + "00000009done\n")]);
    assert!(seen.pack.starts_with(b"PACK\0\0\0\x02\0\0\0\x03"));
    assert_eq!(seen.pack.len(), 207, "as long as without a sideband");
    assert!(seen.progress.starts_with(b"Enumerating objects: 3, done.\nCounting objects:  33% (1/3)\r"));
    assert_eq!(*seen.outcome(), Outcome { pack: true, wants: 1, ..Outcome::default() });
}

/// FETCH-13.
#[test]
fn fetch_13_without_multi_ack_one_ack_says_that_the_pack_comes() {
    let (client, server) = recorded("upload-pack: have common, no multi_ack");
    let repo = Repo { tips: vec![tip()], ..clone_of_tip() };
    let config = Config { multi_ack: false, ..plain() };
    let seen = play(config, &repo, &server);
    assert_eq!(seen.pack.len(), 32);
    let Outcome { pack, rounds, haves, wants, common, .. } = seen.outcome();
    assert_eq!((*pack, *rounds, *haves, *wants, common.as_slice()), (true, 1, 1, 1, &[tip()][..]));
    // The recorded client sent the same but for the order of its capabilities.
    let recorded = String::from_utf8(client).unwrap();
    let (theirs, ours) = (recorded.split_once("0000").unwrap().1, seen.sent());
    assert_eq!(ours.split_once("0000").unwrap().1, theirs);
}

/// FETCH-20.
#[test]
fn fetch_20_without_a_sideband_the_pack_is_all_that_follows() {
    let (_, server) = recorded("upload-pack: no sideband");
    let config = Config { sideband: false, ..plain() };
    let seen = play(config.clone(), &clone_of_tip(), &server);
    assert_eq!(seen.pack.len(), 207);
    assert!(seen.outcome().pack);

    // The driver sees the trailer before the connection ends.
    let mut client = Client::new(config, ZERO);
    let mut early = Seen::default();
    let pack = server.len() - 207;
    client.handle_bytes(ZERO, Bytes::copy_from_slice(&server[..pack])).unwrap();
    drain(&mut client, &clone_of_tip(), &mut early);
    let not_yet = Err(Misuse::NotAsked { verb: "pack_complete" });
    assert_eq!(client.pack_complete(ZERO), not_yet, "no byte of it is there");
    client.handle_bytes(ZERO, Bytes::copy_from_slice(&server[pack..])).unwrap();
    drain(&mut client, &clone_of_tip(), &mut early);
    assert!(early.end.is_none());
    client.pack_complete(ZERO).unwrap();
    drain(&mut client, &clone_of_tip(), &mut early);
    assert_eq!(early, seen);
    assert_eq!(client.pack_complete(ZERO), Err(Misuse::Ended { verb: "pack_complete" }));
}

/// FETCH-6.
#[test]
fn fetch_6_nothing_wanted_is_a_flush_and_success() {
    let (client, server) = recorded("upload-pack: up to date");
    let held = Repo { held: vec![tip()], ..clone_of_tip() };
    for repo in [Repo::default(), held] {
        let seen = play(plain(), &repo, &server);
        assert_eq!(seen.writes, [Bytes::from(client.clone())]);
        assert_eq!(*seen.outcome(), Outcome::default());
    }
    // An empty repository advertises only its capabilities.
    let empty = line(&format!("{} capabilities^{{}}\0multi_ack", "0".repeat(40))) + "0000";
    assert_eq!(play(plain(), &Repo::default(), empty).sent(), "0000");
}

/// FETCH-24.
#[test]
fn fetch_24_the_servers_refusal_is_passed_on() {
    let (_, server) = recorded("upload-pack: want unknown id");
    let unknown = Repo { wants: vec![id(0x11)], ..Repo::default() };
    let seen = play(plain(), &unknown, allowing(&server));
    let message = format!("upload-pack: not our ref {}", id(0x11));
    assert_eq!(*seen.error(), Error::Session(SessionError::Remote { message: message.into() }));
    assert_eq!(seen.error().blame(), Blame::Peer);

    let at_once = play(plain(), &unknown, line("ERR access denied"));
    let message = Bytes::from_static(b"access denied");
    assert_eq!(*at_once.error(), Error::Advertisement(AdvertisementError::Remote { message }));

    // Instead of a round's answer, and instead of the pack.
    let caps = advertise("multi_ack_detailed side-band-64k allow-tip-sha1-in-want");
    for server in [caps.clone() + &line("ERR x"), caps.clone() + &line("NAK") + &line("ERR x")] {
        let seen = play(plain(), &unknown, server);
        assert_eq!(*seen.error(), Error::Session(SessionError::Remote { message: "x".into() }));
    }
}

/// FETCH-10, FETCH-11, FETCH-14: a round, its answer, `done`, and the last `ACK`.
#[test]
fn fetch_14_multi_ack_detailed_in_the_recorded_order() {
    let (_, server) = recorded("upload-pack: multi_ack_detailed");
    // The recorded server knows its tip: as the newest of many it is in the first round.
    let mut repo = many_tips();
    repo.tips.insert(0, tip());
    repo.wants = vec![id(0x77)];
    let seen = play(plain(), &repo, allowing(&server));
    assert_eq!(seen.writes.len(), 2);
    let first = String::from_utf8(seen.writes[0].to_vec()).unwrap();
    assert_eq!(first.matches("0032have ").count(), 16);
    assert!(first.contains(&line(&format!("have {TIP}"))) && first.ends_with("0000"));
    // The tips that did not fit go out with `done`.
    let second = String::from_utf8(seen.writes[1].to_vec()).unwrap();
    assert_eq!(second.matches("0032have ").count(), 5);
    assert!(second.ends_with("0009done\n"));
    let outcome = seen.outcome();
    assert_eq!((outcome.rounds, outcome.haves, outcome.common.as_slice()), (1, 21, &[tip()][..]));
    assert_eq!(seen.pack.len(), 32);
}

const BAND: &str = "0009\x01PACK0000";

/// FETCH-14: with `no-done` the pack follows the round that made the server ready.
#[test]
fn fetch_14_no_done_spares_the_last_turn() {
    let server = advertise("multi_ack_detailed no-done side-band-64k")
        + &line(&format!("ACK {} common", id(3)))
        + &line(&format!("ACK {} ready", id(4)))
        + &line("NAK")
        + &line(&format!("ACK {}", id(3)))
        + BAND;
    let seen = play(plain(), &many_tips(), &server);
    assert_eq!(seen.writes.len(), 1);
    assert_eq!(seen.outcome().common, [id(3)], "ready names no common commit");
    let cautious = play(Config { no_done: false, ..plain() }, &many_tips(), &server);
    assert_eq!(cautious.writes.len(), 2);
}

/// FETCH-11: two rounds, 16 and then what is left, which goes out with `done`.
#[test]
fn fetch_11_rounds_go_on_until_nothing_is_left_to_ask() {
    for (caps, status) in [("multi_ack_detailed", " common"), ("multi_ack", " continue")] {
        let server = advertise(&format!("{caps} side-band"))
            + &line("NAK")
            + &line(&format!("ACK {}{status}", id(18)))
            + &line(&format!("ACK {}", id(18)))
            + BAND;
        let seen = play(plain(), &many_tips(), server);
        assert_eq!(seen.writes.len(), 2);
        assert!(seen.writes[0].starts_with(line(&format!("want {TIP} {caps} side-band")).as_bytes()));
        assert!(seen.writes[1].ends_with(b"0009done\n"));
        assert_eq!((seen.outcome().rounds, seen.outcome().haves), (2, 20));
        assert_eq!(seen.outcome().common, [id(18)]);
    }
    // Without multi_ack the first ACK ends the negotiation in the middle of a round; nothing answers `done`.
    let single = advertise("side-band") + &line("NAK") + &line(&format!("ACK {}", id(18))) + BAND;
    assert_eq!(play(plain(), &many_tips(), single).outcome().rounds, 2);
    let single = advertise("side-band") + &line(&format!("ACK {}", id(2))) + BAND;
    let seen = play(plain(), &many_tips(), single);
    assert_eq!(seen.writes.len(), 2);
    assert_eq!(seen.writes[1], Bytes::from_static(b"0009done\n"));
}

/// FETCH-12: what the state does not allow is refused, and says what was expected.
#[test]
fn fetch_12_answers_out_of_place_are_refused() {
    let known = format!("ACK {}", id(3));
    let detailed = advertise("multi_ack_detailed side-band-64k");
    let common = line(&format!("{known} common"));
    let cases = [
        detailed.clone() + &line(&known),
        detailed.clone() + &line(&format!("{known} continue")),
        detailed.clone() + &line(&format!("{known} commo")),
        detailed.clone() + "0000",
        detailed.clone() + "0001",
        detailed.clone() + &line("NACK"),
        detailed.clone() + &common + &line("NAK") + &line("NAK"),
        advertise("multi_ack side-band-64k") + &common,
        advertise("side-band-64k") + &common,
    ];
    for server in cases {
        let seen = play(plain(), &many_tips(), &server);
        let Error::Session(SessionError::Unexpected { expected, .. }) = seen.error() else {
            panic!("{server}: {seen:?}")
        };
        assert!(expected.contains("ACK"), "{expected}");
    }
    let unknown = format!("ACK {}", id(0x99));
    let endings = [
        line(&format!("{unknown} common")),
        line(&format!("{unknown} ready")),
        common.clone() + &line(&format!("{unknown} ready")),
        line("NAK") + &line(&unknown),
    ];
    for ending in endings {
        let seen = play(plain(), &many_tips(), detailed.clone() + &ending);
        assert_eq!(*seen.error(), Error::UnknownAck { id: id(0x99) });
    }
    let ready = play(plain(), &many_tips(), detailed.clone() + &line(&format!("{known} ready")));
    assert_eq!((ready.error(), ready.error().blame()), (&Error::ReadyWithoutCommon, Blame::Peer));
    let flood = play(plain(), &many_tips(), detailed + &common.repeat(18));
    let what = "acknowledgements in one answer";
    assert_eq!(*flood.error(), Error::Session(SessionError::TooMany { what, limit: 17 }));
}

/// T12: a server that answers NAK for ever comes to the end of our haves, and then to the pack's place.
#[test]
fn fetch_18_endless_naks_end() {
    let server = advertise("multi_ack_detailed side-band-64k") + &line("NAK").repeat(50);
    let seen = play(plain(), &many_tips(), server);
    assert_eq!(*seen.error(), Error::Session(SessionError::Pkt(pkt::Error::UnknownBand { band: b'N' })));
    let limited = Config { max_rounds: 1, max_haves: 4, ..plain() };
    let server = advertise("side-band-64k") + &line("NAK") + &line("NAK") + BAND;
    let seen = play(limited, &many_tips(), server);
    assert_eq!((seen.outcome().rounds, seen.outcome().haves), (1, 4));
}

/// FETCH-19, FETCH-21, FETCH-22, FETCH-24.
#[test]
fn fetch_21_bands_that_are_not_a_packs() {
    let start = advertise("side-band-64k") + &line("NAK");
    let session = |server: String| match play(plain(), &clone_of_tip(), server).error() {
        Error::Session(error) => error.clone(),
        other => panic!("{other}"),
    };
    let remote = |message: &'static str| SessionError::Remote { message: message.into() };
    assert_eq!(session(start.clone() + "000d\x03no space\n"), remote("no space"));
    assert_eq!(session(start.clone() + "000a\x01PACK1000c\x03aborted"), remote("aborted"));
    assert_eq!(session(start.clone() + "0010\x03cut o"), remote("cut o"));
    let band = |band| SessionError::Pkt(pkt::Error::UnknownBand { band });
    assert_eq!(session(start.clone() + "0006\x04x"), band(4));
    assert_eq!(session(start.clone() + "0006Ex"), band(b'E'));
    assert_eq!(session(start.clone() + "0004"), SessionError::Pkt(pkt::Error::MissingBand));
    let unexpected =
        |expected, found: &'static str| SessionError::Unexpected { expected, found: found.into() };
    assert_eq!(session(start.clone() + "0000"), unexpected("the pack", "0000"));
    assert_eq!(session(start.clone() + "0006\x02x0000"), unexpected("the pack", "0000"));
    assert_eq!(session(start + "0006\x01x0001"), unexpected("the rest of the pack", "0001"));
}

/// FETCH-23, GIT-11, T13: wherever the input ends, the error says what should have come.
#[test]
fn fetch_23_the_end_of_input_names_what_was_expected() {
    let ad = advertise("multi_ack_detailed no-done side-band-64k");
    let common = line(&format!("ACK {} common", id(3)));
    let ready = common.clone() + &line(&format!("ACK {} ready", id(3))) + &line("NAK");
    let ends = [
        (String::new(), "the ref advertisement"),
        (ad[..ad.len() - 4].to_owned(), "the ref advertisement"),
        (ad.clone(), "an ACK or NAK line"),
        (ad.clone() + &common, "an ACK or NAK line"),
        (ad.clone() + &line("NAK"), "the last ACK or NAK line"),
        (ad.clone() + &ready, "the ACK line before the pack"),
        (ad.clone() + &line("NAK") + &line("NAK"), "the pack"),
        (ad.clone() + &line("NAK") + &line("NAK") + "0006\x01x", "the rest of the pack"),
    ];
    for (server, expected) in ends {
        let error = feed(plain(), &many_tips(), server.as_bytes(), 9).error().clone();
        assert_eq!(error, Error::Session(SessionError::Ended { expected }), "{server}");
        assert_eq!(error.blame(), Blame::Transport);
    }
    // Inside a packet the missing bytes are counted; in every case there is one error.
    let whole = ad + &line("NAK") + &line("NAK") + "0009\x01PACK";
    for cut in 0..whole.len() {
        let seen = feed(plain(), &many_tips(), &whole.as_bytes()[..cut], 1000);
        assert!(matches!(
            seen.error(),
            Error::Session(SessionError::Ended { .. } | SessionError::Pkt(pkt::Error::Truncated { .. }))
        ));
        assert_eq!(seen.error().blame(), Blame::Transport, "cut at {cut}");
    }
    let raw = advertise("") + &line("NAK");
    let seen = feed(plain(), &clone_of_tip(), raw.as_bytes(), 9);
    assert_eq!(*seen.error(), Error::Session(SessionError::Ended { expected: "the pack" }));
}

/// FETCH-1, FETCH-2.
#[test]
fn fetch_1_the_request_line_goes_first_and_version_1_is_announced() {
    let request = Request { version: Version::V1, ..Request::new(Service::UploadPack).with_path("/a") };
    let config = Config { request: Some(request), ..plain() };
    let mut client = Client::new(config.clone(), ZERO);
    let first = client.poll_transmit().unwrap().into_bytes();
    assert_eq!(first, "002cgit-upload-pack /a\0host=peer\0\0version=1\0");
    let server = line("version 1") + &advertise("");
    client.handle_bytes(ZERO, server.into()).unwrap();
    let Some(Action::Advertised(seen)) = client.poll_action() else { panic!() };
    assert_eq!(seen.version, Version::V1);

    // No version above the one that the config allows.
    for (highest, said) in
        [(Version::V0, "version 1"), (Version::V0, "version 2"), (Version::V1, "version 2")]
    {
        let config = Config { version: highest, ..config.clone() };
        let seen = play(config, &Repo::default(), line(said) + &advertise(""));
        assert_eq!(*seen.error(), Error::Advertisement(AdvertisementError::UnsupportedVersion));
    }
    let bad = Request::new(Service::UploadPack).with_path("/a\nb");
    let mut failed = Client::new(Config { request: Some(bad), ..plain() }, ZERO);
    assert!(failed.has_ended() && failed.poll_transmit().is_none());
    let Some(Action::Failed(error)) = failed.poll_action() else { panic!() };
    assert_eq!(error.blame(), Blame::Caller);
    assert_eq!(failed.poll_action(), None);
}

/// FETCH-3, FETCH-4, FETCH-5, GIT-14: shallow lines are kept, and every advertised id is asked for once.
#[test]
fn fetch_5_the_driver_is_asked_once_what_it_holds() {
    let server = line(&format!("{TIP} refs/heads/main\0agent=x allow-reachable-sha1-in-want"))
        + &line(&format!("{} refs/tags/v1", id(1)))
        + &line(&format!("{} refs/tags/v1^{{}}", id(2)))
        + &line(&format!("{} refs/tags/v2", id(1)))
        + &line(&format!("shallow {}", id(9)))
        + "0000";
    let mut client = Client::new(Config::default(), ZERO);
    client.handle_bytes(ZERO, server.into()).unwrap();
    let Some(Action::Advertised(seen)) = client.poll_action() else { panic!() };
    assert_eq!(seen.shallow, [id(9)]);
    assert_eq!(client.held(ZERO, vec![]), Err(Misuse::NotAsked { verb: "held" }));
    assert_eq!(client.commits(ZERO, vec![]), Err(Misuse::NotAsked { verb: "commits" }));
    assert_eq!(client.pack_complete(ZERO), Err(Misuse::NotAsked { verb: "pack_complete" }));
    let null = ObjectId::from_raw(&[0; 20]).unwrap();
    let long = ObjectId::from_raw(&[1; 32]).unwrap();
    for (wants, tips) in [(vec![null], vec![]), (vec![long], vec![]), (vec![tip()], vec![long])] {
        assert!(matches!(client.want(ZERO, wants, tips), Err(Misuse::Argument { verb: "want", .. })));
    }
    client.want(ZERO, vec![id(7), tip()], vec![]).unwrap();
    assert_eq!(client.want(ZERO, vec![], vec![]), Err(Misuse::NotAsked { verb: "want" }));
    assert_eq!(client.poll_action(), Some(Action::FindHeld(vec![id(1), id(2), id(7), tip()])));
    assert!(client.poll_transmit().is_none(), "nothing is said before it is known");
    client.held(ZERO, vec![id(2), id(1), id(0x42), tip()]).unwrap();
    // Both tags are held: their commit is what the server is told of.
    assert_eq!(client.poll_action(), Some(Action::LoadCommits(vec![id(1), id(2), tip()])));
    let commit = Commit { id: id(2), parents: Default::default(), time: 0 };
    client.commits(ZERO, vec![commit]).unwrap();
    let sent = client.poll_transmit().unwrap().into_bytes();
    let default = concat!("agent=portline/", env!("CARGO_PKG_VERSION"));
    let wanted = line(&format!("want {} {default}", id(7))) + "0000";
    assert_eq!(sent, wanted + &line(&format!("have {}", id(2))) + "0009done\n");
}

/// FETCH-7: a switch turned off, or a capability not offered, is not requested.
#[test]
fn fetch_7_only_what_is_offered_is_requested() {
    let all = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not \
               deepen-relative no-progress include-tag multi_ack_detailed no-done symref=HEAD:refs/heads/main \
               object-format=sha1 agent=git/2";
    let requested = |config: Config, offered: &str| {
        let seen = feed(config, &clone_of_tip(), advertise(offered).as_bytes(), 999);
        let sent = seen.sent();
        let end = sent.find('\n').unwrap();
        sent[4 + 5 + 40..end].trim_start().to_owned()
    };
    let off = Config {
        agent: None,
        sideband: false,
        thin_pack: false,
        ofs_delta: false,
        include_tag: false,
        multi_ack: false,
        ..Config::default()
    };
    assert_eq!(requested(off, all), "object-format=sha1");
    assert_eq!(requested(Config::default(), ""), "");
    assert_eq!(requested(Config::default(), "side-band multi_ack no-done"), "multi_ack side-band");
    let quiet = Config { no_progress: true, agent: Some("x".into()), ..Config::default() };
    let names = "multi_ack_detailed no-done side-band-64k thin-pack no-progress include-tag ofs-delta \
                 object-format=sha1 agent=x";
    assert_eq!(requested(quiet, all), names);
    // T17: an agent that would break the line fails the session and is never sent.
    let broken = Config { agent: Some("a\nb".into()), ..Config::default() };
    let seen = play(broken.clone(), &clone_of_tip(), advertise("agent=git"));
    assert!(matches!(seen.error(), Error::Agent(_)));
    assert!(play(broken, &Repo::default(), advertise("")).outcome() == &Outcome::default());
}

/// FETCH-9.
#[test]
fn fetch_9_sha256_ids_are_spoken_where_the_server_speaks_them() {
    let (want, have) = (ObjectId::from_raw(&[5; 32]).unwrap(), ObjectId::from_raw(&[6; 32]).unwrap());
    let server = line(&format!("{want} refs/heads/main\0object-format=sha256"))
        + "0000"
        + &line(&format!("ACK {have}"))
        + "PACK";
    let repo = Repo { wants: vec![want], held: vec![], tips: vec![have] };
    let seen = play(Config::default(), &repo, server);
    let wanted = line(&format!("want {want} object-format=sha256")) + "0000";
    assert_eq!(seen.sent(), wanted + &line(&format!("have {have}")) + "0009done\n");
    assert_eq!((seen.pack.as_slice(), &seen.outcome().common), (&b"PACK"[..], &vec![have]));
    let short = advertise("").replace("0000", "") + &line(&format!("{want} refs/heads/x")) + "0000";
    let seen = feed(Config::default(), &repo, short.as_bytes(), 9);
    assert_eq!(*seen.error(), Error::Advertisement(AdvertisementError::Format));
}

/// FETCH-15: without a negotiation only the wanted objects are asked for.
#[test]
fn fetch_15_noop_sends_no_haves() {
    let repo = Repo { tips: vec![id(1)], ..clone_of_tip() };
    let config = Config { algorithm: Algorithm::Noop, ..plain() };
    let seen = play(config, &repo, advertise("side-band-64k") + &line("NAK") + BAND);
    assert_eq!(seen.sent(), line(&format!("want {TIP} side-band-64k")) + "00000009done\n");
}

/// FETCH-25, GIT-12: the pack is handed on as slices of the input, and no faster than it is taken.
#[test]
fn fetch_25_the_pack_is_not_copied_and_not_hoarded() {
    let mut client = Client::new(plain(), ZERO);
    client.handle_bytes(ZERO, (advertise("side-band-64k") + &line("NAK")).into()).unwrap();
    drain(&mut client, &clone_of_tip(), &mut Seen::default());
    let packet = Bytes::from([b"fff0\x01", &[7; pkt::MAX_BAND_DATA][..]].concat());
    client.handle_bytes(ZERO, packet.clone()).unwrap();
    let Some(Action::Pack(bytes)) = client.poll_action() else { panic!() };
    assert_eq!((bytes.as_ptr(), bytes.len()), (packet[5..].as_ptr(), pkt::MAX_BAND_DATA));
    let mut given = 0;
    while client.wants_input() {
        client.handle_bytes(ZERO, packet.clone()).unwrap();
        given += 1;
    }
    assert!(given * packet.len() <= limits::GIT_INPUT + 66 * packet.len());
    while client.poll_action().is_some() {
        given -= 1;
    }
    assert_eq!(given, 0);
    assert!(client.wants_input());
}

/// GIT-12: input that waits for the driver is taken up to the limit, and refused behind it.
#[test]
fn git_12_input_is_wanted_up_to_the_limit() {
    for (size, wants) in [(limits::GIT_INPUT - 1, true), (limits::GIT_INPUT, false)] {
        let mut client = Client::new(plain(), ZERO);
        client.handle_bytes(ZERO, advertise("side-band-64k").into()).unwrap();
        assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
        client.handle_bytes(ZERO, vec![b'0'; size].into()).unwrap();
        assert_eq!((client.wants_input(), client.has_ended()), (wants, false));
        let more = client.handle_bytes(ZERO, Bytes::from_static(b"0"));
        let refused = Err(Error::Session(SessionError::Overrun { limit: limits::GIT_INPUT }));
        assert_eq!(more, if wants { Ok(()) } else { refused });
    }
}

/// GIT-12: at most 64 actions wait; then nothing more is read.
#[test]
fn git_12_at_most_64_actions_wait() {
    for (pieces, has_ended) in [(63, true), (64, false)] {
        let mut client = Client::new(plain(), ZERO);
        client.handle_bytes(ZERO, (advertise("side-band-64k") + &line("NAK")).into()).unwrap();
        drain(&mut client, &clone_of_tip(), &mut Seen::default());
        let pack = "0006\x01P".repeat(pieces) + "0000";
        client.handle_bytes(ZERO, pack.into()).unwrap();
        assert_eq!(client.has_ended(), has_ended, "{pieces}");
        let mut seen = Seen::default();
        drain(&mut client, &Repo::default(), &mut seen);
        assert_eq!((seen.pack.len(), seen.outcome().pack), (pieces, true));
    }
}

/// FETCH-26, GIT-9, GIT-13: silence ends the session, activity does not.
#[test]
fn fetch_26_the_idle_deadline_counts_from_the_last_activity() {
    let second = |n: u64| Instant::from_micros(n * 1_000_000);
    let config = Config { idle_timeout: Some(Duration::from_secs(30)), ..plain() };
    let mut client = Client::new(config, second(0));
    assert_eq!(client.poll_timeout(), Some(second(30)));
    client.handle_timeout(second(29));
    client.handle_bytes(second(20), advertise("").into()).unwrap();
    assert_eq!(client.poll_timeout(), None);
    assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
    assert_eq!(client.poll_timeout(), None, "the driver chooses");
    client.handle_timeout(second(1000));
    assert!(!client.has_ended());
    client.want(second(1000), vec![tip()], vec![]).unwrap();
    assert!(matches!(client.poll_action(), Some(Action::FindHeld(_))));
    assert_eq!(client.poll_timeout(), None, "the driver looks");
    client.held(second(1020), vec![]).unwrap();
    assert_eq!(client.poll_timeout(), Some(second(1050)));
    client.handle_timeout(second(1050));
    let Some(Action::Failed(error)) = client.poll_action() else { panic!() };
    let after = Duration::from_secs(30);
    assert_eq!(error, Error::Session(SessionError::TimedOut { after }));
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(client.handle_bytes(second(1090), "0000".into()), Err(error));
    assert_eq!(client.want(second(1090), vec![], vec![]), Err(Misuse::Ended { verb: "want" }));
}
