//! The fetch client in version 2, byte for byte: what it sends, every split of what it hears, servers that lie or stop.

mod answers;
mod anything;

use bytes::Bytes;
use portline::git::fetch::client::{Action, Client, Config, Error, Listing, Outcome};
use portline::git::fetch::negotiator::Algorithm;
use portline::git::{
    AdvertisementError, Deepen, Depth, Filter, Misuse, ObjectId, RefName, SessionError, Version,
};
use portline::{Blame, limits};

use crate::harness::{Repo, Seen, TIP, ZERO, clone_of_tip, feed, id, line, play, tip};

const ALL: &str = "shallow wait-for-done filter ref-in-want sideband-all packfile-uris";
const PACK: &str = "0009\x01PACK0000";

/// The capabilities of a server whose `fetch` can do this.
fn caps(fetch: &str) -> String {
    let list =
        ["agent=s/1", "ls-refs=unborn", &format!("fetch={fetch}"), "server-option", "object-format=sha1"];
    let lines: String =
        list.iter().chain(&["object-info", "bundle-uri", "unheard-of=a b"]).map(|one| line(one)).collect();
    line("version 2") + &lines + "0000"
}

/// Capabilities and the answer to `ls-refs`.
fn greeting(fetch: &str) -> String {
    caps(fetch) + &line(&format!("{TIP} refs/heads/main")) + "0000"
}

fn plain() -> Config {
    let base =
        Config { agent: None, thin_pack: false, include_tag: false, ofs_delta: false, ..Config::default() };
    Config { sideband_all: false, ..base }
}

fn command(name: &str) -> String {
    line(&format!("command={name}")) + &line("object-format=sha1") + "0001"
}

fn ls_refs() -> String {
    command("ls-refs") + &line("peel") + &line("symrefs") + &line("unborn") + "0000"
}

fn want(one: impl std::fmt::Display) -> String {
    line(&format!("want {one}"))
}

fn unexpected(seen: &Seen) -> (&'static str, String) {
    let Error::Session(SessionError::Unexpected { expected, found }) = seen.error() else {
        panic!("{seen:?}")
    };
    (expected, String::from_utf8_lossy(found).into_owned())
}

/// As `play`, in fewer splits: for the many answers that are refused.
fn quick(config: Config, repo: &Repo, server: impl AsRef<[u8]>) -> Seen {
    let server = server.as_ref();
    let whole = feed(config.clone(), repo, server, server.len());
    let bytewise = feed(config, repo, server, 1);
    assert_eq!((whole.sent(), &whole.end, &whole.told), (bytewise.sent(), &bytewise.end, &bytewise.told));
    whole
}

/// V2C-1, V2C-3, V2C-4, V2C-8, V2C-13: a clone is two writes: the listing, and the wants with `done`.
#[test]
fn v2c_3_a_clone_is_two_writes() {
    let server = greeting("shallow") + &line("packfile") + PACK;
    let options = vec![Bytes::from_static(b"a=b"), Bytes::from_static(b"c d")];
    let config = Config {
        agent: Some("a/1".into()),
        server_options: options,
        thin_pack: true,
        include_tag: true,
        ofs_delta: true,
        no_progress: true,
        ..plain()
    };
    let seen = play(config, &clone_of_tip(), &server);
    let said = line("agent=a/1")
        + &line("server-option=a=b")
        + &line("server-option=c d")
        + &line("object-format=sha1");
    let listing = line("command=ls-refs")
        + &said
        + "0001"
        + &line("peel")
        + &line("symrefs")
        + &line("unborn")
        + "0000";
    let arguments: String = ["thin-pack", "no-progress", "include-tag", "ofs-delta"].map(line).concat();
    let fetch = line("command=fetch") + &said + "0001" + &arguments + &want(TIP) + "0009done\n0000";
    assert_eq!(seen.writes, [listing, fetch]);
    assert_eq!(seen.pack, b"PACK");
    assert_eq!(*seen.outcome(), Outcome { pack: true, wants: 1, ..Outcome::default() });
}

/// V2C-2: what is wrong with the capabilities is named.
#[test]
fn v2c_2_capabilities_that_cannot_be_taken() {
    let start = line("version 2");
    let play = |server: String| quick(plain(), &Repo::default(), server).error().clone();
    assert_eq!(play(start.clone() + "0001"), {
        let expected = "the capability advertisement";
        Error::Session(SessionError::Unexpected { expected, found: "0001".into() })
    });
    assert_eq!(
        play(start.clone() + &line("ERR no")),
        Error::Session(SessionError::Remote { message: "no".into() })
    );
    let format = Error::Advertisement(AdvertisementError::Format);
    assert_eq!(play(start.clone() + &line("object-format=md5") + "0000"), format);
    for (list, what) in [("ls-refs", "fetch"), ("fetch", "ls-refs")] {
        let error = play(start.clone() + &line(list) + "0000");
        assert_eq!((error.clone(), error.blame()), (Error::Unsupported { what }, Blame::Peer));
    }
    let end = Error::Session(SessionError::Ended { expected: "the capability advertisement" });
    assert_eq!(play(start.clone() + &line("fetch")), end);
}

