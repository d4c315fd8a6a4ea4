//! The outcomes of bulks: one for each item, in the order of the items.

use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{Expected, Model, Version};
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Receipt, Write, WriteStamps};

/// The outcome of each item.
pub(crate) type Outcomes = Vec<Result<Receipt>>;

/// The outcome of each item, as far as it has one.
pub(crate) type Told = Vec<Option<Result<Receipt>>>;

/// No outcomes yet.
pub(crate) fn untold(items: &[BulkItem]) -> Told {
    items.iter().map(|_| None).collect()
}

/// The items without an outcome.
pub(crate) fn left(items: &[BulkItem], told: &Told) -> Vec<BulkItem> {
    let left = items.iter().zip(told).filter(|(_, told)| told.is_none());
    left.map(|(item, _)| item.clone()).collect()
}

/// Gives the items without an outcome these.
pub(crate) fn fill(told: &mut Told, outcomes: Outcomes) {
    let open = told.iter_mut().filter(|told| told.is_none());
    open.zip(outcomes)
        .for_each(|(place, outcome)| *place = Some(outcome));
}

/// What is sent of the writes at these places, by a function that gets place and write; `None` for
/// what is left. A write that makes no sense gets its error.
pub(crate) fn sent<'i, T>(
    model: &Model,
    items: &'i [BulkItem],
    places: &[usize],
    told: &mut Told,
    mut make: impl FnMut(usize, &'i Write) -> Result<Option<T>>,
) -> Vec<T> {
    let mut sent = Vec::with_capacity(places.len());
    for &place in places {
        if let Some(BulkItem::Write(write)) = items.get(place) {
            match make(place, write) {
                Ok(one) => sent.extend(one),
                Err(error) => tell(model, items, place, told, Some(Err(error))),
            }
        }
    }
    sent
}

/// Gives the item at this place its outcome, if it has one.
pub(crate) fn tell(
    model: &Model,
    items: &[BulkItem],
    place: usize,
    told: &mut Told,
    outcome: Option<Result<Receipt>>,
) {
    if let (Some(item), Some(open)) = (items.get(place), told.get_mut(place)) {
        *open = outcome.map(|outcome| outcome.map_err(|e| about(e, model, item)));
    }
}

fn is_plain(write: &Write) -> bool {
    !matches!(write.action, Action::Patch(_)) && write.computed.is_empty()
}

/// The first item that puts a body.
pub(crate) fn first_put<'i>(mut items: impl Iterator<Item = &'i BulkItem>) -> Option<&'i Write> {
    items.find_map(|item| match item {
        BulkItem::Write(write) if matches!(write.action, Action::Put(_)) => Some(write),
        _ => None,
    })
}

/// Whether one statement can write this and puts with these stamps.
fn fits(write: &Write, stamps: Option<WriteStamps>) -> bool {
    !matches!(write.action, Action::Put(_)) || Some(write.stamps) == stamps
}

/// The places of the items in the order of their keys; `None` where they are not all puts and
/// deletes of different documents, functions make fields, some keep their stamps and some do not,
/// or an item may take a unique value that another gives up: then the order of the items says who
/// is refused.
pub(crate) fn order(model: &Model, items: &[BulkItem]) -> Option<Vec<usize>> {
    let creates = |item: &BulkItem| item.expected() == Expected::Absent;
    if model.fields().any(|field| field.unique) && !items.iter().all(creates) {
        return None;
    }
    let mut order = Vec::with_capacity(items.len());
    let stamps = first_put(items.iter()).map(|put| put.stamps);
    for (place, item) in items.iter().enumerate() {
        match item {
            BulkItem::Write(write) if is_plain(write) && fits(write, stamps) => {
                order.push((&write.key, place));
            }
            _ => return None,
        }
    }
    order.sort_unstable();
    let mut pairs = order.windows(2);
    let all_differ = pairs.all(|pair| match pair {
        [(a, _), (b, _)] => a != b,
        _ => true,
    });
    all_differ.then(|| order.into_iter().map(|(_, place)| place).collect())
}

/// Whether a function makes a field of the item.
pub(crate) fn computes(item: &BulkItem) -> bool {
    matches!(item, BulkItem::Write(write) if !write.computed.is_empty())
}

