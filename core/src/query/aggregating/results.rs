//! Results of what was counted.

use super::{Cell, Keys, Node, Nodes, Numbers, Ordered};
use crate::error::Result;
use crate::model::{Key, RawDocument};
use crate::query::{SourceFilter, TermsOrder};
use crate::store::{AggregateResult, AggregateResults, Bucket, Cardinality, SingleBucket, Terms};

pub(super) type HandOut<'h, D> = &'h mut dyn FnMut(&Key, &D, &SourceFilter) -> Result<RawDocument>;

pub(super) fn finish<D>(nodes: Nodes<D>, hand_out: HandOut<'_, D>) -> Result<AggregateResults> {
    nodes
        .into_iter()
        .map(|(name, node)| Ok((name.as_ref().to_owned(), node.finish(hand_out)?)))
        .collect()
}

impl<D> Cell<D> {
    fn bucket(self, key: Ordered, hand_out: HandOut<'_, D>) -> Result<Bucket> {
        let results = finish(self.within, hand_out)?;
        Ok(Bucket::new(key.0, self.count, results))
    }

    fn single(self, hand_out: HandOut<'_, D>) -> Result<AggregateResult> {
        let results = finish(self.within, hand_out)?;
        let bucket = SingleBucket::new(self.count, results);
        Ok(AggregateResult::Single(bucket))
    }
}

impl<D> Node<D> {
    fn finish(self, hand_out: HandOut<'_, D>) -> Result<AggregateResult> {
        Ok(match self {
            Self::Count { count, .. } => AggregateResult::Count(count),
            Self::Numbers { wanted, stats, .. } => match wanted {
                Numbers::Min => AggregateResult::Extreme(stats.min),
                Numbers::Max => AggregateResult::Extreme(stats.max),
                Numbers::Sum => AggregateResult::Sum(stats.sum),
                Numbers::Average => AggregateResult::Average(stats.average()),
                Numbers::Stats => AggregateResult::Stats(stats),
            },
            Self::Cardinality { seen, .. } => {
                AggregateResult::Cardinality(Cardinality::exact(seen.len() as u64))
            }
            Self::Buckets { keys, buckets, .. } => {
                let (size, order) = match keys {
                    Keys::Terms { size, order } => (size, order),
                    _ => (usize::MAX, TermsOrder::KeyAscending),
                };
                let mut cells: Vec<_> = buckets.into_iter().collect();
                // They are in ascending order of their keys, and a stable sort leaves ties so.
                match order {
                    TermsOrder::CountDescending => {
                        cells.sort_by_key(|(_, cell)| std::cmp::Reverse(cell.count));
                    }
                    TermsOrder::CountAscending => cells.sort_by_key(|(_, cell)| cell.count),
                    TermsOrder::KeyAscending => {}
                    TermsOrder::KeyDescending => cells.reverse(),
                }
                let left_out = cells.split_off(size.min(cells.len()));
                let other = left_out.iter().map(|(_, cell)| cell.count).sum();
                let buckets = cells
                    .into_iter()
                    .map(|(key, cell)| cell.bucket(key, hand_out));
                let buckets = buckets.collect::<Result<_>>()?;
                match keys {
                    Keys::Terms { .. } => AggregateResult::Terms(Terms::exact(buckets, other)),
                    _ => AggregateResult::Histogram(buckets),
                }
            }
            Self::Filter { cell, .. } | Self::Nested { cell, .. } => cell.single(hand_out)?,
            Self::TopHits { source, first, .. } => {
                let documents = first
                    .iter()
                    .map(|(place, document)| hand_out(&place.key, document, &source));
                AggregateResult::TopHits(documents.collect::<Result<_>>()?)
            }
        })
    }
}