/// V2C-2, T10.
#[test]
fn v2c_2_endless_capabilities_end() {
    let many = line("version 2") + &line("x").repeat(limits::CAPABILITIES + 1);
    let seen = feed(plain(), &Repo::default(), many.as_bytes(), 1 << 20);
    assert!(matches!(seen.error(), Error::Advertisement(AdvertisementError::Capabilities(_))));
    let long = line("version 2") + &line(&"x".repeat(60_000)).repeat(20);
    let seen = feed(plain(), &Repo::default(), long.as_bytes(), 1 << 20);
    let limit = limits::CAPABILITY_BYTES;
    let what = "bytes of capabilities";
    let too_large = Error::Advertisement(AdvertisementError::TooLarge { what, limit });
    assert_eq!(*seen.error(), too_large);
    // To the byte.
    let lines = line(&"x".repeat(60_000)).repeat(17);
    let rest = line(&"x".repeat(limit - 17 * 60_001 - 1));
    let most = line("version 2") + &lines + &rest;
    let seen = feed(plain(), &Repo::default(), most.as_bytes(), 1 << 20);
    let end = SessionError::Ended { expected: "the capability advertisement" };
    assert_eq!(*seen.error(), Error::Session(end));
    let seen = feed(plain(), &Repo::default(), (most + "0005x").as_bytes(), 1 << 20);
    assert_eq!(*seen.error(), too_large);
}

/// V2C-4: prefixes as configured; without a listing nothing is asked.
#[test]
fn v2c_4_only_the_refs_of_interest_are_listed() {
    let listing = Listing::Prefixes(vec!["refs/heads/".into(), "refs/tags/".into()]);
    let config = Config { listing, ..plain() };
    let seen = play(config, &Repo::default(), greeting(""));
    let asked = command("ls-refs") + &line("peel") + &line("symrefs") + &line("unborn");
    let asked = asked + &line("ref-prefix refs/heads/") + &line("ref-prefix refs/tags/") + "0000";
    assert_eq!(seen.writes, [asked, "0000".to_owned()]);

    let config = Config { listing: Listing::None, algorithm: Algorithm::Noop, ..plain() };
    let server = line("version 2") + &line("fetch") + "0000" + &line("packfile") + PACK;
    let seen = play(config, &Repo { wants: vec![id(7)], ..Repo::default() }, server);
    let fetch = line("command=fetch") + "0001" + &want(id(7)) + "0009done\n0000";
    assert_eq!(seen.writes, [fetch]);
}

/// V2C-5: ids, symbolic refs, peeled tags, an unborn `HEAD`; names that are not valid are counted.
#[test]
fn v2c_5_the_refs_as_they_are_listed() {
    let server = caps("")
        + &line("unborn HEAD symref-target:refs/heads/new")
        + &line(&format!("{} refs/heads/x some:thing symref-target:refs/heads/y", id(1)))
        + &line(&format!("{} refs/tags/v1 peeled:{}", id(2), id(3)))
        + &line(&format!("{} refs/heads/../x", id(4)))
        + &line(&format!("{} refs/heads/null", "0".repeat(40)))
        + "0000";
    let mut client = Client::new(plain(), ZERO);
    client.handle_bytes(ZERO, server.into()).unwrap();
    let Some(Action::Advertised(seen)) = client.poll_action() else { panic!() };
    assert_eq!((seen.version, seen.skipped, seen.refs.len()), (Version::V2, 2, 2));
    assert_eq!(seen.unborn, Some(RefName::new("refs/heads/new").unwrap()));
    assert_eq!(seen.refs[0].target, Some(RefName::new("refs/heads/y").unwrap()));
    assert_eq!(seen.refs[1].peeled, Some(id(3)));
    assert!(
        seen.capabilities.has_feature("ls-refs", "unborn") && !seen.capabilities.has_feature("ls-refs", "un")
    );

    for (bad, format) in [("x refs/heads/a", false), ("x", false), (&"1".repeat(64), false)] {
        let seen = quick(plain(), &Repo::default(), caps("") + &line(bad));
        let error = seen.error();
        assert!(
            matches!(error, Error::Advertisement(AdvertisementError::Malformed { .. })) != format,
            "{error}"
        );
    }
    let long = caps("") + &line(&format!("{} refs/heads/a", "1".repeat(64)));
    assert_eq!(
        *play(plain(), &Repo::default(), long).error(),
        Error::Advertisement(AdvertisementError::Format)
    );
    let delim = play(plain(), &Repo::default(), caps("") + "0001");
    assert_eq!(unexpected(&delim), ("a ref of ls-refs, or its flush", "0001".to_owned()));
    let refused = play(plain(), &Repo::default(), caps("") + &line("ERR no"));
    assert_eq!(*refused.error(), Error::Session(SessionError::Remote { message: "no".into() }));
}

