//! Certificates, rewritten updates, views, borders and single requests, byte for byte on both push machines
//! (PUSH-21 to PUSH-28, GIT-22).

use std::time::Duration;

use crate::push_support::server::{NOW, Script};
use crate::push_support::{EMPTY_PACK, ID, NULL, OTHER, demultiplex, id, name, pkt, pkts, splits};
use bytes::Bytes;
use portline::git::push::client::{self, Client, Signing};
use portline::git::push::report::Updated;
use portline::git::push::server::{Action, Config, Error, Outcome, Server};
use portline::git::push::{Command, NonceStatus};
use portline::git::{HiddenRefs, Misuse, Ref, RefView, Serving, SessionError};
use portline::pkt::MAX_DATA;
use portline::{Blame, Instant, Transmit, limits};

const SIGNATURE: [&str; 3] = ["-----BEGIN SSH SIGNATURE-----\n", "U1NI\n", "-----END SSH SIGNATURE-----\n"];

/// A certificate in packets, up to its flush.
fn certificate(caps: &str, header: &[&str], commands: &[&str]) -> Vec<u8> {
    let mut lines = vec!["certificate version 0.1\n", "pusher A <a@b> 1 +0000\n"];
    lines.extend(header);
    lines.push("\n");
    lines.extend(commands);
    lines.extend(SIGNATURE);
    lines.extend(["push-cert-end\n", ""]);
    [pkt(format!("push-cert\0{caps}")), pkts(&lines)].concat()
}

fn taken(server: &mut Server) -> Vec<u8> {
    std::iter::from_fn(|| server.poll_transmit()).flat_map(Transmit::into_bytes).collect()
}

/// A server that waits for the results of the commands.
fn updating(config: Config, input: &[u8]) -> Server {
    let mut server = Server::new(config, NOW);
    assert_eq!(server.poll_action(), Some(Action::ListRefs));
    server.refs_listed(NOW, vec![], vec![]).unwrap();
    taken(&mut server);
    server.handle_bytes(NOW, Bytes::copy_from_slice(input)).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::UpdateRefs(_))));
    server
}

#[test]
fn push_21_a_command_may_become_other_updates() {
    let delete = |of: &str, caps: &str| pkt(format!("{ID} {NULL} {of}{caps}"));
    let results = || {
        let other = Updated {
            name: Some(name("refs/changes/1")),
            old: Some(id(OTHER)),
            new: Some(id(ID)),
            forced: true,
        };
        let second = Updated { name: Some(name("refs/changes/2")), ..Updated::default() };
        vec![Ok(vec![other, second]), Ok(vec![]), Err("no".into())]
    };
    for (caps, options) in
        [("report-status-v2", true), ("report-status-v2 atomic", true), ("report-status", false)]
    {
        let input = [
            delete("refs/for/a", &format!("\0{caps}")),
            delete("refs/heads/b", ""),
            delete("refs/heads/c", ""),
            b"0000".to_vec(),
        ];
        let mut server = updating(Config::default(), &input.concat());
        server.refs_rewritten(NOW, results()).unwrap();
        let mut expected = pkts(&["unpack ok\n", "ok refs/for/a\n"]);
        if options {
            expected.extend(pkts(&[
                "option refname refs/changes/1\n",
                &format!("option old-oid {OTHER}\n"),
                &format!("option new-oid {ID}\n"),
                "option forced-update\n",
                "ok refs/for/a\n",
                "option refname refs/changes/2\n",
            ]));
        }
        expected.extend(pkts(&["ok refs/heads/b\n", "ng refs/heads/c no\n", ""]));
        assert_eq!(taken(&mut server).escape_ascii().to_string(), expected.escape_ascii().to_string());
        let outcome = Outcome { commands: 3, updated: 2, pack: false, reported: true };
        assert_eq!(server.poll_action(), Some(Action::Finished(outcome)));
    }
    let mut server = updating(Config::default(), &[delete("refs/for/a", ""), b"0000".to_vec()].concat());
    let sha256 = Updated { new: Some(id(&"1".repeat(64))), ..Updated::default() };
    assert!(matches!(server.refs_rewritten(NOW, vec![Ok(vec![sha256])]), Err(Misuse::Argument { .. })));
    server.refs_rewritten(NOW, vec![Ok(vec![])]).unwrap();
}

