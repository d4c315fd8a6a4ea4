//! Who has the writing connection, and who waits for it.
//!
//! Three kinds of callers wait: saves, which leave an [`Order`] that whoever has the connection
//! may carry out; turns, which need the connection for themselves (transactions, bulks, schema
//! changes); and closing, which comes last. All of it is behind one mutex that is held for a few
//! instructions, never across an await.
//!
//! Invariants:
//!
//! - The connection lies at the desk only while nobody waits. Whoever gives it back hands it to
//!   the next in line, so no wake-up is lost, whoever is cancelled at whatever moment.
//! - Orders in line are carried out by a task of their own, not by one of those who wait: a future
//!   that is held but not polled, as in a `select!`, keeps nobody else waiting.
//! - An order is carried out by the one who took it, or withdrawn by the one who left it, never
//!   both: its ticket goes from waiting to taken or to withdrawn, once.
//! - Where saves and turns both wait they go by turns, so neither waits for ever.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::store::{Receipt, Write};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Writer;
use super::lead::drive;
use crate::options::SqliteOptions;
use crate::statements::Statements;

/// A write that is to be carried out.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) statements: Arc<Statements>,
    pub(crate) write: Write,
}

/// What a waiting save is told.
#[derive(Debug)]
pub(super) enum Word {
    /// The order was carried out.
    Outcome(Result<Receipt>),
    /// The order comes back, with the connection to carry out what waits.
    Lead(Lease, Box<Order>),
}

/// An order in line.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) order: Box<Order>,
    pub(super) word: oneshot::Sender<Word>,
    ticket: Arc<Ticket>,
}

