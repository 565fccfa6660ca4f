//! The answers of a server of version 2: acknowledgements, the sections before the pack, questions on request.

use portline::git::fetch::client::{Action, BundleLine, Client, Config, Error, ObjectInfo, PackUri};
use portline::git::{Commit, Deepen, Depth, Misuse, RefName, SessionError, ShallowUpdate};
use portline::{limits, pkt};

use super::{ALL, PACK, command, greeting, ls_refs, plain, quick, unexpected, want};
use crate::harness::{
    self, Repo, Seen, TIP, ZERO, clone_of_tip, drain, feed, id, line, many_tips, play, tip,
};

fn acks(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|one| line(one)).collect();
    line("acknowledgments") + &lines
}

fn ack(n: u8) -> String {
    format!("ACK {}", id(n))
}

/// V2C-11, V2C-14: rounds repeat the wants and what is common; the server that is ready sends the pack at once.
#[test]
fn v2c_11_a_round_its_answer_and_the_pack() {
    let server = greeting("")
        + &acks(&["NAK"])
        + "0000"
        + &acks(&[&ack(18), "ready"])
        + "0001"
        + &line("packfile")
        + PACK;
    let seen = play(
        Config { max_rounds: 8, ..plain() },
        &Repo { tips: (1..=60).map(id).collect(), ..many_tips() },
        server,
    );
    let head = command("fetch") + &want(TIP);
    assert_eq!(seen.writes.len(), 3);
    for request in &seen.writes[1..3] {
        assert!(request.starts_with(head.as_bytes()) && request.ends_with(b"\n0000"));
    }
    let outcome = seen.outcome();
    assert_eq!((outcome.rounds, outcome.haves, outcome.common.as_slice()), (2, 48, &[id(18)][..]));

    // Not ready, but it has something: that have goes out again, first.
    let mut first = None;
    let server = greeting("") + &acks(&[&ack(3)]) + "0000" + &line("packfile") + PACK;
    let seen = play(plain(), &many_tips(), server);
    for request in seen.writes.iter().map(|sent| String::from_utf8_lossy(sent).into_owned()) {
        if request.contains("done") {
            first = request.lines().find(|line| line.contains("have ")).map(str::to_owned);
        }
    }
    assert_eq!(first, Some(format!("0032have {}", id(3))));
    assert_eq!((seen.outcome().rounds, seen.outcome().haves), (2, 21), "20, and one again");
}

/// V2C-11: what the section does not allow.
#[test]
fn v2c_11_answers_out_of_place_are_refused() {
    let start = greeting("");
    let play = |rest: String| quick(plain(), &many_tips(), start.clone() + &rest);
    let known = ack(3);
    let heading = "the section acknowledgments";
    let inside = "an ACK, NAK or ready line, or the end of the section";
    for (rest, expected) in [
        (line("packfile"), heading),
        ("0000".to_owned(), heading),
        (line("NAK"), heading),
        (acks(&["NACK"]), inside),
        (acks(&["ACK 1"]), inside),
        (acks(&[&format!("{known} common")]), inside),
        (acks(&[&known]) + "0001", inside),
        (acks(&[&known]) + "0002", inside),
        (acks(&[&known, "ready"]) + "0000", inside),
        (acks(&[&known, "ready", "NAK"]), inside),
    ] {
        assert_eq!(unexpected(&play(rest.clone())).0, expected, "{rest}");
    }
    assert_eq!(*play(acks(&[&ack(0x99)])).error(), Error::UnknownAck { id: id(0x99) });
    assert_eq!(*play(acks(&["ready"])).error(), Error::ReadyWithoutCommon);
    let flood = play(acks(&[&known[..]; 18]));
    let what = "acknowledgements in one answer";
    assert_eq!(*flood.error(), Error::Session(SessionError::TooMany { what, limit: 17 }));
    let refused = play(line("ERR upload-pack: no"));
    assert_eq!(*refused.error(), Error::Session(SessionError::Remote { message: "upload-pack: no".into() }));
}

/// V2C-23.
#[test]
fn v2c_23_wait_for_done_is_sent_where_it_was_asked_for() {
    let config = Config { wait_for_done: true, ..plain() };
    let seen = play(config, &clone_of_tip(), greeting(ALL) + &line("packfile") + PACK);
    assert_eq!(seen.writes[1], command("fetch") + &line("wait-for-done") + &want(TIP) + "0009done\n0000");
}

