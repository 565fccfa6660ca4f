//! What the link tells its driver, and what a call is and gives.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::rpc::{CallError, Capabilities, Error};
use crate::stream::{self, Shape};

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The value.
    pub value: Bytes,
    /// What its streams would have carried, when the call was a batch.
    pub items: Vec<Bytes>,
}

/// What to do for a call of which one side cannot stream, or whose stream has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fallback {
    /// Nothing: the call is as it is.
    #[default]
    None,
    /// Everything in one message: these items for the other side, and its items in the [`Answer`]. At once when the
    /// peer cannot stream; once more, as a new call, when a stream failed and the call with it.
    Batch(Vec<Bytes>),
}

/// What happened, or what the driver must do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The peer is ready. Calls made before go out now.
    Ready {
        /// The version that both speak.
        version: u32,
        /// What the peer can do.
        capabilities: Capabilities,
    },
    /// The peer calls a method. Answer with `open_stream` and `respond`.
    Called {
        /// The call, among the peer's.
        call: u32,
        /// The method.
        method: Bytes,
        /// Its arguments.
        arguments: Bytes,
    },
    /// The peer no longer wants its call, or is gone. It needs no answer any more. Terminal for the call.
    Aborted {
        /// The call, among the peer's.
        call: u32,
    },
    /// A call of ours is over. Terminal for the call.
    Returned {
        /// The call.
        call: u32,
        /// What it gave.
        result: Result<Answer, CallError>,
    },
    /// A call of ours, whose stream failed, is made again as a batch. Terminal for the call.
    Retried {
        /// The call.
        call: u32,
        /// The number of the batch.
        again: u32,
    },
    /// A stream was opened: attach its channel and say `channel_attached` or `channel_failed`.
    OpenChannel {
        /// The channel, and the stream.
        channel: u32,
        /// The call: the peer's if this side opened the stream, otherwise ours.
        call: u32,
        /// What both sides agree on, seen from here.
        shape: Shape,
    },
    /// The stream's channel is attached.
    StreamOpened {
        /// The stream.
        stream: u32,
        /// Its call, as in `OpenChannel`.
        call: u32,
        /// What both sides agree on, seen from here.
        shape: Shape,
    },
    /// Data of the peer's. Answer with `consume`: only that grants new credit.
    Data {
        /// The stream.
        stream: u32,
        /// The data.
        data: Bytes,
    },
    /// The peer's direction of the stream is done.
    PeerDone {
        /// The stream.
        stream: u32,
    },
    /// There is room again after `write` was refused.
    Writable {
        /// The stream.
        stream: u32,
    },
    /// The stream is over and all went well. Terminal for the stream.
    StreamFinished {
        /// The stream.
        stream: u32,
    },
    /// The stream failed. Terminal for the stream.
    StreamFailed {
        /// The stream.
        stream: u32,
        /// Why.
        error: stream::Error,
    },
    /// The channel is of no more use, once what was taken for it has been sent.
    CloseChannel {
        /// The channel.
        channel: u32,
        /// How many messages of the peer's may still be under way on it, which is nobody's fault (RPC-21): a carrier
        /// that counts such messages is told, as with [`Mux::expect_late`](crate::rpc::mux::Mux::expect_late).
        late: u32,
    },
    /// The control channel closed and nothing was pending. Terminal.
    Finished,
    /// The link failed. Terminal.
    Failed(Error),
}
