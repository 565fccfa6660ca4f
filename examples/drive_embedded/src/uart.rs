//! A serial line: a ring of bytes that the sending side fills and the line empties at its own pace.

/// Bits a second.
pub const BAUD: u32 = 115_200;
/// Bits of a byte on the line: start, eight of data, stop.
const BITS: u32 = 10;
/// Bytes of the ring, as of a UART's transmit buffer.
const RING: usize = 256;

/// One direction of the line.
pub struct Line {
    ring: [u8; RING],
    /// Where the oldest byte is, and how many there are.
    start: usize,
    length: usize,
    /// Bits that the line could have carried and has not: less than a byte, or nothing is waiting.
    bits: u32,
    /// Bytes carried so far.
    pub carried: u64,
}

impl Line {
    pub const fn new() -> Self {
        Self { ring: [0; RING], start: 0, length: 0, bits: 0, carried: 0 }
    }

    /// Takes what fits of `bytes` and tells how much that was. 0: the ring is full, try in the next tick.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(RING - self.length);
        for &byte in &bytes[..count] {
            self.ring[(self.start + self.length) % RING] = byte;
            self.length += 1;
        }
        count
    }

    /// What has come out at the other end in a tick of a millisecond.
    pub fn tick<'a>(&mut self, out: &'a mut [u8; 16]) -> &'a [u8] {
        self.bits += BAUD / 1000;
        let count = self.length.min((self.bits / BITS) as usize);
        for byte in &mut out[..count] {
            *byte = self.ring[self.start];
            self.start = (self.start + 1) % RING;
        }
        self.length -= count;
        // An idle line does not save up time.
        self.bits = if self.length == 0 { 0 } else { self.bits - count as u32 * BITS };
        self.carried += count as u64;
        &out[..count]
    }
}
