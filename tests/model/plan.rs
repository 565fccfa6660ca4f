//! Every plan of one ref on two sides: wherever it stands there, here and at the last sync, on two histories, with each
//! strategy, against the plainest reading of what a sync is for.

use std::collections::BTreeSet;

use portline::sync::{Config, Decision, Step, Strategy};

use crate::sync_history::{History, Refs, fork, id, name, plan_over};

/// 0 to 2 are commits, 3 is nowhere.
const NOWHERE: usize = 3;

/// All that a place reaches; nowhere reaches nothing.
fn reached(history: &History, place: usize) -> BTreeSet<usize> {
    (0..NOWHERE).filter(|commit| place != NOWHERE && history.reaches(place, *commit)).collect()
}

/// What should be done, from what each side would lose.
fn expected(
    history: &History,
    strategy: Strategy,
    [here, there, base]: [usize; 3],
    known: bool,
) -> (Decision, Step) {
    let (ours, theirs) = (reached(history, here), reached(history, there));
    let forward = |there_wins| if there_wins { Decision::Fetch } else { Decision::Push };
    let decision = if here == there {
        Decision::UpToDate
    } else if here != NOWHERE && there != NOWHERE {
        // Whoever has all of the other's loses nothing by passing it on.
        match (theirs.is_superset(&ours), ours.is_superset(&theirs)) {
            (true, _) => Decision::Fetch,
            (_, true) => Decision::Push,
            (false, false) => Decision::Conflict,
        }
    } else if !known || base == NOWHERE {
        forward(here == NOWHERE)
    } else if base == here {
        Decision::DeleteLocal
    } else if base == there {
        Decision::DeleteRemote
    } else {
        Decision::Conflict
    };
    let step = match decision {
        Decision::UpToDate => Step::Keep,
        Decision::Fetch => Step::UpdateLocal { force: false },
        Decision::Push => Step::UpdateRemote { force: false },
        Decision::DeleteLocal => Step::DeleteLocal { force: false },
        Decision::DeleteRemote => Step::DeleteRemote { force: false },
        Decision::Conflict if strategy == Strategy::Report => Step::Conflict,
        // One side wins as it is; what the other one loses by that is what force is for.
        Decision::Conflict => {
            let local_wins = strategy == Strategy::PreferLocal;
            let (winner, loser) = if local_wins { (here, &theirs) } else { (there, &ours) };
            let force = !loser.is_empty();
            match (local_wins, winner == NOWHERE) {
                (true, false) => Step::UpdateRemote { force },
                (true, true) => Step::DeleteRemote { force },
                (false, false) => Step::UpdateLocal { force },
                (false, true) => Step::DeleteLocal { force },
            }
        }
    };
    (decision, step)
}

/// SYNC-1 to SYNC-8, SYNC-22, SYNC-30.
#[test]
fn sync_8_every_plan_of_one_ref_is_what_loses_least() {
    let mut line = History::default();
    line.line(None, 3);
    let mut parted = fork();
    parted.parents.remove(2);
    parted.times.remove(2);
    assert_eq!(parted.parents, [vec![], vec![0], vec![0]]);
    let mut plans = 0;
    for history in [&line, &parted] {
        for strategy in [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote] {
            for known in [true, false] {
                let places = (0..64).map(|at| [at / 16, at / 4 % 4, at % 4]);
                let refs = |pick: usize| -> Refs {
                    let all = places.clone().enumerate().filter(|(_, place)| place[pick] != NOWHERE);
                    all.map(|(at, place)| (name(&format!("refs/heads/{at:02}")), id(place[pick]))).collect()
                };
                let config = Config { strategy, ..Config::default() };
                let run = plan_over(history, config, refs(0), refs(1), known.then(|| refs(2)));
                for (at, place) in places.enumerate() {
                    let found = run.plan().find(&name(&format!("refs/heads/{at:02}")));
                    let found = found.map(|one| (one.decision, one.step));
                    let nowhere = place[0] == NOWHERE && place[1] == NOWHERE;
                    let expected = (!nowhere).then(|| expected(history, strategy, place, known));
                    assert_eq!(found, expected, "{place:?} {strategy:?}, base known: {known}");
                    plans += 1;
                }
            }
        }
    }
    assert_eq!(plans, 768);
}