#[test]
fn push_22_the_report_leaves_before_what_follows_it() {
    let config = || Config { after_report: true, ..Config::default() };
    let input = pkts(&[&format!("{ID} {NULL} refs/heads/a\0report-status side-band-64k"), ""]);
    let mut server = updating(config(), &input);
    assert_eq!(server.done(NOW), Err(Misuse::NotAsked { verb: "done" }));
    server.refs_updated(NOW, vec![Ok(())]).unwrap();
    assert_eq!(server.poll_action(), Some(Action::Reported));
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]);
    assert_eq!(taken(&mut server), pkt([&b"\x01"[..], &report].concat()));
    server.progress(NOW, "post-receive\n".into()).unwrap();
    assert_eq!(taken(&mut server), pkt("\x02post-receive\n"));
    let beat = server.poll_timeout().unwrap();
    assert_eq!(beat, Instant::ZERO.checked_add(Duration::from_secs(5)).unwrap());
    server.handle_timeout(beat);
    assert_eq!(taken(&mut server), b"0005\x01");
    assert!(!server.has_ended());
    server.done(beat).unwrap();
    assert_eq!((taken(&mut server), server.has_ended()), (b"0000".to_vec(), true));
    // Nothing was updated: nothing follows.
    let mut server = updating(config(), &input);
    server.refs_updated(NOW, vec![Err("no".into())]).unwrap();
    assert!(matches!(server.poll_action(), Some(Action::Finished(_))));
}

#[test]
fn push_23_refs_of_other_namespaces_are_objects_at_their_place() {
    let at = |of: &str, hex: &str| Ref::new(name(of), id(hex));
    let hidden = HiddenRefs::from_iter(["refs/hid", "^refs/secret"]);
    let mut script = Script {
        refs: vec![
            at("HEAD", ID),
            at("refs/heads/main", ID),
            at("refs/namespaces/n/HEAD", ID),
            at("refs/namespaces/n/refs/heads/x", OTHER),
            at("refs/namespaces/n/refs/hid/x", &"5".repeat(40)),
            at("refs/secret/x", &"4".repeat(40)),
            at("refs/tags/v1", &"3".repeat(40)),
            at("refs/tags/v2", OTHER),
        ],
        haves: vec![id(ID), id(&"6".repeat(40))],
        ..Script::default()
    };
    script.config.view = RefView::new(hidden).with_namespace(b"n").unwrap();
    script.config.shallow = vec![id(OTHER), id(ID), id(OTHER)];
    (script.config.agent, script.config.session_id) = (None, Some("me".into()));
    let caps = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta session-id=me object-format=sha1";
    let expected = pkts(&[
        &format!("{ID} .have\0{caps}\n"),
        &format!("{ID} HEAD\n"),
        &format!("{OTHER} refs/heads/x\n"),
        &format!("{} .have\n", "3".repeat(40)),
        &format!("{} .have\n", "6".repeat(40)),
        &format!("shallow {OTHER}\n"),
        &format!("shallow {ID}\n"),
        "",
    ]);
    let input = pkts(&[
        &format!("{ID} {NULL} refs/hid/x\0report-status"),
        &format!("{ID} {NULL} refs/hid/nowhere"),
        &format!("{ID} {NULL} refs/heads/x"),
        "",
    ]);
    let seen = script.whole(&input);
    let answer = pkts(&[
        "unpack ok\n",
        "ng refs/hid/x deny deleting a hidden ref\n",
        "ng refs/hid/nowhere deny deleting a hidden ref\n",
        "ok refs/heads/x\n",
        "",
    ]);
    assert_eq!(seen.wire.escape_ascii().to_string(), [expected, answer].concat().escape_ascii().to_string());
    assert_eq!(seen.updates()[0].commands, [Command::delete(name("refs/heads/x"), id(ID))]);
}

