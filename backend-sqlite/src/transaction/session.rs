//! A transaction on the connection that writes, shared by its holder and its savepoints'.
//!
//! Calls take the connection one after another. A call that is dropped before it ended dooms its
//! level, and so do a unique violation and a failure of the engine. Whoever lets go of the
//! connection last, after the transaction is over, hands it back to the desk, which rolls it back.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rusqlite::Connection;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::store::BeginOptions;
use tokio::sync::OwnedMutexGuard;

use super::levels::{LevelId, Levels, ROOT, cancelled};
use crate::error::{Phase, is_busy, map};
use crate::options::WriteMode;
use crate::pool::{briefly, elsewhere, interruptibly};
use crate::shared::Shared;
use crate::write::Failure;
use crate::writer::{Attempt, Lease, begin, commit, run};

/// An open transaction.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    /// `None` when the transaction is over.
    lease: Arc<tokio::sync::Mutex<Option<Lease>>>,
    levels: Mutex<Levels>,
}

/// The transaction that is open now, so that closing the store can end it.
#[derive(Debug, Default)]
pub(crate) struct Current(Mutex<Weak<Session>>);

impl Current {
    fn set(&self, session: &Arc<Session>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(session);
    }

    /// Ends the open transaction without a commit.
    pub(crate) fn abandon(&self) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.upgrade();
        drop(open);
        if let Some(session) = session {
            session.abandon(ROOT);
        }
    }
}

