//! Running a piece of work again when it met a conflict.
//!
//! A conflict is not a fault that a layer could retry: the work has to load the document again and
//! decide again. So the caller's closure is run again as a whole, here and nowhere else.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// How often and how patiently work is run again after a conflict.
///
/// Every second attempt follows at once on the one before: who was faster has just finished. The
/// others come after waits, each twice as long as the one before, with jitter of up to its own
/// length, so that many competitors spread out.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use strongroom_core::handle::RetryPolicy;
///
/// let policy = RetryPolicy::default()
///     .with_attempts(10)
///     .with_deadline(Duration::from_secs(2));
/// assert_eq!(policy.attempts(), 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    shortest: Duration,
    longest: Duration,
    deadline: Duration,
}

impl Default for RetryPolicy {
    /// 50 attempts within 30 seconds, with waits from 1 ms to 200 ms.
    fn default() -> Self {
        Self {
            attempts: 50,
            shortest: Duration::from_millis(1),
            longest: Duration::from_millis(200),
            deadline: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// One attempt: the first conflict is handed out as it is.
    #[must_use]
    pub fn never() -> Self {
        Self::default().with_attempts(1)
    }

    /// How often the work is run at most.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Runs the work at most this often, at least once.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Waits at least `shortest` before the third attempt and never longer than `longest`, to
    /// which jitter of up to the same length is added.
    #[must_use]
    pub fn with_backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest = shortest;
        self.longest = longest.max(shortest);
        self
    }

    /// Begins no attempt later than this after the first one began. An attempt under way is not
    /// cut off.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Begins to count.
    pub(crate) fn start(&self) -> Attempts {
        Attempts {
            policy: self.clone(),
            made: 1,
            began: Instant::now(),
            waits: ExponentialBuilder::new()
                .with_min_delay(self.shortest)
                .with_max_delay(self.longest)
                .with_factor(2.0)
                .with_jitter()
                .without_max_times()
                .build(),
        }
    }
}

/// The attempts of one piece of work.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: RetryPolicy,
    made: u32,
    began: Instant,
    waits: ExponentialBackoff,
}

impl Attempts {
    /// Waits for the next attempt, or hands out the error to end with; see [`next`](Self::next).
    pub(crate) async fn again(&mut self, failure: Error) -> Result<()> {
        let wait = self.next(failure)?;
        if wait.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Counts the next attempt and tells how long to wait before it, or hands out the error to end
    /// with.
    ///
    /// With a policy of one attempt that is the error itself; otherwise it is `Contended` with the
    /// last failure as its source.
    pub(crate) fn next(&mut self, failure: Error) -> Result<Duration> {
        if self.policy.attempts == 1 || !is_contention(&failure) {
            return Err(failure);
        }
        if self.made >= self.policy.attempts {
            return Err(self.give_up(failure));
        }
        let wait = match self.made % 2 {
            1 => Duration::ZERO,
            _ => self.waits.next().unwrap_or(self.policy.longest),
        };
        if wait > self.left() || self.left().is_zero() {
            return Err(self.give_up(failure));
        }
        self.made += 1;
        Ok(wait)
    }

    /// How long attempts may still begin.
    pub(crate) fn left(&self) -> Duration {
        self.policy.deadline.saturating_sub(self.began.elapsed())
    }

    #[cold]
    fn give_up(&self, last: Error) -> Error {
        let mut error = Error::new(
            ErrorKind::Contended,
            format!(
                "gave up after {} attempts in {} ms, each of which met another writer",
                self.made,
                self.began.elapsed().as_millis()
            ),
        );
        if let Some(operation) = last.operation() {
            error = error.with_operation(operation);
        }
        if let Some(collection) = last.collection() {
            error = error.with_collection(collection.clone());
        }
        if let Some(key) = last.key() {
            error = error.with_key(key.clone());
        }
        error.with_source(last)
    }
}

/// Whether another run of the work may go better.
pub(crate) fn is_contention(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Contended)
}

/// Runs `work` until it meets no conflict, at most as often as the policy says.
///
/// The work is run again as a whole when it fails with `Conflict` or `Contended`: it must load
/// what it decides on anew each time, and what it did besides writing guarded is done again.
/// Dropping the future ends it between two awaits of the work; what the work had written stays.
///
/// # Errors
///
/// What the work fails with, if that is no conflict. `Contended` when attempts or time run out,
/// with the last failure as its source; with [`RetryPolicy::never`] the failure itself.
///
/// # Examples
///
/// ```
/// use strongroom_core::handle::{RetryPolicy, retry_on_conflict};
/// use strongroom_core::{Error, ErrorKind};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let mut runs = 0;
/// let done = retry_on_conflict(&RetryPolicy::default(), || {
///     runs += 1;
///     async move {
///         if runs < 3 {
///             return Err(Error::new(ErrorKind::Conflict, "someone was faster"));
///         }
///         Ok(runs)
///     }
/// })
/// .await?;
/// assert_eq!(done, 3);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub async fn retry_on_conflict<R, F>(policy: &RetryPolicy, mut work: impl FnMut() -> F) -> Result<R>
where
    F: Future<Output = Result<R>>,
{
    let mut attempts = policy.start();
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(failure) => attempts.again(failure).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn conflict() -> Error {
        Error::new(ErrorKind::Conflict, "someone was faster")
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_run_out_with_the_last_conflict_as_source() {
        let policy = RetryPolicy::default().with_attempts(4);
        let mut runs = 0;
        let error = retry_on_conflict(&policy, || {
            runs += 1;
            async { Err::<(), _>(conflict()) }
        })
        .await
        .unwrap_err();
        assert_eq!(runs, 4);
        assert_eq!(error.kind(), ErrorKind::Contended);
        let source = error.source().unwrap().downcast_ref::<Error>().unwrap();
        assert!(source.is_conflict());
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out() {
        let policy = RetryPolicy::default()
            .with_attempts(u32::MAX)
            .with_backoff(Duration::from_millis(10), Duration::from_millis(10))
            .with_deadline(Duration::from_millis(100));
        let began = Instant::now();
        let error = retry_on_conflict(&policy, async || Err::<(), _>(conflict()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contended);
        assert!(began.elapsed() <= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn other_failures_and_single_attempts_come_out_as_they_are() {
        let mut runs = 0;
        let error = retry_on_conflict(&RetryPolicy::default(), || {
            runs += 1;
            async { Err::<(), _>(Error::invalid("no")) }
        })
        .await
        .unwrap_err();
        assert_eq!((runs, error.kind()), (1, ErrorKind::Invalid));
        let error = retry_on_conflict(&RetryPolicy::never(), async || Err::<(), _>(conflict()))
            .await
            .unwrap_err();
        assert!(error.is_conflict());
    }

    #[tokio::test]
    async fn runs_on_a_spawned_task() {
        let done = tokio::spawn(async {
            let borrowed = String::from("x");
            retry_on_conflict(&RetryPolicy::default(), async || Ok(borrowed.len())).await
        });
        assert_eq!(done.await.unwrap().unwrap(), 1);
    }
}
