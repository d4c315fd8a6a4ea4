//! Where work on the writing connection blocks.

use std::sync::Arc;
use std::time::Duration;

use strongroom_core::error::{Error, ErrorKind, Result};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Lease, Writer};
use crate::connection::SHORT_WAIT;
use crate::error::{Phase, map};
use crate::options::{Place, SqliteOptions, WriteMode};

/// How long work waits for a lock that another process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A moment, because a task blocks: then the work is to be tried elsewhere.
    Short,
    /// As long as the busy timeout: then the work is over.
    Long,
}

/// What came of a try.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// It is over, well or not.
    Done(T),
    /// Another process holds the lock. Nothing was done.
    Busy,
}

/// Runs work where the options say that writes block, and on another thread if it meets another
/// process's lock.
///
/// Dropping the future does not stop work that went to another thread: it runs to its end there,
/// and hands the connection on.
///
/// # Errors
///
/// `Contended` if another process held the lock for longer than `limit`: nothing was done.
pub(crate) async fn run<T, W>(
    options: &Arc<SqliteOptions>,
    mode: WriteMode,
    limit: Duration,
    mut lease: Lease,
    mut work: W,
) -> (Option<Lease>, Result<T>)
where
    T: Send + 'static,
    W: FnMut(&mut Writer, Patience) -> Attempt<T> + Send + 'static,
{
    if mode != WriteMode::Thread {
        let hand_over = mode == WriteMode::BlockInPlace
            && Handle::try_current()
                .is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
        let attempt = match lease.writer() {
            Err(error) => return (None, Err(error)),
            Ok(writer) if hand_over => {
                tokio::task::block_in_place(|| work(writer, Patience::Short))
            }
            Ok(writer) => work(writer, Patience::Short),
        };
        if let Attempt::Done(done) = attempt {
            return (Some(lease), Ok(done));
        }
    }
    let options = options.clone();
    let elsewhere = tokio::task::spawn_blocking(move || {
        let done = patiently(&options, limit, &mut lease, &mut work);
        // What the work holds goes before the connection goes on.
        drop(work);
        (lease, done)
    });
    match elsewhere.await {
        Ok((lease, done)) => (Some(lease), done),
        Err(error) => (
            None,
            Err(Error::indeterminate("a write was given up half-way").with_source(error)),
        ),
    }
}

fn patiently<T>(
    options: &SqliteOptions,
    limit: Duration,
    lease: &mut Lease,
    work: &mut impl FnMut(&mut Writer, Patience) -> Attempt<T>,
) -> Result<T> {
    if options.place != Place::Memory {
        wait_for_locks(lease.writer()?, limit)?;
    }
    let attempt = work(lease.writer()?, Patience::Long);
    if options.place != Place::Memory
        && let Err(error) = wait_for_locks(lease.writer()?, SHORT_WAIT)
    {
        // The work is done all the same. A connection that waits longer than it should is no loss.
        tracing::warn!(%error, "the busy timeout was not set back");
    }
    match attempt {
        Attempt::Done(done) => Ok(done),
        Attempt::Busy => Err(busy(limit)),
    }
}

fn wait_for_locks(writer: &mut Writer, timeout: Duration) -> Result<()> {
    writer
        .connection()?
        .busy_timeout(timeout)
        .map_err(|e| map(e, Phase::Before))
}

/// What a call fails with whose patience with another process is at its end.
#[cold]
pub(crate) fn busy(waited: Duration) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!(
            "another process held the lock of the database file for {} ms",
            waited.as_millis()
        ),
    )
}
