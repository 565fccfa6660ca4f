//! Which filters a server lets its clients use.

use alloc::vec::Vec;

use crate::git::Filter;

/// Which filters are allowed: Git's `uploadpackfilter.*`. The default allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterPolicy {
    /// The kinds that are refused, on their own and as part of a combination.
    pub refused: Vec<FilterKind>,
    /// The deepest `tree:N` (`uploadpackfilter.tree.maxDepth`); `None`: any.
    pub max_tree: Option<u64>,
}

/// The kind of a filter, as Git's settings name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// `blob:none`.
    BlobNone,
    /// `blob:limit=N`.
    BlobLimit,
    /// `tree:N`.
    Tree,
    /// `object:type=T`.
    ObjectType,
    /// `sparse:oid=X`.
    SparseOid,
    /// `combine:…`.
    Combine,
}

impl FilterKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::BlobNone, Self::BlobLimit, Self::Tree, Self::ObjectType, Self::SparseOid, Self::Combine];

    /// The name in `uploadpackfilter.<name>.allow`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlobNone => "blob:none",
            Self::BlobLimit => "blob:limit",
            Self::Tree => "tree",
            Self::ObjectType => "object:type",
            Self::SparseOid => "sparse:oid",
            Self::Combine => "combine",
        }
    }

    /// The kind of `filter`.
    #[must_use]
    pub const fn of(filter: &Filter) -> Self {
        match filter {
            Filter::BlobNone => Self::BlobNone,
            Filter::BlobLimit(_) => Self::BlobLimit,
            Filter::Tree(_) => Self::Tree,
            Filter::ObjectType(_) => Self::ObjectType,
            Filter::SparseOid(_) => Self::SparseOid,
            Filter::Combine(_) => Self::Combine,
        }
    }
}

/// Why a filter is not allowed, in Git's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterRefusal {
    /// [`FilterPolicy::refused`].
    #[error("filter '{}' not supported", .kind.name())]
    Kind {
        /// The kind.
        kind: FilterKind,
    },
    /// [`FilterPolicy::max_tree`].
    #[error("tree filter allows max depth {limit}, but got {levels}")]
    TreeDepth {
        /// The limit.
        limit: u64,
        /// What was asked for.
        levels: u64,
    },
}

impl FilterPolicy {
    /// Why `filter` may not be used; `None` where it may. Of a combination the first part that may not.
    #[must_use]
    pub fn refusal(&self, filter: &Filter) -> Option<FilterRefusal> {
        let kind = FilterKind::of(filter);
        if self.refused.contains(&kind) {
            return Some(FilterRefusal::Kind { kind });
        }
        match (filter, self.max_tree) {
            (Filter::Tree(levels), Some(limit)) if *levels > limit => {
                Some(FilterRefusal::TreeDepth { limit, levels: *levels })
            }
            (Filter::Combine(parts), _) => parts.iter().find_map(|part| self.refusal(part)),
            (
                Filter::BlobNone
                | Filter::BlobLimit(_)
                | Filter::Tree(_)
                | Filter::ObjectType(_)
                | Filter::SparseOid(_),
                _,
            ) => None,
        }
    }
}