impl Session {
    /// Waits for the connection and begins a transaction on it. Dropping the future leaves none
    /// open: the connection goes back and is rolled back.
    pub(super) async fn begin(shared: &Arc<Shared>, options: BeginOptions) -> Result<Arc<Self>> {
        let wait = options.wait.unwrap_or(shared.options.write_wait);
        let lease = shared.desk.turn(wait).await?;
        let limit = wait.min(shared.options.busy_timeout);
        let mode = shared.options.write_mode;
        let (lease, begun) = run(&shared.options, mode, limit, lease, |writer, _| {
            let begun = writer.connection().map(|connection| begin(connection));
            Attempt::Done(match begun {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) if is_busy(&error) => return Attempt::Busy,
                Ok(Err(error)) => Err(map(error, Phase::Before)),
                Err(error) => Err(error),
            })
        })
        .await;
        begun.flatten()?;
        let session = Arc::new(Self {
            shared: shared.clone(),
            lease: Arc::new(tokio::sync::Mutex::new(lease)),
            levels: Mutex::new(Levels::new()),
        });
        shared.current.set(&session);
        // If the store was closed meanwhile, nobody ends this transaction but this call.
        if let Err(error) = shared.desk.check_open() {
            session.abandon(ROOT);
            return Err(error);
        }
        Ok(session)
    }

    fn levels(&self) -> MutexGuard<'_, Levels> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a level without a commit and without waiting.
    pub(super) fn abandon(&self, level: LevelId) {
        self.levels().abandon(level);
        self.reclaim();
    }

    /// Hands the connection back if the transaction is over and nobody uses it. Who does calls
    /// this again afterwards.
    fn reclaim(&self) {
        if self.levels().is_over()
            && let Ok(mut lease) = self.lease.try_lock()
        {
            drop(lease.take());
        }
    }

    /// Takes the connection for a call.
    async fn enter(self: &Arc<Self>, level: LevelId) -> Result<Entered> {
        self.levels().check(level)?;
        let lease = self.lease.clone().lock_owned().await;
        let mut entered = Entered {
            lease: Some(lease),
            session: self.clone(),
        };
        self.levels().check(level)?;
        entered.leave_abandoned()?;
        Ok(entered)
    }

    /// Carries out a call where it is called.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        level: LevelId,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T> {
        self.shared.desk.check_open()?;
        let doom = Doom::new(self, level)?;
        let outcome = async {
            let mut entered = self.enter(level).await?;
            let done = work(entered.connection()?);
            entered.judge(level, done)
        }
        .await;
        doom.disarm();
        outcome
    }

    /// Carries out a read that may take long.
    pub(super) async fn search<T, W>(self: &Arc<Self>, level: LevelId, mut work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T> + Send + 'static,
    {
        self.shared.desk.check_open()?;
        let doom = Doom::new(self, level)?;
        let outcome = async {
            let mut entered = self.enter(level).await?;
            let found = briefly(entered.connection()?, &self.shared.options, &mut work);
            if let Some(found) = entered.judge(level, found.map_err(Failure::from))? {
                return Ok(found);
            }
            let options = self.shared.options.clone();
            elsewhere(move |cancelled: &Arc<AtomicBool>| {
                let found = interruptibly(entered.connection()?, &options, cancelled, &mut work);
                entered.judge(level, found.map_err(Failure::from))
            })
            .await
        }
        .await;
        doom.disarm();
        outcome
    }

    /// Carries out a write of many documents on another thread.
    pub(super) async fn write_many<T, W>(self: &Arc<Self>, level: LevelId, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let work = move |connection: &mut Connection, _: &Arc<AtomicBool>| work(connection);
        self.write_cancellable(level, work).await
    }

    /// Carries out a write of many documents on another thread, which looks at whether the future
    /// was dropped.
    pub(super) async fn write_cancellable<T, W>(
        self: &Arc<Self>,
        level: LevelId,
        work: W,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Connection, &Arc<AtomicBool>) -> Result<T, Failure> + Send + 'static,
    {
        self.shared.desk.check_open()?;
        let doom = Doom::new(self, level)?;
        let outcome = async {
            let mut entered = self.enter(level).await?;
            elsewhere(move |cancelled: &Arc<AtomicBool>| {
                let done = work(entered.connection()?, cancelled);
                entered.judge(level, done)
            })
            .await
        }
        .await;
        doom.disarm();
        outcome
    }

    /// Dooms a level if one of the errors within a reply is a violation of a unique field.
    pub(super) fn note_violation<'e>(
        &self,
        level: LevelId,
        errors: impl IntoIterator<Item = &'e Error>,
    ) {
        let is_violation = |error: &Error| error.kind() == ErrorKind::UniqueViolation;
        if errors.into_iter().any(is_violation) {
            self.levels().doom(level);
        }
    }

    /// Opens a savepoint in a level.
    pub(super) async fn savepoint(self: &Arc<Self>, level: LevelId) -> Result<LevelId> {
        let session = self.clone();
        self.call(level, move |connection| {
            let depth = session.levels().depth();
            connection
                .prepare_cached(&format!("SAVEPOINT level{depth}"))?
                .execute([])?;
            Ok(session.levels().push())
        })
        .await
    }

    /// Makes what a level wrote take effect.
    pub(super) async fn commit(self: &Arc<Self>, level: LevelId) -> Result<()> {
        let refused = self
            .shared
            .desk
            .check_open()
            .and_then(|()| self.levels().check(level));
        if let Err(error) = refused {
            // What cannot be committed is rolled back, but for what only waits for a savepoint.
            if error.kind() != ErrorKind::Invalid {
                self.abandon(level);
            }
            return Err(error);
        }
        let doom = Doom::new(self, level)?;
        let outcome = async {
            let mut entered = self.enter(level).await?;
            if level == ROOT {
                entered.commit().await
            } else {
                entered.release()
            }
        }
        .await;
        doom.disarm();
        outcome
    }

    /// Undoes what a level wrote.
    pub(super) async fn rollback(self: &Arc<Self>, level: LevelId) -> Result<()> {
        {
            let levels = self.levels();
            if levels.is_ended(level) {
                return Ok(());
            }
            levels.check_innermost(level)?;
        }
        if level == ROOT {
            self.abandon(level);
            return Ok(());
        }
        let lease = self.lease.clone().lock_owned().await;
        let mut entered = Entered {
            lease: Some(lease),
            session: self.clone(),
        };
        self.levels().abandon(level);
        entered.leave_abandoned()
    }
}

/// The connection in the hands of one call.
struct Entered {
    /// `None` only while this is dropped.
    lease: Option<OwnedMutexGuard<Option<Lease>>>,
    session: Arc<Session>,
}

