//! The fetch client where each request stands for itself, and the shallow border of versions 0 and 1: exact bytes.

use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Error};
use portline::git::{Deepen, Depth, Filter, ObjectId, SessionError, ShallowUpdate};
use portline::{Blame, Instant};

use crate::harness::{Repo, Seen, TIP, ZERO, advertise, clone_of_tip, drain, id, line, many_tips, play};

const PACK: &str = "0009\x01PACK0000";
const SERVICE: &str = "001e# service=git-upload-pack\n0000";

fn plain() -> Config {
    let base =
        Config { agent: None, thin_pack: false, include_tag: false, ofs_delta: false, ..Config::default() };
    Config { sideband_all: false, ..base }
}

fn stateless() -> Config {
    Config { stateless: true, ..plain() }
}

/// How the end of a response is told.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Packet,
}

/// Plays responses in pieces of `size` bytes; what was sent after each of them.
fn respond(config: Config, repo: &Repo, responses: &[String], size: usize, end: End) -> (Seen, Vec<String>) {
    let (mut client, mut seen) = (Client::new(config, ZERO), Seen::default());
    let mut sent = Vec::new();
    drain(&mut client, repo, &mut seen);
    for response in responses {
        assert!(client.wants_input());
        let before = seen.writes.len();
        for piece in response.as_bytes().chunks(size) {
            let _ = client.handle_bytes(ZERO, Bytes::copy_from_slice(piece));
            drain(&mut client, repo, &mut seen);
        }
        assert_eq!(seen.writes.len(), before, "nothing goes out before the response has ended");
        let _ = match end {
            End::Closed => client.handle_closed(ZERO),
            End::Packet => client.handle_bytes(ZERO, Bytes::from_static(b"0002")),
        };
        drain(&mut client, repo, &mut seen);
        sent.push(seen.writes[before..].iter().map(|one| String::from_utf8_lossy(one)).collect());
    }
    (seen, sent)
}

/// Every split and both endings come to the same.
fn talk(config: Config, repo: &Repo, responses: &[String]) -> (Seen, Vec<String>) {
    let whole = respond(config.clone(), repo, responses, usize::MAX, End::Closed);
    for size in [1, 2, 3, 7] {
        for end in [End::Closed, End::Packet] {
            let (seen, sent) = respond(config.clone(), repo, responses, size, end);
            assert_eq!((&sent, &seen.pack.len(), &seen.end), (&whole.1, &whole.0.pack.len(), &whole.0.end));
        }
    }
    whole
}

fn haves(range: std::ops::RangeInclusive<u8>) -> usize {
    range.count()
}

/// V2C-15, V2C-21, V2C-14: wants and common haves are in every request of version 0.
#[test]
fn v2c_21_version_0_repeats_what_the_server_must_know() {
    let caps = "multi_ack multi_ack_detailed side-band-64k";
    let common = |n: u8| line(&format!("ACK {} common", id(n)));
    let responses = [
        SERVICE.to_owned() + &advertise(caps),
        common(3) + &line("NAK"),
        common(3) + &line(&format!("ACK {}", id(3))) + PACK,
    ];
    let (seen, sent) = talk(stateless(), &many_tips(), &responses);
    let head = line(&format!("want {TIP} multi_ack_detailed side-band-64k")) + "0000";
    assert!(sent[0].starts_with(&head) && sent[0].ends_with("0000"), "{sent:?}");
    assert_eq!(sent[0].matches("0032have").count(), haves(1..=16));
    let again = head + &line(&format!("have {}", id(3)));
    assert!(sent[1].starts_with(&again) && sent[1].ends_with("0009done\n"), "{sent:?}");
    assert_eq!(sent[2], "");
    let outcome = seen.outcome();
    assert_eq!((outcome.rounds, outcome.haves, outcome.common.as_slice()), (2, 21, &[id(3)][..]));

    // With no-done the pack follows in the same response.
    let granted =
        common(3) + &line(&format!("ACK {} ready", id(3))) + &line("NAK") + &line(&format!("ACK {}", id(3)));
    let responses = [advertise("multi_ack_detailed no-done side-band-64k"), granted + PACK];
    assert_eq!(talk(stateless(), &many_tips(), &responses).1.len(), 2);

    // Without multi_ack_detailed the plain form is used, never multi_ack: its answer would tell too little.
    let ack = line(&format!("ACK {}", id(3)));
    let responses = [advertise("multi_ack side-band-64k"), ack.clone(), ack + PACK];
    let (seen, sent) = talk(stateless(), &many_tips(), &responses);
    let head = line(&format!("want {TIP} side-band-64k")) + "0000" + &line(&format!("have {}", id(3)));
    assert!(sent[1].starts_with(&head) && sent[1].ends_with("0009done\n"), "{sent:?}");
    assert!(seen.outcome().pack);
}

