//! Finding what both sides have, in Git's words.
//!
//! Haves are gathered into a batch until a flush, `done` or [`BATCH`](super::haves::BATCH) of them; one question finds
//! which exist; then the answers are written as if each line had been answered when it came, because that is what Git
//! does. A batch bounds what is written at once.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::haves::{Haves, Looked};
use super::{Config, Error};
use crate::git::wire::Wire;
use crate::git::{ObjectId, SessionError};
use crate::pkt::{self, Packet};

/// What may come once the wants are told.
pub(super) const EXPECTED: &str = "a have line, a flush packet or done";

/// How common objects are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Acks {
    /// The first one, once.
    #[default]
    First,
    /// `multi_ack`: each with `continue`.
    Multi,
    /// `multi_ack_detailed`: each with `common`, and `ready` when the pack could be made.
    Detailed,
}

/// What ended a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The batch is full; the round goes on.
    Full,
    /// A flush packet: the round is over and is answered.
    Flush,
    /// `done`: the negotiation is over.
    Done,
}

/// What else a flush may mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtFlush {
    /// The pack follows `ready` at once.
    pub(super) no_done: bool,
    /// The request ends there, and with it the exchange.
    pub(super) leaves: bool,
}

/// What follows a batch's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Haves,
    Pack,
    /// The answer to one request ends here.
    Leave,
}

#[derive(Debug, Default)]
pub(super) struct Negotiation {
    pub(super) haves: Haves,
    looked: Vec<Looked>,
    /// The latest common object, the one that the final ACK names.
    last: Option<ObjectId>,
    pub(super) rounds: usize,
    round: Round,
    cover: Cover,
    /// `ready` was said.
    ready: bool,
}

/// What came since the last flush.
#[derive(Debug, Default)]
struct Round {
    haves: usize,
    common: bool,
    missing: bool,
}

/// What is known of "every want reaches something common", as a property of how many common objects there are.
#[derive(Debug, Default)]
struct Cover {
    /// With so many it was not so.
    not_by: usize,
    /// With so many it was.
    by: Option<usize>,
}

/// The smallest of `sizes` (ascending) that covers every want. The largest is asked first: if that does not,
/// none does. Otherwise bisection finds the place from which Git would have said `ready`.
#[derive(Debug)]
pub(super) struct Search {
    sizes: Vec<usize>,
    low: usize,
    /// Known to cover.
    high: Option<usize>,
}

impl Search {
    fn index(&self) -> usize {
        match self.high {
            None => self.sizes.len().saturating_sub(1),
            Some(high) => self.low.midpoint(high),
        }
    }

    fn size(&self) -> usize {
        self.sizes.get(self.index()).copied().unwrap_or(0)
    }
}

impl Negotiation {
    /// Takes one packet; `Some` when it ends a batch.
    pub(super) fn take(&mut self, packet: &Packet<Bytes>, config: &Config) -> Result<Option<Stop>, Error> {
        let line = match packet {
            Packet::Flush => return self.count_round(config).map(|()| Some(Stop::Flush)),
            Packet::Data(line) => pkt::trim_lf(line),
            Packet::Delim | Packet::ResponseEnd => {
                return Err(SessionError::unexpected(EXPECTED, packet).into());
            }
        };
        if let Some(hex) = line.strip_prefix(b"have ") {
            let id = ObjectId::from_hex(hex.trim_ascii_end()).ok().filter(|id| id.format() == config.format);
            let id = id.ok_or_else(|| SessionError::unexpected(EXPECTED, packet))?;
            self.round.haves = self.round.haves.saturating_add(1);
            return Ok(self.haves.take(id, config)?.then_some(Stop::Full));
        }
        if line == b"done" {
            if self.round.haves > 0 {
                self.count_round(config)?;
            }
            return Ok(Some(Stop::Done));
        }
        match line.strip_prefix(b"ERR ") {
            Some(message) => Err(SessionError::remote(message).into()),
            None => Err(SessionError::unexpected(EXPECTED, packet).into()),
        }
    }

    fn count_round(&mut self, config: &Config) -> Result<(), Error> {
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds > config.max_rounds {
            let limit = config.max_rounds;
            return Err(SessionError::TooMany { what: "rounds of negotiation", limit }.into());
        }
        Ok(())
    }

    /// Takes the answer to [`Haves::unknown`].
    pub(super) fn found(&mut self, found: Vec<ObjectId>) {
        self.haves.found(found, |one| self.looked.push(one));
        for one in &self.looked {
            match one {
                Looked::Common(_) => self.round.common = true,
                Looked::Missing(..) => self.round.missing = true,
            }
        }
    }