fn uris() -> Config {
    let deepen = Deepen { to: Depth::Commits(1), not: vec![] };
    Config { packfile_uris: vec!["https".into(), "http".into()], shallow: vec![id(5)], deepen, ..plain() }
}

/// V2C-12, V2C-20, SHALLOWC-4: each section in its place, in Git's order and in that of Git's documentation.
#[test]
fn v2c_12_the_sections_before_the_pack() {
    let shallow = line("shallow-info")
        + &line(&format!("shallow {}", id(1)))
        + &line(&format!("unshallow {}", id(5)))
        + "0001";
    let uri = line("packfile-uris") + &line(&format!("{} https://a/b c", id(9))) + "0001";
    let wanted = line("wanted-refs") + &line(&format!("{} refs/heads/main", id(8))) + "0001";
    for sections in [shallow.clone() + &wanted + &uri, wanted.clone() + &shallow + &uri] {
        let server = greeting(ALL) + &sections + &line("packfile") + PACK;
        let (mut client, mut seen) = (Client::new(uris(), ZERO), Seen::default());
        client.handle_bytes(ZERO, server.into()).unwrap();
        assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
        let name = RefName::new("refs/heads/main").unwrap();
        client.want_refs(ZERO, vec![name.clone()], vec![], vec![]).unwrap();
        drain(&mut client, &Repo::default(), &mut seen);
        assert!(
            seen.sent().contains(&(line("packfile-uris https,http") + &line("want-ref refs/heads/main")))
        );
        let update = ShallowUpdate { shallow: vec![id(1)], unshallow: vec![id(5)] };
        let mut told = vec![Action::Shallow(update), Action::WantedRefs(vec![(name, id(8))])];
        if sections.starts_with(&wanted) {
            told.swap(0, 1);
        }
        told.push(Action::PackUris(vec![PackUri { hash: id(9), uri: "https://a/b c".into() }]));
        assert_eq!(seen.told, told);
        assert_eq!(seen.outcome().wants, 1);
    }
    let session = |rest: String| quick(uris(), &clone_of_tip(), greeting(ALL) + &rest);
    let section = "a section of the answer to fetch";
    let border = "a line of shallow-info, or its delimiter";
    let line_of_uris = "a line of packfile-uris, or its delimiter";
    for (rest, expected) in [
        (shallow.clone() + &shallow, section),
        (uri.clone() + &shallow, section),
        (uri.clone() + &uri, section),
        (wanted, section),
        (line("acknowledgments"), section),
        (line("Packfile"), section),
        ("0000".to_owned(), section),
        ("0001".to_owned(), section),
        (shallow.clone() + "0001", section),
        (line("shallow-info") + "0000", border),
        (line("shallow-info") + &line("packfile"), border),
        (line("shallow-info") + &line("shallow 12"), border),
        (line("packfile-uris") + &line("x https://a"), line_of_uris),
        (line("packfile-uris") + &line(&format!("{} ", id(1))), line_of_uris),
        (line("packfile-uris") + "0002", line_of_uris),
    ] {
        assert_eq!(unexpected(&session(rest.clone())).0, expected, "{rest}");
    }
    let strange = session(line("shallow-info") + &line(&format!("unshallow {}", id(6))));
    assert_eq!(*strange.error(), Error::UnknownUnshallow { id: id(6) });
    let many = line("packfile-uris") + &line(&format!("{} u", id(1))).repeat(limits::URIS + 1);
    let seen = feed(uris(), &clone_of_tip(), (greeting(ALL) + &many).as_bytes(), 1 << 20);
    let what = "packfile URIs";
    assert_eq!(*seen.error(), Error::Session(SessionError::TooMany { what, limit: limits::URIS }));
}

/// V2C-12, V2C-20: URIs that nobody asked for have no place, and none are nothing to tell.
#[test]
fn v2c_20_uris_only_where_they_were_asked_for() {
    let uri = line("packfile-uris") + &line(&format!("{} https://a", id(9))) + "0001";
    let seen = quick(plain(), &clone_of_tip(), greeting(ALL) + &uri + &line("packfile") + PACK);
    assert_eq!(unexpected(&seen).0, "a section of the answer to fetch");
    let config = Config { packfile_uris: vec!["https".into()], ..plain() };
    let none = line("packfile-uris") + "0001" + &line("packfile") + PACK;
    let seen = quick(config, &clone_of_tip(), greeting(ALL) + &none);
    assert_eq!((seen.told.as_slice(), seen.pack.as_slice()), (&[][..], &b"PACK"[..]));
}

