//! How much of a session a server is fed.

/// Which part of a session a server machine serves.
///
/// A transport of requests and responses (smart HTTP) keeps no machine between two of them: each request has a machine
/// of its own, which is the same machine as that of a whole session, begun or ended elsewhere (GIT-22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Serving {
    /// All of it, on one connection. The default.
    #[default]
    Session,
    /// The advertisement and nothing else (`--http-backend-info-refs`, formerly `--advertise-refs`). Of smart HTTP's
    /// answer it is what follows the `# service=` line and its flush.
    Advertisement,
    /// One request and its response (`--stateless-rpc`): nothing is advertised, for the client has seen it already.
    Request,
}
