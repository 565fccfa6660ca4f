//! Two repositories in memory over one port: every decision carried out, and the connection cut at every step.

use portline::git::RefName;
use portline::peer::sync::{Config, Error, RefFailure, RefResult};
use portline::sync::{Step, Strategy};
use portline::{peer, port};

use crate::toy::{Killed, Left, Repo, Right, config, diverged, id, name, run, visible};

fn sides(strategy: Strategy) -> (Left, Right) {
    let (left, right, base) = diverged();
    (Left::new(left, config(strategy, base)), Right::new(right, &peer::Config::default()))
}

/// SYNC-40, SYNC-44, SYNC-50: each row of the table is carried out; a conflict does not block the other refs.
#[test]
fn sync_40_every_decision_is_carried_out_and_conflicts_block_nothing() {
    let (mut left, mut right) = sides(Strategy::Report);
    run(&mut left, &mut right, None);
    let outcome = left.end.unwrap().unwrap();
    for (branch, here, there) in [
        ("equal", Some(6), Some(6)),
        ("left-ahead", Some(11), Some(11)),
        ("right-ahead", Some(22), Some(22)),
        ("left-only", Some(10), Some(10)),
        ("right-only", Some(21), Some(21)),
        ("both-changed", Some(30), Some(40)),
        ("gone-on-left", None, None),
        ("gone-on-right", None, None),
    ] {
        assert_eq!((left.repo.at(branch), right.repo.at(branch)), (here.map(id), there.map(id)), "{branch}");
    }
    left.repo.check();
    right.repo.check();
    assert!(!outcome.agrees());
    assert_eq!(outcome.conflicts().count(), 1);
    let agreed: Vec<_> = ["equal", "left-ahead", "left-only", "right-ahead", "right-only"].map(name).into();
    assert_eq!(outcome.base.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), agreed);
    // A fetch, one push for the backup of the deletion, one push for the refs.
    assert_eq!(right.served, 3);
}

/// SYNC-50: a ref that is gone on both sides is in no base any more, so that one of its name that comes back is created
/// on the other side and not deleted. A sync that came to no plan knows nothing of that.
#[test]
fn sync_50_a_branch_that_comes_back_after_both_sides_deleted_it_is_kept() {
    let (left, right, mut base) = diverged();
    base.push((name("gone-on-both"), id(5)));
    let (mut left, mut right) = (
        Left::new(left, config(Strategy::Report, base.clone())),
        Right::new(right, &peer::Config::default()),
    );
    run(&mut left, &mut right, Some((0, Killed::Right)));
    let early = left.end.unwrap().unwrap_err().outcome;
    assert_eq!(early.refs, []);
    assert_eq!(early.base.len(), 4, "no plan: the base is the old one");

    let (mut left, mut right) = (
        Left::new(left.repo, config(Strategy::Report, base)),
        Right::new(right.repo, &peer::Config::default()),
    );
    run(&mut left, &mut right, None);
    let base = left.end.unwrap().unwrap().base;
    assert!(base.iter().all(|(known, _)| *known != name("gone-on-both")), "{base:?}");

    left.repo.set("gone-on-both", 5);
    let (mut left, mut right) = (
        Left::new(left.repo, config(Strategy::Report, base)),
        Right::new(right.repo, &peer::Config::default()),
    );
    run(&mut left, &mut right, None);
    assert_eq!((left.repo.at("gone-on-both"), right.repo.at("gone-on-both")), (Some(id(5)), Some(id(5))));
}

/// SYNC-45, SYNC-46, SYNC-47: what a preference overwrites stays reachable under a backup ref, on its own side.
#[test]
fn sync_46_what_a_preference_overwrites_is_backed_up_first() {
    for (strategy, wins, loses) in [(Strategy::PreferLocal, 30, 40), (Strategy::PreferRemote, 40, 30)] {
        let (mut left, mut right) = sides(strategy);
        run(&mut left, &mut right, None);
        let outcome = left.end.as_ref().unwrap().as_ref().unwrap();
        assert!(outcome.agrees());
        assert_eq!(visible(&left.repo), visible(&right.repo));
        assert_eq!(left.repo.at("both-changed"), Some(id(wins)));
        let backup = name(&format!("refs/portline/backup/heads/both-changed/{}", id(loses)));
        let (owner, other) = if strategy == Strategy::PreferLocal {
            (&right.repo, &left.repo)
        } else {
            (&left.repo, &right.repo)
        };
        assert_eq!((owner.refs.get(&backup), other.refs.get(&backup)), (Some(&id(loses)), None));
        let entry = outcome.refs.iter().find(|entry| entry.plan.name == name("both-changed")).unwrap();
        assert_eq!(entry.result, RefResult::Done { backup: Some(backup) });
    }
}

