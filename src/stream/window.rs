//! The arithmetic of credit.
//!
//! Of each window's units every one is, at any moment, in exactly one place (STREAM-7):
//!
//! ```text
//! sender's credit + data under way + data held by the receiver + freed, not yet granted + grants under way = window
//! └─ Credit ────┘                    └─ Window: held ────────┘   └─ Window: freed ────┘
//!                 └──────────────── Window: granted (with credit and grants under way) ─┘
//! ```
//!
//! [`Credit`] is the sender's view, [`Window`] the receiver's, for which `granted + held + freed = window` holds by
//! itself. All arithmetic is checked: nothing a peer sends makes a count wrap (T1).

/// So much of a window, once it was consumed, is worth a CREDIT (STREAM-9): one of `parts` equal parts. Where that is
/// less than two units it is two, as long as those are no more than an eighth.
///
/// A window fills a link once it covers the bandwidth-delay product and this.
#[must_use]
pub const fn portion(window: u32, parts: u32) -> u32 {
    let part = match window.checked_div(parts) {
        Some(part) => part,
        None => window,
    };
    let least = if window >= 16 { 2 } else { 1 };
    if part > least { part } else { least }
}

/// A count that would leave the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// A size or grant of nothing.
    #[error("a size or grant of 0")]
    Zero,
    /// More was granted than was ever spent.
    #[error("a grant of {grant} onto a credit of {credit} overflows the window of {window}")]
    Overflow {
        /// The credit before.
        credit: u32,
        /// The grant.
        grant: u32,
        /// The window.
        window: u32,
    },
    /// More was used than there is.
    #[error("{size} units were used of {left}")]
    Exceeded {
        /// What was to be used.
        size: u32,
        /// What there is.
        left: u32,
    },
}

/// The sender's view: what it may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credit {
    available: u32,
    window: u32,
}

impl Credit {
    /// The whole window is there at first: the high-water mark is the initial credit.
    #[must_use]
    pub const fn new(window: u32) -> Self {
        Self { available: window, window }
    }

    /// Units that may be sent.
    #[must_use]
    pub const fn available(self) -> u32 {
        self.available
    }

    /// The high-water mark.
    #[must_use]
    pub const fn window(self) -> u32 {
        self.window
    }

    /// Uses `size` units for a block.
    ///
    /// # Errors
    /// [`WindowError::Zero`], or [`WindowError::Exceeded`] when there are fewer; nothing changes then.
    pub const fn spend(&mut self, size: u32) -> Result<(), WindowError> {
        if size == 0 {
            return Err(WindowError::Zero);
        }
        match self.available.checked_sub(size) {
            Some(left) => {
                self.available = left;
                Ok(())
            }
            None => Err(WindowError::Exceeded { size, left: self.available }),
        }
    }

    /// Takes a grant of the receiver's.
    ///
    /// # Errors
    /// [`WindowError::Zero`], or [`WindowError::Overflow`] above the window; nothing changes then.
    pub fn grant(&mut self, grant: u32) -> Result<(), WindowError> {
        if grant == 0 {
            return Err(WindowError::Zero);
        }
        match self.available.checked_add(grant).filter(|sum| *sum <= self.window) {
            Some(sum) => {
                self.available = sum;
                Ok(())
            }
            None => Err(WindowError::Overflow { credit: self.available, grant, window: self.window }),
        }
    }
}

/// The receiver's view: what the sender was granted, what is held, what was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    granted: u32,
    held: u32,
    freed: u32,
}

impl Window {
    /// Everything is granted at first.
    #[must_use]
    pub const fn new(window: u32) -> Self {
        Self { granted: window, held: 0, freed: 0 }
    }

    /// Units that the sender may still send, those under way included.
    #[must_use]
    pub const fn granted(self) -> u32 {
        self.granted
    }

    /// Units of the blocks that came and are not consumed.
    #[must_use]
    pub const fn held(self) -> u32 {
        self.held
    }

    /// Units consumed and not yet granted again.
    #[must_use]
    pub const fn freed(self) -> u32 {
        self.freed
    }

    /// The high-water mark. The three parts always add up to it, so the sum cannot overflow.
    #[must_use]
    pub const fn window(self) -> u32 {
        self.granted.saturating_add(self.held).saturating_add(self.freed)
    }