/// V2C-6, V2C-7, V2C-9: nothing is sent that is not in the value of `fetch`; what cannot be done without is refused.
#[test]
fn v2c_7_what_the_server_does_not_offer() {
    let deepen = |to| Config { deepen: Deepen { to, not: vec![] }, ..plain() };
    let not = Deepen { to: Depth::Full, not: vec!["refs/heads/x".into()] };
    for (config, what) in [
        (deepen(Depth::Commits(1)), "shallow"),
        (deepen(Depth::Further(1)), "shallow"),
        (deepen(Depth::Since(1)), "shallow"),
        (Config { deepen: not, ..plain() }, "shallow"),
        (Config { shallow: vec![id(1)], ..plain() }, "shallow"),
        (Config { wait_for_done: true, ..plain() }, "wait-for-done"),
    ] {
        let seen = quick(config.clone(), &clone_of_tip(), greeting(""));
        assert_eq!(*seen.error(), Error::Unsupported { what }, "{config:?}");
        assert_eq!(seen.writes, [ls_refs()], "nothing more was said");
    }
    let options = Config { server_options: vec!["x".into()], ..plain() };
    let server = line("version 2") + &line("ls-refs") + &line("fetch") + "0000";
    assert_eq!(*play(options, &clone_of_tip(), server).error(), Error::Unsupported { what: "server-option" });

    // What would only be better is left out, a filter as well: then everything comes.
    let config = Config {
        filter: Some(Filter::BlobNone),
        sideband_all: true,
        packfile_uris: vec!["https".into()],
        session_id: Some("s".into()),
        ..plain()
    };
    let seen = play(config.clone(), &clone_of_tip(), greeting("shallow") + &line("packfile") + PACK);
    assert_eq!(seen.writes[1], command("fetch") + &want(TIP) + "0009done\n0000");
    assert!(!seen.outcome().filtered);
    let offering = greeting(ALL).replacen("000eagent", &(line("session-id=x") + "000eagent"), 1);
    let config = Config { sideband_all: false, ..config };
    let seen = play(config, &clone_of_tip(), offering + &line("packfile") + PACK);
    let said = line("command=fetch") + &line("session-id=s") + &line("object-format=sha1") + "0001";
    let arguments = line("filter blob:none") + &line("packfile-uris https") + &want(TIP);
    assert_eq!(seen.writes[1], said + &arguments + "0009done\n0000");
    assert!(seen.outcome().filtered);
}

/// SHALLOWC-1, SHALLOWC-2: the border and the depth stand before the wants.
#[test]
fn shallowc_2_a_depth_in_its_four_forms() {
    let deepen = |to| Config { deepen: Deepen { to, not: vec![] }, shallow: vec![id(1)], ..plain() };
    let both = Deepen { to: Depth::Since(5), not: vec!["a".into(), "b".into()] };
    for (config, lines) in [
        (deepen(Depth::Commits(3)), vec!["deepen 3"]),
        (deepen(Depth::Commits(Depth::INFINITE)), vec!["deepen 2147483647"]),
        (deepen(Depth::Further(2)), vec!["deepen 2", "deepen-relative"]),
        (deepen(Depth::Since(1_700_000_000)), vec!["deepen-since 1700000000"]),
        (
            Config { deepen: both, shallow: vec![id(1)], ..plain() },
            vec!["deepen-since 5", "deepen-not a", "deepen-not b"],
        ),
    ] {
        let lines: String = lines.into_iter().map(line).collect();
        let seen = play(config, &clone_of_tip(), greeting("shallow") + &line("packfile") + PACK);
        let border = line(&format!("shallow {}", id(1)));
        assert_eq!(seen.writes[1], command("fetch") + &border + &lines + &want(TIP) + "0009done\n0000");
        // What is held is wanted all the same: its border moves.
        let seen = play(
            deepen(Depth::Commits(3)),
            &Repo { held: vec![tip()], ..clone_of_tip() },
            greeting("shallow"),
        );
        assert!(seen.sent().contains(&want(TIP)));
    }
}

