//! One sync, attempt after attempt: connects, runs, tells why it broke, waits, connects again.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use portline::peer::resilient::{Config, Failure};
use portline::peer::sync::Outcome;
use portline::recovery::{Attempt, Cause, Exhausted, GaveUp};

use super::args::Args;
use super::bars::size;
use super::left::{Left, Turn};
use super::pipe::Pipe;
use crate::support::connection::Connection;
use crate::support::drive::{Clock, Drive};
use crate::support::{Error, Repository};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What was done, and how it ended.
pub type Ended = (Outcome, Result<(), Error>);

/// Syncs `repository` with the server at `address`.
///
/// # Errors
/// What makes going on impossible; how the sync itself ended is in [`Ended`].
pub fn run(
    repository: &Repository,
    address: SocketAddr,
    config: Config,
    args: &Args,
) -> Result<Ended, Error> {
    let clock = Clock::start();
    let mut left = Left::new(repository, config, clock.now())?;
    let mut breaks = Breaks::new(args);
    let mut told = 0;
    loop {
        match left.next_turn(clock.now())? {
            Turn::Over => break,
            Turn::Wait { until } => {
                report(&mut left, &mut told, Some(until.saturating_duration_since(clock.now())));
                while clock.now() < until {
                    thread::park_timeout(until.saturating_duration_since(clock.now()));
                }
                left.machine.handle_timeout(clock.now());
            }
            Turn::Connect { attempt } => {
                let connected = TcpStream::connect_timeout(&address, CONNECT)
                    .and_then(|stream| Connection::tcp(stream, Bytes::new()).map_err(std::io::Error::other));
                match connected {
                    Err(error) => {
                        let reason = Bytes::from(error.to_string());
                        let misuse = left.machine.connect_failed(clock.now(), reason);
                        misuse.map_err(|misuse| Error::session(&misuse))?;
                    }
                    Ok(connection) => {
                        let drive = Drive::with_clock(connection, clock);
                        left.connected(clock.now(), drive.mailbox(), Pipe::new(breaks.of(attempt)))?;
                        let ran = drive.run(&mut left);
                        left.disconnected();
                        // Without an end of its attempt the event loop's own error is what there is.
                        ran?;
                    }
                }
            }
        }
    }
    match left.end.take() {
        Some(Ok(outcome)) => Ok((outcome.sync, Ok(()))),
        Some(Err(failure)) => {
            let error = explain(&left, args, &failure);
            Ok((failure.done, Err(error)))
        }
        None => Ok((Outcome::default(), Err(Error::Stalled))),
    }
}

/// Tells of the attempts that have failed since the last time.
fn report(left: &mut Left<'_>, told: &mut usize, again: Option<Duration>) {
    for attempt in left.machine.attempts().iter().skip(*told) {
        let number = told.saturating_add(1);
        let mut text = format!("attempt {number} broke after {}: ", size(attempt.moved));
        text += &cause(attempt, left.broken);
        if let Some(again) = again {
            text += &format!("; again in {:.1} s", again.as_secs_f32());
        }
        left.bars.note(&text);
        *told = number;
    }
}

fn cause<E: std::fmt::Display>(attempt: &Attempt<E>, broken: bool) -> String {
    match &attempt.cause {
        Cause::Disconnected { .. } if broken => "the connection was broken on purpose".to_owned(),
        cause => cause.to_string(),
    }
}

/// The error, and what to do about it.
fn explain(left: &Left<'_>, args: &Args, failure: &Failure) -> Error {
    let Some(last) = failure.attempts.last() else { return Error::session(&failure.why) };
    let mut message = match &last.cause {
        Cause::Disconnected { .. } if left.broken && args.break_after.is_some() => {
            "the connection was broken, as --break-after asked".to_owned()
        }
        _ => cause(last, left.broken),
    };
    let tries = failure.attempts.len();
    match failure.why {
        GaveUp::Exhausted(Exhausted::Attempts { .. }) if tries == 1 => {
            message += "; nothing is lost, and running sync again goes on from here";
        }
        GaveUp::Exhausted(why) => {
            message += &format!("; {why}. Nothing is lost, and running sync again goes on from here");
        }
        _ => {}
    }
    Error::session(&message)
}

/// Where connections are broken on purpose.
struct Breaks {
    once: Option<u64>,
    /// A seed, turned into the next number each time.
    chaos: Option<u64>,
}

impl Breaks {
    const fn new(args: &Args) -> Self {
        Self { once: args.break_after, chaos: args.chaos }
    }

    /// After how many bytes of input the connection of this attempt breaks. With chaos the range doubles from one to
    /// the next, so that in the end one is long enough.
    fn of(&mut self, attempt: u32) -> Option<u64> {
        let Some(chaos) = &mut self.chaos else { return self.once };
        *chaos = chaos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let range = 2048_u64.checked_shl(attempt).unwrap_or(u64::MAX);
        Some((*chaos >> 16).checked_rem(range)?.saturating_add(1))
    }
}
