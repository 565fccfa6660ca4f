//! The decision table, and what a strategy makes of its conflicts. Pure: no history is read here.
//!
//! Rules: SYNC-1 to SYNC-8.

use core::fmt;

use crate::git::ObjectId;

/// How the ids that a ref has on the two sides are related.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ancestry {
    /// The local commit is an ancestor of the remote one.
    LocalBehind,
    /// The remote commit is an ancestor of the local one.
    RemoteBehind,
    /// Neither is an ancestor of the other, or it is not known: not a commit, not held, not asked.
    #[default]
    Unrelated,
}

/// What is known of a ref at the last sync, when both sides agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Base {
    /// There is no record of an earlier sync.
    #[default]
    Unknown,
    /// There is a record, and it has no such ref.
    Absent,
    /// Both sides had this id.
    At(ObjectId),
}

/// What a ref needs so that both sides agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Both sides agree already.
    UpToDate,
    /// The local side takes the remote id.
    Fetch,
    /// The remote side takes the local id.
    Push,
    /// The remote side deleted the ref and the local one left it as it was: delete it here too.
    DeleteLocal,
    /// The local side deleted the ref and the remote one left it as it was: delete it there too.
    DeleteRemote,
    /// Both sides changed, and neither contains the other.
    Conflict,
}

/// What to do about conflicts. What ancestry decides is no conflict, and no strategy changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Leave them alone and report them.
    #[default]
    Report,
    /// The local side wins; the remote side is overwritten.
    PreferLocal,
    /// The remote side wins; the local side is overwritten.
    PreferRemote,
}

/// What the executor does for a ref: the decision after the strategy.
///
/// `force` says that the step takes away history (or a ref) that the other side's value does not contain: a backup
/// ref has to keep it before anything moves. Without `force` nothing is lost by definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Set the local ref to the remote id, creating it if it is not there.
    UpdateLocal {
        /// The local id is not an ancestor of the remote one.
        force: bool,
    },
    /// Set the remote ref to the local id, creating it if it is not there.
    UpdateRemote {
        /// The remote id is not an ancestor of the local one.
        force: bool,
    },
    /// Delete the local ref.
    DeleteLocal {
        /// It has changed since the base, and the remote side won.
        force: bool,
    },
    /// Delete the remote ref.
    DeleteRemote {
        /// It has changed since the base, and the local side won.
        force: bool,
    },
    /// Nothing: the conflict is reported.
    Conflict,
    /// Nothing: an exclusion covers the ref.
    Excluded,
}

/// Decides one ref. Total and pure: `ancestry` counts only where both sides have the ref with different ids, `base`
/// only where one side lacks it.
///
/// | local | remote | ancestry | base | decision |
/// |---|---|---|---|---|
/// | – | – | any | any | up to date |
/// | A | A | any | any | up to date |
/// | A | B | local behind | any | fetch |
/// | A | B | remote behind | any | push |
/// | A | B | unrelated | any | conflict |
/// | – | B | any | unknown, or absent | fetch (created there) |
/// | – | B | any | B | delete remote (deleted here) |
/// | – | B | any | another id | conflict (deleted here, changed there) |
/// | A | – | any | unknown, or absent | push (created here) |
/// | A | – | any | A | delete local (deleted there) |
/// | A | – | any | another id | conflict (changed here, deleted there) |
///
/// The first five rows and the two "created" ones are the seed's table; the base adds deletions. A base never turns
/// a conflict between two ids into anything else: where only one side moved since, but not forward, history was
/// rewritten there, and that is for a person to look at.
///
/// ```
/// use portline::sync::{Ancestry, Base, Decision, decide};
/// # use portline::git::ObjectId;
/// let id = ObjectId::from_raw(&[7; 20]).unwrap();
/// assert_eq!(decide(None, Some(&id), Base::Unknown, Ancestry::Unrelated), Decision::Fetch);
/// assert_eq!(decide(None, Some(&id), Base::At(id), Ancestry::Unrelated), Decision::DeleteRemote);
/// ```
#[must_use]
pub fn decide(
    local: Option<&ObjectId>,
    remote: Option<&ObjectId>,
    base: Base,
    ancestry: Ancestry,
) -> Decision {
    match (local, remote) {
        (None, None) => Decision::UpToDate,
        (Some(local), Some(remote)) if local == remote => Decision::UpToDate,
        (Some(_), Some(_)) => match ancestry {
            Ancestry::LocalBehind => Decision::Fetch,
            Ancestry::RemoteBehind => Decision::Push,
            Ancestry::Unrelated => Decision::Conflict,
        },
        (None, Some(there)) => one_sided(there, base, Decision::Fetch, Decision::DeleteRemote),
        (Some(here), None) => one_sided(here, base, Decision::Push, Decision::DeleteLocal),
    }
}