#[test]
fn push_24_the_commands_are_those_of_the_certificate_however_it_is_split() {
    let mut script = Script::default();
    (script.config.nonce, script.config.push_options) = (Some("17-ab".into()), true);
    let commands = [format!("{NULL} {ID} refs/heads/a\n"), format!("{ID} {NULL} refs/heads/b\n")];
    let header = ["pushee git://x/y\n", "nonce 17-ab\n", "push-option ci skip\n"];
    let caps = "report-status side-band-64k push-options session-id=you agent=git/x";
    let bytes = certificate(caps, &header, &[&commands[0], &commands[1]]);
    let input = [&bytes, &pkts(&["ci skip\n", ""])[..], EMPTY_PACK].concat();
    let seen = script.whole(&input);
    let update = seen.updates()[0];
    assert_eq!(
        update.commands,
        [Command::create(name("refs/heads/a"), id(ID)), Command::delete(name("refs/heads/b"), id(ID))]
    );
    let certificate = update.certificate.as_ref().unwrap();
    assert_eq!(certificate.nonce, NonceStatus::Ok);
    assert_eq!(certificate.signature(), SIGNATURE.concat().as_bytes());
    assert!(certificate.payload().ends_with(commands[1].as_bytes()));
    assert_eq!(certificate.header("pusher").next().unwrap(), b"A <a@b> 1 +0000");
    // PUSH-28.
    assert_eq!(
        (update.session_id.as_deref(), update.agent.as_deref()),
        (Some(&b"you"[..]), Some(&b"git/x"[..]))
    );
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", "ok refs/heads/b\n", ""]);
    assert_eq!(demultiplex(seen.answer()).0, report);
    for chunks in splits(&input) {
        assert_eq!(script.run(&chunks, false), seen);
    }
}

/// T10, T17, T21.
#[test]
fn push_24_what_is_not_signed_or_not_a_certificate_is_refused() {
    let command = format!("{ID} {NULL} refs/heads/a\n");
    let caps = "report-status push-options";
    let good = certificate(caps, &["push-option a\n"], &[&command]);
    let without_flush = &good[..good.len() - 4];
    let other = pkt(format!("{ID} {NULL} refs/heads/b"));
    let mut script = Script::default();
    script.config.push_options = true;
    let push = |input: &[u8]| script.whole(input);
    for input in [
        [without_flush, &other, b"0000"].concat(),
        [without_flush, &pkt(format!("{ID} {NULL} refs/heads/b\0atomic")), b"0000"].concat(),
    ] {
        assert_eq!(push(&input).result, Err(Error::MixedCommands));
    }
    // Before it, it is no command; a second one is none either.
    assert!(matches!(push(&[&other, &good[..]].concat()).result, Err(Error::Command { .. })));
    assert!(matches!(push(&[without_flush, &good].concat()).result, Err(Error::Command { .. })));
    let no_header = pkts(&["push-cert\0report-status", "certificate version 0.1\n", "push-cert-end\n", ""]);
    let nul = [pkt("push-cert\0"), pkt("nonce x\0y\n")].concat();
    for bad in [&no_header, &nul] {
        let seen = push(bad);
        let error = seen.result.clone().unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }) && error.blame() == Blame::Peer, "{error:?}");
        assert!(seen.answer().ends_with(&pkt(format!("ERR {error}\n"))));
    }
    let bad_command = certificate(caps, &[], &["what\n"]);
    assert_eq!(push(&bad_command).result, Err(Error::Command { line: "what".into() }));
    // The options: not those that were signed, or not in that order.
    let refused = pkts(&["unpack ok\n", "ng refs/heads/a inconsistent push options\n", ""]);
    for options in [pkts(&["b\n", ""]), pkts(&["a\n", "a\n", ""]), b"0000".to_vec()] {
        assert_eq!(push(&[&good[..], &options].concat()).answer(), refused);
    }
    let fine = push(&[&good[..], &pkts(&["a\n", ""])].concat());
    assert_eq!(fine.updates()[0].certificate.as_ref().unwrap().nonce, NonceStatus::Missing);
    script.config.max_commands = 1;
    let two = certificate(caps, &[], &[&command, &command.replace("heads/a", "heads/c")]);
    let limit = SessionError::TooMany { what: "commands in one push", limit: 1 };
    assert_eq!(script.whole(&two).result, Err(Error::Session(limit)));
}

/// The bytes that a client has sent.
fn sent(client: &mut Client) -> Vec<u8> {
    std::iter::from_fn(|| client.poll_transmit()).flat_map(Transmit::into_bytes).collect()
}

