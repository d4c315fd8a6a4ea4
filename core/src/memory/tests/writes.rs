//! The table of writes, versions, write ids and ages; one write at a time.

use std::time::Duration;

use super::*;
use crate::ErrorKind::{AlreadyExists, Conflict, Invalid, NotFound, Unavailable, UniqueViolation};
use crate::model::{Version, WriteId};
use crate::patch::Patch;
use crate::query::SourceFilter;
use crate::store::{Action, Effect};

const BEFORE: &str = r#"{"n":1}"#;

fn actions() -> [Action; 3] {
    let patch = Patch::new().increment("n".parse().unwrap(), 1);
    [
        Action::Put(body(r#"{"n":7}"#)),
        Action::Patch(patch),
        Action::Delete,
    ]
}

#[tokio::test]
async fn the_whole_table_on_a_missing_document() {
    let (store, model, _) = store().await;
    let gone = put(&store, &model, "old", BEFORE, Expected::Absent)
        .await
        .unwrap()
        .version
        .unwrap();
    let wanted = [
        [
            Ok(Effect::Created),
            Ok(Effect::Created),
            Err(NotFound),
            Err(NotFound),
        ],
        [Err(NotFound), Err(Invalid), Err(NotFound), Err(NotFound)],
        [
            Ok(Effect::Absent),
            Err(Invalid),
            Err(NotFound),
            Err(NotFound),
        ],
    ];
    for (action, row) in actions().into_iter().zip(wanted) {
        let guards = [
            Expected::Any,
            Expected::Absent,
            Expected::Present,
            gone.into(),
        ];
        for (at, (expected, wanted)) in guards.into_iter().zip(row).enumerate() {
            let id = format!("{action:?}{at}");
            let write = Write::new(key(&id), action.clone(), expected);
            let outcome = save(&store, &model, write).await;
            let effect = outcome.as_ref().map(|r| r.effect).map_err(Error::kind);
            assert_eq!(effect, wanted, "{action:?} expecting {expected}");
            let created = wanted == Ok(Effect::Created);
            assert_eq!(text(&store, &model, &id).await.is_some(), created);
            match outcome {
                Ok(receipt) => assert_eq!(receipt.version.is_some(), created),
                Err(error) => {
                    assert_eq!(error.key(), Some(&key(&id)));
                    assert_eq!(error.collection(), Some(model.name()));
                    assert_eq!(error.operation(), Some(crate::Operation::Save));
                }
            }
        }
    }
}

#[tokio::test]
async fn the_whole_table_on_a_document() {
    let (store, model, _) = store().await;
    let stale = Version::first(0);
    let wanted = [
        (
            Effect::Replaced,
            [true, false, true, true],
            Some(r#"{"n":7}"#),
        ),
        (
            Effect::Patched,
            [true, false, true, true],
            Some(r#"{"n":2}"#),
        ),
        (Effect::Deleted, [true, false, true, true], None),
    ];
    for (action, (effect, row, after)) in actions().into_iter().zip(wanted) {
        for (at, wins) in row.into_iter().enumerate() {
            let id = format!("{action:?}{at}");
            let there = put(&store, &model, &id, BEFORE, Expected::Absent).await;
            let there = there.unwrap().version.unwrap();
            let expected = [
                Expected::Any,
                Expected::Absent,
                Expected::Present,
                there.into(),
            ][at];
            let write = Write::new(key(&id), action.clone(), expected);
            let outcome = save(&store, &model, write).await;
            if wins {
                let receipt = outcome.unwrap();
                assert_eq!(receipt.effect, effect);
                let version = (effect != Effect::Deleted).then(|| there.next().unwrap());
                assert_eq!(receipt.version, version);
                assert_eq!(text(&store, &model, &id).await.as_deref(), after);
            } else {
                let error = outcome.unwrap_err();
                if effect == Effect::Replaced {
                    assert_eq!(error.kind(), AlreadyExists);
                    assert_eq!(error.actual_version(), Some(there));
                } else {
                    assert_eq!(error.kind(), Invalid);
                }
                assert_eq!(text(&store, &model, &id).await.as_deref(), Some(BEFORE));
            }
        }
        let id = format!("{action:?}1");
        let there = load(&store, &model, &id).await.unwrap().version;
        let write = Write::new(key(&id), action, Expected::Exactly(stale));
        let error = save(&store, &model, write).await.unwrap_err();
        assert_eq!(error.kind(), Conflict);
        assert_eq!(error.actual_version(), Some(there));
        assert_eq!(text(&store, &model, &id).await.as_deref(), Some(BEFORE));
    }
}

#[tokio::test]
async fn a_new_document_never_has_an_old_version() {
    let (store, model, _) = store().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let receipt = put(&store, &model, "a", BEFORE, Expected::Absent).await;
        let version = receipt.unwrap().version.unwrap();
        assert_eq!(version.revision(), Some(1));
        assert!(seen.insert(version));
        save(&store, &model, Write::delete(key("a"), version))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn documents_carry_write_id_and_age() {
    let (store, model, clock) = store().await;
    let write = Write::put(key("a"), body(BEFORE), Expected::Absent);
    let id = write.write_id;
    let version = save(&store, &model, write).await.unwrap().version.unwrap();
    clock.advance(Duration::from_millis(250));
    let loaded = load(&store, &model, "a").await.unwrap();
    assert_eq!(loaded.write_id, Some(id));
    assert_eq!(loaded.age, Some(Duration::from_millis(250)));
    let mut write = Write::patch(key("a"), Patch::new().set("m".parse().unwrap(), 1), version);
    write.write_id = WriteId::from_bytes([7; 16]);
    save(&store, &model, write).await.unwrap();
    let loaded = load(&store, &model, "a").await.unwrap();
    assert_eq!(loaded.write_id, Some(WriteId::from_bytes([7; 16])));
    assert_eq!(loaded.age, Some(Duration::ZERO));
}

#[tokio::test]
async fn loads_are_in_order_and_partial_where_asked() {
    let (store, model, _) = store().await;
    for id in ["a", "b"] {
        let text = format!(r#"{{"id":"{id}","n":1}}"#);
        put(&store, &model, id, &text, Expected::Any).await.unwrap();
    }
    let keys = ["b", "x", "a", "b"].map(key).to_vec();
    let source = SourceFilter::Include(vec!["id".parse().unwrap()]);
    let request = LoadRequest::new(model.clone(), keys).with_source(source);
    let loaded: Vec<_> = store
        .load(request)
        .await
        .unwrap()
        .into_iter()
        .map(|d| d.map(|d| d.body.as_str().unwrap().to_owned()))
        .collect();
    let a = Some(r#"{"id":"a"}"#.to_owned());
    let b = Some(r#"{"id":"b"}"#.to_owned());
    assert_eq!(loaded, [b.clone(), None, a, b]);
}

#[tokio::test]
async fn a_patch_that_does_not_apply_changes_nothing() {
    let (store, model, _) = store().await;
    put(&store, &model, "a", r#"{"n":"x"}"#, Expected::Any)
        .await
        .unwrap();
    let patch = Patch::new()
        .set("m".parse().unwrap(), 1)
        .increment("n".parse().unwrap(), 1);
    let write = Write::patch(key("a"), patch, Expected::Any);
    let error = save(&store, &model, write).await.unwrap_err();
    assert_eq!(error.kind(), Invalid);
    assert!(error.message().contains("field n"), "{error}");
    let text = text(&store, &model, "a").await;
    assert_eq!(text.as_deref(), Some(r#"{"n":"x"}"#));
}

#[tokio::test]
async fn unique_values() {
    let (store, model, _) = store().await;
    let ada = r#"{"email":"ada"}"#;
    let version = put(&store, &model, "a", ada, Expected::Any).await;
    let version = version.unwrap().version.unwrap();
    for (id, text) in [
        ("n1", r#"{"email":null}"#),
        ("n2", "{}"),
        ("n3", "{}"),
        ("n4", r#"{"email":5}"#),
        ("n5", r#"{"email":5}"#),
    ] {
        put(&store, &model, id, text, Expected::Any).await.unwrap();
    }
    let error = put(&store, &model, "b", ada, Expected::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), UniqueViolation);
    assert!(error.message().contains("email"), "{error}");
    assert!(!error.to_string().contains("ada"), "{error}");
    assert!(load(&store, &model, "b").await.is_none());
    // The conflict is told before the violation: the write would not have taken place anyway.
    let stale = put(&store, &model, "n1", ada, Version::first(0)).await;
    assert_eq!(kind(stale), Conflict);
    // A document may keep its own value; one that was given up is free again.
    put(&store, &model, "a", ada, version).await.unwrap();
    put(&store, &model, "a", r#"{"email":"eve"}"#, Expected::Any)
        .await
        .unwrap();
    put(&store, &model, "b", ada, Expected::Any).await.unwrap();
    save(&store, &model, Write::delete(key("b"), Expected::Any))
        .await
        .unwrap();
    let patch = Patch::new().set("email".parse().unwrap(), "ada");
    save(
        &store,
        &model,
        Write::patch(key("n2"), patch, Expected::Any),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn keys_fit_their_collection() {
    let (store, model, _) = store().await;
    let routed = Key::routed("eu", "a").unwrap();
    let write = Write::put(routed, body("{}"), Expected::Any);
    assert_eq!(kind(save(&store, &model, write).await), Invalid);
    let model = Model::builder("routed").routed().build().unwrap();
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    assert_eq!(
        kind(put(&store, &model, "a", "{}", Expected::Any).await),
        Invalid
    );
    for routing in ["eu", "us"] {
        let key = Key::routed(routing, "a").unwrap();
        let write = Write::put(key, body("{}"), Expected::Absent);
        save(&store, &model, write).await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_store_and_a_missing_collection() {
    let (store, model, _) = store().await;
    let other = Model::builder("other").build().unwrap();
    let error = put(&store, &other, "a", "{}", Expected::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NotFound);
    assert!(error.message().contains("other"), "{error}");
    assert_eq!(error.collection(), Some(other.name()));
    let request = LoadRequest::new(other.clone(), vec![key("a")]);
    assert_eq!(kind(store.load(request).await), NotFound);
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(
        kind(put(&store, &model, "a", "{}", Expected::Any).await),
        Unavailable
    );
    let request = LoadRequest::new(model.clone(), vec![key("a")]);
    assert_eq!(kind(store.load(request).await), Unavailable);
}
