//! The worlds of `tests/model` once more, explored by stateright: as many states, the same properties.
//!
//! These are the very files, with their tests and their counts. Only what walks through the states is another: `explore`
//! is stateright's checker here, and the explorer of `tests/model` there. So neither can leave out states or properties
//! without the other one telling.
#![cfg(test)]
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

#[path = "../../model/body/mod.rs"]
mod body;
mod explore;
#[path = "../../model/fetch.rs"]
mod fetch;
#[path = "../../model/pair.rs"]
mod pair;
#[path = "../../model/port.rs"]
mod port;
#[path = "../../model/push.rs"]
mod push;
#[path = "../../model/rpc.rs"]
mod rpc;
#[path = "../../rpc_support/mod.rs"]
mod rpc_support;
#[path = "../../model/stream.rs"]
mod stream;
#[path = "../../model/sync.rs"]
mod sync;
#[path = "../../toy/mod.rs"]
mod toy;