/// V2C-15: version 2, whose requests repeat everything anyway; nothing is said when nothing is wanted.
#[test]
fn v2c_15_version_2_one_request_at_a_time() {
    let caps = line("version 2") + &line("ls-refs") + &line("fetch") + "0000";
    let refs = line(&format!("{TIP} refs/heads/main")) + "0000";
    let acks = line("acknowledgments") + &line(&format!("ACK {}", id(3))) + "0000";
    let responses = [caps.clone(), refs.clone(), acks, line("packfile") + PACK];
    let (seen, sent) = talk(stateless(), &many_tips(), &responses);
    assert_eq!(sent[0], line("command=ls-refs") + "0001" + &line("peel") + &line("symrefs") + "0000");
    let head = line("command=fetch") + "0001" + &line(&format!("want {TIP}"));
    assert!(sent[1].starts_with(&head) && sent[1].ends_with("0000"));
    assert!(sent[2].starts_with(&(head + &line(&format!("have {}", id(3))))), "{sent:?}");
    assert!(sent[2].ends_with("0009done\n0000") && sent[3].is_empty());
    assert!(seen.outcome().pack);
    let (_, sent) = talk(stateless(), &Repo::default(), &[caps, refs]);
    assert_eq!(sent[1], "");
}

/// V2C-15, V2C-21: a response that is too short, too long or another service's.
#[test]
fn v2c_15_responses_that_do_not_end_where_they_should() {
    let caps = line("version 2") + &line("ls-refs") + &line("fetch") + "0000";
    let last = |responses: &[String]| {
        respond(stateless(), &many_tips(), responses, 5, End::Closed).0.error().clone()
    };
    let ended = |expected| Error::Session(SessionError::Ended { expected });
    assert_eq!(last(&[SERVICE.to_owned()]), ended("the ref advertisement"));
    assert_eq!(last(&[line("# service=git-upload-pack")]), ended("the flush behind the service line"));
    assert_eq!(last(&[caps.clone(), line(&format!("{TIP} HEAD"))]), ended("a ref of ls-refs, or its flush"));
    assert_eq!(last(&[advertise("multi_ack_detailed"), String::new()]), ended("an ACK or NAK line"));
    let unexpected = |response: &str| {
        let mut client = Client::new(stateless(), ZERO);
        let error = client.handle_bytes(ZERO, response.to_owned().into()).unwrap_err();
        assert_eq!(error.blame(), Blame::Peer);
        let Error::Session(SessionError::Unexpected { expected, .. }) = error else { panic!("{error}") };
        expected
    };
    assert_eq!(unexpected(&(caps.clone() + &line("more"))), "the end of the response");
    assert_eq!(unexpected(&line("# service=git-receive-pack")), "the ref advertisement");
    assert_eq!(
        unexpected(&(line("# service=git-upload-pack") + &line("x"))),
        "the flush behind the service line"
    );
    // Elsewhere the line is none that is known.
    let stateful = play(plain(), &Repo::default(), SERVICE.to_owned() + &caps);
    assert!(matches!(stateful.error(), Error::Advertisement(_)));
}

