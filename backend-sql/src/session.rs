//! A transaction and the connection that it owns.
//!
//! Calls of it run one after another. Where the server or the call needs it, a call runs within a
//! savepoint, so that a statement that the server refuses undoes nothing but itself. Savepoints of
//! the user's are levels on a stack, see [`levels`](crate::levels).

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::Model;
use strongroom_core::store::{BeginOptions, Isolation};

use crate::failure::{Failure, Phase, map};
use crate::levels::{InFlight, LevelId, Levels, cancelled, check_isolation, savepoint};
use crate::pool::{Lease, Links, Server};
use crate::work::{Around, Undo};

/// How long the end of a transaction that was given up may take before its connection is thrown
/// away.
const ROLLBACK_WAIT: Duration = Duration::from_secs(2);

/// What a call does with a connection.
pub(crate) type Work<C, T> =
    Box<dyn for<'c> FnOnce(&'c mut C, Undo) -> BoxFuture<'c, Result<T, Failure>> + Send>;

/// What an error of the server's leaves of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// All but what the statement did.
    AllElse,
    /// Nothing that should be kept of the level.
    Doomed,
    /// Nothing at all: the server has rolled back, or had better.
    Nothing,
}

/// A server, as far as its transactions go.
pub(crate) trait Engine: Server {
    /// The statements that begin a transaction.
    fn begin(isolation: Isolation) -> Result<&'static str>;

    /// Sends statements that begin a transaction.
    fn send_begin(
        connection: &mut Self::Connection,
        sql: &'static str,
    ) -> impl Future<Output = Result<(), Driver>> + Send;

    /// Sends statements whose answers nobody needs.
    fn send(
        connection: &mut Self::Connection,
        sql: &str,
    ) -> impl Future<Output = Result<(), Driver>> + Send;

    /// Checks that a call can be part of a transaction.
    fn check(around: Around) -> Result<()>;

    /// Whether a connection can be used again on which a call was dropped half-way.
    const SURVIVES_CUTS: bool;

    /// Whether a call runs within a savepoint.
    fn needs_savepoint(around: Around) -> bool;

    /// What an error that the server answered leaves.
    fn leaves(error: &Driver) -> Leaves;

    /// Commits, and finds out what became of a commit whose answer is lost.
    fn commit(lease: Lease<Self>, wrote: bool) -> impl Future<Output = Result<()>> + Send
    where
        Self: Sized;
}

/// A transaction, with the connection that it owns.
#[derive(Debug)]
pub(crate) struct Session<E: Engine> {
    links: Arc<Links<E>>,
    isolation: Isolation,
    held: tokio::sync::Mutex<Held<E>>,
    levels: Levels,
}

#[derive(Debug)]
struct Held<E: Engine> {
    lease: Option<Lease<E>>,
    /// Whether the savepoint of the last call is still there.
    call: bool,
    /// Whether a call may have written.
    wrote: bool,
}

/// The transactions that are open.
#[derive(Debug)]
pub(crate) struct Sessions<E: Engine>(Mutex<Vec<Weak<Session<E>>>>);

impl<E: Engine> Default for Sessions<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: Engine> Sessions<E> {
    /// Begins a transaction, and waits so long at most for a connection. A dropped future leaves none
    /// open.
    pub(crate) async fn begin(
        &self,
        links: &Arc<Links<E>>,
        options: &BeginOptions,
        wait: Duration,
    ) -> Result<(Arc<Session<E>>, LevelId)> {
        let sql = E::begin(options.isolation)?;
        let mut lease = links.lease_within(wait).await?;
        let begun = E::send_begin(lease.connection()?, sql).await;
        let begun = begun.inspect_err(|e| lease.note_loss(e));
        begun.map_err(|e| map(e, Phase::Read, None))?;
        lease.uncount();
        let (levels, level) = Levels::new();
        let session = Arc::new(Session {
            links: links.clone(),
            isolation: options.isolation,
            held: tokio::sync::Mutex::new(Held {
                lease: Some(lease),
                call: false,
                wrote: false,
            }),
            levels,
        });
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.check_open()?;
        open.retain(|session| session.strong_count() > 0);
        open.push(Arc::downgrade(&session));
        Ok((session, level))
    }

