//! Whose fault an error is.

/// Who has to change something so that the error does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The other side broke the protocol, ran into a limit, or said that it failed.
    Peer,
    /// The program that drives the machine misused it or answered that it failed.
    Caller,
    /// The connection: closed too early, or silent for too long.
    Transport,
}