/// FETCH-20, V2C-15: without a sideband the pack ends with its response.
#[test]
fn fetch_20_a_raw_pack_ends_with_the_response() {
    let config = Config { sideband: false, ..stateless() };
    let responses = [advertise("multi_ack_detailed"), line("NAK") + "PACKall of it"];
    let (seen, _) = respond(config, &clone_of_tip(), &responses, 4, End::Closed);
    assert_eq!((seen.pack.as_slice(), seen.outcome().pack), (&b"PACKall of it"[..], true));
}

const SHALLOW: &str =
    "multi_ack_detailed no-done side-band-64k shallow deepen-since deepen-not deepen-relative filter";

fn deepen(to: Depth) -> Config {
    Config { deepen: Deepen { to, not: vec![] }, shallow: vec![id(5)], ..plain() }
}

/// SHALLOWC-1, SHALLOWC-2, SHALLOWC-4, V2C-9: one write in version 0 as well, and the border before the answer.
#[test]
fn shallowc_4_version_0_tells_the_border_first() {
    let both = Deepen { to: Depth::Since(7), not: vec!["refs/heads/x".into()] };
    let filtered = Config { filter: Some(Filter::Tree(0)), deepen: both, ..deepen(Depth::Full) };
    for (config, words, lines) in [
        (deepen(Depth::Commits(2)), "", vec!["deepen 2"]),
        (deepen(Depth::Further(3)), " deepen-relative", vec!["deepen 3"]),
        (
            filtered,
            " deepen-since deepen-not filter",
            vec!["deepen-since 7", "deepen-not refs/heads/x", "filter tree:0"],
        ),
    ] {
        let border = line(&format!("shallow {}", id(1))) + &line(&format!("unshallow {}", id(5))) + "0000";
        let server = advertise(SHALLOW) + &border + &line("NAK") + PACK;
        let seen = play(config, &clone_of_tip(), server);
        let caps = format!("multi_ack_detailed no-done side-band-64k{words}");
        let lines: String = lines.into_iter().map(line).collect();
        let asked = line(&format!("want {TIP} {caps}")) + &line(&format!("shallow {}", id(5))) + &lines;
        assert_eq!(seen.writes, [Bytes::from(asked + "00000009done\n")]);
        let update = ShallowUpdate { shallow: vec![id(1)], unshallow: vec![id(5)] };
        assert_eq!(seen.told, [Action::Shallow(update)]);
    }
    let stays =
        play(deepen(Depth::Commits(2)), &clone_of_tip(), advertise(SHALLOW) + "0000" + &line("NAK") + PACK);
    assert_eq!((stays.told.len(), stays.outcome().pack), (0, true));
    let border = "a shallow or unshallow line, or their flush";
    for (rest, found) in
        [(line("NAK"), "NAK\n"), (line("shallow x"), "shallow x\n"), ("0001".to_owned(), "0001")]
    {
        let seen = play(deepen(Depth::Commits(2)), &clone_of_tip(), advertise(SHALLOW) + &rest);
        let error = SessionError::Unexpected { expected: border, found: found.into() };
        assert_eq!(*seen.error(), Error::Session(error));
    }
    let refused = play(deepen(Depth::Commits(2)), &clone_of_tip(), advertise(SHALLOW) + &line("ERR no"));
    assert_eq!(*refused.error(), Error::Session(SessionError::Remote { message: "no".into() }));
    let strange = line(&format!("unshallow {}", id(6)));
    let seen = play(deepen(Depth::Commits(2)), &clone_of_tip(), advertise(SHALLOW) + &strange);
    assert_eq!(*seen.error(), Error::UnknownUnshallow { id: id(6) });
    let cut = play(deepen(Depth::Commits(2)), &clone_of_tip(), advertise(SHALLOW));
    assert_eq!(*cut.error(), Error::Session(SessionError::Ended { expected: border }));
}

