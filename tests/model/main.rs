//! Every state that two ends can reach together in small configurations, of every machine that talks to another one.
//!
//! The applications, the transport and the clock take every step they could, in every order. Each state is checked
//! against the world's properties, which have names; where nothing happens by itself any more, what is then due is checked
//! too. The number of states is exact, so that a change of behaviour does not pass unseen.
//!
//! | module | the two ends | a state is told from others by |
//! |---|---|---|
//! | `port` | sender and receiver: windows to 3, blocks to 4; failing, refusing, timing out, closing anywhere | what it shows |
//! | `stream` | two credit endpoints | its hash |
//! | `rpc` | two links: getting ready, one streaming call | its hash |
//! | `body` | queue, transfer, readable stream and its tee | what it shows |
//! | `fetch`, `push` | client and server of each protocol version on three commits; split, cut, timed out anywhere | what it shows |
//! | `sync` | two repositories of three commits and two refs, cut anywhere | what it shows |
//! | `plan` | no states: every plan of one ref, against the plainest reading of it | |
//!
//! The Git machines cannot be cloned. A world of theirs is the list of the events that led to it, which are gone through
//! again for each step ([`pair`]); and it is told from others by what its machines show with `Debug`: they derive it, so all
//! their fields are in it, and their collections are sorted or in an order that matters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub
)]

mod body;
mod explore;
mod fetch;
mod pair;
mod plan;
mod port;
mod push;
mod rpc;
#[path = "../rpc_support/mod.rs"]
mod rpc_support;
mod stream;
mod sync;
#[path = "../sync_history/mod.rs"]
mod sync_history;
#[path = "../toy/mod.rs"]
mod toy;
