//! How often and how long the retry layer tries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// How often and how long calls are tried again.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use strongroom_core::layers::RetryOptions;
///
/// let mut options = RetryOptions::new();
/// options.attempts = 5;
/// options.deadline = Duration::from_secs(5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryOptions {
    /// How often a call is made at most, the first time included. 3 by default; 1 turns retries
    /// off, while unknown outcomes are still resolved.
    pub attempts: u32,
    /// The shortest pause before another attempt. Pauses double each time, and a random part of
    /// the shortest is added to each. 20 ms by default.
    pub min_delay: Duration,
    /// The longest pause. 1 s by default.
    pub max_delay: Duration,
    /// No attempt begins later than this after the first failure. 20 s by default.
    pub deadline: Duration,
    /// How long an engine that does not answer is asked what became of a write, before the write
    /// is given up as indeterminate. 10 s by default.
    pub resolve_within: Duration,
    /// By how much a document must be older than a write whose outcome is unknown to prove that
    /// nobody wrote since. It stands for the grain of stored times, the time between the engine's
    /// reading its clock and its answer, and small corrections of its clock; for the drift of the
    /// two clocks a thousandth of the time between is added. 20 ms by default.
    pub age_margin: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 3,
            min_delay: Duration::from_millis(20),
            max_delay: Duration::from_secs(1),
            deadline: Duration::from_secs(20),
            resolve_within: Duration::from_secs(10),
            age_margin: Duration::from_millis(20),
        }
    }
}

impl RetryOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pauses of one call, without end: the callers bound attempts and time themselves.
    pub(super) fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_never_end() {
        let pauses: Vec<_> = RetryOptions::new().pauses().take(50).collect();
        assert_eq!(pauses.len(), 50);
        assert!(pauses.iter().all(|p| *p >= Duration::from_millis(20)));
        assert!(pauses.iter().all(|p| *p <= Duration::from_millis(2_000)));
        assert!(pauses[10] >= Duration::from_secs(1));
    }
}
