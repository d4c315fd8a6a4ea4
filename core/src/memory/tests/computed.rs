//! Fields that functions make.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::ErrorKind::Invalid;
use crate::model::Scalar;
use crate::patch::Patch;
use crate::query::{Call, Functions};
use crate::store::{Bulk, BulkRequest, Effect};

fn functions() -> Functions {
    let twice = |arguments: &[Option<Scalar>]| match arguments {
        [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(n * 2))),
        [None] => Ok(None),
        _ => Err(Error::invalid("it takes an integer")),
    };
    Functions::new().with("twice", twice).unwrap()
}

async fn computing() -> (MemoryStore, Arc<Model>) {
    let store = MemoryStore::with_options(MemoryOptions::new().functions(functions()));
    let model = Model::builder("numbers")
        .field(declared("n", Kind::Integer))
        .field(declared("o.twice", Kind::Integer))
        .field(declared("text", Kind::Text))
        .build()
        .unwrap();
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    (store, model)
}

fn twice() -> Call {
    Call::new("twice").unwrap()
}

fn twice_n(write: Write) -> Write {
    write.compute(
        "o.twice".parse().unwrap(),
        twice().field("n".parse().unwrap()),
    )
}

#[tokio::test]
async fn see_the_document_as_it_is_written() {
    let (store, model) = computing().await;
    let write = twice_n(Write::put(key("a"), body(r#"{"n":4}"#), Expected::Absent));
    let receipt = save(&store, &model, write).await.unwrap();
    assert_eq!(receipt.effect, Effect::Created);
    assert_eq!(receipt.made, [("o.twice".parse().unwrap(), json!(8))]);
    let patch = Patch::new().increment("n".parse().unwrap(), 1);
    let write = twice_n(Write::patch(key("a"), patch, Expected::Any));
    let receipt = save(&store, &model, write).await.unwrap();
    assert_eq!(receipt.made, [("o.twice".parse().unwrap(), json!(10))]);
    let stored = load(&store, &model, "a").await.unwrap();
    assert!(stored.body.same_value(&body(r#"{"n":5,"o":{"twice":10}}"#)));
    // Computed fields do not see one another.
    let write = twice_n(Write::patch(key("a"), Patch::new(), Expected::Any)).compute(
        "n".parse().unwrap(),
        twice().field("o.twice".parse().unwrap()),
    );
    let receipt = save(&store, &model, write).await.unwrap();
    let made: Vec<_> = receipt.made.into_iter().map(|(_, value)| value).collect();
    assert_eq!(made, [json!(10), json!(20)]);
}

#[tokio::test]
async fn hold_null_when_nothing_is_made() {
    let (store, model) = computing().await;
    let write = Write::put(key("a"), body(r#"{"o":{"twice":1}}"#), Expected::Any);
    save(&store, &model, twice_n(write)).await.unwrap();
    let stored = load(&store, &model, "a").await.unwrap();
    assert!(stored.body.same_value(&body(r#"{"o":{"twice":null}}"#)));
}

#[tokio::test]
async fn that_cannot_be_made_leave_everything_as_it_was() {
    let (store, model) = computing().await;
    put(&store, &model, "a", r#"{"n":1,"o":5}"#, Expected::Absent)
        .await
        .unwrap();
    let at = |field: &str, call: Call| {
        let patch = Patch::new().set("n".parse().unwrap(), 2);
        Write::patch(key("a"), patch, Expected::Any).compute(field.parse().unwrap(), call)
    };
    for (words, write) in [
        (
            "function twice failed: it takes an integer",
            at("n", twice().value("x")),
        ),
        (
            "function twice made a value of type integer, but field text is declared as text",
            at("text", twice().value(1)),
        ),
        (
            "field o.twice cannot be reached",
            at("o.twice", twice().value(1)),
        ),
    ] {
        let item = BulkRequest::new(model.clone(), vec![write.clone().into()]);
        let in_bulk = store.bulk(item).await.unwrap().outcomes.remove(0);
        for error in [save(&store, &model, write).await, in_bulk].map(Result::unwrap_err) {
            assert_eq!(error.kind(), Invalid);
            assert!(error.message().contains(words), "{words}: {error}");
        }
    }
    let stored = load(&store, &model, "a").await.unwrap();
    assert!(stored.body.same_value(&body(r#"{"n":1,"o":5}"#)));
}

#[test]
fn are_made_ahead_where_no_stored_document_is_needed() {
    let model = Model::builder("numbers")
        .field(declared("n", Kind::Integer))
        .build()
        .unwrap();
    let field = || "n".parse().unwrap();
    let of_value = twice().value(1);
    let of_field = twice().field(field());
    let put = Write::put(key("a"), body(r#"{"n":3}"#), Expected::Any);
    let patch = Write::patch(key("a"), Patch::new(), Expected::Any);
    for (mut write, ahead, made) in [
        (put.compute(field(), of_field.clone()), 1, 6),
        (patch.clone().compute(field(), of_value), 1, 2),
        (patch.compute(field(), of_field), 0, 6),
    ] {
        let runs = Arc::new(AtomicUsize::new(0));
        let (counted, twice) = (runs.clone(), functions());
        let counting = Functions::new().with("twice", move |arguments| {
            counted.fetch_add(1, Ordering::Relaxed);
            twice.call(&"twice".parse()?, arguments)
        });
        write.make_ready(&counting.unwrap(), &model).unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), ahead, "{write:?}");
        let (document, _) = write.computed_onto(body(r#"{"n":3}"#)).unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1, "{write:?}");
        assert!(document.same_value(&body(&format!(r#"{{"n":{made}}}"#))));
    }
}

#[test]
fn without_functions_are_refused() {
    let write = twice_n(Write::put(key("a"), body("{}"), Expected::Any));
    let error = write.computed_onto(body("{}")).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
}