/// V2C-7: each kind of depth has a capability of its own in versions 0 and 1.
#[test]
fn v2c_7_depths_that_version_0_does_not_offer() {
    let not = Config { deepen: Deepen { to: Depth::Full, not: vec!["x".into()] }, ..plain() };
    for (config, what) in [
        (deepen(Depth::Further(1)), "deepen-relative"),
        (deepen(Depth::Since(1)), "deepen-since"),
        (not, "deepen-not"),
    ] {
        let seen = play(config, &clone_of_tip(), advertise("shallow"));
        assert_eq!((seen.error(), seen.writes.len()), (&Error::Unsupported { what }, 0));
    }
    let border = Config { shallow: vec![id(1)], ..plain() };
    assert_eq!(*play(border, &clone_of_tip(), advertise("")).error(), Error::Unsupported { what: "shallow" });
    let options = Config { server_options: vec!["x".into()], ..plain() };
    let seen = play(options, &clone_of_tip(), advertise("server-option"));
    assert_eq!(*seen.error(), Error::Unsupported { what: "server-option" });
}

/// SHALLOWC-4: every response begins with the list; it is told once, and must not change.
#[test]
fn shallowc_4_a_stateless_server_repeats_the_border() {
    let border = |n: u8| line(&format!("shallow {}", id(n))) + "0000";
    let config = Config { stateless: true, ..deepen(Depth::Commits(2)) };
    let round = |second: u8| {
        let done = border(second) + &line(&format!("ACK {}", id(3))) + PACK;
        [advertise(SHALLOW), border(1) + &line(&format!("ACK {} common", id(3))) + &line("NAK"), done]
    };
    let (seen, sent) = talk(config.clone(), &many_tips(), &round(1));
    assert_eq!(seen.told, [Action::Shallow(ShallowUpdate { shallow: vec![id(1)], unshallow: vec![] })]);
    assert!(sent[1].contains("deepen 2") && seen.outcome().pack);
    let (seen, _) = respond(config, &many_tips(), &round(2), 9, End::Closed);
    assert_eq!(*seen.error(), Error::BorderChanged);
}

/// SHALLOWC-4: in a session the list comes once, however many rounds follow.
#[test]
fn shallowc_4_a_session_tells_the_border_once() {
    let border = line(&format!("shallow {}", id(1))) + "0000";
    let server = advertise(SHALLOW) + &border + &line("NAK") + &line("NAK") + PACK;
    let seen = play(deepen(Depth::Commits(2)), &many_tips(), server);
    assert_eq!((seen.told.len(), seen.outcome().rounds, seen.pack.as_slice()), (1, 2, &b"PACK"[..]));
}

/// SHALLOWC-6: what a shallow server of version 0 shows is told before the pack, unless the border moves.
#[test]
fn shallowc_6_version_0_shows_its_own_border() {
    let shown = advertise(SHALLOW);
    let shown = shown[..shown.len() - 4].to_owned() + &line(&format!("shallow {}", id(8))) + "0000";
    let seen = play(plain(), &clone_of_tip(), shown.clone() + &line("NAK") + PACK);
    assert_eq!(seen.told, [Action::RemoteShallow(vec![id(8)])]);
    let border = line(&format!("shallow {}", id(8))) + "0000";
    let seen = play(deepen(Depth::Commits(2)), &clone_of_tip(), shown + &border + &line("NAK") + PACK);
    assert_eq!(seen.told, [Action::Shallow(ShallowUpdate { shallow: vec![id(8)], unshallow: vec![] })]);
}

