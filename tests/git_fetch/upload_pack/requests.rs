//! What the driver is asked, for each way in which a client may ask; and the longest that a client may say.

use bytes::Bytes;
use portline::git::fetch::server::{Action, Config, DeepenRequest, Error, Outcome, Server, WantPolicy};
use portline::git::{Depth, Misuse, ObjectId, Ref, Serving, SessionError, ShallowUpdate};
use portline::{Instant, limits};

use super::hostile;
use super::version2_hostile::{config, drain, give, id, main_id, name, ready};

const NOW: Instant = Instant::ZERO;

fn refs() -> Vec<Ref> {
    vec![Ref::new(name("refs/heads/main"), main_id())]
}

/// Answers questions about objects, all of which are there, up to another question.
fn next(server: &mut Server) -> Option<Action> {
    loop {
        match server.poll_action() {
            Some(Action::FindObjects(ids)) => server.objects_found(NOW, ids).unwrap(),
            action => return action,
        }
    }
}

/// A server of version 2 that has listed its refs for the client.
fn listed(config: Config, prefixes: &[&str]) -> Server {
    let mut server = ready(config);
    give(&mut server, &["command=ls-refs", "|"]).unwrap();
    give(&mut server, prefixes).unwrap();
    give(&mut server, &["-"]).unwrap();
    let asked = server.poll_action();
    assert_eq!(asked == Some(Action::ListRefs), prefixes.is_empty(), "{asked:?}");
    server.refs_listed(NOW, refs()).unwrap();
    drain(&mut server);
    server
}

fn border(tips: Vec<ObjectId>, shallow: &[usize], to: Depth) -> DeepenRequest {
    let shallow = shallow.iter().map(|number| id(*number)).collect();
    DeepenRequest { wants: vec![main_id()], shallow, tips, to, not: vec![] }
}

/// SHALLOW-4, SHALLOW-5, T15: the driver is told what the client may see where that decides, and only there.
#[test]
fn shallow_5_tips_are_told_only_where_they_decide() {
    let shallow = &format!("shallow {}", id(1))[..];
    let all = Depth::Commits(Depth::INFINITE);
    for (lines, to, matters) in [
        (&["deepen 3"][..], Depth::Commits(3), false),
        (&[shallow, "deepen 3"], Depth::Commits(3), false),
        (&["deepen 2147483647"], all, false),
        (&[shallow, "deepen 2147483647"], all, true),
        (&[shallow, "deepen-relative", "deepen 2"], Depth::Further(2), true),
        (&["deepen-relative", "deepen 2"], Depth::Further(2), false),
        (&[shallow, "deepen-relative", "deepen-since 5"], Depth::Since(5), false),
    ] {
        for policy in [WantPolicy::Advertised, WantPolicy::Any] {
            let mut server = listed(Config { wants: policy, ..config() }, &[]);
            give(&mut server, &["command=fetch", "|", "want MAIN"]).unwrap();
            give(&mut server, lines).unwrap();
            give(&mut server, &["done", "-"]).unwrap();
            // Where everything may be wanted, everything may be seen.
            let is_told = matters && policy == WantPolicy::Advertised;
            let tips = if is_told { vec![main_id()] } else { vec![] };
            let border = if lines[0] == shallow { &[1][..] } else { &[] };
            let asked = Action::Deepen(self::border(tips, border, to));
            assert_eq!(next(&mut server), Some(asked), "{lines:?} {policy:?}");
        }
    }
}

/// SHALLOW-4: in versions 0 and 1 a capability, on any of the want lines, says that the depth is relative.
#[test]
fn shallow_4_a_relative_depth_in_version_0() {
    for (first, second) in [("deepen-relative", ""), ("", "deepen-relative")] {
        let mut server = hostile::ready(Config::default());
        let wants = [first, second].map(|capability| format!("want MAIN {capability}"));
        let shallow = format!("shallow {}", id(1));
        give(&mut server, &[&wants[0], &wants[1], &shallow, "deepen 2", "-"]).unwrap();
        let asked = border(vec![main_id()], &[1], Depth::Further(2));
        assert_eq!(next(&mut server), Some(Action::Deepen(asked)));
    }
}

