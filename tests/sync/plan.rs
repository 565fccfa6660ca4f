//! A plan's decisions come from real histories, and each commit is asked for once (SYNC-8 to SYNC-32).

use portline::Blame;
use portline::git::{Commit, Misuse, ObjectFormat, ObjectId};
use portline::sync::planner::{Action, Error, Side};
use portline::sync::{Ancestry, Config, Decision, Pattern, Planner, RefPlan, Step, Strategy};

use crate::sync_history::{History, Random, Refs, drive, fork, id, name, plan_over, refs, told};

#[test]
fn sync_30_every_row_of_the_table_in_one_plan_sorted_by_name() {
    let local = refs(&[
        ("refs/heads/same", 1),
        ("refs/heads/behind", 1),
        ("refs/heads/ahead", 2),
        ("refs/heads/parted", 2),
        ("refs/heads/made-here", 1),
        ("refs/heads/deleted-there", 1),
        ("refs/heads/changed-here", 2),
        ("refs/heads/rewritten-here", 3),
        ("refs/heads/rewound-here", 0),
        ("HEAD", 2),
    ]);
    let remote = refs(&[
        ("refs/heads/changed-there", 2),
        ("refs/heads/same", 1),
        ("refs/heads/parted", 3),
        ("refs/heads/behind", 2),
        ("refs/heads/ahead", 0),
        ("refs/heads/made-there", 3),
        ("refs/heads/deleted-here", 1),
        ("refs/heads/rewritten-here", 1),
        ("refs/heads/rewound-here", 2),
        ("refs/portline/backup/1", 3),
    ]);
    let base = refs(&[
        ("refs/heads/deleted-there", 1),
        ("refs/heads/deleted-here", 1),
        ("refs/heads/changed-here", 1),
        ("refs/heads/changed-there", 1),
        ("refs/heads/rewritten-here", 1),
        ("refs/heads/rewound-here", 2),
        ("refs/heads/gone-on-both", 1),
    ]);
    let run = plan_over(&fork(), Config::default(), local.clone(), remote.clone(), Some(base));
    let row = |name: &str, decision, step| (name.to_owned(), decision, step);
    let expected = [
        row("HEAD", Decision::Push, Step::Excluded),
        row("refs/heads/ahead", Decision::Push, Step::UpdateRemote { force: false }),
        row("refs/heads/behind", Decision::Fetch, Step::UpdateLocal { force: false }),
        row("refs/heads/changed-here", Decision::Conflict, Step::Conflict),
        row("refs/heads/changed-there", Decision::Conflict, Step::Conflict),
        row("refs/heads/deleted-here", Decision::DeleteRemote, Step::DeleteRemote { force: false }),
        row("refs/heads/deleted-there", Decision::DeleteLocal, Step::DeleteLocal { force: false }),
        row("refs/heads/made-here", Decision::Push, Step::UpdateRemote { force: false }),
        row("refs/heads/made-there", Decision::Fetch, Step::UpdateLocal { force: false }),
        row("refs/heads/parted", Decision::Conflict, Step::Conflict),
        row("refs/heads/rewound-here", Decision::Fetch, Step::UpdateLocal { force: false }),
        row("refs/heads/rewritten-here", Decision::Conflict, Step::Conflict),
        row("refs/heads/same", Decision::UpToDate, Step::Keep),
        row("refs/portline/backup/1", Decision::Fetch, Step::Excluded),
    ];
    assert_eq!(run.steps(), expected);
    assert_eq!(run.plan().into_iter().count(), expected.len());
    for entry in run.plan() {
        let value = |refs: &Refs| refs.iter().find(|(other, _)| *other == entry.name).map(|(_, id)| *id);
        assert_eq!((entry.local, entry.remote), (value(&local), value(&remote)));
        assert_eq!(run.plan().find(&entry.name), Some(entry));
    }
}