/// SYNC-48: a dry run and a stop on conflicts move no ref on either side.
#[test]
fn sync_48_a_dry_run_moves_no_ref() {
    for dry_run in [true, false] {
        let (left, right, base) = diverged();
        let before = (left.refs.clone(), right.refs.clone());
        let config = Config { dry_run, stop_on_conflict: !dry_run, ..config(Strategy::Report, base) };
        let (mut left, mut right) = (Left::new(left, config), Right::new(right, &peer::Config::default()));
        run(&mut left, &mut right, None);
        assert_eq!((&left.repo.refs, &right.repo.refs), (&before.0, &before.1));
        let outcome = left.end.unwrap().unwrap();
        assert_eq!(outcome.refs.iter().filter(|entry| entry.result == RefResult::Pending).count(), 6);
        assert!(left.plan.unwrap().needs_sync());
    }
}

/// T22, SYNC-42: a ref that moves between plan and update is left alone, told, and nothing of it is lost.
#[test]
fn sync_42_a_ref_that_moved_since_the_plan_is_left_alone() {
    let (mut left, mut right) = sides(Strategy::Report);
    right.before_update = Some(|repo| {
        repo.commit(50, &[6]);
        repo.set("left-ahead", 50);
    });
    // The backup's push comes first and takes the hook: run it again at the refs' push.
    right.repo.refs.remove(&name("gone-on-left"));
    run(&mut left, &mut right, None);
    let outcome = left.end.unwrap().unwrap();
    let result = |branch: &str| {
        outcome
            .refs
            .iter()
            .find(|entry| entry.plan.name == name(branch))
            .map(|entry| entry.result.clone())
            .unwrap()
    };
    assert!(matches!(result("left-ahead"), RefResult::Failed(RefFailure::Refused { .. })));
    assert_eq!(result("left-only"), RefResult::Done { backup: None });
    assert_eq!(right.repo.at("left-ahead"), Some(id(50)));
    right.repo.check();
}