/// V2C-22, T17: what cannot be sent fails before anything is sent.
#[test]
fn v2c_22_a_config_that_cannot_be_sent() {
    let deepen = |to, not: &[&'static str]| Deepen {
        to,
        not: not.iter().map(|one| Bytes::from_static(one.as_bytes())).collect(),
    };
    let bad = |config: Config| {
        let mut client = Client::new(config, ZERO);
        assert!(client.has_ended() && client.poll_transmit().is_none());
        let Some(Action::Failed(error)) = client.poll_action() else { panic!() };
        assert!(matches!(error, Error::Unsendable { .. }) && error.blame() == Blame::Caller, "{error}");
    };
    bad(Config { server_options: vec!["a\nb".into()], ..plain() });
    bad(Config { server_options: vec!["x".repeat(limits::CAPABILITY_VALUE + 1).into()], ..plain() });
    bad(Config { session_id: Some("a b".into()), ..plain() });
    bad(Config { packfile_uris: vec!["https,http".into()], ..plain() });
    bad(Config { listing: Listing::Prefixes(vec!["a\0".into()]), ..plain() });
    bad(Config { listing: Listing::Prefixes(vec![Bytes::new()]), ..plain() });
    bad(Config { deepen: deepen(Depth::Commits(0), &[]), ..plain() });
    bad(Config { deepen: deepen(Depth::Further(u32::MAX), &[]), ..plain() });
    bad(Config { deepen: deepen(Depth::Commits(1), &["x"]), ..plain() });
    bad(Config { deepen: deepen(Depth::Full, &["x\n"]), ..plain() });
    bad(Config { shallow: vec![ObjectId::from_raw(&[0; 20]).unwrap()], ..plain() });
    let other = Config { shallow: vec![ObjectId::from_raw(&[1; 32]).unwrap()], ..plain() };
    let seen = play(other, &clone_of_tip(), greeting("shallow"));
    assert_eq!(*seen.error(), Error::Unsendable { what: "shallow border" });
}

/// V2C-22, T17: the most that can be sent is taken, and one more is not.
#[test]
fn v2c_22_a_config_that_can_just_be_sent() {
    let text = |length: usize| Bytes::from("x".repeat(length));
    let sparse = |length: usize| Filter::SparseOid(text(length - "sparse:oid=".len()));
    for (more, fits) in [(0, true), (1, false)] {
        for config in [
            Config { server_options: vec![text(limits::CAPABILITY_VALUE + more)], ..plain() },
            Config { filter: Some(sparse(limits::FILTER + more)), ..plain() },
            Config { shallow: vec![id(1); limits::SHALLOW + more], ..plain() },
        ] {
            let mut client = Client::new(config, ZERO);
            assert_eq!(client.has_ended(), !fits);
            let refused = matches!(client.poll_action(), Some(Action::Failed(Error::Unsendable { .. })));
            assert_eq!(refused, !fits);
        }
    }
}

/// T10, GIT-14: more ids or names than the limit are misuse, with what is wrong with them.
#[test]
fn git_14_more_wants_than_the_limit_are_refused() {
    let mut client = Client::new(plain(), ZERO);
    client.handle_bytes(ZERO, greeting("ref-in-want").into()).unwrap();
    assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
    let other = ObjectId::from_raw(&[1; 32]).unwrap();
    let format = "an id is of another object format than the server's";
    for (count, wants, ids) in [
        (limits::WANTS + 1, "more wants than the limit", "more ids than the limit"),
        (limits::WANTS, format, format),
    ] {
        let many = vec![other; count];
        let refused = |verb, reason| Err(Misuse::Argument { verb, reason });
        assert_eq!(client.object_info(ZERO, &many), refused("object_info", ids));
        assert_eq!(client.want(ZERO, many, vec![]), refused("want", wants));
        let names = vec![RefName::head(); count];
        assert_eq!(client.want_refs(ZERO, names, vec![other], vec![]), refused("want_refs", wants));
    }
    client.want(ZERO, vec![tip()], vec![]).unwrap();
}

/// V2C-10: where nothing but tips was offered nothing else is wanted; version 2 leaves that to the server.
#[test]
fn v2c_10_objects_that_no_ref_points_to() {
    for (allowed, is_taken) in
        [("", false), ("allow-tip-sha1-in-want", true), ("allow-reachable-sha1-in-want", true)]
    {
        let mut client = Client::new(plain(), ZERO);
        client.handle_bytes(ZERO, crate::harness::advertise(allowed).into()).unwrap();
        client.poll_action().unwrap();
        assert_eq!(client.want(ZERO, vec![id(7)], vec![]).is_ok(), is_taken, "{allowed}");
        if !is_taken {
            client.want(ZERO, vec![tip()], vec![]).unwrap();
        }
    }
    let mut client = Client::new(plain(), ZERO);
    client.handle_bytes(ZERO, greeting("").into()).unwrap();
    client.poll_action().unwrap();
    client.want(ZERO, vec![id(7)], vec![]).unwrap();
}