#[test]
fn sync_31_what_to_fetch_what_to_push_and_whether_anything_is_needed() {
    let local = refs(&[("refs/heads/a", 2), ("refs/heads/b", 0), ("refs/heads/c", 0), ("refs/heads/x", 2)]);
    let remote = refs(&[
        ("refs/heads/a", 1),
        ("refs/heads/b", 1),
        ("refs/heads/c", 1),
        ("refs/heads/x", 3),
        ("refs/heads/y", 3),
    ]);
    let base = refs(&[("refs/heads/y", 3)]);
    let run = plan_over(&fork(), Config::default(), local, remote, Some(base));
    let names = |entries: Vec<&RefPlan>| -> Vec<String> {
        entries.iter().map(|entry| entry.name.to_string()).collect()
    };
    assert_eq!(run.plan().to_fetch(), [id(1)], "twice the same id");
    assert_eq!(names(run.plan().to_push().collect()), ["refs/heads/a", "refs/heads/y"]);
    assert_eq!(names(run.plan().to_update_locally().collect()), ["refs/heads/b", "refs/heads/c"]);
    assert_eq!(names(run.plan().conflicts().collect()), ["refs/heads/x"]);
    assert!(run.plan().needs_sync());
    assert_eq!(run.plan().clone().into_iter().count(), 5);

    let parted = plan_over(
        &fork(),
        Config::default(),
        refs(&[("refs/heads/x", 2), ("refs/heads/s", 1)]),
        refs(&[("refs/heads/x", 3), ("refs/heads/s", 1)]),
        None,
    );
    assert!(!parted.plan().needs_sync(), "a conflict alone moves nothing");
    assert_eq!(parted.plan().conflicts().count(), 1);
}

#[test]
fn sync_8_ancestry_beats_preference_and_a_preference_settles_the_rest() {
    let plan = |strategy| {
        let local = refs(&[("refs/heads/ahead", 2), ("refs/heads/gone", 2), ("refs/heads/parted", 2)]);
        let remote = refs(&[("refs/heads/ahead", 0), ("refs/heads/lost", 2), ("refs/heads/parted", 3)]);
        let base = refs(&[("refs/heads/gone", 1), ("refs/heads/lost", 1)]);
        let run = plan_over(&fork(), Config { strategy, ..Config::default() }, local, remote, Some(base));
        assert_eq!(run.plan().conflicts().count(), 0);
        run.plan().iter().map(|entry| entry.step).collect::<Vec<_>>()
    };
    assert_eq!(
        plan(Strategy::PreferLocal),
        [
            Step::UpdateRemote { force: false },
            Step::UpdateRemote { force: false },
            Step::DeleteRemote { force: true },
            Step::UpdateRemote { force: true },
        ]
    );
    assert_eq!(
        plan(Strategy::PreferRemote),
        [
            Step::UpdateRemote { force: false },
            Step::DeleteLocal { force: true },
            Step::UpdateLocal { force: false },
            Step::UpdateLocal { force: true },
        ]
    );
}

#[test]
fn sync_11_what_is_excluded_is_neither_wanted_nor_asked_for() {
    let config = Config {
        exclude: vec![Pattern::new("refs/tmp/*").unwrap(), Pattern::new("refs/heads/mine").unwrap()],
        ..Config::default()
    };
    let local = refs(&[("refs/tmp/a", 1), ("refs/heads/mine", 2), ("HEAD", 0), ("refs/portline/base/a", 0)]);
    let remote = refs(&[("refs/tmp/a", 2), ("refs/heads/mine", 3), ("HEAD", 1), ("refs/portline/base/a", 1)]);
    assert_eq!(Planner::new(config.clone(), local.clone(), remote.clone(), None).wants(), []);
    assert_eq!(Planner::new(config.clone(), Vec::new(), remote.clone(), None).to_fetch(), []);
    let run = plan_over(&fork(), config, local, remote, None);
    assert_eq!(run.rounds, 0);
    assert!(run.plan().iter().all(|entry| entry.step == Step::Excluded));
    assert_eq!(run.plan().conflicts().count(), 0);
    assert!(!run.plan().needs_sync());
}

