//! The levels of a transaction: itself, and the savepoints on it.
//!
//! They are a stack. While a savepoint is open, the level below it refuses calls. What ends without
//! a word to the server is undone there before the connection's next use.

use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::store::Isolation;

/// The stack.
#[derive(Debug)]
pub(crate) struct Levels(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Those that are open, the transaction itself first.
    open: Vec<Level>,
    made: u64,
    /// The lowest level whose writes are to be undone before anything else.
    undo: Option<usize>,
    /// Whether a call was dropped while it had the connection.
    cut: bool,
}

impl State {
    fn has(&self, level: LevelId) -> bool {
        let there = self.open.get(level.depth);
        there.is_some_and(|there| there.id == level.id)
    }
}

#[derive(Debug)]
struct Level {
    id: u64,
    doomed: bool,
}

/// A level: its place on the stack and its own number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LevelId {
    pub(crate) depth: usize,
    id: u64,
}

#[cold]
pub(crate) fn cancelled(why: &str) -> Error {
    Error::new(ErrorKind::Cancelled, why)
}

#[cold]
fn savepoint_is_open() -> Error {
    Error::invalid("a savepoint of this transaction is open: it must end first")
}

/// The name of the savepoint of a level.
pub(crate) fn savepoint(depth: usize) -> String {
    format!("strongroom_{depth}")
}

/// Checks that a savepoint is not kept apart more strictly than its transaction.
pub(crate) fn check_isolation(transaction: Isolation, asked: Isolation) -> Result<()> {
    let rank = |isolation| match isolation {
        Isolation::Default => Some(0),
        Isolation::Snapshot => Some(1),
        Isolation::Serializable => Some(2),
        _ => None,
    };
    if rank(asked).is_none_or(|asked| Some(asked) > rank(transaction)) {
        return Err(Error::unsupported(
            "a savepoint that is kept apart more strictly than its transaction",
        ));
    }
    Ok(())
}

impl Levels {
    /// The stack of a transaction without savepoints, and its lowest level.
    pub(crate) fn new() -> (Self, LevelId) {
        let state = State {
            open: vec![Level {
                id: 0,
                doomed: false,
            }],
            made: 1,
            undo: None,
            cut: false,
        };
        (Self(Mutex::new(state)), LevelId { depth: 0, id: 0 })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that a level takes calls.
    pub(crate) fn enter(&self, level: LevelId) -> Result<()> {
        let state = self.state();
        let this = state.open.get(level.depth);
        let Some(this) = this.filter(|this| this.id == level.id) else {
            return Err(cancelled("the transaction is over"));
        };
        if state.open.len() > level.depth + 1 {
            return Err(savepoint_is_open());
        }
        if this.doomed {
            return Err(cancelled(
                "an earlier call doomed the transaction, which can only be rolled back",
            ));
        }
        Ok(())
    }

    /// Checks that a level can be rolled back: no savepoint is open on it.
    pub(crate) fn check_end(&self, level: LevelId) -> Result<()> {
        let state = self.state();
        if state.has(level) && state.open.len() > level.depth + 1 {
            return Err(savepoint_is_open());
        }
        Ok(())
    }

    /// Lets a level take no more calls.
    pub(crate) fn doom(&self, level: LevelId) {
        let mut state = self.state();
        let this = state.open.get_mut(level.depth);
        if let Some(this) = this.filter(|this| this.id == level.id) {
            this.doomed = true;
        }
    }

    /// Lets no level take calls.
    pub(crate) fn doom_all(&self) {
        self.state()
            .open
            .iter_mut()
            .for_each(|level| level.doomed = true);
    }

    /// Whether a call was dropped while it had the connection.
    pub(crate) fn is_cut(&self) -> bool {
        self.state().cut
    }

    /// Puts a savepoint onto the stack.
    pub(crate) fn push(&self) -> LevelId {
        let mut state = self.state();
        let id = state.made;
        state.made += 1;
        let depth = state.open.len();
        state.open.push(Level { id, doomed: false });
        LevelId { depth, id }
    }

    /// Ends a level and those above it; what they wrote is undone later. `false` if it was over.
    pub(crate) fn pop(&self, level: LevelId) -> bool {
        let mut state = self.state();
        if !state.has(level) {
            return false;
        }
        state.open.truncate(level.depth);
        if level.depth > 0 {
            let lowest = state.undo.map_or(level.depth, |undo| undo.min(level.depth));
            state.undo = Some(lowest);
        }
        true
    }

    /// Ends a level and those above it, whose writes stay.
    pub(crate) fn release(&self, level: LevelId) {
        let mut state = self.state();
        if state.has(level) {
            state.open.truncate(level.depth);
        }
    }

    /// The level at this depth.
    pub(crate) fn at(&self, depth: usize) -> Option<LevelId> {
        let state = self.state();
        state.open.get(depth).map(|level| LevelId {
            depth,
            id: level.id,
        })
    }

    /// What undoes the writes of levels that ended without a word to the server, if there are such.
    pub(crate) fn undo(&self) -> Option<String> {
        let name = savepoint(self.state().undo?);
        Some(format!(
            "ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}"
        ))
    }

    /// Says that it was undone.
    pub(crate) fn undone(&self) {
        self.state().undo = None;
    }

    /// A call under way on a level: one that is not carried to its end dooms it.
    pub(crate) fn in_flight(&self, level: LevelId) -> InFlight<'_> {
        InFlight {
            levels: self,
            level: Some(level),
            speaks: false,
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct InFlight<'l> {
    levels: &'l Levels,
    level: Option<LevelId>,
    /// Whether it has the connection.
    speaks: bool,
}

impl InFlight<'_> {
    /// The call has the connection from now on.
    pub(crate) fn speaks(&mut self) {
        self.speaks = true;
    }

    /// The call has come to its end.
    pub(crate) fn landed(mut self) {
        self.level = None;
    }

    /// The call has come to an end that dooms its level.
    pub(crate) fn failed(mut self) {
        if let Some(level) = self.level.take() {
            self.levels.doom(level);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(level) = self.level {
            self.levels.doom(level);
            self.levels.state().cut |= self.speaks;
        }
    }
}
