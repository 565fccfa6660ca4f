//! Commands of version 2 that are sent only on request: `object-info` and `bundle-uri`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::{mem, str};

use bytes::{Bytes, BytesMut};

use super::request::Offer;
use super::{Action, Client, Error, State};
use crate::git::wire::{Drive, Step};
use crate::git::{Misuse, ObjectId, SessionError};
use crate::limits;
use crate::pkt::{self, Packet};
use crate::time::Instant;

const SIZE: &str = "the attribute size of object-info";
const OBJECT: &str = "an object of object-info, or its flush";
const BUNDLE: &str = "a line of bundle-uri, or its flush";

/// What a server tells of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its id.
    pub id: ObjectId,
    /// Its size in bytes; `None` when the server does not have it.
    pub size: Option<u64>,
}

/// One line of a bundle list, `key=value`, as in a config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleLine {
    /// `bundle.version`, `bundle.ID.uri` and the like, raw.
    pub key: Bytes,
    /// Raw (T18).
    pub value: Bytes,
}

/// A question that is being answered.
#[derive(Debug)]
pub(super) struct Query {
    offer: Offer,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// The line that names the attribute is next.
    Attribute {
        asked: usize,
    },
    Objects {
        asked: usize,
        told: Vec<ObjectInfo>,
    },
    Bundles(Vec<BundleLine>),
}

impl Client {
    /// Asks for the sizes of objects, in place of [`Client::want`], which is still to come. Answer:
    /// [`Action::ObjectInfo`].
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it; a server that does not offer `object-info`; ids of another format; more
    /// than [`limits::WANTS`].
    pub fn object_info(&mut self, now: Instant, ids: &[ObjectId]) -> Result<(), Misuse> {
        const VERB: &str = "object_info";
        let offer = self.offer(VERB)?;
        let refuse = |reason| Err(Misuse::Argument { verb: VERB, reason });
        if !offer.is_v2() || !offer.capabilities.has("object-info") {
            return refuse("the server does not offer object-info");
        }
        if ids.len() > limits::WANTS {
            return refuse("more ids than the limit");
        }
        if ids.iter().any(|id| id.format() != offer.format) {
            return refuse("an id is of another object format than the server's");
        }
        let request = self.check(offer).and_then(|()| offer.object_info(&self.config, ids));
        self.ask(now, request, Answer::Attribute { asked: ids.len() });
        Ok(())
    }

    /// Asks where bundles of the repository are, in place of [`Client::want`], which is still to come. Answer:
    /// [`Action::Bundles`].
    ///
    /// # Errors
    /// [`Misuse`]: not the time for it; a server that does not offer `bundle-uri`.
    pub fn bundle_uri(&mut self, now: Instant) -> Result<(), Misuse> {
        const VERB: &str = "bundle_uri";
        let offer = self.offer(VERB)?;
        if !offer.is_v2() || !offer.capabilities.has("bundle-uri") {
            return Err(Misuse::Argument { verb: VERB, reason: "the server does not offer bundle-uri" });
        }
        let request = self.check(offer).and_then(|()| offer.bundle_uri(&self.config));
        self.ask(now, request, Answer::Bundles(Vec::new()));
        Ok(())
    }

    fn ask(&mut self, now: Instant, request: Result<BytesMut, Error>, answer: Answer) {
        match (mem::replace(&mut self.state, State::Ended), request) {
            (State::Wanting(offer), Ok(request)) => {
                self.core.wire.turn().extend_from_slice(&request);
                self.state = State::Querying(Box::new(Query { offer: *offer, answer }));
            }
            (_, Err(error)) => self.fail(error),
            (state, Ok(_)) => self.state = state,
        }
        self.answered(now);
    }

    /// Querying: one line of the answer.
    pub(super) fn query(&mut self, mut query: Box<Query>) -> Result<(State, Step), Error> {
        let expected = match &query.answer {
            Answer::Attribute { .. } => SIZE,
            Answer::Objects { .. } => OBJECT,
            Answer::Bundles(_) => BUNDLE,
        };
        let Some(packet) = self.core.wire.packet(expected)? else {
            return Ok((State::Querying(query), Step::Wait));
        };
        let unexpected = SessionError::unexpected(expected, &packet);
        let line = match packet {
            Packet::Data(line) => line,
            Packet::Flush => return self.end_query(*query, unexpected),
            Packet::Delim | Packet::ResponseEnd => return Err(unexpected.into()),
        };
        let text = pkt::trim_lf(&line);
        if let Some(message) = text.strip_prefix(b"ERR ") {
            return Err(SessionError::remote(message).into());
        }
        match &mut query.answer {
            Answer::Attribute { asked } => {
                if text != b"size" {
                    return Err(unexpected.into());
                }
                query.answer = Answer::Objects { asked: *asked, told: Vec::new() };
            }
            Answer::Objects { asked, told } => {
                if told.len() >= *asked {
                    let what = "objects in the answer of object-info";
                    return Err(SessionError::TooMany { what, limit: *asked }.into());
                }
                told.push(
                    object(text).filter(|told| told.id.format() == query.offer.format).ok_or(unexpected)?,
                );
            }
            Answer::Bundles(told) => {
                if told.len() >= limits::URIS {
                    let what = "lines of bundle-uri";
                    return Err(SessionError::TooMany { what, limit: limits::URIS }.into());
                }
                let at = memchr::memchr(b'=', text).filter(|at| *at > 0).ok_or(unexpected)?;
                let mut key = line.slice_ref(text);
                let mut value = key.split_off(at);
                bytes::Buf::advance(&mut value, 1);
                told.push(BundleLine { key, value });
            }
        }
        Ok((State::Querying(query), Step::Again))
    }

    fn end_query(&mut self, query: Query, unexpected: SessionError) -> Result<(State, Step), Error> {
        self.core.push(match query.answer {
            // Git leaves the attribute out where nothing was asked.
            Answer::Attribute { asked: 0 } => Action::ObjectInfo(Vec::new()),
            Answer::Attribute { .. } => return Err(unexpected.into()),
            Answer::Objects { told, .. } => Action::ObjectInfo(told),
            Answer::Bundles(told) => Action::Bundles(told),
        });
        Ok((self.boundary(State::Wanting(Box::new(query.offer))), Step::Again))
    }
}

/// `ID SIZE`, or `ID` and a space for what is not there (V2C-17).
fn object(text: &[u8]) -> Option<ObjectInfo> {
    let at = memchr::memchr(b' ', text)?;
    let (hex, size) = text.split_at_checked(at)?;
    let id = ObjectId::from_hex(hex).ok()?;
    let size = match size.get(1..)? {
        b"" => None,
        digits => Some(str::from_utf8(digits).ok()?.parse().ok()?),
    };
    Some(ObjectInfo { id, size })
}
