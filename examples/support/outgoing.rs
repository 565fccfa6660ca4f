//! A pack on its way out: the builder that makes it, and what its posts mean to the machine that sends it.
//!
//! ```text
//! start ─► [Work::PackResumes | Work::PackDiffers ─► built anew] ─► allow ─► Work::PackChunk ─► … ─► Work::PackEnded
//! ```

use bytes::Bytes;
use portline::git::{ObjectId, PackRequest};

use super::drive::{Mailbox, Work};
use super::error::Error;
use super::objects::ObjectReader;
use super::pack::PackBuilder;
use super::repository::Repository;

/// What the machine is to be told.
pub enum Told {
    /// The pieces go on behind what the peer holds.
    Resumes,
    /// The next piece.
    Chunk(Bytes),
    /// Another pack, that the peer fetches elsewhere.
    Uri {
        /// Its hash.
        pack: ObjectId,
        /// Where it is.
        uri: Bytes,
    },
    /// The builder's words for the user.
    Message(Bytes),
    /// All of the pack has been told.
    Finished,
    /// The builder failed.
    Failed,
}

/// The pack that a session sends.
#[derive(Debug)]
pub struct Outgoing<'a> {
    repository: &'a Repository,
    builder: Option<PackBuilder>,
}

impl<'a> Outgoing<'a> {
    /// Nothing is being sent.
    pub const fn new(repository: &'a Repository) -> Self {
        Self { repository, builder: None }
    }

    /// Builds what the machine asks for.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Answer`].
    pub fn start(
        &mut self,
        objects: &mut ObjectReader,
        request: &PackRequest,
        mailbox: &Mailbox,
    ) -> Result<(), Error> {
        self.builder = Some(PackBuilder::start(self.repository, objects, request, mailbox)?);
        Ok(())
    }

    /// What a worker's post means; nothing, when it is not this pack's or comes late, of a builder that was dropped.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn heed(
        &mut self,
        work: Work,
        objects: &mut ObjectReader,
        mailbox: &Mailbox,
    ) -> Result<Option<Told>, Error> {
        let Some(mut builder) = self.builder.take_if(|builder| !builder.disowns(&work)) else {
            return Ok(None);
        };
        let told = match work {
            Work::PackResumes { .. } => Some(Told::Resumes),
            Work::PackDiffers { .. } => {
                builder = builder.start_afresh(self.repository, objects, mailbox)?;
                None
            }
            Work::PackChunk { bytes, .. } => {
                builder.came();
                Some(Told::Chunk(bytes))
            }
            Work::PackUri { pack, uri, .. } => Some(Told::Uri { pack, uri }),
            Work::Message(bytes) => Some(Told::Message(bytes)),
            Work::PackEnded { .. } => {
                return Ok(Some(if builder.finish()? { Told::Finished } else { Told::Failed }));
            }
            Work::PieceTaken
            | Work::PackRead
            | Work::StoreEnded
            | Work::RefsUpdated(..)
            | Work::PartFound(_)
            | Work::AfterDone => None,
        };
        self.builder = Some(builder);
        Ok(told)
    }

    /// There is room for the next piece.
    pub fn allow(&mut self) {
        if let Some(builder) = &mut self.builder {
            builder.allow();
        }
    }

    /// Whoever it was for is gone.
    pub fn drop(&mut self) {
        self.builder = None;
    }

    /// Whether a pack is being built.
    pub const fn is_busy(&self) -> bool {
        self.builder.is_some()
    }
}