/// One side has `id`, the other nothing: created on the one, or deleted on the other.
fn one_sided(id: &ObjectId, base: Base, created: Decision, deleted: Decision) -> Decision {
    match base {
        Base::Unknown | Base::Absent => created,
        Base::At(then) if then == *id => deleted,
        Base::At(_) => Decision::Conflict,
    }
}

impl Decision {
    /// What to do under `strategy`. Only [`Decision::Conflict`] depends on it.
    ///
    /// | conflict | report | prefer local | prefer remote |
    /// |---|---|---|---|
    /// | A, B | conflict | update remote, forced | update local, forced |
    /// | A, – (deleted there) | conflict | update remote (creates it again) | delete local, forced |
    /// | –, B (deleted here) | conflict | delete remote, forced | update local (creates it again) |
    #[must_use]
    pub const fn step(self, strategy: Strategy, local: Option<&ObjectId>, remote: Option<&ObjectId>) -> Step {
        match self {
            Self::UpToDate => Step::Keep,
            Self::Fetch => Step::UpdateLocal { force: false },
            Self::Push => Step::UpdateRemote { force: false },
            Self::DeleteLocal => Step::DeleteLocal { force: false },
            Self::DeleteRemote => Step::DeleteRemote { force: false },
            Self::Conflict => match strategy {
                Strategy::Report => Step::Conflict,
                Strategy::PreferLocal if local.is_some() => Step::UpdateRemote { force: remote.is_some() },
                Strategy::PreferLocal => Step::DeleteRemote { force: true },
                Strategy::PreferRemote if remote.is_some() => Step::UpdateLocal { force: local.is_some() },
                Strategy::PreferRemote => Step::DeleteLocal { force: true },
            },
        }
    }

    /// The decision in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::Fetch => "fetch",
            Self::Push => "push",
            Self::DeleteLocal => "delete local",
            Self::DeleteRemote => "delete remote",
            Self::Conflict => "conflict",
        }
    }
}

impl Step {
    /// Whether the step changes a ref on either side.
    #[must_use]
    pub const fn changes(self) -> bool {
        self.changes_local() || self.changes_remote()
    }

    /// Whether the step changes the local ref.
    #[must_use]
    pub const fn changes_local(self) -> bool {
        matches!(self, Self::UpdateLocal { .. } | Self::DeleteLocal { .. })
    }

    /// Whether the step changes the remote ref: it belongs into the push.
    #[must_use]
    pub const fn changes_remote(self) -> bool {
        matches!(self, Self::UpdateRemote { .. } | Self::DeleteRemote { .. })
    }

    /// Whether a backup ref has to keep what the step takes away.
    #[must_use]
    pub const fn is_forced(self) -> bool {
        match self {
            Self::UpdateLocal { force }
            | Self::UpdateRemote { force }
            | Self::DeleteLocal { force }
            | Self::DeleteRemote { force } => force,
            Self::Keep | Self::Conflict | Self::Excluded => false,
        }
    }