impl Entered {
    fn connection(&mut self) -> Result<&mut Connection> {
        let lease = self.lease.as_mut().and_then(|guard| guard.as_mut());
        lease
            .ok_or_else(|| cancelled("the transaction is over"))?
            .writer()?
            .connection()
    }

    /// Rolls back the savepoints whose holders are gone.
    fn leave_abandoned(&mut self) -> Result<()> {
        let session = self.session.clone();
        while session.levels().innermost_is_abandoned() && !session.levels().is_over() {
            let depth = session.levels().depth() - 1;
            let undone = self.connection().and_then(|connection| {
                connection
                    .execute_batch(&format!("ROLLBACK TO level{depth}; RELEASE level{depth}"))
                    .map_err(|e| map(e, Phase::Before))
            });
            if let Err(error) = undone {
                session.levels().doom_all();
                return Err(error);
            }
            session.levels().pop();
        }
        Ok(())
    }

    /// Dooms what has to be doomed after a call with this outcome.
    fn judge<T>(&mut self, level: LevelId, done: Result<T, Failure>) -> Result<T> {
        let still_in = self.connection().is_ok_and(|c| !c.is_autocommit());
        let outcome = done.map_err(|failure| match failure {
            Failure::Refused(error) => error,
            Failure::Engine(error) => map(error, Phase::Before),
        });
        let mut levels = self.session.levels();
        match outcome.as_ref().map_err(Error::kind) {
            _ if !still_in => levels.doom_all(),
            Ok(_)
            | Err(
                ErrorKind::NotFound
                | ErrorKind::Conflict
                | ErrorKind::AlreadyExists
                | ErrorKind::Invalid
                | ErrorKind::SchemaMismatch
                | ErrorKind::Unsupported
                | ErrorKind::Codec,
            ) => {}
            Err(ErrorKind::UniqueViolation) => levels.doom(level),
            Err(_) => levels.doom_all(),
        }
        drop(levels);
        outcome
    }

    /// Commits the transaction and hands the connection back.
    async fn commit(&mut self) -> Result<()> {
        let session = self.session.clone();
        let Some(lease) = self.lease.as_mut().and_then(|guard| guard.take()) else {
            return Err(cancelled("the transaction is over"));
        };
        // From here on it ends, whatever comes.
        session.levels().end();
        let options = &session.shared.options;
        let (mode, limit) = (options.write_mode, options.busy_timeout);
        let (_lease, committed) = run(options, mode, limit, lease, |writer, _| {
            let committed = match writer.connection() {
                Ok(connection) if connection.is_autocommit() => {
                    Err(cancelled("the transaction was rolled back by the engine"))
                }
                Ok(connection) => commit(connection).map_err(|e| map(e, Phase::Commit)),
                Err(error) => Err(error),
            };
            writer.settle();
            Attempt::Done(committed)
        })
        .await;
        committed.flatten()
    }

    /// Makes the innermost savepoint part of what is around it.
    fn release(&mut self) -> Result<()> {
        let depth = self.session.levels().depth() - 1;
        let released = self
            .connection()?
            .execute_batch(&format!("RELEASE level{depth}"));
        if let Err(error) = released {
            self.session.levels().doom_all();
            return Err(map(error, Phase::Before));
        }
        self.session.levels().pop();
        Ok(())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The lock goes first, so that the transaction's end finds the connection unused.
        drop(self.lease.take());
        self.session.reclaim();
    }
}

/// Dooms a level if the call that made this is dropped before it ended.
struct Doom {
    session: Arc<Session>,
    level: LevelId,
    armed: bool,
}

impl Doom {
    /// # Errors
    ///
    /// Those that refuse the call; a refused call dooms nothing.
    fn new(session: &Arc<Session>, level: LevelId) -> Result<Self> {
        session.levels().check(level)?;
        Ok(Self {
            session: session.clone(),
            level,
            armed: true,
        })
    }

    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Doom {
    fn drop(&mut self) {
        if self.armed {
            self.session.levels().doom(self.level);
        }
        // This call may have been given the lock just when it was dropped.
        self.session.reclaim();
    }
}

/// Where a call on this many documents runs.
pub(super) fn is_many(shared: &Shared, documents: usize) -> bool {
    shared.mode_for(documents) == WriteMode::Thread
}
