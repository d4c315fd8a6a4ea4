//! From sort keys and places to the order of a search, and back.
//!
//! The engine sorts a field by the values that its type holds, and numbers that it does not hold
//! exactly, by their keys among those that are held alike: exact ones, which have no key here, come
//! before the others.

use serde_json::{Value, json};
use strongroom_core::model::{Key, Kind, Model, Scalar};
use strongroom_core::query::{MissingValues, Order, Position, Sort, SortTarget};
use strongroom_core::{Error, Result};

use super::key;
use super::number;
use super::path::{Part, Place};

/// Which way a sort key goes.
struct Direction {
    is_ascending: bool,
    missing_last: bool,
}

impl Direction {
    /// Backwards is the same keys in the other direction; which value of a field counts stays.
    fn of(sort: &Sort, backward: bool) -> Self {
        Self {
            is_ascending: (sort.order == Order::Ascending) != backward,
            missing_last: (sort.missing == MissingValues::Last) != backward,
        }
    }

    fn name(&self) -> &'static str {
        name(self.is_ascending)
    }
}

fn name(is_ascending: bool) -> &'static str {
    if is_ascending { "asc" } else { "desc" }
}

/// The order of a search; ids are sorted by bytes.
///
/// # Errors
///
/// `Unsupported` for a sort key that the engine does not have, `Invalid` if the model does not
/// declare its field.
pub(crate) fn order(sorts: &[Sort], model: &Model, backward: bool) -> Result<Vec<Value>> {
    let mut order = Vec::with_capacity(sorts.len() * 2 + 2);
    let by = |part, field, direction: &Direction, missing_last, mode| {
        let name = Place::documents(model).of(part, field);
        let missing = if missing_last { "_last" } else { "_first" };
        json!({name: {"order": direction.name(), "missing": missing, "mode": mode}})
    };
    for sort in sorts {
        let direction = Direction::of(sort, backward);
        match &sort.target {
            SortTarget::Id => order.push(json!({"k": direction.name()})),
            SortTarget::Score => order.push(json!({"_score": direction.name()})),
            SortTarget::Field(path) => {
                // Of several values the least counts, or the greatest.
                let (mode, end) = match sort.order {
                    Order::Ascending => ("min", Part::Least),
                    Order::Descending => ("max", Part::Greatest),
                };
                order.push(by(
                    Part::Values,
                    path,
                    &direction,
                    direction.missing_last,
                    mode,
                ));
                if number::is_number(model.require(path)?.kind) {
                    order.push(by(end, path, &direction, !direction.is_ascending, mode));
                }
            }
            other => {
                return Err(Error::unsupported(format_args!("the sort key {other:?}")));
            }
        }
    }
    order.push(json!({"k": name(!backward)}));
    if model.is_routed() {
        order.push(json!({"r": name(!backward)}));
    }
    Ok(order)
}

/// The kind of the field that a sort key is, if it is a number.
fn number_of(sort: &Sort, model: &Model) -> Result<Option<Kind>> {
    let SortTarget::Field(path) = &sort.target else {
        return Ok(None);
    };
    let kind = model.require(path)?.kind;
    Ok(number::is_number(kind).then_some(kind))
}

/// How many values the engine tells of each place for these sort keys, before those of the key.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field.
pub(crate) fn width(sorts: &[Sort], model: &Model) -> Result<usize> {
    let width = |sort| {
        Ok(if number_of(sort, model)?.is_some() {
            2
        } else {
            1
        })
    };
    sorts.iter().map(width).sum()
}

/// A place in the order, as the engine is told it.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field.
pub(crate) fn search_after(
    position: &Position,
    sorts: &[Sort],
    model: &Model,
    backward: bool,
) -> Result<Vec<Value>> {
    let Position { values, key } = position;
    let mut after = Vec::with_capacity(sorts.len() * 2 + 2);
    for (sort, value) in sorts.iter().zip(values) {
        match (&sort.target, number_of(sort, model)?) {
            (SortTarget::Field(_), None) => after.push(value.as_ref().map(key::encode).into()),
            (SortTarget::Field(_), Some(kind)) => {
                let floor = value.as_ref().and_then(|value| number::floor(kind, value));
                let direction = Direction::of(sort, backward);
                after.push(floor.map_or_else(
                    || number::missing(kind, direction.is_ascending == direction.missing_last),
                    |floor| floor.held.into(),
                ));
                let is_inexact = floor.is_some_and(|floor| !floor.is_exact);
                let value = value.as_ref().filter(|_| is_inexact);
                after.push(value.map(key::encode).into());
            }
            (SortTarget::Score, _) => {
                after.push(value.as_ref().map_or(Value::Null, Value::from));
            }
            _ => after.push(key.id().as_str().into()),
        }
    }
    after.push(key.id().as_str().into());
    after.extend(key.routing().map(|routing| routing.as_str().into()));
    Ok(after)
}

/// A place in the order, as the engine told it of a document.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field.
pub(crate) fn position(
    key: &Key,
    told: &[Value],
    sorts: &[Sort],
    model: &Model,
) -> Result<Position> {
    let mut told = told.iter();
    let mut values = Vec::with_capacity(sorts.len());
    for sort in sorts {
        let value = told.next();
        values.push(match &sort.target {
            SortTarget::Field(path) => {
                let kind = model.require(path)?.kind;
                let by_key = if number::is_number(kind) {
                    told.next()
                } else {
                    value
                };
                let by_key = by_key.and_then(Value::as_str);
                by_key
                    .and_then(|key| key::decode(kind, key))
                    .or_else(|| number::read(kind, value?))
            }
            SortTarget::Score => value.and_then(score).map(Scalar::Float),
            _ => Some(Scalar::from(key.id().as_str())),
        });
    }
    Ok(Position {
        values,
        key: key.clone(),
    })
}

/// A score, which the engine computes and compares as a 32-bit float and writes with as few digits
/// as tell it from other such floats: it goes back as the very float that it was.
#[allow(clippy::cast_possible_truncation, reason = "it is such a float")]
pub(crate) fn score(told: &Value) -> Option<f64> {
    told.as_f64().map(|score| f64::from(score as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::model::FieldDeclaration;

    #[test]
    fn places_survive() {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let model = Model::builder("a")
            .field(field("n", Kind::Integer))
            .field(field("x", Kind::Float))
            .field(field("k", Kind::Keyword))
            .build()
            .unwrap();
        let sorts = [
            Sort::ascending("n".parse().unwrap()),
            Sort::descending("x".parse().unwrap()),
            Sort::ascending("k".parse().unwrap()),
        ];
        assert_eq!(width(&sorts, &model).unwrap(), 5);
        let key = Key::new("id").unwrap();
        let big = (1_i64 << 53) + 1;
        for (values, told) in [
            (
                [Some(5.into()), Some(2.5.into()), Some("a".into())],
                json!([5, null, 2.5, null, "a", "id"]),
            ),
            (
                [Some(2.5.into()), Some(big.into()), None],
                json!([
                    2,
                    "c004000000000000",
                    9_007_199_254_740_992.0,
                    "c340000000000000001",
                    null,
                    "id"
                ]),
            ),
            (
                [None, None, None],
                json!([i64::MAX, null, "-Infinity", null, null, "id"]),
            ),
        ] {
            let place = Position {
                values: values.to_vec(),
                key: key.clone(),
            };
            let after = search_after(&place, &sorts, &model, false).unwrap();
            assert_eq!(Value::from(after.clone()), told);
            assert_eq!(
                position(&key, &after, &sorts, &model).unwrap().values,
                values
            );
        }
    }
}