#[test]
fn sync_13_wants_are_the_differing_remote_ids_once_each() {
    let local =
        refs(&[("refs/heads/a", 1), ("refs/heads/b", 2), ("refs/heads/same", 3), ("refs/heads/l", 1)]);
    let remote =
        refs(&[("refs/heads/b", 9), ("refs/heads/a", 9), ("refs/heads/same", 3), ("refs/heads/r", 8)]);
    let planner = Planner::new(Config::default(), local, remote, None);
    assert_eq!(planner.wants(), [id(9)]);
    // And what is not here at all; not what both have already.
    let mut both = vec![id(9), id(8)];
    both.sort_unstable();
    assert_eq!(planner.to_fetch(), both);
}

#[test]
fn sync_12_bad_lists_are_named_and_nothing_is_planned_from_them() {
    let good = refs(&[("refs/heads/a", 1)]);
    let twice = refs(&[("refs/heads/b", 1), ("refs/heads/a", 1), ("refs/heads/b", 1)]);
    let null = vec![(name("refs/heads/b"), ObjectId::null(ObjectFormat::Sha1))];
    for (side, blame) in
        [(Side::Local, Blame::Caller), (Side::Remote, Blame::Peer), (Side::Base, Blame::Caller)]
    {
        let end = |bad: &Refs| {
            let list = |other| if side == other { bad.clone() } else { good.clone() };
            let (local, remote) = (list(Side::Local), list(Side::Remote));
            let run = plan_over(&fork(), Config::default(), local, remote, Some(list(Side::Base)));
            assert_eq!(run.rounds, 0);
            run.end.unwrap_err()
        };
        assert_eq!(end(&twice), Error::DuplicateRef { side, name: name("refs/heads/b") });
        assert_eq!(end(&null), Error::NullId { side, name: name("refs/heads/b") });
        let which = format!("{side:?}").to_lowercase();
        assert_eq!(end(&twice).to_string(), format!("the {which} refs have refs/heads/b twice"));
        assert_eq!(end(&null).to_string(), format!("the {which} ref refs/heads/b has the null id"));
        assert_eq!(end(&twice).blame(), blame);
        assert_eq!(end(&null).blame(), blame);
    }
    let remote = refs(&[("refs/heads/b", 1), ("refs/heads/b", 2)]);
    assert_eq!(Planner::new(Config::default(), good, remote, None).wants(), []);
}

#[test]
fn sync_20_without_differing_ids_nothing_is_asked() {
    let local = refs(&[("refs/heads/a", 1), ("refs/heads/same", 2)]);
    let remote = refs(&[("refs/heads/b", 1), ("refs/heads/same", 2)]);
    assert_eq!(plan_over(&fork(), Config::default(), local, remote, None).rounds, 0);
    assert_eq!(plan_over(&fork(), Config::default(), vec![], vec![], Some(vec![])).plan().refs, []);
}

/// SYNC-23: annotated tags, objects that are not held, and a walk that meets a border.
#[test]
fn sync_23_what_is_not_told_is_unrelated() {
    let mut history = History::default();
    let tip = history.line(None, 50);
    for (local, remote) in [(tip, 900), (900, tip), (900, 901)] {
        let run = plan_over(
            &history,
            Config::default(),
            refs(&[("refs/tags/v1", local)]),
            refs(&[("refs/tags/v1", remote)]),
            None,
        );
        assert_eq!(run.plan().conflicts().count(), 1);
        assert!(run.asked.len() <= 2, "no walk looks for what is no commit");
    }
    history.parents[0] = vec![901];
    let side = history.line(Some(902), 3);
    let (local, remote) = (refs(&[("refs/heads/a", tip)]), refs(&[("refs/heads/a", side)]));
    let run = plan_over(&history, Config::default(), local, remote, None);
    assert_eq!(run.plan().conflicts().count(), 1);
}

