//! What a sort means: the place of a document in the order of a query.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::values::FieldReader;
use super::{MissingValues, Order, Position, Sort, SortTarget};
use crate::error::{Error, Result};
use crate::model::{Key, Model, Scalar};

/// Sort keys made ready to place many documents of one collection.
///
/// It is the one meaning of an order: the in-memory store asks it, and every engine's pages are
/// compared with it.
#[derive(Clone, Debug)]
pub struct Placer {
    sorts: Vec<Sort>,
    readers: Vec<Option<FieldReader>>,
}

impl Placer {
    /// Checks sort keys against a model and makes them ready.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Sort::check`].
    pub fn new(sorts: &[Sort], model: &Model) -> Result<Self> {
        Sort::check(sorts, model)?;
        let reader = |sort: &Sort| match &sort.target {
            SortTarget::Field(path) => FieldReader::new(model, path).map(Some),
            SortTarget::Id => Ok(None),
        };
        Ok(Self {
            sorts: sorts.to_vec(),
            readers: sorts.iter().map(reader).collect::<Result<_>>()?,
        })
    }

    /// The place of a document: its value for each sort key, and its key.
    #[must_use]
    pub fn place(&self, key: &Key, object: &Map<String, Value>) -> Position {
        let values = self.sorts.iter().zip(&self.readers);
        let values = values.map(|(sort, reader)| match reader {
            Some(reader) => reader.extreme(
                object,
                match sort.order {
                    Order::Ascending => Ordering::Less,
                    Order::Descending => Ordering::Greater,
                },
            ),
            None => Some(Scalar::from(key.id().as_str())),
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
    }
}
