//! Ancestry is exact over random histories, whatever their times, asked for or indexed (SYNC-22 to SYNC-28).

use portline::git::Commit;
use portline::sync::{Ancestry, Config, Graph, Planner};

use crate::sync_history::{History, Random, Refs, drive, fork, id, name, plan_over, told};

/// A random history: forks, merges, several roots; its times honest, lying here and there, equal, inverted or wild.
fn random_history(random: &mut Random) -> History {
    let mut history = History::default();
    let size = 2 + random.below(70);
    let (near, merges) = (1 + random.below(size), random.below(4));
    for number in 0..size {
        let count = if number == 0 || random.below(15) == 0 {
            0
        } else {
            1 + random.below(2) * random.below(merges + 1)
        };
        let pick = |random: &mut Random| number - 1 - random.below(near.min(number));
        let parents: Vec<usize> = (0..count).map(|_| pick(random)).collect();
        history.add(&parents);
    }
    let mode = random.below(5);
    for (number, time) in history.times.iter_mut().enumerate() {
        *time = match mode {
            0 => number as i64,
            1 if random.below(5) > 0 => number as i64,
            1 => random.below(100) as i64,
            2 => 5,
            3 => -(number as i64),
            _ => [i64::MIN, i64::MAX, 0, random.next() as i64][random.below(4)],
        };
    }
    history
}

/// SYNC-22 and SYNC-28: against a plain walk, over every kind of clock. The property is `tests/properties`; these
/// are enough of it to be told at once.
#[test]
fn sync_22_random_histories_are_told_exactly_whatever_the_times() {
    let mut random = Random(2026);
    for round in 0..300 {
        let history = random_history(&mut random);
        let size = history.parents.len();
        let mut pairs = vec![];
        for _ in 0..1 + random.below(if round % 10 == 0 { 200 } else { 8 }) {
            let (local, remote) = (random.below(size), random.below(size));
            if local != remote {
                pairs.push((local, remote));
            }
        }
        let side = |pick: fn(&(usize, usize)) -> usize| -> Refs {
            let named = |(place, pair)| (name(&format!("refs/heads/{place:04}")), id(pick(pair)));
            pairs.iter().enumerate().map(named).collect()
        };
        let expected: Vec<Ancestry> =
            pairs.iter().map(|(here, there)| history.ancestry(*here, *there)).collect();
        let (local, remote) = (side(|pair| pair.0), side(|pair| pair.1));

        let run = plan_over(&history, Config::default(), local.clone(), remote.clone(), None);
        assert_eq!(told(run.plan()), expected, "history {round}");

        let ids: Vec<_> = pairs.iter().map(|(here, there)| (id(*here), id(*there))).collect();
        assert_eq!(Graph::new(history.all()).ancestry(&ids), expected, "history {round}, indexed");

        // SYNC-24: a driver that volunteers whatever it likes changes the questions, not the answers.
        let mut planner = Planner::new(Config::default(), local, remote, None);
        let volunteering = drive(&mut planner, |ids| {
            let mut commits: Vec<Commit> =
                history.all().into_iter().filter(|commit| ids.contains(&commit.id)).collect();
            commits.extend((0..3).map(|_| history.commit(random.below(size))));
            commits
        });
        assert_eq!(told(volunteering.plan()), expected, "history {round}, volunteered");
    }
}

#[test]
fn sync_26_cycles_end() {
    let mut random = Random(99);
    for _ in 0..50 {
        let size = 2 + random.below(30);
        let mut history = History::default();
        for _ in 0..size {
            let parents: Vec<usize> = (0..random.below(4)).map(|_| random.below(size)).collect();
            history.add(&parents);
        }
        let (mut local, mut remote, mut ids) = (vec![], vec![], vec![]);
        for number in 0..100 {
            let name = name(&format!("refs/heads/{number}"));
            let (here, there) = (id(random.below(size)), id(random.below(size)));
            local.push((name.clone(), here));
            remote.push((name, there));
            ids.push((here, there));
        }
        let run = plan_over(&history, Config::default(), local, remote, None);
        assert_eq!(run.plan().refs.len(), 100);
        assert_eq!(Graph::new(history.all()).ancestry(&ids).len(), 100);
    }
}

#[test]
fn sync_28_the_index_stands_alone() {
    let history = fork();
    let mut commits = history.all();
    commits.reverse();
    commits.push(Commit { id: id(2), parents: [id(3)].into_iter().collect(), time: 0 });
    let graph = Graph::new(commits);
    assert_eq!((graph.len(), graph.is_empty()), (4, false));
    assert!(graph.contains(&id(3)) && !graph.contains(&id(4)));
    let asked = [(id(0), id(2)), (id(2), id(0)), (id(2), id(3)), (id(2), id(2)), (id(2), id(9))];
    assert_eq!(
        graph.ancestry(&asked),
        [
            Ancestry::LocalBehind,
            Ancestry::RemoteBehind,
            Ancestry::Unrelated,
            Ancestry::Unrelated,
            Ancestry::Unrelated
        ]
    );
    assert_eq!(Graph::default().ancestry(&asked), [Ancestry::Unrelated; 5]);
    assert_eq!((Graph::default().len(), Graph::default().is_empty()), (0, true));
    let one = Graph::new(vec![history.commit(0)]);
    assert!(one.contains(&id(0)) && !one.contains(&id(1)));
    assert_eq!(graph.ancestry(&[]), []);
}

/// SYNC-28: more pairs than one sweep takes, each from a commit of its own.
#[test]
fn sync_28_as_many_pairs_as_one_likes_at_once() {
    let mut history = History::default();
    history.line(None, 800);
    let pairs: Vec<_> = (1..800).map(|newer| (id(newer - 1), id(newer))).collect();
    assert_eq!(Graph::new(history.all()).ancestry(&pairs), [Ancestry::LocalBehind; 799]);
}

/// SYNC-28: no recursion, whatever the depth.
#[test]
fn sync_28_a_long_history_needs_no_stack() {
    let mut history = History::default();
    history.line(None, 200_000);
    let graph = Graph::new(history.all());
    assert_eq!(graph.ancestry(&[(id(0), id(199_999))]), [Ancestry::LocalBehind]);
}