/// RESUME-4, FETCH-19: that all of the pack follows is not yet a byte of it.
#[test]
fn resume_4_a_pack_that_is_only_announced_is_none() {
    let start = greeting("portline-resume") + &line("packfile") + "0011\x01000cresume 0";
    let seen = quick(plain(), &clone_of_tip(), start.clone() + "0000");
    assert_eq!(unexpected(&seen), ("the pack", "0000".to_owned()));
    let seen = quick(plain(), &clone_of_tip(), start + PACK);
    assert_eq!((seen.pack.as_slice(), seen.outcome().resumed), (&b"PACK"[..], 0));
}

/// V2C-19: refs wanted by name are told, all of them and no others.
#[test]
fn v2c_19_refs_wanted_by_name() {
    let names = [RefName::new("refs/heads/a").unwrap(), RefName::new("refs/heads/b").unwrap()];
    let session = |rest: String| {
        let (mut client, mut seen) = (Client::new(plain(), ZERO), Seen::default());
        client.handle_bytes(ZERO, (greeting("ref-in-want") + &rest).into()).unwrap();
        client.poll_action().unwrap();
        client.want_refs(ZERO, names.to_vec(), vec![tip()], vec![]).unwrap();
        drain(&mut client, &Repo::default(), &mut seen);
        seen
    };
    let told = |name: &str| line(&format!("{} {name}", id(4)));
    let both = line("wanted-refs") + &told("refs/heads/b") + &told("refs/heads/a");
    let seen = session(both.clone() + "0001" + &line("packfile") + PACK);
    assert_eq!(seen.outcome().wants, 3);
    let one = session(line("wanted-refs") + &told("refs/heads/a") + "0001" + &line("packfile"));
    assert_eq!(*one.error(), Error::MissingRef);
    assert_eq!(*session(line("packfile")).error(), Error::MissingRef);
    for strange in ["refs/heads/c", "refs/heads/a"] {
        let name = RefName::new(strange).unwrap();
        assert_eq!(*session(both.clone() + &told(strange)).error(), Error::UnwantedRef { name });
    }
    let bad = session(line("wanted-refs") + &told("refs/heads/a b"));
    assert_eq!(unexpected(&bad).0, "a line of wanted-refs, or its delimiter");
    // Without the server's offer it is a misuse.
    let mut client = Client::new(plain(), ZERO);
    client.handle_bytes(ZERO, greeting("").into()).unwrap();
    client.poll_action().unwrap();
    let refused = client.want_refs(ZERO, names.to_vec(), vec![], vec![]);
    assert!(matches!(refused, Err(Misuse::Argument { verb: "want_refs", .. })));
}

/// SHALLOWC-6: without a depth the border is the server's; with `unshallow` it is ours.
#[test]
fn shallowc_6_whose_border_it_is() {
    let info =
        |lines: &str| greeting("shallow") + &line("shallow-info") + lines + "0001" + &line("packfile") + PACK;
    let shallow = line(&format!("shallow {}", id(1)));
    let config = Config { shallow: vec![id(5)], ..plain() };
    let seen = play(config.clone(), &clone_of_tip(), info(&shallow));
    assert_eq!(seen.told, [Action::RemoteShallow(vec![id(1)])]);
    let seen =
        play(config.clone(), &clone_of_tip(), info(&(shallow + &line(&format!("unshallow {}", id(5))))));
    let update = ShallowUpdate { shallow: vec![id(1)], unshallow: vec![id(5)] };
    assert_eq!(seen.told, [Action::Shallow(update)]);
    assert_eq!(play(config, &clone_of_tip(), info("")).told, []);
}