    /// The sizes of the common set at which Git would ask itself whether the pack could be made, if there are
    /// any whose answer is not known.
    pub(super) fn search(&self, acks: Acks, stop: Stop) -> Option<Search> {
        if acks == Acks::First || self.cover.by.is_some() {
            return None;
        }
        let mut sizes: Vec<usize> = self
            .looked
            .iter()
            .filter_map(|one| match one {
                Looked::Common(_) => None,
                Looked::Missing(_, size) => Some(*size),
            })
            .chain(self.all_common(acks, stop).then_some(self.haves.common().len()))
            .filter(|size| *size > self.cover.not_by)
            .collect();
        sizes.dedup();
        (!sizes.is_empty()).then_some(Search { sizes, low: 0, high: None })
    }

    /// Whether the flush ends a round in which everything was common: then `ready` may be said there.
    fn all_common(&self, acks: Acks, stop: Stop) -> bool {
        acks == Acks::Detailed && stop == Stop::Flush && self.round.common && !self.round.missing
    }

    /// The common objects that the next question is about.
    pub(super) fn asked(&self, search: &Search) -> Vec<ObjectId> {
        let common = self.haves.common();
        common.get(..search.size()).unwrap_or(common).to_vec()
    }

    /// Takes the answer; the search goes on while it is not settled.
    pub(super) fn covered(&mut self, mut search: Search, covered: bool) -> Option<Search> {
        let (index, size) = (search.index(), search.size());
        if covered {
            self.cover.by = Some(size);
            search.high = Some(index);
        } else {
            self.cover.not_by = self.cover.not_by.max(size);
            search.low = index.saturating_add(1);
        }
        search.high.is_some_and(|high| search.low < high).then_some(search)
    }

    fn can_give_up(&self, size: usize) -> bool {
        self.cover.by.is_some_and(|by| size >= by)
    }

    /// Writes the answers to the batch and to what ended it.
    pub(super) fn reply(
        &mut self,
        wire: &mut Wire,
        acks: Acks,
        flush: AtFlush,
        stop: Stop,
    ) -> Result<Next, Error> {
        for one in mem::take(&mut self.looked) {
            match one {
                Looked::Common(id) => {
                    match (acks, self.last) {
                        (Acks::Detailed, _) => ack(wire, &id, b" common")?,
                        (Acks::Multi, _) => ack(wire, &id, b" continue")?,
                        (Acks::First, None) => ack(wire, &id, b"")?,
                        (Acks::First, Some(_)) => {}
                    }
                    self.last = Some(id);
                }
                Looked::Missing(id, size) if self.can_give_up(size) => match acks {
                    Acks::Detailed => {
                        self.ready = true;
                        ack(wire, &id, b" ready")?;
                    }
                    Acks::Multi => ack(wire, &id, b" continue")?,
                    Acks::First => {}
                },
                Looked::Missing(..) => {}
            }
        }
        match stop {
            Stop::Full => Ok(Next::Haves),
            Stop::Flush => self.reply_flush(wire, acks, flush),
            Stop::Done => {
                match (self.last, acks) {
                    (None, _) => wire.line(&[b"NAK"])?,
                    (Some(last), Acks::Multi | Acks::Detailed) => ack(wire, &last, b"")?,
                    (Some(_), Acks::First) => {}
                }
                Ok(Next::Pack)
            }
        }
    }

    fn reply_flush(&mut self, wire: &mut Wire, acks: Acks, flush: AtFlush) -> Result<Next, Error> {
        let give_up = self.all_common(acks, Stop::Flush) && self.can_give_up(self.haves.common().len());
        self.round = Round::default();
        if let Some(last) = self.last.filter(|_| give_up) {
            self.ready = true;
            ack(wire, &last, b" ready")?;
        }
        if self.last.is_none() || acks != Acks::First {
            wire.line(&[b"NAK"])?;
        }
        match self.last {
            Some(last) if flush.no_done && self.ready => {
                ack(wire, &last, b"")?;
                Ok(Next::Pack)
            }
            _ if flush.leaves => Ok(Next::Leave),
            _ => Ok(Next::Haves),
        }
    }
}

fn ack(wire: &mut Wire, id: &ObjectId, status: &[u8]) -> Result<(), SessionError> {
    wire.line(&[b"ACK ", id.to_hex().as_bytes(), status])
}
