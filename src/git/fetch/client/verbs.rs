//! The driver's answers.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

use super::request::Offer;
use super::talk::{Start, Talk};
use super::terms;
use super::{Action, Client, Error, Inquiry, Outcome, State};
use crate::git::fetch::negotiator::{Algorithm, Negotiator};
use crate::git::wire::Drive;
use crate::git::{Commit, Misuse, ObjectId, RefName, Resume};
use crate::limits;
use crate::time::Instant;

impl Client {
    /// Answers [`Action::Advertised`]: fetch `wants`, mostly ids of advertised refs; `tips` are what the
    /// repository's own refs point to. Repeated ids count once. With no wants the session ends well.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it; an id that is null or of another format than the server's; more wants
    /// than [`limits::WANTS`]; in versions 0 and 1 an id that no shown ref points to, where the server offers neither
    /// `allow-tip-sha1-in-want` nor `allow-reachable-sha1-in-want`.
    pub fn want(&mut self, now: Instant, wants: Vec<ObjectId>, tips: Vec<ObjectId>) -> Result<(), Misuse> {
        self.want_all(now, "want", Vec::new(), wants, tips)
    }

    /// As [`Client::want`], and refs by their names besides: the server tells where they point when it sends the
    /// pack ([`Action::WantedRefs`]), so that no ref moves between the listing and the fetch.
    ///
    /// # Errors
    /// As [`Client::want`]; also a server that does not offer `ref-in-want`.
    pub fn want_refs(
        &mut self,
        now: Instant,
        names: Vec<RefName>,
        wants: Vec<ObjectId>,
        tips: Vec<ObjectId>,
    ) -> Result<(), Misuse> {
        self.want_all(now, "want_refs", names, wants, tips)
    }

    fn want_all(
        &mut self,
        now: Instant,
        verb: &'static str,
        names: Vec<RefName>,
        wants: Vec<ObjectId>,
        tips: Vec<ObjectId>,
    ) -> Result<(), Misuse> {
        let offer = self.offer(verb)?;
        let format = offer.format;
        let refuse = |reason| Err(Misuse::Argument { verb, reason });
        if wants.len() > limits::WANTS || names.len() > limits::WANTS {
            return refuse("more wants than the limit");
        }
        if wants.iter().chain(&tips).any(|id| id.format() != format) {
            return refuse("an id is of another object format than the server's");
        }
        if wants.iter().any(ObjectId::is_null) {
            return refuse("the null id names no object");
        }
        if !names.is_empty() && !offer.takes_names() {
            return refuse("the server does not let refs be wanted by name");
        }
        if !offer.lets_want(&wants) {
            return refuse("the server lets no object be wanted that no ref of it points to");
        }
        if let State::Wanting(offer) = mem::replace(&mut self.state, State::Ended) {
            let (names, wants) = (names.into_iter().collect(), unique(wants));
            self.inquire(*offer, names, wants, tips);
        }
        self.answered(now);
        Ok(())
    }

    /// What the server offers, while the driver may choose.
    pub(super) fn offer(&self, verb: &'static str) -> Result<&Offer, Misuse> {
        self.core.running(verb)?;
        match &self.state {
            State::Wanting(offer) => Ok(offer),
            _ => Err(Misuse::NotAsked { verb }),
        }
    }

