//! One stream, two readers: each branch gets every chunk.
//!
//! ```text
//!  source ─► Readable, locked by the tee ─► a chunk when every branch that lives wants one ─┬─► left
//!                                                                                         └─► right
//! ```
//!
//! The standard reads when either branch wants a chunk, and what the slower one has not read piles up without bound.
//! Here the source is read when *both* want one: the slower branch holds back the faster, and neither holds more than
//! its high-water mark (READABLE-22). A branch that was cancelled holds nothing back.

use bytes::Bytes;

use super::{
    Action, CancelError, CloseError, Config, EnqueueError, LockError, Outcome, Read, ReadError, Readable,
    Reader, State,
};

/// Which branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Left, Self::Right];
}

/// What happened, or what the source must now do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeeAction<E> {
    /// For the source: as [`Action::Pull`].
    Pull,
    /// For the source: both branches were cancelled, for these reasons. Answer `cancelled`.
    Cancel {
        /// The reason given on the left.
        left: E,
        /// The reason given on the right.
        right: E,
    },
    /// A branch's action. It is never `Pull` or `Cancel`: those are between the branches and the tee.
    Branch {
        /// The branch.
        side: Side,
        /// What happened to it.
        action: Action<E>,
    },
}

#[derive(Clone, Debug)]
struct Branch<E> {
    stream: Readable<E>,
    /// Why it was cancelled, if it was.
    cancelled: Option<E>,
}

impl<E: Clone> Branch<E> {
    fn new() -> Self {
        // At most one chunk waits, and it was let in by the source's own caps.
        let mut stream = Readable::new(Config { max_bytes: usize::MAX, ..Config::count(1) });
        stream.started();
        Self { stream, cancelled: None }
    }

    /// Whether it lives and does not want a chunk.
    const fn holds_back(&self) -> bool {
        self.cancelled.is_none() && !self.stream.is_pulling()
    }
}

/// Two branches of one stream.
///
/// ```
/// use bytes::Bytes;
/// use portline::body::readable::{Config, Read, Readable, Side, Tee, TeeAction};
///
/// let mut source: Readable<&str> = Readable::new(Config::count(0));
/// source.started();
/// let mut tee = Tee::new(source)?;
/// let (left, right) = (tee.lock(Side::Left)?, tee.lock(Side::Right)?);
/// assert_eq!(tee.poll_action(), Some(TeeAction::Pull)); // each branch would like to have one chunk
/// tee.enqueue(Bytes::from_static(b"one"))?;
/// tee.pulled();
/// assert_eq!(tee.read(Side::Left, left)?, Read::Chunk(Bytes::from_static(b"one")));
/// assert_eq!(tee.poll_action(), None); // the right has not read it
/// assert_eq!(tee.read(Side::Right, right)?, Read::Chunk(Bytes::from_static(b"one")));
/// assert_eq!(tee.poll_action(), Some(TeeAction::Pull));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tee<E> {
    source: Readable<E>,
    reader: Reader,
    left: Branch<E>,
    right: Branch<E>,
    /// What the source is still to be told.
    cancel: Option<TeeAction<E>>,
}

impl<E: Clone> Tee<E> {
    /// Both branches of `source`, which nobody else reads any more. Actions that it still had to give are the tee's
    /// from now on.
    ///
    /// # Errors
    /// [`LockError`] when a reader holds it.
    pub fn new(mut source: Readable<E>) -> Result<Self, LockError> {
        let reader = source.lock()?;
        let mut tee = Self { source, reader, left: Branch::new(), right: Branch::new(), cancel: None };
        // A source that has ended before has told so before.
        match tee.source.state.clone() {
            State::Errored(error) => tee.fail(&error),
            State::Closed | State::Cancelling => tee.finish(&Ok(())),
            State::Starting | State::Readable | State::Closing => {}
        }
        tee.run();
        Ok(tee)
    }

    /// As [`Readable::started`], by the source.
    pub fn started(&mut self) {
        self.source.started();
        self.run();
    }

