//! Whether two stores hold the same.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;

use futures_util::future::try_join;

use super::digest::{ContentDigest, Digester};
use super::reading::Reading;
use crate::error::Result;
use crate::model::{Key, RawDocument};

/// How a document differs between two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Difference {
    /// It is in the first store only.
    Missing,
    /// It is in the second store only.
    Extra,
    /// Its bodies are different JSON values.
    Body,
}

/// How far a comparison is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// How many documents of the first store were compared.
    pub from: u64,
    /// How many of the second.
    pub to: u64,
    /// How many differ so far.
    pub different: u64,
}

/// What a comparison of a collection in two stores found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyReport {
    /// What the first store holds.
    pub from: ContentDigest,
    /// What the second store holds.
    pub to: ContentDigest,
    /// How many documents differ.
    pub different: u64,
    /// The first of them, in the order of their keys.
    pub differences: Vec<(Key, Difference)>,
}

impl VerifyReport {
    /// Whether both stores hold the same documents.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different == 0 && self.from == self.to
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return write!(f, "the same {}", self.from);
        }
        write!(
            f,
            "{} documents differ: {} here, {} there",
            self.different, self.from, self.to
        )?;
        for (key, difference) in self.differences.iter().take(10) {
            let how = match difference {
                Difference::Missing => "is missing there",
                Difference::Extra => "is there only",
                Difference::Body => "has another body",
            };
            write!(f, "; {key} {how}")?;
        }
        Ok(())
    }
}

/// A walk through two collections in the order of their keys.
pub(super) struct Verify {
    pub(super) from: Reading,
    pub(super) to: Reading,
    pub(super) keep: usize,
}

/// What was read of one side and not compared yet.
#[derive(Default)]
struct Side {
    documents: VecDeque<RawDocument>,
    is_over: bool,
    digester: Digester,
    seen: u64,
}

impl Side {
    async fn fill(&mut self, reading: &mut Reading) -> Result<()> {
        if self.documents.is_empty() && !self.is_over {
            self.documents = reading.next().await?.into();
            self.is_over = self.documents.is_empty();
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<RawDocument>> {
        let taken = self.documents.pop_front();
        if let Some(document) = &taken {
            self.seen += 1;
            self.digester.add(document)?;
        }
        Ok(taken)
    }
}

impl Verify {
    pub(super) async fn run(
        mut self,
        mut progress: impl FnMut(VerifyProgress) + Send,
    ) -> Result<VerifyReport> {
        let (mut from, mut to) = (Side::default(), Side::default());
        let mut different = 0;
        let mut differences = Vec::new();
        loop {
            try_join(from.fill(&mut self.from), to.fill(&mut self.to)).await?;
            if from.is_over && to.is_over {
                break;
            }
            while let Some(order) = next_order(&from, &to) {
                let Some((key, difference)) = step(order, &mut from, &mut to)? else {
                    continue;
                };
                different += 1;
                if differences.len() < self.keep {
                    differences.push((key, difference));
                }
            }
            progress(VerifyProgress {
                from: from.seen,
                to: to.seen,
                different,
            });
        }
        Ok(VerifyReport {
            from: from.digester.finish(),
            to: to.digester.finish(),
            different,
            differences,
        })
    }
}

/// Which side has the next document; `None` if one of them has to be filled first.
fn next_order(from: &Side, to: &Side) -> Option<Ordering> {
    match (from.documents.front(), to.documents.front()) {
        (Some(a), Some(b)) => Some(a.key.cmp(&b.key)),
        (Some(_), None) if to.is_over => Some(Ordering::Less),
        (None, Some(_)) if from.is_over => Some(Ordering::Greater),
        _ => None,
    }
}

fn step(order: Ordering, from: &mut Side, to: &mut Side) -> Result<Option<(Key, Difference)>> {
    Ok(match order {
        Ordering::Less => from.take()?.map(|a| (a.key, Difference::Missing)),
        Ordering::Greater => to.take()?.map(|b| (b.key, Difference::Extra)),
        Ordering::Equal => {
            let pair = from.take()?.zip(to.take()?);
            let changed = pair.filter(|(a, b)| !a.body.same_value(&b.body));
            changed.map(|(a, _)| (a.key, Difference::Body))
        }
    })
}
