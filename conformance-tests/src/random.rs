//! Random choices that can be made again: every failure of a random case tells its seed.

use std::fmt;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use strongroom_core::model::WriteId;

use crate::failure::{Failure, Outcome};

/// What random choices are drawn from: `STRONGROOM_SEED` if it is set, a new number otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn draw() -> Self {
        let given = std::env::var("STRONGROOM_SEED").ok();
        Self(given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            let mut number = [0; 8];
            number.copy_from_slice(&WriteId::random().as_bytes()[8..]);
            u64::from_le_bytes(number)
        }))
    }

    /// The seed of the `n`th part of what this one is for.
    pub(crate) fn of(self, n: usize) -> Self {
        // The constant of splitmix64: neighbouring parts get unlike seeds.
        Self(
            self.0
                .wrapping_add((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        )
    }

    pub(crate) fn random(self) -> Random {
        Random(self.0)
    }

    fn test_rng(self) -> TestRng {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
    }
}

/// A small source of random choices: splitmix64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "STRONGROOM_SEED={}", self.0)
    }
}

/// Tries a property on `cases` random inputs, and shrinks one that fails.
///
/// It runs within a case's task, on a runtime of several threads.
pub(crate) fn property<S: proptest::strategy::Strategy>(
    cases: u32,
    inputs: S,
    holds: impl AsyncFn(S::Value) -> Outcome,
) -> Outcome {
    let seed = Seed::draw();
    let config = Config {
        cases,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, seed.test_rng());
    let handle = tokio::runtime::Handle::current();
    let result = tokio::task::block_in_place(|| {
        runner.run(&inputs, |input| {
            handle
                .block_on(holds(input))
                .map_err(|failure| TestCaseError::fail(failure.to_string()))
        })
    });
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, input)) => Err(Failure::new(format!(
            "{reason}\n  with {seed} and the shrunk input {input:#?}"
        ))),
        Err(TestError::Abort(reason)) => Err(Failure::new(format!("{seed}: {reason}"))),
    }
}
