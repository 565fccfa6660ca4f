//! The driver's answers.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

#[cfg(doc)]
use super::Action;
use super::{Error, Listing, Server, State, advertise};
use crate::git::advertisement::excerpt;
use crate::git::wire::Drive;
use crate::git::{Commit, Misuse, ObjectId, Ref, ShallowUpdate};
use crate::{Instant, limits};

impl Server {
    /// Goes on after an answer.
    fn took(&mut self, now: Instant, went: Result<(), Error>) {
        if let Err(error) = went {
            self.fail(error);
        }
        self.answered(now);
    }

    /// Puts the state back that a verb does not answer.
    fn not_asked(&mut self, state: State, verb: &'static str) -> Misuse {
        self.state = state;
        Misuse::NotAsked { verb }
    }

    fn fits(&self, id: &ObjectId) -> bool {
        id.format() == self.config.format
    }

    /// Answers [`Action::ListRefs`] and [`Action::ListRefsBelow`] with stored names: `HEAD` with its target, then
    /// every ref sorted by name, hidden ones and other namespaces included; tags with what they peel to. A `HEAD`
    /// whose branch is not born yet has the null id, or is left out.
    ///
    /// # Errors
    /// [`Misuse`]; an id of another format than the repository's is [`Misuse::Argument`].
    pub fn refs_listed(&mut self, now: Instant, refs: Vec<Ref>) -> Result<(), Misuse> {
        let verb = "refs_listed";
        self.core.running(verb)?;
        if !matches!(self.state, State::Listing(_)) {
            return Err(Misuse::NotAsked { verb });
        }
        if !refs.iter().all(|one| self.fits(&one.id) && one.peeled.as_ref().is_none_or(|id| self.fits(id))) {
            return Err(Misuse::Argument { verb, reason: "an id is not of the repository's format" });
        }
        let went = match mem::replace(&mut self.state, State::Ended) {
            State::Listing(Listing::Advertisement) => {
                self.know_tips(advertise::tips(&self.config, &refs), true);
                self.advertise(refs);
                Ok(())
            }
            State::Listing(Listing::Wants { all }) => {
                if all {
                    self.know_tips(advertise::tips(&self.config, &refs), true);
                }
                self.resolve(refs)
            }
            State::Listing(Listing::LsRefs(asked)) => {
                self.show(asked, refs);
                Ok(())
            }
            State::Listing(Listing::Sizes(asked)) => {
                self.know_tips(advertise::tips(&self.config, &refs), true);
                self.judge_sizes(asked)
            }
            other => return Err(self.not_asked(other, verb)),
        };
        self.took(now, went);
        Ok(())
    }