/// V2S-11: once all refs are listed what is none of them is refused unasked.
#[test]
fn v2s_11_a_whole_listing_is_all_there_is() {
    let mut server = listed(config(), &[]);
    let want = format!("want {}", id(5));
    let refused = give(&mut server, &["command=fetch", "|", &want, "done", "-"]);
    assert_eq!(refused, Err(Error::NotOurRef { id: id(5) }));
    assert_eq!(server.poll_action(), Some(Action::Failed(Error::NotOurRef { id: id(5) })));
}

/// V2S-11: what was listed is known, and what was not may be there all the same.
#[test]
fn v2s_11_a_listing_of_some_refs_is_those() {
    let prefix = &["ref-prefix refs/heads/"];
    let mut server = listed(config(), prefix);
    give(&mut server, &["command=fetch", "|", "want MAIN", "done", "-"]).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));
    let mut server = listed(config(), prefix);
    let want = format!("want {}", id(5));
    give(&mut server, &["command=fetch", "|", &want, "done", "-"]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    let more = [refs(), vec![Ref::new(name("refs/tags/v1"), id(5))]].concat();
    server.refs_listed(NOW, more).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::BuildPack(_))));
}

/// V2S-3: what the client calls itself and its session is kept where we said as much, and unknown where we did not.
#[test]
fn v2s_3_the_clients_names_in_version_2() {
    let mut server = ready(Config { session_id: Some("ours".into()), ..config() });
    give(&mut server, &["command=ls-refs", "agent=a/1", "session-id=theirs", "-"]).unwrap();
    assert_eq!(server.client_agent(), Some(&Bytes::from_static(b"a/1")));
    assert_eq!(server.client_session_id(), Some(&Bytes::from_static(b"theirs")));
    for word in ["agent=a/1", "session-id=theirs"] {
        let mut server = ready(Config { agent: None, session_id: None, ..config() });
        let unknown = Error::UnknownCapability { line: word.into() };
        assert_eq!(give(&mut server, &["command=ls-refs", word]), Err(unknown));
    }
}

/// FETCH-47, V2S-18: only what has haves is a round, with or without a flush.
#[test]
fn fetch_47_a_round_is_one_that_has_haves() {
    let finish = |server: &mut Server| {
        assert!(matches!(next(server), Some(Action::BuildPack(_))) && server.wants_pack());
        server.pack_chunk(NOW, Bytes::from_static(b"PACK")).unwrap();
        server.pack_finished(NOW).unwrap();
        assert!(!server.wants_pack());
    };
    let pack = Outcome { pack: true, wants: 1, ..Outcome::default() };
    for (haves, rounds) in [(&[][..], 0), (&["have MAIN"], 1)] {
        let found = Outcome { haves: rounds, common: rounds, rounds, ..pack };
        let mut server = hostile::ready(Config::default());
        assert!(!server.wants_pack());
        give(&mut server, &["want MAIN", "-"]).unwrap();
        give(&mut server, haves).unwrap();
        give(&mut server, &["done"]).unwrap();
        finish(&mut server);
        assert_eq!(server.poll_action(), Some(Action::Finished(found)));
        let mut server = listed(config(), &[]);
        give(&mut server, &["command=fetch", "|", "want MAIN"]).unwrap();
        give(&mut server, haves).unwrap();
        give(&mut server, &["done", "-"]).unwrap();
        finish(&mut server);
        give(&mut server, &["-"]).unwrap();
        assert_eq!(server.poll_action(), Some(Action::Finished(Outcome { requests: 2, ..found })));
    }
}

/// V2S-23: a client that reads the shallow lines first says nothing more; one that has said haves owes the rest.
#[test]
fn v2s_23_the_end_of_input_behind_the_wants_ends_a_request_well() {
    let asked = || {
        let mut server = Server::new(Config { serving: Serving::Request, ..Config::default() }, NOW);
        give(&mut server, &["want MAIN", "deepen 1", "-"]).unwrap();
        assert_eq!(server.poll_action(), Some(Action::ListRefs));
        server.refs_listed(NOW, refs()).unwrap();
        assert!(matches!(server.poll_action(), Some(Action::Deepen(_))));
        let update = ShallowUpdate { shallow: vec![main_id()], unshallow: vec![] };
        server.deepened(NOW, update).unwrap();
        assert_eq!(drain(&mut server), format!("0034shallow {}0000", main_id()).as_bytes());
        server
    };
    let mut server = asked();
    server.handle_closed(NOW).unwrap();
    let end = Outcome { wants: 1, ..Outcome::default() };
    assert_eq!(server.poll_action(), Some(Action::Finished(end)));
    let mut server = asked();
    give(&mut server, &["have MAIN"]).unwrap();
    let error = SessionError::Ended { expected: "a have line, a flush packet or done" };
    assert_eq!(server.handle_closed(NOW), Err(error.into()));
}

