//! What a sort means: the place of a document in the order of a query.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::values::FieldReader;
use super::{Filter, MissingValues, Order, Position, Scorer, Sort, SortTarget};
use crate::error::{Error, Result};
use crate::model::{Key, Model, Scalar};

/// Sort keys made ready to place many documents of one collection.
///
/// It is the one meaning of an order: the in-memory store asks it, and every engine's pages are
/// compared with it.
#[derive(Clone, Debug)]
pub struct Placer {
    sorts: Vec<Sort>,
    values: Vec<Looked>,
}

/// What a sort key looks at, made ready.
#[derive(Clone, Debug)]
enum Looked {
    Field(FieldReader),
    Id,
    Score(Scorer),
}

impl Placer {
    /// Checks sort keys against a model and makes them ready.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Sort::check`]; `Unsupported` for the score, which takes a filter.
    pub fn new(sorts: &[Sort], model: &Model) -> Result<Self> {
        Self::make(sorts, None, model)
    }

    /// As [`new`](Self::new), for what matches a filter, whose words make the score: that of
    /// [`Scorer`].
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Sort::check`] and [`Scorer::new`].
    pub fn for_query(sorts: &[Sort], filter: &Filter, model: &Model) -> Result<Self> {
        Self::make(sorts, Some(filter), model)
    }

    fn make(sorts: &[Sort], filter: Option<&Filter>, model: &Model) -> Result<Self> {
        Sort::check(sorts, model)?;
        let looked = |sort: &Sort| match (&sort.target, filter) {
            (SortTarget::Field(path), _) => FieldReader::new(model, path).map(Looked::Field),
            (SortTarget::Id, _) => Ok(Looked::Id),
            (SortTarget::Score, Some(filter)) => Scorer::new(filter, model).map(Looked::Score),
            (SortTarget::Score, None) => Err(Error::unsupported("an order by score here")),
        };
        Ok(Self {
            sorts: sorts.to_vec(),
            values: sorts.iter().map(looked).collect::<Result<_>>()?,
        })
    }

    /// The place of a document: its value for each sort key, and its key.
    #[must_use]
    pub fn place(&self, key: &Key, object: &Map<String, Value>) -> Position {
        let values = self.sorts.iter().zip(&self.values);
        let values = values.map(|(sort, looked)| match looked {
            Looked::Field(reader) => reader.extreme(
                object,
                match sort.order {
                    Order::Ascending => Ordering::Less,
                    Order::Descending => Ordering::Greater,
                },
            ),
            Looked::Id => Some(Scalar::from(key.id().as_str())),
            Looked::Score(scorer) => Some(Scalar::Float(scorer.score(object))),
        });
        Position {
            values: values.collect(),
            key: key.clone(),
        }
    }

    /// Which of two documents of the query comes first. Two documents are never level: their keys
    /// differ.
    #[must_use]
    pub fn compare(&self, a: &Position, b: &Position) -> Ordering {
        let values = a.values.iter().zip(&b.values);
        self.sorts
            .iter()
            .zip(values)
            .map(|(sort, (a, b))| compare_values(sort, a.as_ref(), b.as_ref()))
            .find(|order| order.is_ne())
            // The key's own order: the id's bytes, and then the routing's.
            .unwrap_or_else(|| a.key.cmp(&b.key))
    }
}

fn compare_values(sort: &Sort, a: Option<&Scalar>, b: Option<&Scalar>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => {
            let order = a.compare(b).unwrap_or(Ordering::Equal);
            match sort.order {
                Order::Ascending => order,
                Order::Descending => order.reverse(),
            }
        }
        (None, None) => Ordering::Equal,
        (None, Some(_)) => match sort.missing {
            MissingValues::First => Ordering::Less,
            MissingValues::Last => Ordering::Greater,
        },
        (Some(_), None) => compare_values(sort, b, a).reverse(),
    }
}

impl Position {
    /// The score of the document, if the order looks at it.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "scores are no large integers")]
    pub fn score(&self, sorts: &[Sort]) -> Option<f64> {
        let at = sorts.iter().position(Sort::is_by_score)?;
        match self.values.get(at)?.as_ref()? {
            Scalar::Float(score) => Some(*score),
            Scalar::Integer(score) => Some(*score as f64),
            _ => None,
        }
    }

    /// Checks a position that came from outside against the query that it is used in.
    ///
    /// # Errors
    ///
    /// `Invalid` if it does not have one value for each sort key, of a type that the key has, or
    /// if its key is not one of the collection.
    pub fn check(&self, sorts: &[Sort], model: &Model) -> Result<()> {
        let strange = |what: &str| Error::invalid(format!("cursor does not fit the query: {what}"));
        if self.values.len() != sorts.len() {
            return Err(strange("it has another number of sort keys"));
        }
        for (sort, value) in sorts.iter().zip(&self.values) {
            let fits = match (&sort.target, value) {
                (SortTarget::Field(path), Some(value)) => model.require(path)?.kind.takes(value),
                (SortTarget::Field(_), None) => true,
                (SortTarget::Id, value) => {
                    matches!(value, Some(Scalar::Text(id)) if **id == *self.key.id().as_str())
                }
                (SortTarget::Score, value) => {
                    matches!(value, Some(Scalar::Float(_) | Scalar::Integer(_)))
                }
            };
            if !fits {
                return Err(strange("a value has another type than its sort key"));
            }
        }
        model.check_key(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, FieldPath, Kind};
    use serde_json::json;
    use std::sync::Arc;

    fn model() -> Arc<Model> {
        Model::builder("c")
            .routed()
            .field(FieldDeclaration::new(path("n"), Kind::Integer).many())
            .build()
            .unwrap()
    }

    fn path(text: &str) -> FieldPath {
        text.parse().unwrap()
    }

    /// Sorts documents `(routing/id, body)` and hands out their names.
    fn sorted(sorts: &[Sort], documents: &[(&str, Value)]) -> Vec<String> {
        let placer = Placer::new(sorts, &model()).unwrap();
        let mut places: Vec<_> = documents
            .iter()
            .map(|(name, body)| {
                let (routing, id) = name.split_once('/').unwrap();
                let key = Key::routed(routing, id).unwrap();
                placer.place(&key, body.as_object().unwrap())
            })
            .collect();
        places.sort_by(|a, b| placer.compare(a, b));
        places
            .iter()
            .map(|p| format!("{}/{}", p.key.routing().unwrap(), p.key.id()))
            .collect()
    }

    #[test]
    fn least_ascending_greatest_descending_missing_last() {
        let documents = [
            ("r/a", json!({"n":[1,9]})),
            ("r/b", json!({"n":5})),
            ("r/c", json!({})),
            ("r/d", json!({"n":"5"})),
            ("r/e", json!({"n":5.0})),
        ];
        let n = path("n");
        let up = Sort::ascending(n.clone());
        let down = Sort::descending(n);
        for (sort, wanted) in [
            (up.clone(), ["r/a", "r/b", "r/e", "r/c", "r/d"]),
            (down.clone(), ["r/a", "r/b", "r/e", "r/c", "r/d"]),
            (up.missing_first(), ["r/c", "r/d", "r/a", "r/b", "r/e"]),
            (down.missing_first(), ["r/c", "r/d", "r/a", "r/b", "r/e"]),
            (
                Sort::by_id(Order::Descending),
                ["r/e", "r/d", "r/c", "r/b", "r/a"],
            ),
        ] {
            assert_eq!(sorted(&[sort], &documents), wanted);
        }
    }

    #[test]
    fn ties_break_by_the_bytes_of_id_and_routing() {
        let one = json!({"n":1});
        let documents = ["s/b", "r/b", "t/a", "q/Z", "q/é", "q/z"].map(|n| (n, one.clone()));
        let wanted = ["q/Z", "t/a", "r/b", "s/b", "q/z", "q/é"];
        assert_eq!(sorted(&[], &documents), wanted);
        assert_eq!(sorted(&[Sort::descending(path("n"))], &documents), wanted);
    }

    #[test]
    fn positions_from_outside() {
        let sorts = [Sort::ascending(path("n")), Sort::by_id(Order::Ascending)];
        let key = Key::routed("r", "a").unwrap();
        let place = |values: Vec<Option<Scalar>>| Position {
            values,
            key: key.clone(),
        };
        let id = Some(Scalar::from("a"));
        for good in [
            place(vec![None, id.clone()]),
            place(vec![Some(Scalar::from(1.5)), id.clone()]),
        ] {
            good.check(&sorts, &model()).unwrap();
        }
        let unrouted = Position {
            values: vec![None, id.clone()],
            key: Key::new("a").unwrap(),
        };
        for bad in [
            place(vec![None]),
            place(vec![Some(Scalar::from("x")), id]),
            place(vec![None, Some(Scalar::from("b"))]),
            place(vec![None, None]),
            unrouted,
        ] {
            assert!(bad.check(&sorts, &model()).is_err(), "{bad:?}");
        }
        let sorts = [Sort::by_score()];
        let scored = place(vec![Some(Scalar::Float(0.5))]);
        scored.check(&sorts, &model()).unwrap();
        assert_eq!(scored.score(&sorts), Some(0.5));
        assert_eq!(scored.score(&[Sort::ascending(path("n"))]), None);
        for bad in [place(vec![None]), place(vec![Some(Scalar::from("x"))])] {
            assert!(bad.check(&sorts, &model()).is_err(), "{bad:?}");
        }
        assert!(Placer::new(&sorts, &model()).is_err());
    }
}
