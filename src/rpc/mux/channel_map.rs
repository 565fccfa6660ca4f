//! What a driver keeps for each channel.

use core::fmt;

use crate::rpc::slab::Slab;

/// Values by channel, for a driver with very many of them.
///
/// Made for numbers that are handed out in rising order, as a mux does: neighbours lie together, a value that was added
/// keeps its place in memory, and a channel beside a million idle ones is found as fast as beside a thousand, which no
/// hash table and no tree does. A value costs its own size and about 16 bytes.
#[derive(Clone)]
pub struct ChannelMap<T>(Slab<T>);

impl<T> ChannelMap<T> {
    /// Without channels, and without memory.
    #[must_use]
    pub const fn new() -> Self {
        Self(Slab::new())
    }

    /// How many channels there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The value of a channel.
    #[inline]
    #[must_use]
    pub fn get(&self, channel: u32) -> Option<&T> {
        self.0.find(channel)
    }

    /// The value of a channel, to change it.
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, channel: u32) -> Option<&mut T> {
        self.0.find_mut(channel)
    }

    /// Sets the value of a channel; the one that it had.
    #[inline]
    pub fn insert(&mut self, channel: u32, value: T) -> Option<T> {
        if let Some(found) = self.0.find_mut(channel) {
            return Some(core::mem::replace(found, value));
        }
        self.0.insert(channel, value);
        None
    }

    /// Drops the value of a channel where it lies, which is quicker than [`Self::remove`] for a large one.
    #[inline]
    pub fn discard(&mut self, channel: u32) {
        self.0.discard(channel);
    }

    /// Takes the value of a channel out.
    #[inline]
    pub fn remove(&mut self, channel: u32) -> Option<T> {
        self.0.remove(channel)
    }
}

impl<T> Default for ChannelMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for ChannelMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_the_value_that_was_set_last() {
        let mut map = ChannelMap::new();
        assert!(map.is_empty() && map.get(1).is_none());
        assert_eq!((map.insert(1, 'a'), map.insert(3, 'b'), map.insert(1, 'c')), (None, None, Some('a')));
        *map.get_mut(3).unwrap() = 'd';
        assert_eq!((map.len(), map.get(1), map.get(3)), (2, Some(&'c'), Some(&'d')));
        assert_eq!((map.remove(1), map.remove(1), map.len()), (Some('c'), None, 1));
        map.discard(1);
        assert_eq!(map.len(), 1);
        map.discard(3);
        assert!(map.is_empty() && map.get(3).is_none());
    }
}
