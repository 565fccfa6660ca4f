//! The driver's answers.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::{Server, Showing, State};
use crate::Instant;
use crate::git::push::report::Updated;
use crate::git::push::status::StatusWriter;
use crate::git::resume::Head;
use crate::git::wire::Drive;
use crate::git::{Misuse, ObjectFormat, ObjectId, Ref, Resume};
use crate::pkt::{Band, MAX_BAND_DATA};

impl Server {
    /// Answers [`Action::ListRefs`](super::Action::ListRefs): the refs sorted by their stored names, of all namespaces
    /// and with the hidden ones (the machine leaves them out, and `HEAD`), and further objects that the repository has
    /// through its alternates.
    ///
    /// # Errors
    /// [`Misuse`]: not asked, or an id of another object format.
    pub fn refs_listed(&mut self, now: Instant, refs: Vec<Ref>, haves: Vec<ObjectId>) -> Result<(), Misuse> {
        const VERB: &str = "refs_listed";
        self.core.running(VERB)?;
        let State::Listing = self.state else { return Err(Misuse::NotAsked { verb: VERB }) };
        let format = self.config.format;
        let mut ids = refs.iter().map(|entry| &entry.id).chain(&haves).chain(&self.config.shallow);
        if ids.any(|id| id.format() != format) {
            return Err(Misuse::Argument { verb: VERB, reason: FORMAT });
        }
        match Showing::new(&self.config, refs, haves) {
            Ok(showing) => self.state = State::Showing(showing),
            Err(error) => self.fail(error.into()),
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::FindPart`](super::Action::FindPart).
    ///
    /// # Errors
    /// [`Misuse`] when that was not asked.
    pub fn part_found(&mut self, now: Instant, part: Option<Resume>) -> Result<(), Misuse> {
        const VERB: &str = "part_found";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Finding(batch) => {
                let held = part.as_ref().map_or(0, Resume::offset);
                // It is far shorter than a packet.
                let _ = self.core.wire.line(&[&Resume::line(part.as_ref())]);
                self.state = State::Starting(batch, Head::default(), held);
            }
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::ReceivePack`](super::Action::ReceivePack): the pack is stored and checked, its trailer included, or why it is not.
    /// Allowed from the question on, while the pack still comes; the rest is then not read.
    ///
    /// # Errors
    /// [`Misuse`] when no pack is being received.
    pub fn pack_stored(&mut self, now: Instant, result: Result<(), Bytes>) -> Result<(), Misuse> {
        const VERB: &str = "pack_stored";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Storing(mut batch) | State::Complete(mut batch) => match result {
                Ok(()) => self.state = self.ask_update(batch),
                Err(reason) => {
                    batch.unpack_failed(&reason);
                    self.state = State::Reporting(batch, StatusWriter::default());
                }
            },
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// The driver has seen the trailer of the pack and works on it (`index-pack --report-end-of-input` tells): from
    /// here on nothing is awaited of the peer, which is told by keep-alives that work goes on. The end of the input
    /// says the same by itself ([`Action::PackEnd`](super::Action::PackEnd)).
    ///
    /// # Errors
    /// [`Misuse`] when no pack is being received.
    pub fn pack_complete(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "pack_complete";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Storing(batch) | State::Complete(batch) => self.state = State::Complete(batch),
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::UpdateRefs`](super::Action::UpdateRefs): one result for each of its commands, in their order;
    /// the reason of a refusal goes to the client. Of an atomic push that has any error nothing was done: its other refs
    /// are reported as `atomic push failure`.
    ///
    /// # Errors
    /// [`Misuse`]: not asked, or another number of results. The question stays open.
    pub fn refs_updated(&mut self, now: Instant, results: Vec<Result<(), Bytes>>) -> Result<(), Misuse> {
        let failed = results.iter().any(Result::is_err);
        let all_or_none = match &self.state {
            State::Updating(batch, _) => batch.agreed.atomic && failed,
            _ => false,
        };
        let as_asked = |result: Result<(), Bytes>| match result {
            Ok(()) if all_or_none => Err(Bytes::from_static(b"atomic push failure")),
            Ok(()) => Ok(Vec::new()),
            Err(reason) => Err(reason),
        };
        self.settle(now, "refs_updated", results.into_iter().map(as_asked).collect())
    }

    /// As [`Self::refs_updated`], where a command may have become other updates: what Git's `proc-receive` hook is for.
    /// No update: the command was carried out as it stands. The client is told of them if it speaks
    /// `report-status-v2` (PUSH-21). These results are reported as they are, of an atomic push as well: what a hook has
    /// done is done.
    ///
    /// # Errors
    /// As [`Self::refs_updated`]; also an id of another object format.
    pub fn refs_rewritten(
        &mut self,
        now: Instant,
        results: Vec<Result<Vec<Updated>, Bytes>>,
    ) -> Result<(), Misuse> {
        self.settle(now, "refs_rewritten", results)
    }

    fn settle(
        &mut self,
        now: Instant,
        verb: &'static str,
        results: Vec<Result<Vec<Updated>, Bytes>>,
    ) -> Result<(), Misuse> {
        self.core.running(verb)?;
        let updates = results.iter().flatten().flatten();
        if !updates.into_iter().all(|update| fits(update, self.config.format)) {
            return Err(Misuse::Argument { verb, reason: FORMAT });
        }
        match mem::replace(&mut self.state, State::Over) {
            State::Updating(mut batch, due) if due == results.len() => {
                batch.settle(results);
                self.state = State::Reporting(batch, StatusWriter::default());
            }
            other => {
                let asked = matches!(other, State::Updating(..));
                self.state = other;
                return Err(match asked {
                    true => Misuse::Argument { verb, reason: "not one result for each command" },
                    false => Misuse::NotAsked { verb },
                });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::Reported`](super::Action::Reported): nothing is left to be done.
    ///
    /// # Errors
    /// [`Misuse`] when that was not asked.
    pub fn done(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "done";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Over) {
            State::Reported(batch) => self.state = State::Closing(batch),
            other => {
                self.state = other;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Something for the user, such as a hook's output. With a sideband it goes out on band 2 from
    /// [`Action::ReceivePack`](super::Action::ReceivePack) or [`Action::UpdateRefs`](super::Action::UpdateRefs) to the end
    /// of the session, between the packets of the report too; without one, and before, there is no place for it, and
    /// it is dropped.
    ///
    /// # Errors
    /// [`Misuse::Ended`].
    pub fn progress(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        self.core.running("progress")?;
        let has_place = match &self.state {
            State::Storing(batch)
            | State::Complete(batch)
            | State::Updating(batch, _)
            | State::Reporting(batch, _)
            | State::Reported(batch)
            | State::Closing(batch) => batch.agreed.sideband,
            State::Start
            | State::Listing
            | State::Showing(_)
            | State::Commands(_)
            | State::Options(_)
            | State::Finding(_)
            | State::Starting(..)
            | State::Over => false,
        };
        if has_place {
            self.core.wire.band(Band::Progress, bytes, MAX_BAND_DATA);
        }
        self.answered(now);
        Ok(())
    }
}

const FORMAT: &str = "an object id is not of the repository's object format";

fn fits(update: &Updated, format: ObjectFormat) -> bool {
    [update.old, update.new].into_iter().flatten().all(|id| id.format() == format)
}