/// SHALLOWC-3: at the border history ends, whatever the driver tells.
#[test]
fn shallowc_3_the_border_has_no_parents() {
    let mut client = Client::new(Config { shallow: vec![id(2)], ..plain() }, ZERO);
    client.handle_bytes(ZERO, greeting("shallow").into()).unwrap();
    client.poll_action().unwrap();
    client.want(ZERO, vec![tip()], vec![id(1)]).unwrap();
    client.poll_action().unwrap();
    client.held(ZERO, vec![]).unwrap();
    let commit = |n: u8| Commit { id: id(n), parents: vec![id(n + 1)].into(), time: i64::from(100 - n) };
    assert_eq!(client.poll_action(), Some(Action::LoadCommits(vec![id(1)])));
    client.commits(ZERO, vec![commit(1)]).unwrap();
    assert_eq!(client.poll_action(), Some(Action::LoadCommits(vec![id(2)])));
    client.commits(ZERO, vec![commit(2), commit(3)]).unwrap();
    assert_eq!(client.poll_action(), None, "nothing behind the border is asked for");
    let mut sent = String::new();
    while let Some(bytes) = client.poll_transmit() {
        sent += &String::from_utf8_lossy(&bytes.into_bytes());
    }
    assert!(sent.contains(&id(2).to_string()) && !sent.contains(&id(3).to_string()), "{sent}");
}

/// V2C-16: lines on band 1, progress between them, empty packets, a fatal word.
#[test]
fn v2c_16_everything_in_a_sideband() {
    let band = |band: char, text: &str| format!("{:04x}{band}{text}", text.len() + 5);
    let one = |text: &str| band('\x01', &format!("{text}\n"));
    let start = greeting("sideband-all");
    let config = Config { sideband_all: true, ..plain() };
    let server = start.clone()
        + &band('\x02', "Counting\r")
        + &one("acknowledgments")
        + "0005\x01"
        + &one(&ack(3))
        + "0005\x02"
        + &one("ready")
        + "0001"
        + &one("packfile")
        + PACK;
    let seen = play(config.clone(), &many_tips(), server);
    assert_eq!((seen.progress.as_slice(), seen.pack.as_slice()), (&b"Counting\r"[..], &b"PACK"[..]));
    assert!(seen.sent().contains(&line("sideband-all")));
    for (rest, error) in [
        (band('\x03', "no\n"), SessionError::Remote { message: "no".into() }),
        (one("ERR no"), SessionError::Remote { message: "no".into() }),
        (line("ERR no"), SessionError::Remote { message: "no".into() }),
        (line("acknowledgments"), SessionError::Pkt(pkt::Error::UnknownBand { band: b'a' })),
        ("0004".to_owned(), SessionError::Pkt(pkt::Error::MissingBand)),
        (
            "0005\x01".repeat(4097),
            SessionError::Pkt(pkt::Error::TooManyEmpty { limit: limits::EMPTY_PACKETS }),
        ),
    ] {
        let seen = quick(config.clone(), &many_tips(), start.clone() + &rest);
        assert_eq!(*seen.error(), Error::Session(error), "{rest}");
    }
    // Each of these is the end of a row, which was as long as it may be: progress, a line, a special packet.
    let empty = "0005\x01".repeat(4096);
    let server = start
        + &empty
        + &band('\x02', "Counting\r")
        + &empty
        + &one("acknowledgments")
        + &one(&ack(3))
        + &one("ready")
        + &empty
        + "0001"
        + &empty
        + &one("packfile")
        + PACK;
    assert_eq!(quick(config, &many_tips(), server).pack, b"PACK");
}