/// FETCH-38: who has said why it goes is told nothing more.
#[test]
fn fetch_38_the_clients_own_error_is_not_answered() {
    for mut server in [hostile::ready(Config::default()), ready(config())] {
        let error: Error = SessionError::Remote { message: "no".into() }.into();
        assert_eq!(give(&mut server, &["ERR no"]), Err(error));
        assert_eq!(drain(&mut server), b"");
    }
}

/// T10, V2S-14, SHALLOW-3: names as long as a ref's may be, and one byte more.
#[test]
fn v2s_14_the_longest_name_of_a_ref_is_looked_up() {
    let long = format!("refs/heads/{}", "x".repeat(limits::REF_NAME - "refs/heads/".len()));
    let start = long[..80].to_owned();
    let all = || Config { ref_in_want: true, ..config() };
    for word in ["want-ref", "deepen-not"] {
        let mut server = ready(all());
        let line = format!("{word} {long}");
        give(&mut server, &["command=fetch", "|", &line, "want MAIN", "done", "-"]).unwrap();
        assert_eq!(server.poll_action(), Some(Action::ListRefs));
        server.refs_listed(NOW, [refs(), vec![Ref::new(name(&long), id(3))]].concat()).unwrap();
        let found = match server.poll_action() {
            Some(Action::BuildPack(request)) => request.wants,
            Some(Action::Deepen(request)) => request.not,
            other => panic!("{other:?}"),
        };
        assert!(found.contains(&id(3)));
        let name = Bytes::from(start.clone());
        let error = match word {
            "want-ref" => Error::UnknownRef { name },
            _ => Error::DeepenNot { name },
        };
        assert_eq!(give(&mut ready(all()), &["command=fetch", "|", &format!("{line}x")]), Err(error));
    }
}

/// T10, V2S-5: to the byte.
#[test]
fn v2s_5_prefixes_are_used_up_to_the_limit() {
    let prefix = format!("refs/heads/{}", "x".repeat(limits::REF_NAME - "refs/heads/".len()));
    let line = format!("ref-prefix {prefix}");
    for more in [false, true] {
        let mut server = ready(config());
        give(&mut server, &["command=ls-refs", "|"]).unwrap();
        for _ in 0..limits::REF_PREFIX_BYTES / limits::REF_NAME {
            give(&mut server, &[&line]).unwrap();
        }
        if more {
            give(&mut server, &["ref-prefix r"]).unwrap();
        }
        give(&mut server, &["-"]).unwrap();
        let some = Action::ListRefsBelow(vec![prefix.clone().into()]);
        assert_eq!(server.poll_action(), Some(if more { Action::ListRefs } else { some }));
    }
}

/// T17, V2S-15: a URI as long as one may be, and one byte more.
#[test]
fn v2s_15_the_longest_uri_of_a_pack() {
    let setup = Config { wants: WantPolicy::Any, sideband_all: true, packfile_uris: true, ..config() };
    let mut server = ready(setup);
    let lines = ["command=fetch", "|", "sideband-all", "packfile-uris https", "want MAIN", "done", "-"];
    give(&mut server, &lines).unwrap();
    assert!(matches!(next(&mut server), Some(Action::BuildPack(_))));
    let uri = |length: usize| Bytes::from("x".repeat(length));
    let long = server.packfile_uri(NOW, main_id(), uri(limits::CAPABILITY_VALUE + 1));
    assert!(matches!(long, Err(Misuse::Argument { .. })));
    server.packfile_uri(NOW, main_id(), uri(limits::CAPABILITY_VALUE)).unwrap();
}