fn advertised(config: client::Config, caps: &str) -> Client {
    let mut client = Client::new(config, NOW);
    client.handle_bytes(NOW, pkts(&[&format!("{ID} refs/heads/a\0{caps}"), ""]).into()).unwrap();
    client
}

fn signing(required: bool) -> client::Config {
    let signing = Signing { pusher: "A <a@b> 1 +0000".into(), pushee: Some("git://x/y".into()), required };
    client::Config {
        signing: Some(signing),
        agent: None,
        push_options: vec!["o p".into()],
        ..client::Config::default()
    }
}

#[test]
fn push_25_the_client_sends_what_was_signed_and_nothing_beside_it() {
    let delete = || vec![Command::delete(name("refs/heads/a"), id(ID))];
    let caps = "report-status-v2 delete-refs side-band-64k push-options push-cert=17-ab";
    let mut client = advertised(signing(true), caps);
    assert!(matches!(client.poll_action(), Some(client::Action::Advertised(_))));
    client.push(NOW, delete()).unwrap();
    let Some(client::Action::Sign(text)) = client.poll_action() else { panic!("nothing to sign") };
    let expected = format!(
        "certificate version 0.1\npusher A <a@b> 1 +0000\npushee git://x/y\nnonce 17-ab\npush-option o p\n\n{ID} {NULL} refs/heads/a\n"
    );
    assert_eq!(text, expected);
    assert_eq!(sent(&mut client), b"");
    for bad in ["", "what", "-----BEGIN X\npush-cert-end\n", "-----BEGIN X\0"] {
        assert!(matches!(client.signed(NOW, bad.as_bytes()), Err(Misuse::Argument { .. })), "{bad:?}");
    }
    // A line of it is a packet.
    let long = |length: usize| format!("-----BEGIN X\n{}\n", "x".repeat(length));
    assert!(matches!(client.signed(NOW, long(MAX_DATA).as_bytes()), Err(Misuse::Argument { .. })));
    let mut other = advertised(signing(true), caps);
    other.poll_action();
    other.push(NOW, delete()).unwrap();
    other.poll_action();
    other.signed(NOW, long(MAX_DATA - 1).as_bytes()).unwrap();
    assert!(sent(&mut other).ends_with(b"xx\n0012push-cert-end\n00000008o p\n0000"));
    client.signed(NOW, SIGNATURE.concat().trim_end().as_bytes()).unwrap();
    let lines: Vec<&str> = expected.split_inclusive('\n').chain(SIGNATURE).collect();
    let list = "push-cert\0report-status-v2 side-band-64k push-options";
    let wire = [pkt(list), pkts(&lines), pkts(&["push-cert-end\n", "", "o p\n", ""])].concat();
    assert_eq!(sent(&mut client).escape_ascii().to_string(), wire.escape_ascii().to_string());
    assert!(client.has_sent_all());
    assert_eq!(client.signed(NOW, SIGNATURE.concat().as_bytes()), Err(Misuse::NotAsked { verb: "signed" }));
    // What the server reads of it is what was signed.
    let mut script = Script::default();
    (script.config.nonce, script.config.push_options) = (Some("17-ab".into()), true);
    let seen = script.whole(&wire);
    let certificate = seen.updates()[0].certificate.as_ref().unwrap();
    assert_eq!((certificate.payload(), certificate.nonce), (expected.as_bytes(), NonceStatus::Ok));
    assert_eq!(*certificate.text(), [&expected, &SIGNATURE.concat()[..]].concat());
}