#[test]
fn sync_27_a_fast_forward_loads_what_lies_between() {
    let mut history = History::default();
    history.line(None, 5000);
    for (local, remote, step) in
        [(4000, 4500, Step::UpdateLocal { force: false }), (4500, 4000, Step::UpdateRemote { force: false })]
    {
        let run = plan_over(
            &history,
            Config::default(),
            refs(&[("refs/heads/a", local)]),
            refs(&[("refs/heads/a", remote)]),
            None,
        );
        assert_eq!(run.plan().refs[0].step, step);
        assert_eq!(run.asked.len(), 501);
    }
}

/// SYNC-27: main parted a little while ago, and one side has merged a topic that began long before. The detour over
/// the topic must not lead to the root.
#[test]
fn sync_27_a_merge_of_older_work_does_not_lead_to_the_root() {
    let mut history = History::default();
    history.line(None, 10_000);
    let topic = history.line(Some(9_800), 5);
    let ours = history.line(Some(9_999), 10);
    let merge = history.add(&[9_999, topic]);
    let theirs = history.line(Some(merge), 10);
    for (here, there) in [(ours, theirs), (theirs, ours)] {
        let (local, remote) = (refs(&[("refs/heads/a", here)]), refs(&[("refs/heads/a", there)]));
        let run = plan_over(&history, Config::default(), local, remote, None);
        assert_eq!(run.plan().conflicts().count(), 1);
        assert!(run.asked.len() < 300, "{} commits were loaded", run.asked.len());
    }
}

/// SYNC-21, SYNC-27: what is told already is not looked into any further, though the walk knows where it would go on.
#[test]
fn sync_27_nothing_is_loaded_for_a_pair_that_is_told() {
    let mut history = History::default();
    let old = history.line(None, 10);
    let other = history.line(None, 5);
    let merge = history.add(&[old, other]);
    let unrelated = history.add(&[]);
    for (here, there, decision) in [(old, merge, Decision::Fetch), (merge, old, Decision::Push)] {
        let (local, remote) = (refs(&[("refs/heads/a", here)]), refs(&[("refs/heads/a", there)]));
        let run = plan_over(&history, Config::default(), local.clone(), remote.clone(), None);
        assert_eq!((run.plan().refs[0].decision, run.rounds), (decision, 1));
        assert_eq!(run.asked, [id(old), id(merge)].into_iter().collect());

        // Beside a pair that is not: that one is looked into, and its root ends it.
        let parted = |mut refs: Refs, number| -> Refs {
            refs.push((name("refs/heads/b"), id(number)));
            refs
        };
        let (local, remote) = (parted(local, unrelated), parted(remote, 1));
        let run = plan_over(&history, Config::default(), local, remote, None);
        assert_eq!(told(run.plan())[1], Ancestry::Unrelated);
        assert_eq!(run.asked, [id(old), id(merge), id(unrelated), id(1), id(0)].into_iter().collect());
    }
}

/// SYNC-21: 2,000 refs, all behind or ahead or parted on one history, in far fewer questions than commits.
#[test]
fn sync_21_two_thousand_refs_share_the_questions() {
    let mut history = History::default();
    history.line(None, 4000);
    let mut random = Random(7);
    let (mut local, mut remote, mut expected) = (vec![], vec![], vec![]);
    for number in 0..2000 {
        let name = name(&format!("refs/heads/{number:04}"));
        let old = random.below(3900);
        let new = old + 1 + random.below(60);
        let (here, there) = match number % 3 {
            0 => (old, new),
            1 => (new, old),
            _ => (history.add(&[old]), new),
        };
        expected.push([Ancestry::LocalBehind, Ancestry::RemoteBehind, Ancestry::Unrelated][number % 3]);
        local.push((name.clone(), id(here)));
        remote.push((name, id(there)));
    }
    let run = plan_over(&history, Config::default(), local, remote, None);
    assert_eq!(told(run.plan()), expected);
    assert!(run.asked.len() <= history.parents.len());
    assert!(run.rounds <= 200, "{} rounds", run.rounds);
}