    /// A block of `size` came.
    ///
    /// # Errors
    /// [`WindowError::Zero`], or [`WindowError::Exceeded`] above what was granted; nothing changes then.
    pub const fn take(&mut self, size: u32) -> Result<(), WindowError> {
        if size == 0 {
            return Err(WindowError::Zero);
        }
        match (self.granted.checked_sub(size), self.held.checked_add(size)) {
            (Some(granted), Some(held)) => {
                (self.granted, self.held) = (granted, held);
                Ok(())
            }
            (None, _) | (_, None) => Err(WindowError::Exceeded { size, left: self.granted }),
        }
    }

    /// A block of `size` was consumed.
    ///
    /// # Errors
    /// [`WindowError::Exceeded`] above what is held; nothing changes then.
    pub const fn free(&mut self, size: u32) -> Result<(), WindowError> {
        match (self.held.checked_sub(size), self.freed.checked_add(size)) {
            (Some(held), Some(freed)) => {
                (self.held, self.freed) = (held, freed);
                Ok(())
            }
            (None, _) | (_, None) => Err(WindowError::Exceeded { size, left: self.held }),
        }
    }

    /// Whether what was freed should be granted: something was, and either that is a `portion` worth a message, or the
    /// sender has less than its `reserve` left and may be waiting (STREAM-9, T3).
    #[must_use]
    pub const fn is_grant_due(self, portion: u32, reserve: u32) -> bool {
        self.freed > 0 && (self.freed >= portion || self.granted < reserve)
    }

    /// Grants all that was freed; how much that is.
    pub const fn grant(&mut self) -> u32 {
        let grant = self.freed;
        self.granted = self.granted.saturating_add(grant);
        self.freed = 0;
        grant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STREAM-8: every count that would leave the window is an error and changes nothing (T1).
    #[test]
    fn stream_8_grants_are_checked() {
        let mut credit = Credit::new(16);
        assert_eq!(credit.grant(0), Err(WindowError::Zero));
        assert_eq!(credit.grant(1), Err(WindowError::Overflow { credit: 16, grant: 1, window: 16 }));
        credit.spend(16).unwrap();
        assert_eq!(
            credit.grant(u32::MAX),
            Err(WindowError::Overflow { credit: 0, grant: u32::MAX, window: 16 })
        );
        assert_eq!(credit.spend(1), Err(WindowError::Exceeded { size: 1, left: 0 }));
        credit.grant(16).unwrap();
        assert_eq!(credit, Credit::new(16));
        let mut full = Credit::new(u32::MAX);
        assert!(full.grant(u32::MAX).is_err());
        let mut window = Window::new(4);
        assert_eq!(window.take(5), Err(WindowError::Exceeded { size: 5, left: 4 }));
        assert_eq!(window.take(0), Err(WindowError::Zero));
        assert_eq!(window.free(1), Err(WindowError::Exceeded { size: 1, left: 0 }));
        assert_eq!(window, Window::new(4));
    }

    /// STREAM-9.
    #[test]
    fn stream_9_what_was_freed_is_granted_by_portions_and_when_the_sender_may_wait() {
        for (mark, portion, reserve) in (1..=20_u32).flat_map(|m| [(m, 1, 1), (m, m, 1), (m, m / 2 + 1, m)]) {
            let mut window = Window::new(mark);
            window.take(1).unwrap();
            assert!(!window.is_grant_due(1, mark), "nothing was freed");
            window.free(1).unwrap();
            for left in (0..mark.saturating_sub(1)).rev() {
                window.take(1).unwrap();
                window.free(1).unwrap();
                assert_eq!(window.is_grant_due(portion, reserve), mark - left >= portion || left < reserve);
            }
            assert!(window.is_grant_due(portion, reserve), "with nothing left it is always due");
            assert_eq!(window.grant(), mark);
            assert_eq!(window, Window::new(mark));
        }
    }

    /// STREAM-9: at most two units, or a part of the window; so little is missing of a window that is in use.
    #[test]
    fn stream_9_a_portion_is_a_small_part_of_the_window() {
        let portions = [1, 2, 15, 16, 63, 64, 96, 12_500_000, u32::MAX].map(|window| portion(window, 32));
        assert_eq!(portions, [1, 1, 1, 2, 2, 2, 3, 390_625, (1 << 27) - 1]);
        assert_eq!([1, 2, 16, 1000].map(|window| portion(window, 2)), [1, 1, 8, 500]);
        assert_eq!([1, 16].map(|window| portion(window, 0)), [1, 16]);
    }
}