    /// Answers [`Action::FindObjects`] with those that exist. Ids that were not asked for are passed over.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn objects_found(&mut self, now: Instant, found: Vec<ObjectId>) -> Result<(), Misuse> {
        let verb = "objects_found";
        self.core.running(verb)?;
        let went = match mem::replace(&mut self.state, State::Ended) {
            State::Checking(asked) => {
                let found: BTreeSet<ObjectId> = found.into_iter().collect();
                match asked.iter().find(|id| !found.contains(id)) {
                    Some(id) => Err(Error::NotOurRef { id: *id }),
                    None => self.granted(&asked),
                }
            }
            State::Bordering => {
                let found: BTreeSet<ObjectId> = found.into_iter().collect();
                self.wants.border.shallow.retain(|id| found.contains(id));
                self.bordered()
            }
            State::Finding(stop) => {
                self.negotiation.found(found);
                self.weigh(stop);
                Ok(())
            }
            State::Looking { more } => {
                self.fetch.haves.found(found, drop);
                self.looked(more)
            }
            other => return Err(self.not_asked(other, verb)),
        };
        self.took(now, went);
        Ok(())
    }

    /// Answers [`Action::CheckReachable`].
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn reachable(&mut self, now: Instant, all: bool) -> Result<(), Misuse> {
        let verb = "reachable";
        self.core.running(verb)?;
        let went = match mem::replace(&mut self.state, State::Ended) {
            State::Reaching(id) if !all => Err(Error::NotOurRef { id }),
            State::Reaching(_) => {
                let beyond = self.wants.beyond(&self.tips);
                self.granted(&beyond)
            }
            State::Judging(asked) => self.ask_sizes(asked, all),
            other => return Err(self.not_asked(other, verb)),
        };
        self.took(now, went);
        Ok(())
    }

    /// Answers [`Action::CheckCovered`].
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn covered(&mut self, now: Instant, all: bool) -> Result<(), Misuse> {
        let verb = "covered";
        self.core.running(verb)?;
        let went = match mem::replace(&mut self.state, State::Ended) {
            State::Weighing(stop, search) => {
                match self.negotiation.covered(search, all) {
                    Some(search) => self.ask_covered(stop, search),
                    None => self.reply(stop),
                }
                Ok(())
            }
            State::Covering => self.acknowledge(all),
            other => return Err(self.not_asked(other, verb)),
        };
        self.took(now, went);
        Ok(())
    }

    /// Answers [`Action::LoadCommits`] with those that are commits, in any order; others are passed over.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn commits(&mut self, now: Instant, commits: Vec<Commit>) -> Result<(), Misuse> {
        let verb = "commits";
        self.core.running(verb)?;
        if !matches!(self.state, State::Loading) {
            return Err(Misuse::NotAsked { verb });
        }
        self.fetch.leave_out_parents(&commits);
        let went = self.cover();
        self.took(now, went);
        Ok(())
    }

    /// Answers [`Action::Deepen`]: the commits that will stand without their parents and do not yet, and those of
    /// the client's border that get theirs.
    ///
    /// # Errors
    /// [`Misuse`]; [`Misuse::Argument`] when an id is of another format, or is unshallowed and was not shallow.
    pub fn deepened(&mut self, now: Instant, update: ShallowUpdate) -> Result<(), Misuse> {
        let verb = "deepened";
        self.core.running(verb)?;
        if !matches!(self.state, State::Deepening) {
            return Err(Misuse::NotAsked { verb });
        }
        if !update.shallow.iter().chain(&update.unshallow).all(|id| self.fits(id)) {
            return Err(Misuse::Argument { verb, reason: "an id is not of the repository's format" });
        }
        let border: BTreeSet<&ObjectId> = self.wants.border.shallow.iter().collect();
        if !update.unshallow.iter().all(|id| border.contains(id)) {
            return Err(Misuse::Argument { verb, reason: "a commit was not shallow before" });
        }
        self.wants.border.update = update;
        let went = self.deepened_to();
        self.took(now, went);
        Ok(())
    }

    /// Answers [`Action::Deepen`]: within these borders there is nothing, or they cannot be told. The client is told
    /// why.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn deepen_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        let verb = "deepen_failed";
        self.core.running(verb)?;
        if !matches!(self.state, State::Deepening) {
            return Err(Misuse::NotAsked { verb });
        }
        self.took(now, Err(Error::DeepenFailed { reason: excerpt(&reason, limits::ERROR_MESSAGE) }));
        Ok(())
    }

    /// Answers [`Action::ObjectSizes`] with those that exist. Ids that were not asked for are passed over.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn sizes(&mut self, now: Instant, mut sizes: Vec<(ObjectId, u64)>) -> Result<(), Misuse> {
        let verb = "sizes";
        self.core.running(verb)?;
        let went = match mem::replace(&mut self.state, State::Ended) {
            State::Sizing(asked, ids) => {
                sizes.retain(|(id, _)| ids.binary_search(id).is_ok());
                self.tell_sizes(asked, sizes)
            }
            other => return Err(self.not_asked(other, verb)),
        };
        self.took(now, went);
        Ok(())
    }

    /// Whether there is room for the next [`Server::pack_chunk`]: the backpressure towards the pack's producer.
    #[must_use]
    pub fn wants_pack(&self) -> bool {
        matches!(self.state, State::Packing(_)) && self.core.wire.has_room()
    }

    /// A pack that the client fetches elsewhere: the hash that its `pack-objects` gave it, and where. Before the
    /// first [`Server::pack_chunk`], and only where [`crate::git::PackRequest::uri_protocols`] names protocols.
    ///
    /// # Errors
    /// [`Misuse`]; [`Misuse::Argument`] for a URI with NUL, CR or LF, an empty or a very long one, and where no URI has
    /// its place.
    pub fn packfile_uri(&mut self, now: Instant, pack: ObjectId, uri: Bytes) -> Result<(), Misuse> {
        let verb = "packfile_uri";
        self.core.running(verb)?;
        let State::Packing(packing) = &mut self.state else { return Err(Misuse::NotAsked { verb }) };
        let breaks = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
        if uri.is_empty() || uri.len() > limits::CAPABILITY_VALUE || uri.iter().any(breaks) {
            return Err(Misuse::Argument {
                verb,
                reason: "the URI is empty, too long, or would break its line",
            });
        }
        let line = [pack.to_hex().as_bytes(), b" ", &uri, b"\n"].concat();
        if !packing.uri(line.into(), &mut self.core.wire) {
            return Err(Misuse::Argument { verb, reason: "the client takes no URI here" });
        }
        self.answered(now);
        Ok(())
    }

    /// Before the first [`Server::pack_chunk`]: the pack begins with the part that the client holds
    /// ([`crate::git::PackRequest::resume`]), and the chunks go on behind it. Without this verb all of the pack is sent.
    ///
    /// # Errors
    /// [`Misuse`]; [`Misuse::Argument`] where the client holds no part, or some of the pack was given already.
    pub fn pack_resumes(&mut self, now: Instant) -> Result<(), Misuse> {
        let verb = "pack_resumes";
        self.core.running(verb)?;
        let State::Packing(packing) = &mut self.state else { return Err(Misuse::NotAsked { verb }) };
        if !packing.resume(&mut self.core.wire) {
            return Err(Misuse::Argument { verb, reason: "there is no part to go on from" });
        }
        self.answered(now);
        Ok(())
    }

    /// The next bytes of the pack, in any split; they are not copied. Ask [`Server::wants_pack`] first: what
    /// is given without room is kept all the same.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_chunk(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        let verb = "pack_chunk";
        self.core.running(verb)?;
        let State::Packing(packing) = &mut self.state else { return Err(Misuse::NotAsked { verb }) };
        if !bytes.is_empty() {
            packing.chunk(bytes, &mut self.core.wire);
        }
        self.answered(now);
        Ok(())
    }

    /// Progress for the user, raw; it goes nowhere when the client asked for no sideband.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn progress(&mut self, now: Instant, bytes: Bytes) -> Result<(), Misuse> {
        let verb = "progress";
        self.core.running(verb)?;
        let State::Packing(packing) = &self.state else { return Err(Misuse::NotAsked { verb }) };
        packing.progress(bytes, &mut self.core.wire);
        self.answered(now);
        Ok(())
    }

    /// The pack is complete, its trailer included.
    ///
    /// # Errors
    /// [`Misuse`]; [`Misuse::Argument`] when no byte of a pack was given.
    pub fn pack_finished(&mut self, now: Instant) -> Result<(), Misuse> {
        let verb = "pack_finished";
        self.core.running(verb)?;
        let State::Packing(packing) = &mut self.state else { return Err(Misuse::NotAsked { verb }) };
        if !packing.finish(&mut self.core.wire) {
            return Err(Misuse::Argument { verb, reason: "no byte of a pack was given" });
        }
        let went = self.pack_left();
        self.took(now, went);
        Ok(())
    }

    /// The pack cannot be completed. The client is told why on band 3; without sideband its pack just ends.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn pack_failed(&mut self, now: Instant, reason: Bytes) -> Result<(), Misuse> {
        let verb = "pack_failed";
        self.core.running(verb)?;
        if !matches!(self.state, State::Packing(_)) {
            return Err(Misuse::NotAsked { verb });
        }
        self.took(now, Err(Error::PackFailed { reason: excerpt(&reason, limits::ERROR_MESSAGE) }));
        Ok(())
    }
}
