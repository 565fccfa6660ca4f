//! T13 and T22: the worst moments to close, and refs that move.

use bytes::Bytes;
use portline::git::fetch::client as fetching;
use portline::git::push::{Command, client as pushing, server as receiving};
use portline::git::{ObjectId, Ref};
use portline::peer;
use portline::peer::sync::{self, Config, RefFailure, RefResult};
use portline::sync::Strategy;

use super::toy::{self, Left, Repo, Right, run};
use super::{ID, NOW, id, name, pkt, pkts};

/// T13: wherever the connection ends, a fetch client has one end, and success only behind the whole answer.
#[test]
fn t13_a_fetch_that_is_cut_at_any_byte_has_one_end() {
    let answer = [
        &pkts(&["ID refs/heads/a\0multi_ack_detailed side-band-64k", ""])[..],
        &pkts(&["NAK"]),
        &pkt(b"\x02one\r"),
        &pkt(b"\x01PACKdata"),
        b"0000",
    ]
    .concat();
    for cut in 0..=answer.len() {
        let mut client = fetching::Client::new(fetching::Config::default(), NOW);
        let mut ends = Vec::new();
        let mut act = |client: &mut fetching::Client| {
            while let Some(action) = client.poll_action() {
                match action {
                    fetching::Action::Advertised(_) => client.want(NOW, vec![id(ID)], vec![]).unwrap(),
                    fetching::Action::FindHeld(_) => client.held(NOW, vec![]).unwrap(),
                    fetching::Action::Progress(_) | fetching::Action::Pack(_) => {}
                    end => ends.push(end),
                }
            }
        };
        let _ = client.handle_bytes(NOW, Bytes::copy_from_slice(&answer[..cut]));
        act(&mut client);
        let _ = client.handle_closed(NOW);
        act(&mut client);
        assert_eq!(ends.len(), 1, "cut at {cut}");
        assert_eq!(matches!(ends[0], fetching::Action::Finished(_)), cut == answer.len(), "cut at {cut}");
        assert!(client.has_ended() && !client.wants_input());
    }
}

/// T13, T21: the same for a push client: a cut report is no report.
#[test]
fn t13_a_push_that_is_cut_at_any_byte_has_one_end() {
    let report = [pkt("unpack ok\n"), pkt("ok refs/heads/a\n"), b"0000".to_vec()].concat();
    let band = [pkt([&[1][..], &report].concat()), b"0000".to_vec()].concat();
    let whole = report.len() + 5;
    for (capabilities, report, enough) in
        [("report-status", report.clone(), report.len()), ("report-status side-band-64k", band, whole)]
    {
        let shown = pkts(&[&format!("ID refs/heads/a\0{capabilities} delete-refs"), ""]);
        for cut in 0..=report.len() {
            let mut client = pushing::Client::new(pushing::Config::default(), NOW);
            client.handle_bytes(NOW, shown.clone()).unwrap();
            client.poll_action();
            client.push(NOW, vec![Command::delete(name("refs/heads/a"), id(ID))]).unwrap();
            while client.poll_transmit().is_some() {}
            let _ = client.handle_bytes(NOW, Bytes::copy_from_slice(&report[..cut]));
            let _ = client.handle_closed(NOW);
            let ends: Vec<_> = std::iter::from_fn(|| client.poll_action()).collect();
            assert_eq!(ends.len(), 1, "cut at {cut}");
            // A connection that ends where the sideband's flush was due has told all of the report.
            let expected = cut == enough || cut == report.len();
            assert_eq!(
                matches!(&ends[0], pushing::Action::Finished(one) if one.is_success()),
                expected,
                "cut at {cut}"
            );
        }
    }
}

/// T13: the same for a receive-pack server, whose driver answers after the peer has gone.
#[test]
fn t13_a_push_server_that_is_left_at_any_byte_has_one_end() {
    let null = ObjectId::null(id(ID).format());
    let input =
        [&pkts(&[&format!("{null} ID refs/heads/a\0report-status push-options"), "", "o", ""])[..], b"PACK"]
            .concat();
    for cut in 0..=input.len() {
        let config = receiving::Config { push_options: true, ..receiving::Config::default() };
        let mut server = receiving::Server::new(config, NOW);
        let mut ends = Vec::new();
        let mut act = |server: &mut receiving::Server| {
            while let Some(action) = server.poll_action() {
                match action {
                    receiving::Action::ListRefs => {
                        server
                            .refs_listed(NOW, vec![Ref::new(name("refs/heads/z"), id(ID))], vec![])
                            .unwrap();
                    }
                    receiving::Action::ReceivePack(_) | receiving::Action::Pack(_) => {}
                    receiving::Action::PackEnd => server.pack_stored(NOW, Err("early EOF".into())).unwrap(),
                    receiving::Action::UpdateRefs(_) => panic!("refs move without a pack"),
                    end => ends.push(end),
                }
            }
        };
        act(&mut server);
        let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(&input[..cut]));
        act(&mut server);
        let _ = server.handle_closed(NOW);
        act(&mut server);
        assert_eq!(ends.len(), 1, "cut at {cut}");
        while server.poll_transmit().is_some() {}
        assert!(server.has_ended() && !server.wants_input());
    }
}

