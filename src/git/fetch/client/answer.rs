//! The lines a server answers to haves.

use bytes::Bytes;

use crate::git::{ObjectFormat, ObjectId, SessionError};
use crate::pkt::{self, Packet};

/// One line of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `NAK`: the answer ends here.
    Nak,
    /// `ACK id`: the last line before the pack.
    Final(ObjectId),
    /// `ACK id common`.
    Common(ObjectId),
    /// `ACK id ready`: the server can build a good pack; it need not have that id.
    Ready(ObjectId),
    /// `ACK id continue`: common, or of no interest because the server has heard enough.
    Continue(ObjectId),
}

impl Answer {
    /// Reads one line (FETCH-12).
    pub(super) fn parse(
        packet: &Packet<Bytes>,
        format: ObjectFormat,
        expected: &'static str,
    ) -> Result<Self, SessionError> {
        let unexpected = || SessionError::unexpected(expected, packet);
        let Packet::Data(line) = packet else { return Err(unexpected()) };
        let line = pkt::trim_lf(line);
        if let Some(message) = line.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message));
        }
        if line == b"NAK" {
            return Ok(Self::Nak);
        }
        let rest = line.strip_prefix(b"ACK ").ok_or_else(unexpected)?;
        let (hex, status) = rest.split_at_checked(format.hex_len()).ok_or_else(unexpected)?;
        let id = ObjectId::from_hex(hex).map_err(|_| unexpected())?;
        match status {
            b"" => Ok(Self::Final(id)),
            b" common" => Ok(Self::Common(id)),
            b" ready" => Ok(Self::Ready(id)),
            b" continue" => Ok(Self::Continue(id)),
            _ => Err(unexpected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "59718b6e26b96150c7dd3435f053958592fc24f1";

    fn parse(line: &str) -> Result<Answer, SessionError> {
        let line = Bytes::from(line.replace("ID", ID));
        Answer::parse(&Packet::Data(line), ObjectFormat::Sha1, "an answer")
    }

    #[test]
    fn fetch_12_every_form_with_and_without_its_lf() {
        let id: ObjectId = ID.parse().unwrap();
        for (line, answer) in [
            ("NAK", Answer::Nak),
            ("ACK ID", Answer::Final(id)),
            ("ACK ID common", Answer::Common(id)),
            ("ACK ID ready", Answer::Ready(id)),
            ("ACK ID continue", Answer::Continue(id)),
        ] {
            assert_eq!(parse(line), Ok(answer));
            assert_eq!(parse(&alloc::format!("{line}\n")), Ok(answer));
        }
    }

    #[test]
    fn fetch_12_anything_else_is_named() {
        for line in ["", "nak", "NAK ", "ACK", "ACK ", "ACK ID ", "ACK ID  common", "ACK IDcommon", "ACK IDa"]
        {
            assert!(matches!(parse(line), Err(SessionError::Unexpected { .. })), "{line}");
        }
        let flush = Answer::parse(&Packet::Flush, ObjectFormat::Sha1, "an answer");
        let found = Bytes::from_static(b"0000");
        assert_eq!(flush, Err(SessionError::Unexpected { expected: "an answer", found }));
        assert_eq!(parse("ERR no\n"), Err(SessionError::Remote { message: Bytes::from_static(b"no") }));
    }
}
