//! Counting a document in.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::{Cell, Keys, Node, Nodes, Ordered, Subject};
use crate::error::{Error, Result};
use crate::model::Scalar;
use crate::query::{Aggregation, MAX_BUCKETS};
use crate::store::Stats;

impl<D: Clone> Cell<D> {
    fn add(&mut self, subject: Subject<'_, D>) -> Result<()> {
        self.count += 1;
        let mut nodes = self.within.iter_mut();
        nodes.try_for_each(|(_, node)| node.add(subject))
    }
}

impl<D: Clone> Node<D> {
    pub(super) fn add(&mut self, subject: Subject<'_, D>) -> Result<()> {
        let object = subject.object;
        match self {
            Self::Count { field, count } => *count += u64::from(field.exists(object)),
            Self::Numbers { field, stats, .. } => {
                let values = field.values(object);
                values.into_iter().for_each(|value| count_in(stats, value));
            }
            Self::Cardinality { field, seen } => {
                seen.extend(field.values(object).into_iter().map(Ordered::new));
            }
            Self::Buckets {
                field,
                keys,
                empty,
                buckets,
            } => {
                // A set, because a document counts once in a bucket however many of its values
                // fall into it.
                let mut own = BTreeSet::new();
                for value in field.values(object) {
                    own.extend(keys.of(value)?);
                }
                for key in own {
                    let cell = buckets.entry(key).or_insert_with(|| Cell {
                        count: 0,
                        within: Nodes::clone(empty),
                    });
                    cell.add(subject)?;
                }
                keys.check(buckets.len())?;
            }
            Self::Filter { matcher, cell } => {
                if matcher.matches(subject.key, object)? {
                    cell.add(subject)?;
                }
            }
            Self::Nested { field, cell } => {
                for object in field.objects(object) {
                    cell.add(Subject { object, ..subject })?;
                }
            }
            Self::TopHits {
                placer,
                size,
                first,
                ..
            } => {
                let place = placer.place(subject.key, object);
                let at = first.partition_point(|(there, _)| placer.compare(there, &place).is_lt());
                if at < *size {
                    first.insert(at, (place, subject.document.clone()));
                    first.truncate(*size);
                }
            }
        }
        Ok(())
    }
}

fn count_in(stats: &mut Stats, value: Scalar) {
    let beats = |best: &Option<Scalar>, wanted| {
        best.as_ref()
            .is_none_or(|best| value.compare(best) == Some(wanted))
    };
    stats.count += 1;
    stats.sum += number(&value);
    if beats(&stats.min, Ordering::Less) {
        stats.min = Some(value.clone());
    }
    if beats(&stats.max, Ordering::Greater) {
        stats.max = Some(value);
    }
}

/// A number as `f64`. Fields that are computed with hold no other values.
#[allow(
    clippy::cast_precision_loss,
    reason = "sums and histograms are of f64 by their definition"
)]
fn number(value: &Scalar) -> f64 {
    match value {
        Scalar::Integer(n) => *n as f64,
        Scalar::Float(x) => *x,
        Scalar::Boolean(_) | Scalar::Text(_) => 0.0,
    }
}

impl Keys {
    /// The key of the bucket that a value falls into, if it falls into any.
    fn of(self, value: Scalar) -> Result<Option<Ordered>> {
        match self {
            Self::Terms { .. } => Ok(Some(Ordered::new(value))),
            Self::Histogram { interval, offset } => {
                let begin = Aggregation::bucket_begin(number(&value), interval, offset);
                if begin.is_finite() {
                    return Ok(Some(Ordered(Scalar::Float(begin))));
                }
                Err(Error::invalid(format!(
                    "a value lies too far out for buckets of {interval}: its bucket begins at no finite number"
                )))
            }
            Self::Dates(interval) => Ok(match value {
                Scalar::Integer(millis) => {
                    let begin = interval.floor(millis);
                    begin.map(|begin| Ordered(Scalar::Integer(begin)))
                }
                _ => None,
            }),
        }
    }

    /// Refuses too many buckets, where all of them are handed out.
    fn check(self, buckets: usize) -> Result<()> {
        match self {
            Self::Histogram { .. } | Self::Dates(_) if buckets > MAX_BUCKETS => {
                Err(Error::invalid(format!(
                    "documents fall into more than {MAX_BUCKETS} buckets, the most allowed"
                )))
            }
            _ => Ok(()),
        }
    }
}