#[test]
fn sync_24_what_was_volunteered_is_not_asked_for() {
    let mut history = History::default();
    history.line(None, 300);
    let (local, remote) = (refs(&[("refs/heads/a", 10)]), refs(&[("refs/heads/a", 290)]));
    let mut planner = Planner::new(Config::default(), local, remote, None);
    let run = drive(&mut planner, |_| history.all());
    assert_eq!((run.rounds, run.asked.len()), (1, 2));
    assert_eq!(run.plan().refs[0].decision, Decision::Fetch);
}

/// SYNC-24: repeated and contradicting answers, self-parents, repeated parents, strangers.
#[test]
fn sync_24_hostile_answers_change_nothing() {
    let mut history = History::default();
    history.line(None, 40);
    let (local, remote) = (refs(&[("refs/heads/a", 10)]), refs(&[("refs/heads/a", 30)]));
    let mut planner = Planner::new(Config::default(), local, remote, None);
    let run = drive(&mut planner, |ids| {
        let mut commits = vec![];
        for commit in history.all().into_iter().filter(|commit| ids.contains(&commit.id)) {
            let mut truth = commit.clone();
            truth.parents.push(commit.id);
            truth.parents.extend(commit.parents.clone());
            let lie = Commit { id: commit.id, parents: [id(777)].into_iter().collect(), time: i64::MAX };
            let stranger = Commit { id: id(888), parents: [id(888), id(10)].into_iter().collect(), time: 0 };
            commits.extend([truth, lie, stranger]);
        }
        commits
    });
    assert_eq!(run.plan().refs[0].decision, Decision::Fetch);
    assert_eq!(run.asked.len(), 21);
}

#[test]
fn sync_25_limits_are_named() {
    let mut history = History::default();
    history.line(None, 100);
    let plan = |max_commits| {
        let config = Config { max_commits, ..Config::default() };
        plan_over(&history, config, refs(&[("refs/heads/a", 10)]), refs(&[("refs/heads/a", 60)]), None)
    };
    assert_eq!(plan(51).plan().refs[0].decision, Decision::Fetch);
    let limit = plan(50);
    assert_eq!(limit.end, Err(Error::TooManyCommits { limit: 50 }));
    assert_eq!(limit.asked.len(), 50);
    assert_eq!(plan(0).end, Err(Error::TooManyCommits { limit: 0 }));

    let ask = |answer: &dyn Fn() -> Vec<Commit>| {
        let config = Config { max_commits: 20, ..Config::default() };
        let (local, remote) = (refs(&[("refs/heads/a", 10)]), refs(&[("refs/heads/a", 60)]));
        drive(&mut Planner::new(config, local, remote, None), |_| answer()).end
    };
    assert_eq!(ask(&|| history.all()), Err(Error::TooManyCommits { limit: 20 }), "volunteered ones count");
    let wide = Commit { id: id(60), parents: (0..65_537).map(id).collect(), time: 0 };
    let mut widest = wide.clone();
    widest.parents.pop();
    assert!(ask(&|| vec![widest.clone()]).is_ok());
    let error = ask(&|| vec![wide.clone()]).unwrap_err();
    assert_eq!(error, Error::TooManyParents { limit: 65_536 });
    assert_eq!(error.blame(), Blame::Caller);
}

#[test]
fn sync_32_misused_verbs_change_nothing() {
    let (local, remote) = (refs(&[("refs/heads/a", 0)]), refs(&[("refs/heads/a", 1)]));
    let mut planner = Planner::new(Config::default(), local, remote, None);
    let history = fork();
    assert_eq!(planner.poll_action(), None);
    assert_eq!(planner.commits(history.all()), Err(Misuse::NotAsked { verb: "commits" }));
    planner.start().unwrap();
    assert!(matches!(planner.start(), Err(Misuse::Argument { verb: "start", .. })));
    assert_eq!(planner.commits(history.all()), Err(Misuse::NotAsked { verb: "commits" }), "not polled yet");
    assert!(matches!(planner.poll_action(), Some(Action::LoadCommits(ids)) if ids.len() == 2));
    planner.commits(history.all()).unwrap();
    assert!(!planner.has_ended(), "the plan waits");
    assert!(matches!(planner.poll_action(), Some(Action::Planned(_))));
    assert!(planner.has_ended());
}
