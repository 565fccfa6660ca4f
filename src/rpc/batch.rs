//! A batch: what streams would have carried, in one message (RPC-24).
//!
//! Each part is preceded by its length (4 bytes, big-endian). The first part is the arguments or the value; the others
//! are the items.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::carrier::{self, Decoded, LENGTH_LEN};
use crate::limits::CHUNK_OVERHEAD;

/// `first` and the items as one payload. Parts are bounded by the limits on messages, far below what a length can tell.
pub(super) fn encode(first: &Bytes, items: &BytesMut) -> Bytes {
    let mut whole =
        BytesMut::with_capacity(first.len().saturating_add(items.len()).saturating_add(LENGTH_LEN));
    put(&mut whole, first);
    whole.put_slice(items);
    whole.freeze()
}

/// Appends one part.
pub(super) fn put(whole: &mut BytesMut, part: &Bytes) {
    whole.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
    whole.put_slice(part);
}

/// The parts of a payload, which they are slices of. `None` for one that is no batch, or costs more than `limit`.
pub(super) fn decode(payload: &Bytes, limit: usize) -> Option<(Bytes, Vec<Bytes>)> {
    let mut parts = Vec::new();
    let mut rest: &[u8] = payload;
    let mut cost: usize = 0;
    while !rest.is_empty() {
        let Ok(Decoded::Complete { message, consumed }) = carrier::decode(rest, limit) else { return None };
        cost = cost.saturating_add(message.len()).saturating_add(CHUNK_OVERHEAD);
        if cost > limit.saturating_add(CHUNK_OVERHEAD) {
            return None;
        }
        parts.push(payload.slice_ref(message));
        rest = rest.get(consumed..)?;
    }
    let mut parts = parts.into_iter();
    Some((parts.next()?, parts.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RPC-24: a limit is what the parts may have in all, and each but the first costs its overhead.
    #[test]
    fn rpc_24_a_batch_may_cost_as_much_as_its_limit() {
        let part = |length| Bytes::from(alloc::vec![7; length]);
        for (lengths, limit) in [(&[100][..], 100), (&[30, 6], 100), (&[0, 36, 0], 164)] {
            let (mut items, first) = (BytesMut::new(), part(lengths[0]));
            lengths[1..].iter().for_each(|length| put(&mut items, &part(*length)));
            let batch = encode(&first, &items);
            let parts = lengths[1..].iter().map(|length| part(*length)).collect();
            assert_eq!(decode(&batch, limit), Some((first, parts)));
            assert_eq!(decode(&batch, limit - 1), None);
        }
    }
}