    /// Answers [`Action::FindHeld`] with those of its ids that the repository holds, each with everything it
    /// reaches; up to the shallow border, and but for what a filter has left out. Other ids are passed over.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it.
    pub fn held(&mut self, now: Instant, held: Vec<ObjectId>) -> Result<(), Misuse> {
        const VERB: &str = "held";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Ended) {
            State::Holding(inquiry) => {
                if let Err(error) = self.take_held(*inquiry, held) {
                    self.fail(error);
                }
            }
            state => {
                self.state = state;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Before [`Client::held`] answers [`Action::FindHeld`]: what the repository has kept of a pack that broke off and
    /// that the same wants asked for. Whether the server goes on from there, [`Action::Resumed`] tells; from one that
    /// knows nothing of it all of the pack comes, as ever.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it.
    pub fn resume(&mut self, now: Instant, part: Resume) -> Result<(), Misuse> {
        const VERB: &str = "resume";
        self.core.running(VERB)?;
        let State::Holding(inquiry) = &mut self.state else { return Err(Misuse::NotAsked { verb: VERB }) };
        inquiry.part = Some(part);
        self.answered(now);
        Ok(())
    }

    /// Answers [`Action::LoadCommits`]. What is absent or not a commit is left out; further commits may be told
    /// and save later questions.
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it.
    pub fn commits(&mut self, now: Instant, commits: Vec<Commit>) -> Result<(), Misuse> {
        self.core.running("commits")?;
        let State::Talking(talk) = &mut self.state else { return Err(Misuse::NotAsked { verb: "commits" }) };
        let commits = talk.cut(commits);
        talk.negotiator.commits(commits)?;
        self.answered(now);
        Ok(())
    }

    /// Without a sideband: the driver has seen the trailer of the pack, so this is its end. The end of the input
    /// says the same.
    ///
    /// # Errors
    /// [`Misuse`]: no byte of a pack has come, or its end is told by the sideband.
    pub fn pack_complete(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "pack_complete";
        self.core.running(VERB)?;
        match mem::replace(&mut self.state, State::Ended) {
            State::Raw(pack) if pack.is_begun() => self.core.finish(Action::Finished(pack.outcome)),
            state => {
                self.state = state;
                return Err(Misuse::NotAsked { verb: VERB });
            }
        }
        self.answered(now);
        Ok(())
    }

    /// Whether the config, as it is by now, can be sent to this server.
    pub(super) fn check(&self, offer: &Offer) -> Result<(), Error> {
        self.config.check()?;
        terms::introduce(&self.config, offer)
    }

    fn inquire(&mut self, offer: Offer, names: BTreeSet<RefName>, wants: Vec<ObjectId>, tips: Vec<ObjectId>) {
        if wants.is_empty() && names.is_empty() {
            self.finish_without_pack();
            return;
        }
        let config = self.config.clone();
        let agreed = match self.check(&offer).and_then(|()| terms::agree(&config, &offer)) {
            Ok(agreed) => agreed,
            Err(error) => return self.fail(error),
        };
        let mut asked = wants.clone();
        if config.algorithm != Algorithm::Noop {
            asked.extend_from_slice(&offer.ids);
        }
        asked.sort_unstable();
        asked.dedup();
        self.core.push(Action::FindHeld(asked.clone()));
        self.state = State::Holding(Box::new(Inquiry {
            config,
            offer,
            agreed,
            wants,
            names,
            tips,
            asked,
            part: None,
        }));
    }

    fn take_held(&mut self, inquiry: Inquiry, mut held: Vec<ObjectId>) -> Result<(), Error> {
        let Inquiry { config, offer, agreed, mut wants, names, tips, asked, part } = inquiry;
        let part = part.filter(|_| agreed.terms.resumes);
        held.retain(|id| asked.binary_search(id).is_ok());
        held.sort_unstable();
        // A border that moves concerns what is held as well.
        if !agreed.terms.deepens {
            wants.retain(|id| held.binary_search(id).is_err());
        }
        if wants.is_empty() && names.is_empty() {
            self.finish_without_pack();
            return Ok(());
        }
        let advertised = held.into_iter().filter(|id| offer.ids.binary_search(id).is_ok());
        let negotiator = Negotiator::new(config.algorithm, advertised, tips)
            .with_limits(config.max_haves, config.max_rounds);
        let start = Start {
            terms: agreed.terms,
            head: offer.head(&config, &agreed, &wants, &names, part.as_ref())?,
            part: part.map_or(0, |part| part.offset()),
            wants: wants.len().saturating_add(names.len()),
            takes_uris: offer.takes_uris(&config),
            names,
            shallow: config.shallow.iter().copied().collect(),
            remote_shallow: offer.shallow,
        };
        self.state = State::Talking(Box::new(Talk::new(start, negotiator)));
        Ok(())
    }

    /// Tells the server that nothing is wanted (FETCH-6); one that hears every request for itself needs not know.
    fn finish_without_pack(&mut self) {
        if !self.config.stateless {
            self.core.wire.flush();
        }
        self.core.finish(Action::Finished(Outcome::default()));
    }
}

/// The ids without repetitions, in their order.
fn unique(ids: Vec<ObjectId>) -> Vec<ObjectId> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}
