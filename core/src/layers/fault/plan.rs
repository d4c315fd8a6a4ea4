//! What happens to which call.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{ErrorKind, Operation};
use crate::layers::Call;

/// What happens to a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The call is not made and fails so.
    Before(ErrorKind),
    /// The call is made, and fails so whatever it replied.
    After(ErrorKind),
    /// The request is lost on the wire: the call is not made, which nobody can tell. A write fails
    /// as `Indeterminate`, anything else as `Unavailable`.
    RequestLost,
    /// The reply is lost on the wire: the call is made, and fails as above.
    ReplyLost,
    /// The call is made so much later.
    Delay(Duration),
    /// The call is not made and never ends.
    HangBefore,
    /// The call is made and never ends.
    HangAfter,
    /// Of a bulk without `atomic`: it is carried out, and the outcomes at these places are lost.
    ItemsLost(Vec<usize>),
}

type Predicate = Box<dyn Fn(&Call<'_>) -> bool + Send + Sync>;

/// One rule of a [`FaultPlan`]: a fault, and the calls that it happens to. Without more said it
/// happens to every call.
pub struct FaultRule {
    fault: Fault,
    operations: Vec<Operation>,
    predicate: Option<Predicate>,
    when: When,
    met: u64,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Nth(u64),
    First(u64),
    Every(u64),
    /// Out of 2^32.
    Chance(u64),
}

impl FaultRule {
    /// A rule that makes every call fail so.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            operations: Vec::new(),
            predicate: None,
            when: When::Always,
            met: 0,
        }
    }

    /// Only calls of this operation; of one of several, if it is said more than once.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Only calls of which this holds.
    #[must_use]
    pub fn matching(
        mut self,
        predicate: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.predicate = Some(Box::new(predicate));
        self
    }

    /// Only the `n`th of the calls that the rule is about, counted from 1 since the rule was
    /// added.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first `n` of the calls that the rule is about.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::First(n);
        self
    }

    /// Every `n`th of the calls that the rule is about; none for 0.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.when = When::Every(n);
        self
    }

    /// Each of the calls that the rule is about with this probability, 0 to 1, drawn from the
    /// plan's seed.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value is clamped to 0..=2^32 before"
        )]
        let chance = (probability.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        self.when = When::Chance(chance);
        self
    }

    /// Whether the fault happens to this call.
    fn decide(&mut self, call: &Call<'_>, random: &mut Random) -> bool {
        let listed = self.operations.is_empty() || self.operations.contains(&call.operation);
        if !listed || !self.predicate.as_ref().is_none_or(|holds| holds(call)) {
            return false;
        }
        self.met += 1;
        match self.when {
            When::Always => true,
            When::Nth(n) => self.met == n,
            When::First(n) => self.met <= n,
            When::Every(n) => n > 0 && self.met.is_multiple_of(n),
            When::Chance(chance) => u64::from(random.next()) < chance,
        }
    }
}

impl fmt::Debug for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultRule")
            .field("fault", &self.fault)
            .field("operations", &self.operations)
            .field("predicate", &self.predicate.is_some())
            .field("when", &self.when)
            .field("met", &self.met)
            .finish()
    }
}

/// Which faults happen. Clones share the plan, so it can be changed while it is followed.
///
/// Rules are asked in the order in which they were added, and the first that says so decides. All
/// of them count the calls that they are about, whichever decides.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rules: Vec<FaultRule>,
    random: Random,
    faults: u64,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultPlan {
    /// A plan without rules: nothing happens.
    #[must_use]
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// A plan whose probabilities are drawn from this seed: the same calls in the same order meet
    /// the same faults.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        let state = State {
            rules: Vec::new(),
            random: Random(seed),
            faults: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule.
    pub fn add(&self, rule: FaultRule) {
        self.state().rules.push(rule);
    }

    /// Takes all rules away: from now on nothing happens.
    pub fn clear(&self) {
        self.state().rules.clear();
    }

    /// How many faults have happened.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.state().faults
    }

    /// What happens to this call, if anything.
    pub(super) fn decide(&self, call: &Call<'_>) -> Option<Fault> {
        let mut state = self.state();
        let State {
            rules,
            random,
            faults,
        } = &mut *state;
        let mut decided = None;
        for rule in rules {
            if rule.decide(call, random) && decided.is_none() {
                decided = Some(rule.fault.clone());
            }
        }
        *faults += u64::from(decided.is_some());
        decided
    }
}

/// SplitMix64: small, quick and the same everywhere.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[allow(clippy::cast_possible_truncation, reason = "the upper half is wanted")]
        let upper = ((z ^ (z >> 31)) >> 32) as u32;
        upper
    }
}
