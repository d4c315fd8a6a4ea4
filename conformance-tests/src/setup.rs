//! What an adapter's author writes: where a store comes from, and how hard it is tested.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;

/// How a store under test is made. The author of an adapter implements it once.
///
/// The value lives as long as the case it was made for, so it can hold a temporary folder.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use strongroom_conformance::Setup;
/// use strongroom_core::memory::MemoryStore;
/// use strongroom_core::store::Store;
///
/// struct Memory;
///
/// impl Setup for Memory {
///     async fn store(&self) -> Arc<dyn Store> {
///         Arc::new(MemoryStore::new())
///     }
/// }
///
/// strongroom_conformance::suite!(Memory);
/// # fn main() {}
/// ```
pub trait Setup: Send + Sync + 'static {
    /// Makes a store. Collections have names that are drawn anew for each case and are dropped at
    /// its end, so that all cases may share one database.
    ///
    /// A store that calls functions of the user's is made with those of
    /// [`functions`](crate::functions), which the cases about calls ask for.
    fn store(&self) -> impl Future<Output = Arc<dyn Store>> + Send;

    /// Makes a second store on the data of the first, which may be open or closed by then. An
    /// adapter whose capabilities say `durable` has to.
    fn reopen(&self) -> impl Future<Output = Option<Arc<dyn Store>>> + Send {
        async { None }
    }

    /// The condition, in the engine's own language, that the value of a field of one value equals
    /// `value`. A store that grants native filters has to have one.
    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        let _ = (field, value);
        None
    }

    /// How hard the store is tested, and what the suite cannot know by itself.
    fn settings(&self) -> Settings {
        Settings::default()
    }
}

/// How hard a store is tested, and what the suite cannot know by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How much work the heavy cases do.
    pub scale: Scale,
    /// How long one case may take before it counts as stuck. Two minutes, ten at full scale.
    pub patience: Duration,
    /// How long a writer that lost a race waits before it tries again, at least. Slow engines
    /// waste less work with more. One millisecond.
    pub backoff: Duration,
    /// How long to wait, after a call was cut off, for what it may have left behind at the
    /// engine. None where loads wait for earlier writes anyway, which is the default.
    pub settle: Duration,
    /// Whether a conflict always tells the version that was there. It does by default.
    pub conflicts_tell_actual: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let full = Scale::is_full();
        Self {
            scale: Scale::default(),
            patience: Duration::from_secs(if full { 600 } else { 120 }),
            backoff: Duration::from_millis(1),
            settle: Duration::ZERO,
            conflicts_tell_actual: true,
        }
    }
}

impl Settings {
    /// Sets the work of the heavy cases, which full scale overrides:
    /// [`full_scale`](Self::full_scale) is for that.
    #[must_use]
    pub fn scale(mut self, scale: Scale) -> Self {
        if !Scale::is_full() {
            self.scale = scale;
        }
        self
    }

    /// Sets the work of the heavy cases at full scale, for engines on which
    /// [`Scale::full`] takes hours.
    #[must_use]
    pub fn full_scale(mut self, scale: Scale) -> Self {
        if Scale::is_full() {
            self.scale = scale;
        }
        self
    }

    /// Sets how long one case may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long a writer that lost a race waits at least.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long to wait after a call was cut off.
    #[must_use]
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Says that the engine cannot always tell which version a conflicting write met.
    #[must_use]
    pub fn conflicts_may_hide_actual(mut self) -> Self {
        self.conflicts_tell_actual = false;
        self
    }
}

/// How much work the heavy cases do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scale {
    /// How many tasks count up one document at once.
    pub tasks: usize,
    /// How many times each of them does.
    pub increments: usize,
    /// How many tasks race for one document.
    pub racers: usize,
    /// How many random histories are tried.
    pub histories: u32,
    /// How many steps each of them has at most.
    pub steps: usize,
    /// How many concurrent histories are checked for linearizability.
    pub rounds: usize,
    /// How many random questions are asked: filters, pages, counts, aggregations, groups, scans.
    pub questions: u32,
}

impl Scale {
    /// What a developer waits for: seconds for the whole suite on a fast engine.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            tasks: 8,
            increments: 20,
            racers: 32,
            histories: 24,
            steps: 24,
            rounds: 4,
            questions: 400,
        }
    }

    /// What `STRONGROOM_FULL=1` asks for: 64 tasks of 500 increments, 256 racers, 12,000 random
    /// questions.
    #[must_use]
    pub fn full() -> Self {
        Self {
            tasks: 64,
            increments: 500,
            racers: 256,
            histories: 256,
            steps: 64,
            rounds: 40,
            questions: 12_000,
        }
    }

    /// For engines of which one write takes many milliseconds.
    #[must_use]
    pub fn small() -> Self {
        Self {
            tasks: 4,
            increments: 5,
            racers: 8,
            histories: 6,
            steps: 16,
            rounds: 2,
            questions: 60,
        }
    }

    /// Full scale for engines of which one write takes many milliseconds: at most a few minutes
    /// for each case.
    #[must_use]
    pub fn thorough() -> Self {
        Self {
            tasks: 16,
            increments: 50,
            racers: 128,
            histories: 48,
            steps: 48,
            rounds: 10,
            questions: 1_500,
        }
    }

    /// Whether the environment asks for full scale: `STRONGROOM_FULL=1`.
    #[must_use]
    pub fn is_full() -> bool {
        std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1")
    }

    /// A part of the work, for the forms of a store that are not the first.
    pub(crate) fn lighter(self) -> Self {
        let part = |n: usize| n.div_ceil(4).max(2);
        Self {
            tasks: part(self.tasks).max(4),
            increments: part(self.increments),
            racers: part(self.racers),
            histories: self.histories.div_ceil(4),
            steps: self.steps,
            rounds: self.rounds.div_ceil(4),
            questions: self.questions.div_ceil(4),
        }
    }
}

impl Default for Scale {
    fn default() -> Self {
        if Self::is_full() {
            Self::full()
        } else {
            Self::quick()
        }
    }
}