/// The error of an item, which says what it is about.
pub(crate) fn about(error: Error, model: &Model, item: &BulkItem) -> Error {
    error
        .with_key(item.key().clone())
        .with_collection(model.name().clone())
}

/// Outcomes whose errors say what they are about.
pub(crate) fn keyed(outcomes: Outcomes, model: &Model, items: &[BulkItem]) -> Outcomes {
    let keyed = outcomes.into_iter().zip(items);
    let keyed = keyed.map(|(outcome, item)| outcome.map_err(|e| about(e, model, item)));
    keyed.collect()
}

/// The error of a call, for each of its items.
pub(crate) fn of_each(error: &Error, items: &[BulkItem]) -> Outcomes {
    let errors = items.iter().map(|item| {
        let same = Error::new(error.kind(), error.message());
        Err(same.with_key(item.key().clone()))
    });
    errors.collect()
}

/// What an atomic bulk answers of which an item failed.
pub(crate) fn all_undone(outcomes: Outcomes) -> Outcomes {
    let undone = outcomes.into_iter().map(|outcome| match outcome {
        Ok(_) => Err(Error::new(
            ErrorKind::Cancelled,
            "another item of the atomic bulk failed",
        )),
        failed => failed,
    });
    undone.collect()
}

/// Whether a bulk broke the rule of a unique field.
pub(crate) fn violates(outcomes: &Outcomes) -> bool {
    let mut errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    errors.any(|error| error.kind() == ErrorKind::UniqueViolation)
}

/// The receipt of a put at whatever version there was.
pub(crate) fn written(version: Version) -> Receipt {
    let effect = match version.revision() {
        Some(1) => Effect::Created,
        _ => Effect::Replaced,
    };
    Receipt::written(effect, version)
}

/// The outcome of a write that was not made, with `actual` there; `None` if that is what it
/// expected.
pub(crate) fn not_written(write: &Write, actual: Option<Version>) -> Option<Result<Receipt>> {
    let intent = Intent::from(&write.action);
    match write.expected.decide(intent, &write.key, actual) {
        Err(error) => Some(Err(error)),
        Ok(Effect::Absent) => Some(Ok(Receipt::without_version(Effect::Absent))),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use strongroom_core::model::{Body, FieldDeclaration, Key, Kind};
    use strongroom_core::patch::Patch;

    use super::*;

    #[test]
    fn only_different_documents_are_written_at_once() {
        let key = |id: &str| Key::new(id).unwrap();
        let put =
            |id: &str| BulkItem::from(Write::put(key(id), Body::from_trusted("{}"), Expected::Any));
        let delete = |id: &str| BulkItem::from(Write::delete(key(id), Expected::Any));
        let plain = Model::builder("docs").build().unwrap();
        let order_of = |items: &[BulkItem]| order(&plain, items);
        assert_eq!(
            order_of(&[put("b"), delete("c"), put("a")]),
            Some(vec![2, 0, 1])
        );
        assert_eq!(order_of(&[]), Some(vec![]));
        assert_eq!(order_of(&[put("b"), put("a"), delete("b")]), None);
        let patch = Write::patch(key("a"), Patch::new(), Expected::Any);
        assert_eq!(order_of(&[put("b"), patch.into()]), None);
        let check = BulkItem::Check {
            key: key("a"),
            expected: Expected::Any,
        };
        assert_eq!(order_of(&[check]), None);
        let field = FieldDeclaration::new("u".parse().unwrap(), Kind::Keyword).unique();
        let unique = Model::builder("docs").field(field).build().unwrap();
        let create = |id: &str| {
            let write = Write::put(key(id), Body::from_trusted("{}"), Expected::Absent);
            BulkItem::from(write)
        };
        assert_eq!(
            order(&unique, &[create("b"), create("a")]),
            Some(vec![1, 0])
        );
        assert_eq!(order(&unique, &[create("b"), put("a")]), None);
        let keep = |id: &str| {
            let write = Write::put(key(id), Body::from_trusted("{}"), Expected::Any);
            BulkItem::from(write.keep_stamps())
        };
        assert_eq!(order_of(&[keep("b"), delete("a")]), Some(vec![1, 0]));
        assert_eq!(order_of(&[keep("b"), put("a")]), None);
    }
}