/// V2C-17, V2C-18: questions that are asked only on request, and the session goes on.
#[test]
fn v2c_17_18_object_info_and_bundle_uri() {
    let sizes = line("size") + &line(&format!("{} 12", id(1))) + &line(&format!("{} ", id(2))) + "0000";
    let bundles = line("bundle.version=1") + &line("bundle.a.uri=https://x/?y=z") + "0000";
    let ask = |server: &str| {
        let (mut client, mut seen) = (Client::new(plain(), ZERO), Seen::default());
        client.handle_bytes(ZERO, server.to_owned().into()).unwrap();
        assert!(matches!(client.poll_action(), Some(Action::Advertised(_))));
        client.object_info(ZERO, &[id(1), id(2)]).unwrap();
        while let Some(action) = client.poll_action() {
            match action {
                Action::ObjectInfo(told) => {
                    seen.told.push(Action::ObjectInfo(told));
                    client.bundle_uri(ZERO).unwrap();
                }
                Action::Bundles(told) => {
                    seen.told.push(Action::Bundles(told));
                    client.want(ZERO, vec![], vec![]).unwrap();
                }
                Action::Finished(outcome) => seen.end = Some(Ok(outcome)),
                Action::Failed(error) => seen.end = Some(Err(error)),
                other => panic!("{other:?}"),
            }
        }
        while let Some(transmit) = client.poll_transmit() {
            seen.writes.push(transmit.into_bytes());
        }
        seen
    };
    let seen = ask(&(greeting("") + &sizes + &bundles));
    let infos = vec![ObjectInfo { id: id(1), size: Some(12) }, ObjectInfo { id: id(2), size: None }];
    let lines = vec![
        BundleLine { key: "bundle.version".into(), value: "1".into() },
        BundleLine { key: "bundle.a.uri".into(), value: "https://x/?y=z".into() },
    ];
    assert_eq!(seen.told, [Action::ObjectInfo(infos), Action::Bundles(lines)]);
    let oids = line(&format!("oid {}", id(1))) + &line(&format!("oid {}", id(2)));
    let asked = command("object-info") + &line("size") + &oids + "0000";
    assert_eq!(seen.sent(), ls_refs() + &asked + &command("bundle-uri") + "0000" + "0000");

    for (bad, expected) in [
        (line("length"), "the attribute size of object-info"),
        ("0000".to_owned(), "the attribute size of object-info"),
        (line("size") + &line("x 1"), "an object of object-info, or its flush"),
        (line("size") + &line(&format!("{} -1", id(1))), "an object of object-info, or its flush"),
        (line("size") + "0001", "an object of object-info, or its flush"),
        (sizes.clone() + &line("novalue"), "a line of bundle-uri, or its flush"),
        (sizes.clone() + &line("=nokey"), "a line of bundle-uri, or its flush"),
    ] {
        assert_eq!(unexpected(&ask(&(greeting("") + &bad))).0, expected, "{bad}");
    }
    let many = line("size") + &line(&format!("{} 1", id(1))).repeat(3);
    let what = "objects in the answer of object-info";
    let error = ask(&(greeting("") + &many)).error().clone();
    assert_eq!(error, Error::Session(SessionError::TooMany { what, limit: 2 }));
}

/// V2C-17, V2C-18.
#[test]
fn v2c_17_18_questions_that_a_server_does_not_take() {
    // Where they are not offered, and in the older versions.
    for server in [
        line("version 2") + &line("ls-refs") + &line("fetch") + "0000" + "0000",
        harness::advertise("object-info bundle-uri"),
    ] {
        let mut client = Client::new(plain(), ZERO);
        client.handle_bytes(ZERO, server.into()).unwrap();
        client.poll_action().unwrap();
        assert!(matches!(client.object_info(ZERO, &[]), Err(Misuse::Argument { verb: "object_info", .. })));
        assert!(matches!(client.bundle_uri(ZERO), Err(Misuse::Argument { verb: "bundle_uri", .. })));
    }
}

/// V2C-13, GIT-11: wherever the input ends, there is one error that says what should have come.
#[test]
fn v2c_13_the_end_of_input_names_what_was_expected() {
    let start = greeting("shallow");
    let ready = acks(&[&ack(3), "ready"]) + "0001";
    for (rest, expected) in [
        (String::new(), "the section acknowledgments"),
        (line("acknowledgments"), "an ACK, NAK or ready line, or the end of the section"),
        (ready.clone(), "a section of the answer to fetch"),
        (ready.clone() + &line("shallow-info"), "a line of shallow-info, or its delimiter"),
        (ready.clone() + &line("packfile"), "the pack"),
        (ready.clone() + &line("packfile") + "0006\x01x", "the rest of the pack"),
    ] {
        let error = feed(plain(), &many_tips(), (start.clone() + &rest).as_bytes(), 9).error().clone();
        assert_eq!(error, Error::Session(SessionError::Ended { expected }), "{rest}");
    }
    let whole = start + &ready + &line("packfile") + PACK;
    for cut in 0..whole.len() {
        let seen = feed(plain(), &many_tips(), &whole.as_bytes()[..cut], 1000);
        assert!(seen.end.unwrap().is_err(), "cut at {cut}");
    }
}