fn repositories() -> (Repo, Repo) {
    let mut base = Repo::default();
    base.commit(1, &[]);
    base.commit(2, &[1]);
    let (mut left, mut right) = (base.clone(), base);
    left.commit(3, &[2]);
    left.set("ours", 3);
    right.set("ours", 2);
    left.set("theirs", 1);
    right.set("theirs", 2);
    (left, right)
}

fn result(left: &Left, branch: &str) -> RefResult {
    let outcome = left.end.as_ref().unwrap().as_ref().unwrap();
    let entry = outcome.refs.iter().find(|entry| entry.plan.name == toy::name(branch));
    entry.unwrap().result.clone()
}

/// T22: a ref of the peer that moves between plan and update keeps what moved it; the others are done.
#[test]
fn t22_a_ref_that_moves_on_the_peer_is_reported_and_keeps_what_moved_it() {
    for strategy in [Strategy::Report, Strategy::PreferLocal] {
        let (left, right) = repositories();
        let mut config = Config::default();
        config.sync.strategy = strategy;
        let (mut left, mut right) = (Left::new(left, config), Right::new(right, &peer::Config::default()));
        right.before_update = Some(|repo| {
            repo.commit(9, &[2]);
            repo.set("ours", 9);
        });
        run(&mut left, &mut right, None);
        assert!(matches!(result(&left, "ours"), RefResult::Failed(RefFailure::Refused { .. })));
        assert_eq!(result(&left, "theirs"), RefResult::Done { backup: None });
        assert_eq!(right.repo.at("ours"), Some(toy::id(9)));
        left.repo.check();
        right.repo.check();
    }
}

/// T22: the same on our own side.
#[test]
fn t22_a_ref_that_moves_here_is_reported_and_keeps_what_moved_it() {
    let (left, right) = repositories();
    let mut left = Left::new(left, Config::default());
    let mut right = Right::new(right, &peer::Config::default());
    // One action at a time until the plan stands; then somebody commits.
    while left.plan.is_none() {
        let _ = left.act(NOW) | right.act(NOW);
        if left.plan.is_some() {
            break;
        }
        while let Some(sent) = left.machine.poll_transmit() {
            let _ = right.machine.handle_message(NOW, sent.into_bytes());
        }
        while let Some(sent) = right.machine.poll_transmit() {
            let _ = left.machine.handle_message(NOW, sent.into_bytes());
        }
    }
    left.repo.commit(8, &[1]);
    left.repo.set("theirs", 8);
    run(&mut left, &mut right, None);
    assert!(matches!(result(&left, "theirs"), RefResult::Failed(RefFailure::Refused { .. })));
    assert_eq!(left.repo.at("theirs"), Some(toy::id(8)));
    assert_eq!(result(&left, "ours"), RefResult::Done { backup: None });
    left.repo.check();
}

/// T13: a driver that knows early what became of the pack says so once, and the sync goes on.
#[test]
fn t13_a_pack_that_is_stored_before_its_end_was_told_is_taken_at_its_word() {
    let (left, right) = repositories();
    let mut left = Left::new(left, Config::default());
    let mut right = Right::new(Repo { ..right }, &peer::Config::default());
    right.repo.commit(4, &[2]);
    right.repo.set("theirs", 4);
    let (mut pack, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        while let Some(action) = left.machine.poll_action() {
            let machine = &mut left.machine;
            match action {
                sync::Action::ListRefs => machine.refs_listed(NOW, left.repo.listed()).unwrap(),
                sync::Action::FindHeld(ids) => {
                    let held = ids.into_iter().filter(|id| left.repo.commits.contains_key(id)).collect();
                    machine.held(NOW, held).unwrap();
                }
                sync::Action::LoadCommits(ids) => {
                    let commits = ids.iter().filter_map(|id| left.repo.commits.get(id).cloned()).collect();
                    machine.commits(NOW, commits).unwrap();
                }
                sync::Action::Pack(bytes) => {
                    pack.extend_from_slice(&bytes);
                    // The trailer was seen: the flush behind it is not waited for.
                    if left.repo.store(&pack).is_ok() {
                        answers.push(machine.pack_stored(NOW, Ok(())));
                    }
                }
                sync::Action::UpdateRefs(commands) => {
                    let results = commands.iter().map(|command| left.repo.update(command)).collect();
                    machine.refs_updated(NOW, results).unwrap();
                }
                sync::Action::BuildPack(request) => {
                    machine.pack_chunk(NOW, left.repo.pack(&request)).unwrap();
                    machine.pack_finished(NOW).unwrap();
                }
                sync::Action::Finished(outcome) => left.end = Some(Ok(outcome)),
                sync::Action::Failed(failure) => left.end = Some(Err(failure)),
                sync::Action::Planned(_) | sync::Action::Progress(_) => {}
                other => panic!("{other:?}"),
            }
        }
        while let Some(sent) = left.machine.poll_transmit() {
            let _ = right.machine.handle_message(NOW, sent.into_bytes());
        }
        right.act(NOW);
        while let Some(sent) = right.machine.poll_transmit() {
            let _ = left.machine.handle_message(NOW, sent.into_bytes());
        }
    }
    assert_eq!(answers, [Ok(())]);
    assert!(left.end.unwrap().unwrap().agrees());
    left.repo.check();
}
