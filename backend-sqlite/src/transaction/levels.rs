//! What the calls on a transaction and its savepoints are allowed, apart from any connection.
//!
//! The transaction is level 0, a savepoint in it level 1, and so on. Only the innermost level that
//! its holder has not given up takes calls.

use strongroom_core::error::{Error, ErrorKind, Result};

/// Names one level of one transaction. A savepoint that took the place of an earlier one has
/// another name.
pub(super) type LevelId = u64;

/// The transaction itself.
pub(super) const ROOT: LevelId = 0;

/// The levels, outermost first.
#[derive(Debug)]
pub(super) struct Levels {
    open: Vec<Level>,
    next: LevelId,
}

#[derive(Debug)]
struct Level {
    id: LevelId,
    /// Nothing but its end is allowed.
    doomed: bool,
    /// Its holder is gone; it is to be rolled back before the next call.
    abandoned: bool,
}

impl Levels {
    pub(super) fn new() -> Self {
        Self {
            open: vec![Level {
                id: ROOT,
                doomed: false,
                abandoned: false,
            }],
            next: ROOT + 1,
        }
    }

    /// Whether the whole transaction is over.
    pub(super) fn is_over(&self) -> bool {
        self.open.first().is_none_or(|root| root.abandoned)
    }

    fn find(&self, id: LevelId) -> Option<usize> {
        if self.is_over() {
            return None;
        }
        self.open
            .iter()
            .position(|level| level.id == id && !level.abandoned)
    }

    /// Whether the level is over: it ended, or one around it did.
    pub(super) fn is_ended(&self, id: LevelId) -> bool {
        self.find(id).is_none()
    }

    /// # Errors
    ///
    /// `Cancelled` if the level is over; `Invalid` if a savepoint in it is open.
    pub(super) fn check_innermost(&self, id: LevelId) -> Result<()> {
        let at = self
            .find(id)
            .ok_or_else(|| cancelled("the transaction is over"))?;
        let within = self.open.get(at + 1..).unwrap_or_default();
        if within.iter().all(|level| level.abandoned) {
            Ok(())
        } else {
            Err(Error::invalid(
                "a savepoint of this transaction is open: it must end first",
            ))
        }
    }

    /// # Errors
    ///
    /// As for [`check_innermost`](Self::check_innermost), and `Cancelled` if the level is doomed.
    pub(super) fn check(&self, id: LevelId) -> Result<()> {
        self.check_innermost(id)?;
        if self.open.iter().any(|level| level.id == id && level.doomed) {
            return Err(cancelled(
                "an earlier call doomed the transaction, which can only be rolled back",
            ));
        }
        Ok(())
    }

    /// Leaves the level nothing but its end.
    pub(super) fn doom(&mut self, id: LevelId) {
        for level in self.open.iter_mut().filter(|level| level.id == id) {
            level.doomed = true;
        }
    }

    /// Leaves all levels nothing but their end.
    pub(super) fn doom_all(&mut self) {
        for level in &mut self.open {
            level.doomed = true;
        }
    }

    /// Opens a savepoint in the innermost level.
    pub(super) fn push(&mut self) -> LevelId {
        let id = self.next;
        self.next += 1;
        self.open.push(Level {
            id,
            doomed: false,
            abandoned: false,
        });
        id
    }

    /// How many levels are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Ends the innermost level.
    pub(super) fn pop(&mut self) {
        self.open.pop();
    }

    /// Ends all levels.
    pub(super) fn end(&mut self) {
        self.open.clear();
    }

    /// Notes that the holder of a level is gone.
    pub(super) fn abandon(&mut self, id: LevelId) {
        for level in self.open.iter_mut().filter(|level| level.id == id) {
            level.abandoned = true;
        }
    }

    /// Whether the innermost level is to be rolled back.
    pub(super) fn innermost_is_abandoned(&self) -> bool {
        self.open.last().is_some_and(|level| level.abandoned)
    }
}

#[cold]
pub(super) fn cancelled(why: &str) -> Error {
    Error::new(ErrorKind::Cancelled, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(result: Result<()>) -> Option<ErrorKind> {
        result.err().map(|e| e.kind())
    }

    #[test]
    fn only_the_innermost_level_takes_calls() {
        let mut levels = Levels::new();
        let outer = levels.push();
        let inner = levels.push();
        assert_eq!(kind(levels.check(ROOT)), Some(ErrorKind::Invalid));
        assert_eq!(kind(levels.check(outer)), Some(ErrorKind::Invalid));
        assert_eq!(kind(levels.check(inner)), None);
        levels.abandon(inner);
        assert_eq!(kind(levels.check(inner)), Some(ErrorKind::Cancelled));
        assert_eq!(kind(levels.check(outer)), None);
        assert!(levels.innermost_is_abandoned());
        levels.pop();
        levels.doom(outer);
        assert_eq!(kind(levels.check(outer)), Some(ErrorKind::Cancelled));
        assert_eq!(kind(levels.check_innermost(outer)), None);
        levels.pop();
        assert_eq!(kind(levels.check(ROOT)), None);
        assert!(levels.push() > inner);
    }

    #[test]
    fn the_end_of_the_transaction_ends_its_savepoints() {
        let mut levels = Levels::new();
        let savepoint = levels.push();
        levels.abandon(ROOT);
        assert!(levels.is_over());
        assert_eq!(kind(levels.check(savepoint)), Some(ErrorKind::Cancelled));
        levels.end();
        assert!(levels.is_over() && levels.is_ended(ROOT));
    }
}
