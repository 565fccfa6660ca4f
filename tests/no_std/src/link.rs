//! A call with a stream both ways over the mux: two links, their channels on one pipe, every message echoed.

use bytes::Bytes;
use portline::Instant;
use portline::rpc::mux::{self, CONTROL, Mux};
use portline::rpc::{Action, Config, Fallback, Link, Role};
use portline::stream::{Direction, Role as StreamRole, Shape};

use crate::exchange::{Step, check};

const NOW: Instant = Instant::ZERO;
const ITEM: usize = 100;

struct End {
    link: Link,
    mux: Mux,
    /// Items that came on streams, and calls that returned well.
    items: usize,
    returned: usize,
}

impl End {
    fn new(role: Role) -> Result<Self, u8> {
        let link = Link::new(Config::new(role), NOW).map_err(|_| 51)?;
        let mux = Mux::new(mux::Config::new(role), NOW).map_err(|_| 51)?;
        Ok(Self { link, mux, items: 0, returned: 0 })
    }

    /// What the link has to send goes to the mux.
    fn pump(&mut self) -> Step {
        while let Some(message) = self.link.poll_transmit() {
            self.mux.send(CONTROL, message).map_err(|_| 52)?;
        }
        while let Some(channel) = self.link.poll_channel() {
            while let Some(message) = self.link.poll_channel_transmit(channel) {
                self.mux.send(channel, message).map_err(|_| 53)?;
            }
        }
        Ok(())
    }

    /// The client writes `count` items; the server echoes and answers.
    fn act(&mut self, action: Action, count: usize) -> Step {
        match action {
            Action::OpenChannel { channel, .. } => {
                self.mux.open_as(channel).map_err(|_| 54)?;
                self.link.channel_attached(NOW, channel);
            }
            Action::CloseChannel { channel, late } => {
                self.mux.expect_late(late);
                self.mux.close(channel);
            }
            Action::Called { call, .. } => {
                let shape = Shape::items(Direction::Both(StreamRole::Responder));
                self.link.open_stream(NOW, call, shape).map_err(|_| 55)?;
                self.link.respond(call, Ok(Bytes::from_static(b"done"))).map_err(|_| 55)?;
            }
            Action::StreamOpened { stream } if count != 0 => {
                for item in 0..count {
                    let item: Bytes = core::iter::repeat_n(item as u8, ITEM).collect();
                    self.link.write(NOW, stream, item).map_err(|_| 56)?;
                }
                self.link.finish(NOW, stream);
            }
            Action::Data { stream, data } => {
                check(57, data.len() == ITEM && data.iter().all(|byte| *byte == self.items as u8))?;
                self.items += 1;
                self.link.consume(NOW, stream);
                if count == 0 {
                    self.link.write(NOW, stream, data).map_err(|_| 58)?;
                }
            }
            Action::PeerDone { stream } => self.link.finish(NOW, stream),
            Action::Returned { result, .. } => {
                check(59, result.is_ok_and(|answer| answer.value == "done"))?;
                self.returned += 1;
            }
            Action::StreamFailed { .. } | Action::Failed(_) | Action::Aborted { .. } => return Err(60),
            _ => {}
        }
        Ok(())
    }

    /// Everything that came on the pipe.
    fn read(&mut self) -> Step {
        while let Some(action) = self.mux.poll_action() {
            match action {
                mux::Action::Message { channel: CONTROL, message } => {
                    self.link.handle_message(NOW, message).map_err(|_| 61)?;
                }
                mux::Action::Message { channel, message } => {
                    self.link.handle_channel_message(NOW, channel, message).map_err(|_| 62)?;
                }
                mux::Action::Failed(_) => return Err(63),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Echoes `count` items over a pipe that hands over `split` bytes at a time.
pub fn echo(count: usize, split: usize) -> Step {
    let mut ends = [End::new(Role::Initiator)?, End::new(Role::Acceptor)?];
    let [client, server] = &mut ends;
    client.link.call(Bytes::from_static(b"echo"), Bytes::new(), Fallback::None).map_err(|_| 64)?;
    for _ in 0..1000 {
        for is_client in [true, false] {
            let (from, to, writes) =
                if is_client { (&mut *client, &mut *server, count) } else { (&mut *server, &mut *client, 0) };
            from.pump()?;
            while let Some(message) = from.mux.poll_transmit() {
                let mut rest = message.into_bytes();
                while !rest.is_empty() {
                    let piece = rest.split_to(split.min(rest.len()));
                    to.mux.handle_bytes(NOW, piece).map_err(|_| 65)?;
                    to.read()?;
                }
            }
            from.read()?;
            while let Some(action) = from.link.poll_action() {
                from.act(action, writes)?;
            }
        }
    }
    check(66, client.items == count && server.items == count && client.returned == 1)?;
    check(67, client.link.open_streams() == 0 && server.mux.open_channels() == 0)
}