    /// As [`Readable::pulled`], by the source.
    pub fn pulled(&mut self) {
        self.source.pulled();
        self.run();
    }

    /// As [`Readable::enqueue`], by the source.
    ///
    /// # Errors
    /// [`EnqueueError`]; nothing was taken and nothing ends.
    pub fn enqueue(&mut self, chunk: Bytes) -> Result<(), EnqueueError> {
        self.source.enqueue(chunk)?;
        self.run();
        Ok(())
    }

    /// As [`Readable::close`], by the source.
    ///
    /// # Errors
    /// [`CloseError`]; nothing changes.
    pub fn close(&mut self) -> Result<(), CloseError> {
        self.source.close()?;
        self.run();
        Ok(())
    }

    /// As [`Readable::error`], by the source: both branches fail.
    pub fn error(&mut self, error: E) {
        self.source.error(error);
        self.run();
    }

    /// The source's answer to [`TeeAction::Cancel`].
    pub fn cancelled(&mut self, result: Result<(), E>) {
        self.source.cancelled(result);
        self.run();
    }

    /// As [`Readable::desired_size`], for the source.
    #[must_use]
    pub fn desired_size(&self) -> Option<i64> {
        self.source.desired_size()
    }

    /// As [`Readable::lock`], of a branch.
    ///
    /// # Errors
    /// [`LockError`] while another reader holds it.
    pub fn lock(&mut self, side: Side) -> Result<Reader, LockError> {
        self.branch_mut(side).stream.lock()
    }

    /// As [`Readable::release`], of a branch.
    ///
    /// # Errors
    /// [`ReadError::Released`] when it does not hold the branch.
    pub fn release(&mut self, side: Side, reader: Reader) -> Result<(), ReadError> {
        self.branch_mut(side).stream.release(reader)?;
        self.run();
        Ok(())
    }

    /// As [`Readable::read`], of a branch.
    ///
    /// # Errors
    /// [`ReadError`]; nothing was read.
    pub fn read(&mut self, side: Side, reader: Reader) -> Result<Read<E>, ReadError> {
        let read = self.branch_mut(side).stream.read(reader)?;
        self.run();
        Ok(read)
    }

    /// As [`Readable::cancel`], of a branch. The source is told when both are cancelled.
    ///
    /// # Errors
    /// [`CancelError`]; nothing changes.
    pub fn cancel(&mut self, side: Side, reason: E) -> Result<(), CancelError<E>> {
        self.branch_mut(side).stream.cancel(reason)?;
        self.note_cancel(side);
        Ok(())
    }

    /// As [`Readable::reader_cancel`], of a branch.
    ///
    /// # Errors
    /// [`CancelError`]; nothing changes.
    pub fn reader_cancel(&mut self, side: Side, reader: Reader, reason: E) -> Result<(), CancelError<E>> {
        self.branch_mut(side).stream.reader_cancel(reader, reason)?;
        self.note_cancel(side);
        Ok(())
    }

    /// A branch, to look at.
    #[must_use]
    pub const fn branch(&self, side: Side) -> &Readable<E> {
        match side {
            Side::Left => &self.left.stream,
            Side::Right => &self.right.stream,
        }
    }

    /// What happened, or what the source must do.
    pub fn poll_action(&mut self) -> Option<TeeAction<E>> {
        for side in Side::ALL {
            if let Some(action) = self.branch_mut(side).stream.next_action() {
                return Some(TeeAction::Branch { side, action });
            }
        }
        // A pull is told last and not before it is polled: until then it may become needless.
        self.cancel.take().or_else(|| self.source.take_pull().then_some(TeeAction::Pull))
    }

