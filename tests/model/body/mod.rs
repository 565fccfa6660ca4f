//! The queue, a transfer, the readable stream and its tee: producer, consumer, stream, source and readers.

mod queue;
mod readable;
mod transfer;
