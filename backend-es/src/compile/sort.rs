//! From sort keys and places to the order of a search.

use serde_json::{Value, json};
use strongroom_core::model::{Key, Model};
use strongroom_core::query::{MissingValues, Order, Position, Sort, SortTarget};
use strongroom_core::{Error, Result};

use super::key;
use super::path::{Part, Place};

/// The order of a search: keys of values and ids are kept as text, which the engine sorts by
/// bytes.
///
/// Backwards is the same keys in the other direction; which value of a field counts stays.
///
/// # Errors
///
/// `Unsupported` for a sort key that the engine does not have.
pub(crate) fn order(sorts: &[Sort], model: &Model, backward: bool) -> Result<Vec<Value>> {
    let (first, last) = if backward {
        ("desc", "asc")
    } else {
        ("asc", "desc")
    };
    let mut order = Vec::with_capacity(sorts.len() + 2);
    for sort in sorts {
        let direction = match sort.order {
            Order::Ascending => first,
            Order::Descending => last,
        };
        let missing = match sort.missing {
            MissingValues::Last if !backward => "_last",
            MissingValues::First if backward => "_last",
            _ => "_first",
        };
        order.push(match &sort.target {
            SortTarget::Id => json!({"k": direction}),
            SortTarget::Score => json!({"_score": direction}),
            SortTarget::Field(path) => {
                let name = Place::documents(model).of(Part::Keys, path);
                // Of several values the least counts, or the greatest.
                let mode = match sort.order {
                    Order::Ascending => "min",
                    Order::Descending => "max",
                };
                json!({name: {"order": direction, "missing": missing, "mode": mode}})
            }
            other => {
                return Err(Error::unsupported(format_args!("the sort key {other:?}")));
            }
        });
    }
    order.push(json!({"k": first}));
    if model.is_routed() {
        order.push(json!({"r": first}));
    }
    Ok(order)
}

/// A place in the order, as the engine is told it.
pub(crate) fn search_after(position: &Position, sorts: &[Sort]) -> Vec<Value> {
    let Position { values, key } = position;
    let mut after: Vec<_> = sorts
        .iter()
        .zip(values)
        .map(|(sort, value)| match &sort.target {
            SortTarget::Field(_) => value.as_ref().map(key::encode).into(),
            SortTarget::Score => value.as_ref().map_or(Value::Null, Value::from),
            _ => key.id().as_str().into(),
        })
        .collect();
    after.extend(of_key(key).map(Value::from));
    after
}

/// What ties are broken by.
fn of_key(key: &Key) -> impl Iterator<Item = String> {
    let routing = key.routing().map(|r| r.as_str().to_owned());
    std::iter::once(key.id().as_str().to_owned()).chain(routing)
}