#[test]
fn push_25_a_push_that_cannot_be_signed_sends_no_command() {
    let delete = || vec![Command::delete(name("refs/heads/a"), id(ID))];
    let base = "report-status delete-refs push-options";
    let failed = |config: client::Config, caps: &str| {
        let mut client = advertised(config, caps);
        client.poll_action();
        client.push(NOW, delete()).unwrap();
        assert_eq!(sent(&mut client), b"0000");
        match client.poll_action() {
            Some(client::Action::Failed(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let missing = failed(signing(true), base);
    assert_eq!(missing, client::Error::NotSupported { capability: "push-cert" });
    let long = "a".repeat(limits::NONCE);
    for nonce in [long.as_str(), "a;b", "a\x1b"] {
        let error = failed(signing(true), &format!("{base} push-cert={nonce}"));
        assert!(matches!(error, client::Error::Nonce { .. }) && error.blame() == Blame::Peer, "{nonce}");
    }
    let mut bad = signing(true);
    bad.signing.as_mut().unwrap().pushee = Some("git://x\nnonce y".into());
    assert_eq!(failed(bad, &format!("{base} push-cert=x")), client::Error::Signer);
    // What does not fit its line of the certificate, though it might be a push option.
    let text = |length: usize| Bytes::from("a".repeat(length));
    let limit = limits::CAPABILITY_VALUE;
    let mut long = signing(true);
    long.signing.as_mut().unwrap().pusher = text(limit + 1);
    let error = client::Error::TooLong { what: "pusher", limit };
    assert_eq!(failed(long.clone(), &format!("{base} push-cert=x")), error);
    assert_eq!(error.blame(), Blame::Caller);
    let signer = long.signing.as_mut().unwrap();
    (signer.pusher, signer.pushee) = (text(limit), Some(text(limit + 1)));
    let error = client::Error::TooLong { what: "pushee", limit };
    assert_eq!(failed(long.clone(), &format!("{base} push-cert=x")), error);
    long.signing.as_mut().unwrap().pushee = Some(text(limit));
    let limit = MAX_DATA - "push-option \n".len();
    long.push_options = vec![text(limit + 1)];
    let error = client::Error::TooLong { what: "push option that is signed", limit };
    assert_eq!(failed(long.clone(), &format!("{base} push-cert=x")), error);
    long.push_options = vec![text(limit)];
    let mut client = advertised(long, &format!("{base} push-cert=x"));
    client.poll_action();
    client.push(NOW, delete()).unwrap();
    assert!(matches!(client.poll_action(), Some(client::Action::Sign(_))));
    client.signed(NOW, SIGNATURE.concat().as_bytes()).unwrap();
    assert!(sent(&mut client).ends_with(b"a\n0000") && !client.has_ended());
    // If asked: it is not, and the commands go as they are.
    let mut client = advertised(signing(false), base);
    client.poll_action();
    client.push(NOW, delete()).unwrap();
    let caps = "report-status push-options";
    let plain = pkts(&[&format!("{ID} {NULL} refs/heads/a\0{caps}\n"), "", "o p\n", ""]);
    assert_eq!(sent(&mut client), plain);
    // The driver cannot.
    let mut client = advertised(signing(true), &format!("{base} push-cert"));
    client.poll_action();
    client.push(NOW, delete()).unwrap();
    let Some(client::Action::Sign(text)) = client.poll_action() else { panic!("nothing to sign") };
    assert!(!text.windows(6).any(|window| window == b"\nnonce"), "an empty nonce is none");
    client.sign_failed(NOW, "no key".into()).unwrap();
    assert_eq!(sent(&mut client), b"0000");
    let error = client::Error::Sign { reason: "no key".into() };
    assert_eq!(client.poll_action(), Some(client::Action::Failed(error)));
}

#[test]
fn push_26_the_clients_border_goes_first_sorted_and_once() {
    let shallow = vec![id(ID), id(OTHER), id(ID)];
    let config = client::Config { shallow, agent: None, ..client::Config::default() };
    let mut client = advertised(config.clone(), "report-status delete-refs session-id=x");
    client.poll_action();
    client.push(NOW, vec![Command::delete(name("refs/heads/a"), id(ID))]).unwrap();
    let wire = pkts(&[
        &format!("shallow {OTHER}\n"),
        &format!("shallow {ID}\n"),
        &format!("{ID} {NULL} refs/heads/a\0report-status\n"),
        "",
    ]);
    assert_eq!(sent(&mut client), wire);
    assert_eq!(Script::default().whole(&wire).updates()[0].shallow, [id(OTHER), id(ID)]);
    let sha256 = client::Config { shallow: vec![id(&"1".repeat(64))], ..config };
    let mut client = advertised(sha256, "report-status delete-refs");
    client.poll_action();
    let refused = client.push(NOW, vec![Command::delete(name("refs/heads/a"), id(ID))]);
    assert!(matches!(refused, Err(Misuse::Argument { .. })));
}

/// PUSH-28: nothing is sent that was not advertised.
#[test]
fn push_28_a_session_id_is_sent_only_to_a_server_that_has_one() {
    for (caps, list) in [
        ("report-status delete-refs", "report-status"),
        ("report-status delete-refs session-id=s agent=x", "report-status agent=a session-id=c"),
    ] {
        let (agent, session_id) = (Some("a".into()), Some("c".into()));
        let mut client = advertised(client::Config { agent, session_id, ..client::Config::default() }, caps);
        client.poll_action();
        client.push(NOW, vec![Command::delete(name("refs/heads/a"), id(ID))]).unwrap();
        assert_eq!(sent(&mut client), pkts(&[&format!("{ID} {NULL} refs/heads/a\0{list}\n"), ""]));
    }
}

/// GIT-22.
#[test]
fn push_27_a_server_of_one_request_is_the_session_without_its_beginning() {
    let mut script = Script::default();
    let input =
        [pkts(&[&format!("{NULL} {ID} refs/heads/a\0report-status side-band-64k"), ""]), EMPTY_PACK.to_vec()]
            .concat();
    let whole = script.whole(&input);
    script.config.serving = Serving::Advertisement;
    let first = script.whole(b"");
    assert_eq!(*first.end(), Action::Finished(Outcome::default()));
    script.config.serving = Serving::Request;
    let seen = script.whole(&input);
    assert!(!seen.actions.contains(&Action::ListRefs));
    assert_eq!([&first.wire[..], &seen.wire].concat(), whole.wire);
    assert_eq!((seen.actions.last(), script.whole(b"0000").wire.len()), (whole.actions.last(), 0));
    assert_eq!(script.run(&[], true).end(), first.end());
}

#[test]
fn push_27_a_stateless_client_reads_one_response_and_sends_one_request() {
    let greeting = pkts(&["# service=git-receive-pack\n", ""]);
    let shown = pkts(&[&format!("{ID} refs/heads/a\0report-status delete-refs"), ""]);
    let config = client::Config { stateless: true, agent: None, ..client::Config::default() };
    let report = pkts(&["unpack ok\n", "ok refs/heads/a\n", ""]);
    for first in [[&greeting[..], &shown].concat(), shown.clone()] {
        let mut client = Client::new(config.clone(), NOW);
        for byte in first.chunks(1) {
            client.handle_bytes(NOW, Bytes::copy_from_slice(byte)).unwrap();
        }
        // What is there may not be all of the response.
        assert_eq!(client.poll_action(), None);
        client.handle_closed(NOW).unwrap();
        assert!(matches!(client.poll_action(), Some(client::Action::Advertised(_))));
        client.push(NOW, vec![Command::delete(name("refs/heads/a"), id(ID))]).unwrap();
        assert_eq!(sent(&mut client), pkts(&[&format!("{ID} {NULL} refs/heads/a\0report-status\n"), ""]));
        assert!(client.has_sent_all() && client.wants_input());
        client.handle_bytes(NOW, report.clone().into()).unwrap();
        let Some(client::Action::Finished(report)) = client.poll_action() else { panic!("no report") };
        assert!(report.is_success());
    }
    // Nothing to push: no second request.
    let mut client = Client::new(config.clone(), NOW);
    client.handle_bytes(NOW, shown.clone().into()).unwrap();
    client.handle_closed(NOW).unwrap();
    client.poll_action();
    client.push(NOW, vec![]).unwrap();
    assert_eq!((sent(&mut client), client.has_ended()), (vec![], true));
    // Another service, more behind the advertisement, an end too early.
    for bad in [pkts(&["# service=git-upload-pack\n", ""]), [&shown[..], &pkt("x")].concat()] {
        let mut client = Client::new(config.clone(), NOW);
        let _ = client.handle_bytes(NOW, bad.into());
        let error = client.handle_closed(NOW).unwrap_err();
        assert!(matches!(error, client::Error::Session(SessionError::Unexpected { .. })), "{error:?}");
    }
    let mut client = Client::new(config, NOW);
    client.handle_bytes(NOW, greeting.into()).unwrap();
    assert!(matches!(client.handle_closed(NOW), Err(client::Error::Session(SessionError::Ended { .. }))));
}