/// Whether an order still waits.
#[derive(Debug, Default)]
struct Ticket(AtomicU8);

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Ticket {
    fn leave_line(&self, state: u8) -> bool {
        self.0
            .compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The side of the one who left an order. Dropping it withdraws the order if it still waits.
#[derive(Debug)]
pub(super) struct Claim {
    ticket: Arc<Ticket>,
    words: oneshot::Receiver<Word>,
}

impl Claim {
    /// Waits for the order to be taken, at most `patience`, and then for what becomes of it.
    pub(super) async fn wait(mut self, patience: Duration) -> Result<Word> {
        let word = match tokio::time::timeout(patience, &mut self.words).await {
            Ok(word) => word,
            Err(_) if self.ticket.leave_line(WITHDRAWN) => return Err(waited_too_long(patience)),
            // It was taken at the last moment.
            Err(_) => (&mut self.words).await,
        };
        // Whoever took the order sends word of it, unless it panicked.
        word.map_err(|_| Error::indeterminate("the write was given up while it was carried out"))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.ticket.leave_line(WITHDRAWN);
    }
}

/// What an order met at the desk.
pub(super) enum Entered {
    /// The connection was free: the caller carries out its own order and what comes with it.
    Lead {
        lease: Lease,
        order: Box<Order>,
        /// Whether others are likely to come in a moment.
        company: bool,
    },
    /// The order waits.
    Wait(Claim),
}

/// The desk.
#[derive(Debug)]
pub(crate) struct Desk {
    state: Mutex<State>,
    options: Arc<SqliteOptions>,
}

/// Who carries out the orders in line when the connection is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Successor {
    /// A task of their own.
    Task,
    /// The first in line, because the runtime that was to run the task is shutting down.
    First,
}

#[derive(Debug, Default)]
struct State {
    writer: Option<Box<Writer>>,
    orders: VecDeque<Waiting>,
    turns: VecDeque<oneshot::Sender<Lease>>,
    closers: VecDeque<oneshot::Sender<Lease>>,
    /// Who goes first where both wait.
    turn_is_next: bool,
    /// No new callers are let in.
    closed: bool,
    /// The connection is gone.
    shut: bool,
    company: Company,
}

/// Guesses whether a save is one of many.
///
/// On a runtime with one thread every save would find the connection free and be a round of its
/// own. A leader that is another task than the leader before steps back once, so that others can
/// leave their orders; where that brought nobody for some time, it is tried only now and then.
#[derive(Debug, Default)]
struct Company {
    last: Option<tokio::task::Id>,
    misses: u32,
}

const MISSES_ALLOWED: u32 = 16;
const TRY_AGAIN_EVERY: u32 = 64;

impl Company {
    fn is_likely(&mut self) -> bool {
        let me = tokio::task::try_id();
        let other = self.last != me;
        self.last = me;
        if !other {
            return false;
        }
        if self.misses < MISSES_ALLOWED {
            return true;
        }
        self.misses += 1;
        if self.misses > TRY_AGAIN_EVERY {
            self.misses = MISSES_ALLOWED;
        }
        self.misses == MISSES_ALLOWED
    }

    fn came(&mut self, others: usize) {
        if others > 0 {
            self.misses = 0;
        } else if self.misses < MISSES_ALLOWED {
            self.misses += 1;
        }
    }
}

impl Desk {
    pub(crate) fn new(writer: Writer, options: Arc<SqliteOptions>) -> Arc<Self> {
        Arc::new(Self {
            options,
            state: Mutex::new(State {
                writer: Some(Box::new(writer)),
                ..State::default()
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection for this order, or leaves the order in line.
    ///
    /// # Errors
    ///
    /// `Unavailable` once closing has begun.
    pub(super) fn enter(self: &Arc<Self>, order: Order) -> Result<Entered> {
        let order = Box::new(order);
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        if let Some(writer) = state.writer.take() {
            let company = state.company.is_likely();
            drop(state);
            return Ok(Entered::Lead {
                lease: self.lease(writer),
                order,
                company,
            });
        }
        let ticket = Arc::new(Ticket::default());
        let (word, words) = oneshot::channel();
        state.orders.push_back(Waiting {
            order,
            word,
            ticket: ticket.clone(),
        });
        Ok(Entered::Wait(Claim { ticket, words }))
    }

    /// Takes orders that wait, for who has the connection.
    pub(super) fn take_orders(&self, most: usize) -> Vec<Waiting> {
        Self::take_from(&mut self.lock(), most)
    }

    /// Takes orders that wait, unless it is somebody else's turn.
    pub(super) fn take_more_orders(&self, most: usize) -> Vec<Waiting> {
        let mut state = self.lock();
        if !state.turns.is_empty() {
            state.turn_is_next = true;
            return Vec::new();
        }
        Self::take_from(&mut state, most)
    }

    fn take_from(state: &mut State, most: usize) -> Vec<Waiting> {
        let mut taken = Vec::with_capacity(state.orders.len().min(most));
        while taken.len() < most
            && let Some(waiting) = state.orders.pop_front()
        {
            if waiting.ticket.leave_line(TAKEN) {
                taken.push(waiting);
            }
        }
        taken
    }

    /// How many orders wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().orders.len()
    }

    /// Notes how many came when company was likely.
    pub(super) fn note_company(&self, others: usize) {
        self.lock().company.came(others);
    }

    /// Waits for the connection, at most `patience`. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// `Contended` if the time is over; `Unavailable` once closing has begun.
    pub(crate) async fn turn(self: &Arc<Self>, patience: Duration) -> Result<Lease> {
        let mut turn = {
            let mut state = self.lock();
            if state.closed {
                return Err(closed());
            }
            if let Some(writer) = state.writer.take() {
                drop(state);
                return Ok(self.lease(writer));
            }
            let (sender, turn) = oneshot::channel();
            state.turns.push_back(sender);
            turn
        };
        match tokio::time::timeout(patience, &mut turn).await {
            Ok(lease) => lease.map_err(|_| closed()),
            Err(_) => {
                // From here on none is sent; one that was sent already is used.
                turn.close();
                turn.try_recv().map_err(|_| waited_too_long(patience))
            }
        }
    }

    /// Refuses new callers, waits for those in line, and closes the connection. Closing twice is
    /// no error.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<()> {
        let turn = {
            let mut state = self.lock();
            state.closed = true;
            if state.shut {
                return Ok(());
            }
            match state.writer.take() {
                Some(writer) => Ok(self.lease(writer)),
                None => {
                    let (sender, turn) = oneshot::channel();
                    state.closers.push_back(sender);
                    Err(turn)
                }
            }
        };
        let mut lease = match turn {
            Ok(lease) => lease,
            Err(turn) => match turn.await {
                Ok(lease) => lease,
                // Another call has closed it.
                Err(_) => return Ok(()),
            },
        };
        let Some(writer) = lease.writer.take() else {
            return Ok(());
        };
        {
            let mut state = self.lock();
            state.shut = true;
            state.closers.clear();
        }
        tokio::task::spawn_blocking(move || writer.close())
            .await
            .map_err(|e| Error::internal("closing the file failed").with_source(e))?
    }

    /// # Errors
    ///
    /// `Unavailable` once closing has begun.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.lock().closed {
            return Err(closed());
        }
        Ok(())
    }

    /// Refuses new callers from now on.
    pub(crate) fn refuse(&self) {
        self.lock().closed = true;
    }

    fn lease(self: &Arc<Self>, writer: Box<Writer>) -> Lease {
        Lease {
            desk: self.clone(),
            writer: Some(writer),
            successor: Successor::Task,
        }
    }

    /// Hands the connection to the next in line.
    fn give_back(self: &Arc<Self>, mut writer: Box<Writer>, successor: Successor) {
        loop {
            let mut state = self.lock();
            let turn_first = state.turn_is_next || state.orders.is_empty();
            state.turn_is_next = !turn_first;
            let next = if turn_first {
                state.turns.pop_front()
            } else {
                None
            };
            let returned = if let Some(turn) = next {
                drop(state);
                turn.send(self.lease(writer)).err()
            } else if successor == Successor::Task
                && !state.orders.is_empty()
                && let Ok(runtime) = Handle::try_current()
            {
                drop(state);
                let mut lease = self.lease(writer);
                // If the task never runs, it must not try the same again.
                lease.successor = Successor::First;
                runtime.spawn(drive(self.clone(), self.options.clone(), lease));
                return;
            } else if let Some(waiting) = state.orders.pop_front() {
                drop(state);
                if !waiting.ticket.leave_line(TAKEN) {
                    continue;
                }
                let word = Word::Lead(self.lease(writer), waiting.order);
                match waiting.word.send(word) {
                    Err(Word::Lead(lease, _)) => Some(lease),
                    _ => None,
                }
            } else if let Some(closer) = state.closers.pop_front() {
                drop(state);
                closer.send(self.lease(writer)).err()
            } else {
                state.writer = Some(writer);
                return;
            };
            // Who was next may have gone away meanwhile.
            match returned.and_then(|mut lease| lease.writer.take()) {
                Some(back) => writer = back,
                None => return,
            }
        }
    }
}

#[cold]
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

#[cold]
fn waited_too_long(patience: Duration) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!(
            "other writes or a transaction of this process did not end within {} ms",
            patience.as_millis()
        ),
    )
}

