//! Where handles and the in-memory store read the time.
//!
//! A clock is handed in, so that tests own the time that stamps and ages are made of.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::model::Timestamp;

/// A source of the current time.
pub trait Clock: Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use strongroom_core::clock::{Clock, ManualClock};
/// use strongroom_core::model::Timestamp;
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000)?);
/// clock.advance(Duration::from_millis(500));
/// assert_eq!(clock.now().as_millis(), 1_500);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self {
            millis: AtomicI64::new(start.as_millis()),
        }
    }

    /// Moves the clock on, in whole milliseconds, at most to the end of the year 9999.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let moved = self.now().as_millis().saturating_add(by);
        // Past the last timestamp there is none to show, so the clock stays where it is.
        if let Ok(moved) = Timestamp::from_millis(moved) {
            self.set(moved);
        }
    }

    /// Sets the clock, back as well as on.
    pub fn set(&self, to: Timestamp) {
        self.millis.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Only timestamps are stored, so the number always is one.
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
            .unwrap_or_else(|_| Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::from_millis(5).unwrap());
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(2_999));
        assert_eq!(clock.now().as_millis(), 7);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now().as_millis(), 7);
        clock.set(Timestamp::from_millis(-1).unwrap());
        assert_eq!(clock.now().as_millis(), -1);
    }

    #[test]
    fn the_system_clock_goes() {
        let before = Timestamp::now();
        assert!(SystemClock.now() >= before);
    }
}
