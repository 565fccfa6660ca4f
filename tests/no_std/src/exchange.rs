//! The exchanges. Each step has a number, which is the exit code when it fails.

use crate::{link, port};
use bytes::{Bytes, BytesMut};
use portline::pkt::{self, Band, Fragment, Packet, Reader};

pub type Step = Result<(), u8>;

pub fn check(step: u8, holds: bool) -> Step {
    if holds { Ok(()) } else { Err(step) }
}

/// Every exchange, in order.
pub fn all() -> Step {
    for split in [1, 2, 3, 5, 7, 64, 4096] {
        lines(split)?;
        sideband(split)?;
    }
    refused()?;
    for (total, chunk, window) in [(0, 7, 1), (1000, 7, 1), (1000, 64, 4), (300_000, 65536, 2)] {
        port::stream(total, chunk, window)?;
    }
    port::silence()?;
    for split in [1, 7, 4096] {
        link::echo(40, split)?;
    }
    Ok(())
}

/// Gives `input` to a new reader in pieces of `split` bytes.
fn fed(input: &Bytes, split: usize) -> Reader {
    let mut reader = Reader::new();
    let mut rest = input.clone();
    while !rest.is_empty() {
        reader.handle_bytes(rest.split_to(split.min(rest.len())));
    }
    reader
}

/// Lines written, cut anywhere and read again.
fn lines(split: usize) -> Step {
    let id = [b'a'; 40];
    let mut out = BytesMut::new();
    pkt::put_line(&mut out, &[b"want ", &id]).map_err(|_| 1)?;
    pkt::put_flush(&mut out);
    pkt::put_line(&mut out, &[b"have ", &id]).map_err(|_| 1)?;
    pkt::put_line(&mut out, &[b"done"]).map_err(|_| 1)?;
    let mut reader = fed(&out.freeze(), split);
    let mut next = || reader.next_packet().ok().flatten();
    let Some(Packet::Data(want)) = next() else {
        return Err(2);
    };
    check(3, pkt::trim_lf(&want).strip_prefix(b"want ") == Some(&id[..]))?;
    check(4, next() == Some(Packet::Flush))?;
    let Some(Packet::Data(have)) = next() else {
        return Err(5);
    };
    check(6, pkt::trim_lf(&have).starts_with(b"have "))?;
    check(7, next() == Some(Packet::Data(Bytes::from_static(b"done\n"))))?;
    check(8, next().is_none() && reader.is_empty() && reader.missing() == Ok(0))
}

/// The largest sideband packet comes out whole, in order, whatever the split.
fn sideband(split: usize) -> Step {
    let body: BytesMut = (0..pkt::MAX_BAND_DATA).map(|at| (at % 251) as u8).collect();
    let mut out = BytesMut::new();
    pkt::put_packet(&mut out, &[&[Band::Progress.as_u8()], b"100%\r"]).map_err(|_| 11)?;
    pkt::put_packet(&mut out, &[&[Band::Data.as_u8()], &body]).map_err(|_| 11)?;
    pkt::put_flush(&mut out);
    // One split size of many small chunks is enough: the heap of this program only grows.
    let mut reader = fed(&out.freeze(), split.max(64));
    let (mut data, mut progress) = (0, 0);
    loop {
        match reader.next_fragment() {
            Ok(Some(Fragment::Data { band: Band::Data, bytes })) => {
                check(12, body.get(data..data + bytes.len()) == Some(&bytes[..]))?;
                data += bytes.len();
            }
            Ok(Some(Fragment::Data { band: Band::Progress, bytes })) => progress += bytes.len(),
            Ok(Some(Fragment::Flush)) => break,
            _ => return Err(13),
        }
    }
    check(14, data == pkt::MAX_BAND_DATA && progress == 5)
}

/// What is no packet is an error, with its text: formatting works without `std` too.
fn refused() -> Step {
    let Err(error) = pkt::decode(b"00zz") else {
        return Err(21);
    };
    check(22, alloc::format!("{error}") == "\"00zz\" is not a pkt-line length")
}
