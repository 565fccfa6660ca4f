//! Two-way sync: what to do with each ref that two repositories have, or one of them lacks.
//!
//! ```text
//!  local refs ─┐                                     ┌─► LoadCommits ─► driver ─┐
//!  remote refs ┼─► Planner: merge by name ─► ancestry┤                          │
//!  base refs ──┘      │ told without history         └◄──────── commits ◄───────┘
//!                     └────────────► decide ─► strategy ─► Plan
//! ```
//!
//! - [`decide`] is the table: local, remote, base and ancestry give a [`Decision`].
//! - [`Decision::step`] applies the [`Strategy`], which only ever touches conflicts, and gives a [`Step`].
//! - [`Planner`] is the machine that asks for the history it needs, each commit once for all refs together.
//! - [`Graph`] answers the same questions over a history that is in memory already.
//!
//! Nothing here moves a ref or an object; the executor in [`crate::peer`] does. Limits: [`Config::max_commits`] and
//! [`limits::PARENTS`](crate::limits::PARENTS). Rules: `spec/07-sync.md`.

mod ancestry;
mod decision;
mod history;
mod paint;
mod pattern;
mod plan;
pub mod planner;
mod walk;

pub use ancestry::Graph;
pub use decision::{Ancestry, Base, Decision, Step, Strategy, decide};
pub use pattern::{BUILT_IN_EXCLUSIONS, Pattern, PatternError, always_excluded};
pub use plan::{Plan, RefPlan};
pub use planner::{Config, Planner};
