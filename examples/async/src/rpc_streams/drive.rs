//! The drive loop on tokio: one task owns the socket and the machines.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use portline::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

use crate::outbox::Outbox;
use crate::side::{App, Side};

/// Bytes of one read.
const READ: usize = 64 << 10;

/// A deadline further away than the clock can tell.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The machines' clock: it begins when the connection does.
struct Clock(time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// A deadline of the machines on tokio's clock. One that is too far away to be told is looked at again later.
    fn at(&self, deadline: Instant) -> time::Instant {
        let at = self.0.checked_add(deadline.saturating_duration_since(Instant::ZERO));
        at.or_else(|| self.0.checked_add(FAR)).unwrap_or(self.0)
    }
}

/// Runs a connection to its end: the program is done, or the link is over.
///
/// # Errors
/// What the socket said.
pub(crate) async fn drive<A: App>(mut socket: TcpStream, side: &mut Side<A>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let clock = Clock(time::Instant::now());
    let (mut reader, mut writer) = socket.split();
    let mut input = BytesMut::new();
    let mut outbox = Outbox::default();
    loop {
        // Sending makes room, and room lets the machines go on.
        loop {
            let mut moved = side.work(clock.now());
            while outbox.has_room() {
                let Some(message) = side.poll_transmit() else { break };
                outbox.push(message);
                moved = true;
            }
            if !moved || !outbox.has_room() {
                break;
            }
        }
        if side.has_ended() || (side.app.is_done() && !outbox.has_remaining()) {
            return writer.shutdown().await;
        }
        let deadline = side.poll_timeout();
        let until = clock.at(deadline.unwrap_or(Instant::ZERO));
        input.reserve(READ);
        tokio::select! {
            read = reader.read_buf(&mut input), if side.wants_input() => match read? {
                0 => side.handle_closed(clock.now()),
                _ => side.handle_bytes(clock.now(), input.split().freeze()),
            },
            written = writer.write_buf(&mut outbox), if outbox.has_remaining() => {
                written?;
                // Room again, and what leaves now begins to wait now: the session learns the time by being told.
                side.handle_timeout(clock.now());
            }
            () = time::sleep_until(until), if deadline.is_some() => side.handle_timeout(clock.now()),
            () = side.app.more() => side.handle_timeout(clock.now()),
        }
    }
}
