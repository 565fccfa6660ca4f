//! yamux and h2 with idle streams: both ends on this thread, polled in turn, so that each one's heap is known.
//!
//! Each stream was opened and carried a byte, which was consumed. What a program holds of a stream lies in a list that is
//! not counted; what those handles have on the heap is. The pipe is small and part of it counts, as it does for ours.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{AsyncRead, AsyncWrite};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::live;

/// Bytes in the pipe.
const PIPE: usize = 4096;
/// So many turns until an end that has nothing to do has noticed.
const TURNS: usize = 4;

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Does something at one end, and counts what it has more of after it.
fn at<T>(heap: &mut isize, act: impl FnOnce() -> T) -> T {
    let before = live();
    let result = act();
    *heap += live() - before;
    result
}

/// Two ends of yamux with so many streams: the heap of each.
pub(crate) fn yamux(count: usize) -> [usize; 2] {
    let (a, b) = tokio::io::duplex(PIPE);
    let mut heap = [0; 2];
    let new = |pipe: tokio::io::DuplexStream, mode| {
        let mut config = yamux::Config::default();
        config.set_max_connection_receive_window(None);
        config.set_max_num_streams(count + 1);
        yamux::Connection::new(pipe.compat(), config, mode)
    };
    let mut client = at(&mut heap[0], || new(a, yamux::Mode::Client));
    let mut server = at(&mut heap[1], || new(b, yamux::Mode::Server));
    let mut opened: Vec<yamux::Stream> = Vec::with_capacity(count);
    let mut accepted: Vec<yamux::Stream> = Vec::with_capacity(count);
    let byte = |stream: &mut yamux::Stream| {
        matches!(Pin::new(stream).poll_read(&mut context(), &mut [0]), Poll::Ready(Ok(1)))
    };
    for number in 0..count {
        at(&mut heap[0], || {
            let Poll::Ready(Ok(mut stream)) = client.poll_new_outbound(&mut context()) else {
                panic!("no stream")
            };
            assert!(matches!(Pin::new(&mut stream).poll_write(&mut context(), b"1"), Poll::Ready(Ok(1))));
            opened.push(stream);
        });
        let (mut there, mut back) = (false, false);
        for _ in 0..TURNS {
            at(&mut heap[0], || {
                assert!(client.poll_next_inbound(&mut context()).is_pending());
                back |= byte(&mut opened[number]);
            });
            at(&mut heap[1], || {
                // Without a byte back a stream is never acknowledged, and only 256 may wait for that.
                if let Poll::Ready(Some(Ok(mut stream))) = server.poll_next_inbound(&mut context()) {
                    assert!(matches!(
                        Pin::new(&mut stream).poll_write(&mut context(), b"1"),
                        Poll::Ready(Ok(1))
                    ));
                    accepted.push(stream);
                }
                there |= accepted.get_mut(number).is_some_and(byte);
            });
        }
        assert!(there && back, "a byte went either way");
    }
    heap.map(isize::unsigned_abs)
}

/// Two ends of h2 with so many requests that have neither ended nor been answered: the heap of each.
pub(crate) fn h2(count: usize) -> [usize; 2] {
    let (a, b) = tokio::io::duplex(PIPE);
    let mut heap = [0; 2];
    let (mut client, mut server) = (h2::client::Builder::new(), h2::server::Builder::new());
    client.initial_max_send_streams(count + 1);
    server.max_concurrent_streams(u32::try_from(count).unwrap() + 1);
    let mut connecting = pin!(at(&mut heap[0], || client.handshake::<_, Bytes>(a)));
    let mut accepting = pin!(at(&mut heap[1], || server.handshake::<_, Bytes>(b)));
    let (mut connected, mut listening) = (None, None);
    while connected.is_none() || listening.is_none() {
        if let Poll::Ready(done) = at(&mut heap[0], || connecting.as_mut().poll(&mut context())) {
            connected = Some(done.unwrap());
        }
        if let Poll::Ready(done) = at(&mut heap[1], || accepting.as_mut().poll(&mut context())) {
            listening = Some(done.unwrap());
        }
    }
    let ((mut requests, connection), mut listening) = (connected.unwrap(), listening.unwrap());
    let mut connection = pin!(connection);
    let mut opened = Vec::with_capacity(count);
    let mut accepted = Vec::with_capacity(count);
    for number in 0..count {
        at(&mut heap[0], || {
            assert!(requests.poll_ready(&mut context()).is_ready());
            let (response, mut body) = requests.send_request(http::Request::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"1"), false).unwrap();
            opened.push((response, body));
        });
        let mut there = false;
        for _ in 0..TURNS {
            at(&mut heap[0], || assert!(connection.as_mut().poll(&mut context()).is_pending()));
            at(&mut heap[1], || {
                if let Poll::Ready(Some(Ok((request, respond)))) = listening.poll_accept(&mut context()) {
                    accepted.push((request.into_body(), respond));
                }
                let Some((body, _)) = accepted.get_mut(number) else { return };
                if let Poll::Ready(Some(Ok(data))) = body.poll_data(&mut context()) {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    there = true;
                }
            });
        }
        assert!(there, "the byte arrived");
    }
    heap.map(isize::unsigned_abs)
}
