//! A call with a stream both ways over one pipe: two sessions, every message echoed.

use bytes::Bytes;
use portline::Instant;
use portline::rpc::session::{Action, Config, Session};
use portline::rpc::{Fallback, Role};
use portline::stream::{Direction, Role as StreamRole, Shape};

use crate::exchange::{Step, check};

const NOW: Instant = Instant::ZERO;
const ITEM: usize = 100;

struct End {
    session: Session,
    /// Items that came on streams, and calls that returned well.
    items: usize,
    returned: usize,
}

impl End {
    fn new(role: Role) -> Result<Self, u8> {
        let session = Session::new(Config::new(role), NOW).map_err(|_| 51)?;
        Ok(Self { session, items: 0, returned: 0 })
    }

    /// The client writes `count` items; the server echoes and answers.
    fn act(&mut self, action: Action, count: usize) -> Step {
        match action {
            Action::Called { call, .. } => {
                let shape = Shape::items(Direction::Both(StreamRole::Responder));
                self.session.open_stream(NOW, call, shape).map_err(|_| 55)?;
                self.session.respond(NOW, call, Ok(Bytes::from_static(b"done"))).map_err(|_| 55)?;
            }
            Action::StreamOpened { stream, .. } if count != 0 => {
                for item in 0..count {
                    let item: Bytes = core::iter::repeat_n(item as u8, ITEM).collect();
                    self.session.write(NOW, stream, item).map_err(|_| 56)?;
                }
                self.session.finish(NOW, stream);
            }
            Action::Data { stream, data } => {
                check(57, data.len() == ITEM && data.iter().all(|byte| *byte == self.items as u8))?;
                self.items += 1;
                self.session.consume(NOW, stream);
                if count == 0 {
                    self.session.write(NOW, stream, data).map_err(|_| 58)?;
                }
            }
            Action::PeerDone { stream } => self.session.finish(NOW, stream),
            Action::Returned { result, .. } => {
                check(59, result.is_ok_and(|answer| answer.value == "done"))?;
                self.returned += 1;
            }
            Action::StreamFailed { .. } | Action::Failed(_) | Action::Aborted { .. } => return Err(60),
            _ => {}
        }
        Ok(())
    }
}

/// Echoes `count` items over a pipe that hands over `split` bytes at a time.
pub fn echo(count: usize, split: usize) -> Step {
    let mut ends = [End::new(Role::Initiator)?, End::new(Role::Acceptor)?];
    let [client, server] = &mut ends;
    client.session.call(NOW, Bytes::from_static(b"echo"), Bytes::new(), Fallback::None).map_err(|_| 64)?;
    for _ in 0..1000 {
        for is_client in [true, false] {
            let (from, to, writes) =
                if is_client { (&mut *client, &mut *server, count) } else { (&mut *server, &mut *client, 0) };
            while let Some(message) = from.session.poll_transmit() {
                let mut rest = message.into_bytes();
                while !rest.is_empty() {
                    let piece = rest.split_to(split.min(rest.len()));
                    to.session.handle_bytes(NOW, piece).map_err(|_| 65)?;
                }
            }
            while let Some(action) = from.session.poll_action() {
                from.act(action, writes)?;
            }
        }
    }
    check(66, client.items == count && server.items == count && client.returned == 1)?;
    check(67, client.session.open_streams() == 0 && server.session.open_channels() == 0)
}