/// V2C-7: what a driver learns only when it is shown the refs counts, too.
#[test]
fn v2c_7_wishes_that_come_late() {
    let mut client = Client::new(plain(), Instant::ZERO);
    client.handle_bytes(ZERO, advertise(SHALLOW).into()).unwrap();
    client.poll_action().unwrap();
    client.config_mut().deepen = Deepen { to: Depth::Commits(1), not: vec![] };
    let tip: ObjectId = TIP.parse().unwrap();
    client.want(ZERO, vec![tip], vec![]).unwrap();
    client.poll_action().unwrap();
    client.held(ZERO, vec![]).unwrap();
    let sent = client.poll_transmit().unwrap().into_bytes();
    assert!(String::from_utf8_lossy(&sent).contains("deepen 1"));
    // And is checked then.
    let mut client = Client::new(plain(), Instant::ZERO);
    client.handle_bytes(ZERO, advertise(SHALLOW).into()).unwrap();
    client.poll_action().unwrap();
    client.config_mut().deepen = Deepen { to: Depth::Commits(0), not: vec![] };
    client.want(ZERO, vec![tip], vec![]).unwrap();
    assert!(matches!(client.poll_action(), Some(Action::Failed(Error::Unsendable { .. }))));
}

/// V2C-22, T17: what is changed too late does nothing, and what is changed in time is checked, whatever it is for.
#[test]
fn v2c_22_nothing_unchecked_goes_out_where_the_config_changes() {
    let listed = || {
        let caps = [
            "version 2",
            "agent=s",
            "ls-refs",
            "fetch=shallow",
            "server-option",
            "object-info",
            "bundle-uri",
        ];
        let server = caps.map(line).concat() + "0000" + &line(&format!("{TIP} refs/heads/main")) + "0000";
        let mut client = Client::new(Config { agent: Some("a".into()), ..plain() }, Instant::ZERO);
        client.handle_bytes(ZERO, server.into()).unwrap();
        assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
        while client.poll_transmit().is_some() {}
        client
    };
    let tip: ObjectId = TIP.parse().unwrap();
    let sent = |client: &mut Client| -> String {
        let all = core::iter::from_fn(|| client.poll_transmit());
        all.map(|one| String::from_utf8_lossy(&one.into_bytes()).into_owned()).collect()
    };
    let mut late = listed();
    late.want(ZERO, vec![tip], vec![]).unwrap();
    late.poll_action().unwrap();
    let config = late.config_mut();
    (config.agent, config.server_options) = (Some("a\nb".into()), vec!["c\nd".into()]);
    config.deepen = Deepen { to: Depth::Full, not: vec!["e\nf".into()] };
    late.held(ZERO, vec![]).unwrap();
    let said =
        line("command=fetch") + &line("agent=a") + "0001" + &line(&format!("want {TIP}")) + "0009done\n0000";
    assert_eq!(sent(&mut late), said);

    type Ask = fn(&mut Client) -> Result<(), portline::git::Misuse>;
    let asks: [Ask; 3] = [
        |client| client.want(ZERO, vec![TIP.parse().unwrap()], vec![]),
        |client| client.object_info(ZERO, &[]),
        |client| client.bundle_uri(ZERO),
    ];
    for ask in asks {
        let changes: [fn(&mut Config); 2] = [
            |config| config.agent = Some("a\nb".into()),
            |config| config.server_options = vec!["c\nd".into()],
        ];
        for change in changes {
            let mut client = listed();
            change(client.config_mut());
            ask(&mut client).unwrap();
            let Some(Action::Failed(error)) = client.poll_action() else { panic!() };
            assert_eq!((error.blame(), sent(&mut client).as_str()), (Blame::Caller, ""), "{error}");
        }
    }
}

/// V2C-10: a tag that peels to an object is no ref that points to it: the server would refuse.
#[test]
fn v2c_10_what_a_tag_peels_to_is_not_shown() {
    for (offered, is_taken) in [("", false), (" allow-tip-sha1-in-want", true)] {
        let server = line(&format!("{TIP} refs/tags/v1\0ofs-delta{offered}"))
            + &line(&format!("{} refs/tags/v1^{{}}", id(2)))
            + "0000";
        let mut client = Client::new(plain(), ZERO);
        client.handle_bytes(ZERO, server.into()).unwrap();
        client.poll_action().unwrap();
        assert_eq!(client.want(ZERO, vec![id(2)], vec![]).is_ok(), is_taken);
        assert_eq!(client.want(ZERO, vec![TIP.parse().unwrap()], vec![]).is_ok(), !is_taken);
    }
}
