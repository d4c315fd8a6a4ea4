//! Decides whether a concurrent history of one document is linearizable: whether its calls could
//! have taken effect one after another, each at some moment between its begin and its end, by the
//! table of writes.
//!
//! The search is Wing and Gong's, with the memory of Lowe: a set of calls already placed together
//! with the state they led to is tried once.

use std::collections::{HashMap, HashSet};

use strongroom_core::model::{Expected, Version, WriteId};

/// What one call did to the document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    /// A load.
    Load,
    /// A put.
    Put(Expected, WriteId),
    /// A delete.
    Delete(Expected),
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reply {
    /// A load found this.
    Found(Option<(Version, WriteId)>),
    /// A put made this version.
    Written(Version),
    /// A delete deleted a document.
    Deleted,
    /// A delete found nothing to delete.
    Absent,
    /// `NotFound`.
    NotFound,
    /// `Conflict` or `AlreadyExists`, with the version that was there if told.
    Occupied(Option<Version>),
    /// Nothing is known: the call may have taken effect at any time after its begin, or never.
    Unknown,
}

/// One call of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// What was called.
    pub(crate) op: Op,
    /// What came back.
    pub(crate) reply: Reply,
    /// When it began, on a clock that all callers share and that never stands still.
    pub(crate) begin: u64,
    /// When it ended.
    pub(crate) end: u64,
}

/// The document as far as it is known: none, or one that this write made, at a version that is
/// known unless the reply was lost and nobody ever saw the document.
type State = Option<(WriteId, Option<Version>)>;

/// Whether the calls on one document, which was absent at first, are linearizable.
pub(crate) fn is_linearizable(calls: &[Call]) -> bool {
    let versions = known_versions(calls);
    let Some(versions) = versions else {
        return false;
    };
    let mut search = Search {
        calls,
        versions,
        seen: HashSet::new(),
    };
    search.place(&mut vec![false; calls.len()], None)
}

/// Which version each write made, from receipts and loads; `None` if two disagree or one version
/// was given to two writes.
fn known_versions(calls: &[Call]) -> Option<HashMap<WriteId, Version>> {
    let mut versions: HashMap<WriteId, Version> = HashMap::new();
    let pairs = calls.iter().filter_map(|call| match (call.op, call.reply) {
        (Op::Put(_, id), Reply::Written(version)) => Some((id, version)),
        (_, Reply::Found(Some((version, id)))) => Some((id, version)),
        _ => None,
    });
    for (id, version) in pairs {
        if *versions.entry(id).or_insert(version) != version {
            return None;
        }
    }
    let distinct: HashSet<&Version> = versions.values().collect();
    (distinct.len() == versions.len()).then_some(versions)
}

struct Search<'a> {
    calls: &'a [Call],
    versions: HashMap<WriteId, Version>,
    seen: HashSet<(Vec<bool>, State)>,
}

impl Search<'_> {
    /// Whether the calls that are not placed yet can follow in some order.
    fn place(&mut self, placed: &mut Vec<bool>, state: State) -> bool {
        let open =
            |placed: &[bool]| -> Vec<usize> { (0..placed.len()).filter(|i| !placed[*i]).collect() };
        let waiting = open(placed);
        // A call whose outcome is unknown need not have taken effect.
        if waiting
            .iter()
            .all(|i| self.calls[*i].reply == Reply::Unknown)
        {
            return true;
        }
        if !self.seen.insert((placed.clone(), state)) {
            return false;
        }
        let first_end = waiting
            .iter()
            .filter(|i| self.calls[**i].reply != Reply::Unknown)
            .map(|i| self.calls[*i].end)
            .min()
            .unwrap_or(u64::MAX);
        for i in waiting {
            let call = self.calls[i];
            if call.begin > first_end {
                continue;
            }
            if let Some(next) = self.step(state, call) {
                placed[i] = true;
                if self.place(placed, next) {
                    return true;
                }
                placed[i] = false;
            }
        }
        false
    }

    /// The state after the call took effect in `state`, if its reply fits.
    fn step(&self, state: State, call: Call) -> Option<State> {
        let holds = |expected: Expected| match (expected, state) {
            (Expected::Any, _) | (Expected::Present, Some(_)) | (Expected::Absent, None) => true,
            (Expected::Exactly(v), Some((_, at))) => at == Some(v),
            _ => false,
        };
        let told = |actual: Option<Version>| match (actual, state) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(actual), Some((_, Some(at)))) => actual == at,
            // Nobody else knows this version; it must be none that another write made.
            (Some(actual), Some((_, None))) => !self.versions.values().any(|v| *v == actual),
        };
        match (call.op, call.reply) {
            (Op::Load, Reply::Found(found)) => {
                let here = state.map(|(id, _)| id);
                (found.map(|(_, id)| id) == here).then_some(state)
            }
            (Op::Put(expected, id), Reply::Written(version)) => {
                holds(expected).then_some(Some((id, Some(version))))
            }
            (Op::Put(expected, id), Reply::Unknown) => {
                holds(expected).then(|| Some((id, self.versions.get(&id).copied())))
            }
            (Op::Delete(expected), Reply::Deleted) => {
                (state.is_some() && holds(expected)).then_some(None)
            }
            (Op::Delete(expected), Reply::Unknown) => holds(expected).then_some(None),
            (Op::Delete(Expected::Any), Reply::Absent) => state.is_none().then_some(state),
            (Op::Put(expected, _) | Op::Delete(expected), Reply::NotFound) => {
                let demands = matches!(expected, Expected::Present | Expected::Exactly(_));
                (demands && state.is_none()).then_some(state)
            }
            (Op::Put(expected, _) | Op::Delete(expected), Reply::Occupied(actual)) => {
                let fails =
                    !holds(expected) && matches!(expected, Expected::Absent | Expected::Exactly(_));
                (fails && told(actual)).then_some(state)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