    /// Whether both branches are over. What is left in [`Self::poll_action`] is still to be taken.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.left.stream.has_ended() && self.right.stream.has_ended()
    }

    /// Does what became possible, until nothing is.
    fn run(&mut self) {
        loop {
            for branch in [&mut self.left, &mut self.right] {
                // Being asked is what makes a branch one that wants a chunk.
                branch.stream.take_pull();
            }
            if !self.turn() {
                return;
            }
        }
    }

    /// A branch was cancelled: what it would tell its source is for the tee.
    fn note_cancel(&mut self, side: Side) {
        let over = matches!(self.source.state, State::Closed);
        let branch = self.branch_mut(side);
        if let Some(Action::Cancel(_)) = branch.stream.actions.back() {
            if let Some(Action::Cancel(reason)) = branch.stream.actions.pop_back() {
                branch.cancelled = Some(reason);
            }
            if over {
                // The source had ended before, and nobody else would answer.
                branch.stream.cancelled(Ok(()));
            }
        }
        self.run();
    }

    /// One step between source and branches; whether there was one.
    fn turn(&mut self) -> bool {
        if let Some(action) = self.source.next_action() {
            match action {
                // It is never among them.
                Action::Pull => {}
                Action::Cancel(reason) => {
                    let given = |branch: &Branch<E>| branch.cancelled.clone().unwrap_or(reason.clone());
                    let (left, right) = (given(&self.left), given(&self.right));
                    self.cancel = Some(TeeAction::Cancel { left, right });
                }
                Action::Read { outcome: Outcome::Chunk(chunk), .. } => self.deliver(&chunk),
                // The terminal action follows, and says the same.
                Action::Read { outcome: Outcome::Done | Outcome::Failed(_) | Outcome::Released, .. } => {}
                Action::Closed => self.finish(&Ok(())),
                Action::Errored(error) => self.fail(&error),
                Action::Cancelled(result) => self.finish(&result),
            }
            return true;
        }
        match (&self.left.cancelled, &self.right.cancelled) {
            (Some(reason), Some(_)) if !self.source_has_ended() => {
                let reason = reason.clone();
                // The tee holds the lock and the source has not ended, so this is never refused.
                self.source.reader_cancel(self.reader, reason).is_ok()
            }
            (Some(_), Some(_)) => false,
            (None, Some(_)) | (Some(_), None) | (None, None) => self.fetch(),
        }
    }

    /// Reads from the source, when every branch that lives wants a chunk and none is on its way.
    fn fetch(&mut self) -> bool {
        let waits = !self.source.reads.is_empty();
        if waits || self.source_has_ended() || self.left.holds_back() || self.right.holds_back() {
            return false;
        }
        match self.source.read(self.reader) {
            Ok(Read::Chunk(chunk)) => {
                self.deliver(&chunk);
                true
            }
            // The answer comes as an action; the source may have one at once, which is to be asked.
            Ok(Read::Waiting(_)) => true,
            Ok(Read::Done | Read::Failed(_)) | Err(_) => false,
        }
    }

    const fn source_has_ended(&self) -> bool {
        match self.source.state {
            State::Starting | State::Readable | State::Closing => false,
            State::Cancelling | State::Closed | State::Errored(_) => true,
        }
    }

    fn deliver(&mut self, chunk: &Bytes) {
        for branch in [&mut self.left, &mut self.right] {
            if branch.cancelled.is_none() {
                // A branch that asked for a chunk has room for it.
                branch.stream.enqueue(chunk.clone()).unwrap_or_default();
                branch.stream.pulled();
            }
        }
    }

    /// The source is closed: branches that live close, and cancelled ones have their answer.
    fn finish(&mut self, result: &Result<(), E>) {
        for branch in [&mut self.left, &mut self.right] {
            branch.stream.cancelled(result.clone());
            // Refused where the branch has ended.
            branch.stream.close().unwrap_or_default();
        }
    }

    /// The source has failed: branches that live fail, and cancelled ones have their answer.
    fn fail(&mut self, error: &E) {
        for branch in [&mut self.left, &mut self.right] {
            branch.stream.cancelled(Ok(()));
            branch.stream.error(error.clone());
        }
    }

    const fn branch_mut(&mut self, side: Side) -> &mut Branch<E> {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }
}