/// The writing connection, for as long as this is held. Dropping it hands the connection on.
pub(crate) struct Lease {
    desk: Arc<Desk>,
    writer: Option<Box<Writer>>,
    successor: Successor,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

impl Lease {
    /// The connection.
    ///
    /// # Errors
    ///
    /// `Internal` if it was taken out before, which only the desk does.
    pub(crate) fn writer(&mut self) -> Result<&mut Writer> {
        self.writer
            .as_deref_mut()
            .ok_or_else(|| Error::internal("the lease has no connection"))
    }

    /// Lets a task carry on with what waits when the lease is dropped, as is the rule.
    pub(super) fn succeed_by_task(&mut self) {
        self.successor = Successor::Task;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        if writer.is_settled() {
            self.desk.give_back(writer, self.successor);
            return;
        }
        // Rolling back may touch the disk, which a drop must not wait for.
        let unsettled = Unsettled {
            desk: self.desk.clone(),
            writer: Some(writer),
            successor: self.successor,
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(unsettled))),
            Err(_) => drop(unsettled),
        }
    }
}

/// A connection on its way back that has to be rolled back first, wherever this is dropped.
struct Unsettled {
    desk: Arc<Desk>,
    writer: Option<Box<Writer>>,
    successor: Successor,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            writer.settle();
            self.desk.give_back(writer, self.successor);
        }
    }
}
