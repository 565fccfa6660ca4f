//! yamux and h2: both ends on one thread, in the configuration that suits the work best.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{AsyncReadExt, AsyncWriteExt, StreamExt};
use portline::stream::CHUNK;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{PIPE, WINDOW};

/// Waits until a counter has come so far.
#[derive(Clone, Default)]
pub(crate) struct Count(Rc<(Cell<usize>, Cell<usize>, Notify)>);

impl Count {
    fn add(&self, more: usize) {
        let (count, goal, notify) = &*self.0;
        count.set(count.get() + more);
        if count.get() >= goal.get() {
            notify.notify_one();
        }
    }

    /// Waits until so many more were counted than when this was last asked for.
    pub(crate) async fn counts(&self, more: usize) {
        let (count, goal, notify) = &*self.0;
        goal.set(goal.get() + more);
        while count.get() < goal.get() {
            notify.notified().await;
        }
        assert_eq!(count.get(), goal.get());
    }
}

/// What the other end has received: bytes, and streams that have ended.
#[derive(Clone, Default)]
pub(crate) struct Received {
    pub(crate) bytes: Count,
    pub(crate) ended: Count,
}

type Connection = yamux::Connection<Compat<DuplexStream>>;

fn connection(pipe: DuplexStream, mode: yamux::Mode) -> Connection {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(2048);
    config.set_max_connection_receive_window(Some(1 << 30));
    // 16 KiB by default: then 64 KiB are four frames.
    config.set_split_send_size(CHUNK);
    Connection::new(pipe.compat(), config, mode)
}

/// What a program asks of the task that owns a client of yamux: one that opened streams itself would have to wake it.
#[derive(Default)]
struct Wanted {
    count: Cell<usize>,
    opened: RefCell<VecDeque<yamux::Stream>>,
    owner: RefCell<Option<Waker>>,
    notify: Notify,
}

/// A client of yamux.
#[derive(Clone, Default)]
pub(crate) struct Yamux(Rc<Wanted>);

impl Yamux {
    /// Has so many streams opened, to be taken with [`Self::next`].
    pub(crate) fn want(&self, count: usize) {
        self.0.count.set(self.0.count.get() + count);
        if let Some(owner) = self.0.owner.take() {
            owner.wake();
        }
    }

    /// The next stream that was wanted.
    pub(crate) async fn next(&self) -> yamux::Stream {
        loop {
            if let Some(stream) = self.0.opened.borrow_mut().pop_front() {
                return stream;
            }
            self.0.notify.notified().await;
        }
    }

    /// Runs the connection, and opens what is wanted.
    fn poll(&self, connection: &mut Connection, context: &mut Context<'_>) -> Poll<()> {
        let Wanted { count, opened, owner, notify } = &*self.0;
        loop {
            while count.get() > 0 {
                let Poll::Ready(stream) = connection.poll_new_outbound(context) else { break };
                opened.borrow_mut().push_back(stream.unwrap());
                count.set(count.get() - 1);
                notify.notify_one();
            }
            match connection.poll_next_inbound(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        owner.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// Both ends of yamux. `greets`: the server sends a byte on each stream, as yamux acknowledges a stream with the first
/// frame back and lets only 256 wait for that.
pub(crate) fn yamux(received: &Received, greets: bool) -> Yamux {
    let (a, b) = tokio::io::duplex(PIPE);
    let (mut ours, mut theirs) = (connection(a, yamux::Mode::Client), connection(b, yamux::Mode::Server));
    let received = received.clone();
    spawn_local(async move {
        while let Some(Ok(mut inbound)) = poll_fn(|context| theirs.poll_next_inbound(context)).await {
            let received = received.clone();
            spawn_local(async move {
                if greets {
                    inbound.write_all(b"1").await.unwrap();
                }
                // Packet by packet: reading into a buffer would copy them.
                while let Some(Ok(packet)) = inbound.next().await {
                    received.bytes.add(packet.as_ref().len());
                }
                inbound.close().await.unwrap_or_default();
                received.ended.add(1);
            });
        }
    });
    let client = Yamux::default();
    let driven = client.clone();
    spawn_local(async move { poll_fn(|context| driven.poll(&mut ours, context)).await });
    client
}

/// A stream that the server has seen.
pub(crate) async fn yamux_open(client: &Yamux, received: &Received) -> yamux::Stream {
    client.want(1);
    let mut stream = client.next().await;
    stream.write_all(b"1").await.unwrap();
    received.bytes.counts(1).await;
    stream.read_exact(&mut [0]).await.unwrap();
    stream
}

/// A client of h2.
pub(crate) struct H2(h2::client::SendRequest<Bytes>);

impl H2 {
    /// A request. Its response must be kept: dropping it resets the stream.
    pub(crate) async fn open(&self) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut ready = self.0.clone().ready().await.unwrap();
        ready.send_request(http::Request::new(()), false).unwrap()
    }
}

/// Both ends of h2.
pub(crate) async fn h2(received: &Received) -> H2 {
    let (a, b) = tokio::io::duplex(PIPE);
    let received = received.clone();
    spawn_local(async move {
        let mut server = h2::server::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(64 << 20)
            .max_concurrent_streams(4096)
            .max_frame_size(u32::try_from(CHUNK).unwrap())
            .handshake::<_, Bytes>(b)
            .await
            .unwrap();
        while let Some(Ok((request, mut respond))) = server.accept().await {
            let received = received.clone();
            spawn_local(async move {
                let mut body = request.into_body();
                while let Some(Ok(data)) = body.data().await {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    received.bytes.add(data.len());
                }
                respond.send_response(http::Response::new(()), true).unwrap();
                received.ended.add(1);
            });
        }
    });
    let (sender, connection) =
        h2::client::Builder::new().initial_max_send_streams(4096).handshake::<_, Bytes>(a).await.unwrap();
    spawn_local(async move { connection.await.unwrap_or_default() });
    H2(sender)
}
