//! Without arguments: a server and a client on loopback, and the sequence diagrams of the protocol one after the other.

use std::collections::VecDeque;

use tokio::net::{TcpListener, TcpStream};

use crate::client::{Job, Method, Source};
use crate::trace::Trace;
use crate::{Outcome, answer, call};

/// Bytes of the demo's upload: more than the window, so that credit comes back.
const UPLOAD: usize = 500_000;

/// The windows are small, so that the credit shows. The frames are those that the server sees: its view of what
/// crosses on the way is the same each time.
pub(crate) async fn run(trace: Trace) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.map_err(|error| error.to_string())?;
        answer(socket, trace).await
    });
    let socket = TcpStream::connect(address).await?;
    let called = call(socket, jobs(), Trace::Off).await;
    server.await??;
    called
}

fn jobs() -> [Job; 5] {
    let numbers = |arguments: &str, cancel_after, fails| Job {
        method: Method::Numbers { arguments: arguments.to_owned(), cancel_after },
        fails,
    };
    let words: VecDeque<String> = ["Hello", "World"].map(str::to_owned).into();
    let reader = Box::new(std::io::Cursor::new(vec![7; UPLOAD]));
    [
        // One way, both ways, an error of the server's stream, a cancellation by the client, the other way.
        numbers("3 window=2", None, false),
        Job { method: Method::Echo(words), fails: false },
        numbers("5 fail-after=2", None, true),
        numbers("1000 window=2", Some(2), true),
        Job { method: Method::Upload(Source { reader, size: UPLOAD as u64 }), fails: false },
    ]
}
