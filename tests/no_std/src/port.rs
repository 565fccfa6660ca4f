//! A stream over a port: sender and receiver against each other, blocks, acknowledgements and the end.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use portline::Instant;
use portline::port::{Config, Receiver, Sender, receiver, sender};

use crate::exchange::{Step, check};

/// Carries `total` bytes in blocks of `chunk` with `window` blocks outstanding.
pub fn stream(total: usize, chunk: usize, window: u32) -> Step {
    let now = Instant::ZERO;
    let config = Config { chunk_size: Some(chunk), window, ..Config::default() };
    let mut sender = Sender::new(config.clone(), now).map_err(|_| 31)?;
    let mut receiver = Receiver::new(config, now).map_err(|_| 31)?;
    let body: Bytes = (0..total).map(|at| (at % 253) as u8).collect();
    sender.write(now, body.clone()).map_err(|_| 32)?;
    sender.finish(now);
    let (mut got, mut ended, mut finished) = (Vec::new(), false, false);
    for _ in 0..10_000 {
        while let Some(transmit) = sender.poll_transmit() {
            receiver.handle_message(now, transmit.into_bytes()).map_err(|_| 33)?;
        }
        while let Some(action) = receiver.poll_action() {
            match action {
                receiver::Action::Block(block) => {
                    check(34, !block.is_empty() && block.len() <= chunk)?;
                    got.extend_from_slice(&block);
                    receiver.accept(now);
                }
                receiver::Action::End => ended = true,
                _ => return Err(35),
            }
        }
        while let Some(transmit) = receiver.poll_transmit() {
            sender.handle_message(now, transmit.into_bytes()).map_err(|_| 36)?;
        }
        while let Some(action) = sender.poll_action() {
            check(37, action == sender::Action::Finished)?;
            finished = true;
        }
        if ended && finished {
            break;
        }
    }
    check(38, ended && finished && got == body && sender.has_ended() && receiver.has_ended())
}

/// Nobody answers: the sender's own clock-free timeout ends it.
pub fn silence() -> Step {
    let mut sender = Sender::new(Config::default(), Instant::ZERO).map_err(|_| 41)?;
    sender.write(Instant::ZERO, Bytes::from_static(b"block")).map_err(|_| 42)?;
    check(43, sender.poll_transmit().is_some())?;
    let deadline = Instant::ZERO.checked_add(Duration::from_secs(30));
    check(44, sender.poll_timeout() == deadline)?;
    sender.handle_timeout(deadline.ok_or(44)?);
    check(45, matches!(sender.poll_action(), Some(sender::Action::Failed(_))) && sender.has_ended())
}