/// SYNC-43: each ref has its own result; a refused one leaves the others done.
#[test]
fn sync_43_a_refused_ref_does_not_block_the_others() {
    let (mut left, mut right) = sides(Strategy::PreferLocal);
    right.refuses =
        Some(|refused| refused == &name("left-ahead") || refused.as_bytes().starts_with(b"refs/portline/"));
    run(&mut left, &mut right, None);
    let outcome = left.end.unwrap().unwrap();
    let failed: Vec<_> =
        outcome.refs.iter().filter(|entry| matches!(entry.result, RefResult::Failed(_))).collect();
    assert_eq!(failed.len(), 3);
    for entry in failed {
        match (&entry.result, entry.plan.name == name("left-ahead")) {
            (RefResult::Failed(RefFailure::Refused { reason }), true) => assert_eq!(reason, "hook declined"),
            (RefResult::Failed(RefFailure::Backup { .. }), false) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
    // Without a backup nothing is overwritten or deleted.
    assert_eq!(right.repo.at("both-changed"), Some(id(40)));
    assert_eq!(right.repo.at("gone-on-left"), Some(id(4)));
    assert_eq!(right.repo.at("left-only"), Some(id(10)));
}

/// SYNC-41: backups before what they back up, this side before the peer.
#[test]
fn sync_41_backups_first_then_local_refs_then_the_peers() {
    let (mut left, mut right) = sides(Strategy::PreferRemote);
    right.moves = left.moves.clone();
    run(&mut left, &mut right, None);
    let is_backup = |name: &RefName| name.as_bytes().starts_with(b"refs/portline/");
    let moves = left.moves.lock().unwrap();
    let order: Vec<_> = moves.iter().map(|(side, names)| (*side, names.iter().all(is_backup))).collect();
    assert_eq!(order, [("left", true), ("left", false), ("right", true), ("right", false)]);
    assert!(moves.iter().all(|(_, names)| names.iter().all(is_backup) || !names.iter().any(is_backup)));
}

/// SYNC-52: outside a sideband half a pack reads as a whole one; that it cannot be stored is the connection's matter,
/// and only where there was an end of one.
#[test]
fn sync_52_half_a_pack_outside_the_sideband_is_the_connections_matter() {
    let raw = || {
        let (mut left, right, base) = diverged();
        left.refs.retain(|known, _| *known == name("equal"));
        let mut config = config(Strategy::Report, base);
        config.fetch.sideband = false;
        let (left, mut right) = (Left::new(left, config), Right::new(right, &peer::Config::default()));
        right.newest = portline::git::Version::V0;
        (left, right)
    };
    let (mut left, mut right) = raw();
    let whole = run(&mut left, &mut right, None);
    assert!(left.end.unwrap().is_ok());
    for at in 0..whole.steps {
        let (mut left, mut right) = raw();
        run(&mut left, &mut right, Some((at, Killed::Right)));
        let Some(Err(failure)) = left.end else { continue };
        assert_eq!(failure.error, Error::Port(port::Error::Closed), "step {at}");
    }
    // The peer's own word for it, and no word at all.
    let (mut left, mut right) = raw();
    right.breaks_pack = true;
    run(&mut left, &mut right, None);
    let error = left.end.unwrap().unwrap_err().error;
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
}

/// SYNC-52: a failure on the way tells what had been done, and that the port was the cause.
#[test]
fn sync_52_a_failure_tells_what_had_been_done() {
    let (mut left, mut right) = sides(Strategy::Report);
    let whole = run(&mut left, &mut right, None);
    let mut partly = 0;
    for at in 0..whole.steps {
        let (mut left, mut right) = sides(Strategy::Report);
        run(&mut left, &mut right, Some((at, Killed::Right)));
        let Some(Err(failure)) = left.end else { continue };
        assert_eq!(failure.error, Error::Port(port::Error::Closed), "step {at}");
        for entry in
            failure.outcome.refs.iter().filter(|entry| matches!(entry.result, RefResult::Done { .. }))
        {
            let here = left.repo.refs.get(&entry.plan.name).copied();
            match entry.plan.step {
                Step::UpdateLocal { .. } => assert_eq!(here, entry.plan.remote, "step {at}"),
                Step::DeleteLocal { .. } => assert_eq!(here, None, "step {at}"),
                _ => assert_eq!(here, entry.plan.local, "step {at}"),
            }
        }
        let done = |result: &RefResult| matches!(result, RefResult::Done { .. });
        partly += usize::from(failure.outcome.refs.iter().any(|entry| done(&entry.result)));
    }
    assert!(partly > 10, "{partly} failures after the first ref");
}

/// SYNC-51, T13: killing either side, or only the connection, at every step loses no commit and moves no ref to an
/// object that is not there; running again finishes the job.
#[test]
fn sync_51_a_cut_at_every_step_loses_nothing_and_the_next_run_finishes() {
    for strategy in [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote] {
        let (mut left, mut right) = sides(strategy);
        let whole = run(&mut left, &mut right, None);
        let (end_left, end_right) = (visible(&left.repo), visible(&right.repo));
        let mut cuts = 0;
        for at in 0..whole.steps {
            for killed in [Killed::Left, Killed::Right, Killed::Neither] {
                let (mut left, mut right) = sides(strategy);
                let (before_left, before_right) = (left.repo.check(), right.repo.check());
                let cut = run(&mut left, &mut right, Some((at, killed)));
                assert!(cut.cut);
                assert!(
                    left.repo.check().is_superset(&before_left),
                    "left lost a commit at step {at}, {killed:?}"
                );
                assert!(
                    right.repo.check().is_superset(&before_right),
                    "right lost a commit at step {at}, {killed:?}"
                );
                let (_, _, base) = diverged();
                let mut again = Left::new(left.repo, config(strategy, base));
                let mut server = Right::new(right.repo, &peer::Config::default());
                run(&mut again, &mut server, None);
                assert!(again.end.unwrap().is_ok());
                assert_eq!(visible(&again.repo), end_left, "step {at}, {killed:?}");
                assert_eq!(visible(&server.repo), end_right, "step {at}, {killed:?}");
                cuts += 1;
            }
        }
        assert!(cuts > 300, "{cuts} cuts");
    }
}

/// SYNC-49: an empty side, both empty, and both equal.
#[test]
fn sync_49_empty_and_equal_sides() {
    let (full, _, _) = diverged();
    for (left, right) in [
        (Repo::default(), Repo::default()),
        (full.clone(), Repo::default()),
        (Repo::default(), full.clone()),
        (full.clone(), full.clone()),
    ] {
        let mut left = Left::new(left, Config::default());
        let mut right = Right::new(right, &peer::Config::default());
        run(&mut left, &mut right, None);
        assert!(left.end.unwrap().unwrap().agrees());
        assert_eq!(left.repo.refs, right.repo.refs);
        left.repo.check();
        right.repo.check();
    }
}