    /// Refuses further calls, gives up open transactions, and waits for the calls under way.
    pub(crate) async fn close(&self, links: &Links<E>) {
        let open = {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            links.shut();
            std::mem::take(&mut *open)
        };
        for session in open.iter().filter_map(Weak::upgrade) {
            if let Some(level) = session.levels.at(0) {
                session.give_up(level);
            }
        }
        links.close().await;
    }
}

impl<E: Engine> Session<E> {
    /// Checks that a level takes calls.
    fn enter(&self, level: LevelId) -> Result<()> {
        self.links.check_open()?;
        self.levels.enter(level)
    }

    /// Gives up a level and those above it, without waiting.
    pub(crate) fn give_up(self: &Arc<Self>, level: LevelId) {
        if !self.levels.pop(level) || level.depth > 0 {
            return;
        }
        // Without a runtime the connection closes, and the server rolls back by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let session = self.clone();
            runtime.spawn(async move {
                let lease = session.held.lock().await.lease.take();
                if let Some(lease) = lease {
                    drop(session.roll_back_on(lease).await);
                }
            });
        } else if let Ok(mut held) = self.held.try_lock() {
            drop(held.lease.take());
        }
    }

    /// Takes the connection for a call, with what ended before undone.
    async fn connection(
        &self,
        level: LevelId,
        flight: &mut InFlight<'_>,
    ) -> Result<tokio::sync::MutexGuard<'_, Held<E>>> {
        self.enter(level)?;
        let mut held = self.held.lock().await;
        flight.speaks();
        // It may have ended while the call before was under way.
        self.enter(level)?;
        if !E::SURVIVES_CUTS && self.levels.is_cut() {
            self.levels.doom_all();
            return Err(cancelled(
                "a call was cut off, and with it the connection of the transaction",
            ));
        }
        if let Some(undo) = self.levels.undo() {
            let lease = held.lease.as_mut();
            let connection = lease.map(Lease::connection).transpose()?;
            // The first answer may be that to a call that was cut off.
            let stale = match connection {
                Some(connection) => E::send(connection, &undo).await.err(),
                None => return Err(cancelled("the transaction is over")),
            };
            if stale.is_some() {
                self.send(&mut held, &undo).await?;
            }
            held.call = false;
            self.levels.undone();
        }
        Ok(held)
    }

    /// Takes the connection for a call that dooms the level unless it lands.
    async fn take_off(
        &self,
        level: LevelId,
    ) -> Result<(tokio::sync::MutexGuard<'_, Held<E>>, InFlight<'_>)> {
        self.enter(level)?;
        let mut flight = self.levels.in_flight(level);
        match self.connection(level, &mut flight).await {
            Ok(held) => Ok((held, flight)),
            Err(error) => {
                flight.landed();
                Err(error)
            }
        }
    }

    /// Sends statements that the server does not refuse unless the transaction is lost.
    async fn send(&self, held: &mut Held<E>, sql: &str) -> Result<()> {
        let Some(lease) = &mut held.lease else {
            return Err(cancelled("the transaction is over"));
        };
        let sent = E::send(lease.connection()?, sql).await;
        sent.map_err(|e| {
            lease.note_loss(&e);
            self.levels.doom_all();
            map(e, Phase::Read, None)
        })
    }

    /// Carries out a call on a level.
    pub(crate) async fn call<T: Send>(
        &self,
        level: LevelId,
        around: Around,
        model: Option<&Model>,
        work: Work<E::Connection, T>,
        violates: fn(&T) -> bool,
    ) -> Result<T> {
        self.enter(level)?;
        E::check(around)?;
        let (mut held, flight) = self.take_off(level).await?;
        let within = E::needs_savepoint(around);
        if within {
            let sql = if held.call {
                "RELEASE SAVEPOINT strongroom_call; SAVEPOINT strongroom_call"
            } else {
                "SAVEPOINT strongroom_call"
            };
            self.send(&mut held, sql).await?;
            held.call = true;
        }
        held.wrote |= around.writes();
        let Some(lease) = &mut held.lease else {
            return Err(cancelled("the transaction is over"));
        };
        let undo = if within { Undo::Call } else { Undo::Nothing };
        let outcome = work(lease.connection()?, undo).await;
        let is_spoilt = lease.heed(&outcome, model);
        let leaves = match &outcome {
            Ok(reply) if violates(reply) => Leaves::Doomed,
            Ok(_) => Leaves::AllElse,
            Err(Failure::Refused(error)) if error.kind() == ErrorKind::UniqueViolation => {
                Leaves::Doomed
            }
            Err(Failure::Refused(_)) => Leaves::AllElse,
            Err(failure) if failure.is_loss() => Leaves::Nothing,
            // Only another connection can carry the call out.
            Err(_) if is_spoilt => Leaves::Nothing,
            Err(Failure::Engine(error)) => E::leaves(error),
        };
        if leaves == Leaves::Nothing {
            self.levels.doom_all();
        } else if within && outcome.is_err() {
            self.send(&mut held, "ROLLBACK TO SAVEPOINT strongroom_call")
                .await?;
        }
        match leaves {
            Leaves::AllElse => flight.landed(),
            _ => flight.failed(),
        }
        outcome.map_err(|f| f.told(Phase::Read, model))
    }

    /// Puts a savepoint onto a level.
    pub(crate) async fn begin_savepoint(
        &self,
        level: LevelId,
        options: &BeginOptions,
    ) -> Result<LevelId> {
        check_isolation(self.isolation, options.isolation)?;
        let (mut held, flight) = self.take_off(level).await?;
        let depth = level.depth + 1;
        let release = if held.call {
            "RELEASE SAVEPOINT strongroom_call; "
        } else {
            ""
        };
        held.call = false;
        self.send(
            &mut held,
            &format!("{release}SAVEPOINT {}", savepoint(depth)),
        )
        .await?;
        flight.landed();
        Ok(self.levels.push())
    }

    /// Commits a level: a savepoint into the level below it, the transaction for good.
    pub(crate) async fn commit(self: &Arc<Self>, level: LevelId) -> Result<()> {
        let (mut held, flight) = match self.take_off(level).await {
            Ok(taken) => taken,
            Err(error) => {
                // A commit that is refused because the scope is doomed rolls it back.
                if error.kind() == ErrorKind::Cancelled {
                    self.give_up(level);
                }
                return Err(error);
            }
        };
        if level.depth > 0 {
            let release = format!("RELEASE SAVEPOINT {}", savepoint(level.depth));
            self.send(&mut held, &release).await?;
            held.call = false;
            flight.landed();
            self.levels.release(level);
            return Ok(());
        }
        flight.landed();
        self.levels.release(level);
        let Some(mut lease) = held.lease.take() else {
            return Err(cancelled("the transaction is over"));
        };
        if held.wrote {
            lease.will_write();
        }
        E::commit(lease, held.wrote).await
    }

    /// Rolls a level back.
    pub(crate) async fn roll_back(&self, level: LevelId) -> Result<()> {
        self.levels.check_end(level)?;
        if !self.levels.pop(level) || level.depth > 0 {
            return Ok(());
        }
        let lease = self.held.lock().await.lease.take();
        match lease {
            Some(lease) => self.roll_back_on(lease).await,
            None => Ok(()),
        }
    }

    /// Rolls the transaction back: by a word to the server, or by the end of the connection.
    async fn roll_back_on(&self, lease: Lease<E>) -> Result<()> {
        if !E::SURVIVES_CUTS && self.levels.is_cut() {
            drop(lease);
            return Ok(());
        }
        roll_back(lease).await
    }
}

/// The outcome of a commit that this error came of in place of an answer, by what the server told
/// of it later: `None` if it did not.
pub(crate) fn settled(committed: Option<bool>, error: Driver) -> Result<()> {
    match committed {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(
            ErrorKind::Unavailable,
            "the connection broke before the commit, so nothing was written",
        )
        .with_source(error)),
        None => Err(map(error, Phase::Write, None)),
    }
}

/// Rolls back, and gives the connection back if that worked.
pub(crate) async fn roll_back<E: Engine>(mut lease: Lease<E>) -> Result<()> {
    let undone = E::send(lease.connection()?, "ROLLBACK");
    match tokio::time::timeout(ROLLBACK_WAIT, undone).await {
        Ok(Ok(_)) => {
            lease.give_back();
            Ok(())
        }
        Ok(Err(error)) => Err(map(error, Phase::Read, None)),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "the server did not roll back in time: the connection was thrown away",
        )),
    }
}