    /// The step in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::UpdateLocal { force: false } => "update local",
            Self::UpdateLocal { force: true } => "overwrite local",
            Self::UpdateRemote { force: false } => "update remote",
            Self::UpdateRemote { force: true } => "overwrite remote",
            Self::DeleteLocal { force: false } => "delete local",
            Self::DeleteLocal { force: true } => "delete changed local",
            Self::DeleteRemote { force: false } => "delete remote",
            Self::DeleteRemote { force: true } => "delete changed remote",
            Self::Conflict => "conflict",
            Self::Excluded => "excluded",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    const ANCESTRIES: [Ancestry; 3] = [Ancestry::LocalBehind, Ancestry::RemoteBehind, Ancestry::Unrelated];
    const STRATEGIES: [Strategy; 3] = [Strategy::Report, Strategy::PreferLocal, Strategy::PreferRemote];

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_raw(&[byte; 20]).unwrap()
    }

    /// Every combination of two ids and none on either side, four bases and three ancestries, against the table
    /// written out once more: SYNC-1, SYNC-2, SYNC-3, SYNC-4, SYNC-5, SYNC-6, SYNC-7.
    #[test]
    fn sync_1_every_row_of_the_table() {
        use Decision::{Conflict, DeleteLocal, DeleteRemote, Fetch, Push, UpToDate};
        let (a, b, c) = (id(0xa), id(0xb), id(0xc));
        let mut rows = 0;
        // For the bases: unknown, absent, A, B, another id; ancestry matters in the last two rows alone.
        let table: [(Option<ObjectId>, Option<ObjectId>, [Decision; 5]); 7] = [
            (None, None, [UpToDate; 5]),
            (Some(a), Some(a), [UpToDate; 5]),
            (Some(b), Some(b), [UpToDate; 5]),
            (None, Some(a), [Fetch, Fetch, DeleteRemote, Conflict, Conflict]),
            (None, Some(b), [Fetch, Fetch, Conflict, DeleteRemote, Conflict]),
            (Some(a), None, [Push, Push, DeleteLocal, Conflict, Conflict]),
            (Some(b), None, [Push, Push, Conflict, DeleteLocal, Conflict]),
        ];
        let bases = [Base::Unknown, Base::Absent, Base::At(a), Base::At(b), Base::At(c)];
        for (local, remote, decisions) in table {
            for (base, decision) in bases.into_iter().zip(decisions) {
                for ancestry in ANCESTRIES {
                    assert_eq!(
                        decide(local.as_ref(), remote.as_ref(), base, ancestry),
                        decision,
                        "{local:?} {remote:?} {base:?} {ancestry:?}"
                    );
                    rows += 1;
                }
            }
        }
        for (local, remote) in [(a, b), (b, a)] {
            for base in bases {
                for (ancestry, decision) in ANCESTRIES.into_iter().zip([Fetch, Push, Conflict]) {
                    assert_eq!(decide(Some(&local), Some(&remote), base, ancestry), decision);
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, 3 * 3 * 5 * 3, "local × remote × base × ancestry");
    }

    /// The two sides are treated alike: swapping them swaps the words and nothing else.
    #[test]
    fn sync_1_the_table_is_symmetric() {
        let ids = [None, Some(id(1)), Some(id(2))];
        for local in &ids {
            for remote in &ids {
                for base in [Base::Unknown, Base::Absent, Base::At(id(1)), Base::At(id(3))] {
                    for ancestry in ANCESTRIES {
                        let swapped = match ancestry {
                            Ancestry::LocalBehind => Ancestry::RemoteBehind,
                            Ancestry::RemoteBehind => Ancestry::LocalBehind,
                            Ancestry::Unrelated => Ancestry::Unrelated,
                        };
                        let mirrored = match decide(remote.as_ref(), local.as_ref(), base, swapped) {
                            Decision::Fetch => Decision::Push,
                            Decision::Push => Decision::Fetch,
                            Decision::DeleteLocal => Decision::DeleteRemote,
                            Decision::DeleteRemote => Decision::DeleteLocal,
                            same @ (Decision::UpToDate | Decision::Conflict) => same,
                        };
                        assert_eq!(decide(local.as_ref(), remote.as_ref(), base, ancestry), mirrored);
                    }
                }
            }
        }
    }

    #[test]
    fn sync_8_a_strategy_changes_conflicts_alone() {
        let (a, b) = (id(1), id(2));
        let (a, b) = (Some(&a), Some(&b));
        for strategy in STRATEGIES {
            for (decision, step) in [
                (Decision::UpToDate, Step::Keep),
                (Decision::Fetch, Step::UpdateLocal { force: false }),
                (Decision::Push, Step::UpdateRemote { force: false }),
                (Decision::DeleteLocal, Step::DeleteLocal { force: false }),
                (Decision::DeleteRemote, Step::DeleteRemote { force: false }),
            ] {
                assert_eq!(decision.step(strategy, a, b), step, "{strategy:?}");
            }
        }
    }

    /// SYNC-8: a preference chooses a side; `force` wherever the other side's value goes away.
    #[test]
    fn sync_8_a_preference_forces_where_something_is_overwritten() {
        let (a, b) = (id(1), id(2));
        let (a, b) = (Some(&a), Some(&b));
        let steps = |local, remote| -> Vec<Step> {
            STRATEGIES.iter().map(|strategy| Decision::Conflict.step(*strategy, local, remote)).collect()
        };
        assert_eq!(
            steps(a, b),
            [Step::Conflict, Step::UpdateRemote { force: true }, Step::UpdateLocal { force: true }]
        );
        assert_eq!(
            steps(a, None),
            [Step::Conflict, Step::UpdateRemote { force: false }, Step::DeleteLocal { force: true }]
        );
        assert_eq!(
            steps(None, b),
            [Step::Conflict, Step::DeleteRemote { force: true }, Step::UpdateLocal { force: false }]
        );
    }

    #[test]
    fn words_for_people() {
        assert_eq!(Decision::UpToDate.to_string(), "up to date");
        assert_eq!(alloc::format!("{:<10}|", Decision::Fetch), "fetch     |");
        assert_eq!(Step::UpdateRemote { force: true }.to_string(), "overwrite remote");
        assert!(
            Step::DeleteLocal { force: true }.is_forced()
                && Step::DeleteLocal { force: true }.changes_local()
        );
        assert!(!Step::UpdateRemote { force: false }.is_forced() && !Step::Keep.is_forced());
        assert!(!Step::Excluded.changes() && !Step::Conflict.changes() && !Step::Keep.changes());
    }
}
