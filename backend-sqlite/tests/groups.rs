//! The first documents of each group.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Scalar};
use strongroom_core::query::{Filter, Sort};
use strongroom_core::store::{
    BeginOptions, BulkItem, BulkRequest, EnsureRequest, GroupRequest, Groups, Ranking, Store, Write,
};
use strongroom_sqlite::{SqliteOptions, SqliteStore};

fn model(routed: bool) -> Arc<Model> {
    let model = Model::builder("players")
        .field(FieldDeclaration::new(
            "team".parse().unwrap(),
            Kind::Keyword,
        ))
        .field(FieldDeclaration::new("points".parse().unwrap(), Kind::Integer).indexed())
        .field(FieldDeclaration::new(
            "active".parse().unwrap(),
            Kind::Boolean,
        ));
    let model = if routed { model.routed() } else { model };
    model.build().unwrap()
}

async fn filled(routed: bool) -> SqliteStore {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    let model = model(routed);
    let ensure = EnsureRequest::new(model.clone());
    let dynamic: &dyn Store = &store;
    dynamic.ensure(ensure).await.unwrap();
    let documents = [
        ("a", json!({"team": "red", "points": 3, "active": true})),
        ("b", json!({"team": "red", "points": 5, "active": false})),
        ("c", json!({"team": "red", "points": 5})),
        ("d", json!({"team": "red"})),
        ("e", json!({"team": "blue", "points": 1, "active": true})),
        ("f", json!({"team": "blue", "points": null})),
        ("g", json!({"points": 9})),
        ("h", json!({"team": null, "points": 9})),
        ("i", json!({"team": "Über", "points": -1})),
    ];
    let mut items = Vec::new();
    for (id, body) in documents {
        let body = Body::encode(&body).unwrap();
        let key = if routed {
            Key::routed("x", id)
        } else {
            Key::new(id)
        };
        items.push(BulkItem::Write(Write::put(
            key.unwrap(),
            body,
            Expected::Any,
        )));
    }
    let written = dynamic.bulk(BulkRequest::new(model, items)).await;
    assert!(written.unwrap().is_ok());
    store
}

fn best(routed: bool, ranking: Ranking, size: usize) -> GroupRequest {
    let by = "team".parse().unwrap();
    let mut request = GroupRequest::new(model(routed), Filter::all(), by);
    request.sort = vec![Sort::descending("points".parse().unwrap())];
    request.ranking = ranking;
    request.size = size;
    request
}

fn told(groups: &Groups) -> Value {
    groups
        .groups
        .iter()
        .map(|group| {
            let documents: Vec<Value> = group
                .documents
                .iter()
                .map(|d| json!([d.rank, d.document.key.id().as_str()]))
                .collect();
            json!([Value::from(&group.key), documents])
        })
        .collect()
}

#[tokio::test]
async fn rankings_differ_by_what_they_do_with_ties() {
    for routed in [false, true] {
        let store = filled(routed).await;
        let store: &dyn Store = &store;
        let blue = json!(["blue", [[1, "e"], [2, "f"]]]);
        let other = json!(["Über", [[1, "i"]]]);
        let wanted = [
            (Ranking::RowNumber, json!([[1, "b"], [2, "c"]])),
            (Ranking::Rank, json!([[1, "b"], [1, "c"]])),
            (Ranking::DenseRank, json!([[1, "b"], [1, "c"], [2, "a"]])),
        ];
        for (ranking, red) in wanted {
            let found = store.group(best(routed, ranking, 2)).await.unwrap();
            assert_eq!(
                told(&found),
                json!([blue, ["red", red], other]),
                "{ranking:?}"
            );
            assert_eq!(found.next, None);
        }
        // Without a sort all documents of a group tie.
        let mut all = best(routed, Ranking::Rank, 1);
        all.sort.clear();
        all.filter = Filter::eq("team", "red").unwrap();
        let red = json!([["red", [[1, "a"], [1, "b"], [1, "c"], [1, "d"]]]]);
        assert_eq!(told(&store.group(all).await.unwrap()), red);
    }
}

#[tokio::test]
async fn groups_go_on_behind_the_last() {
    let store = filled(false).await;
    let store: &dyn Store = &store;
    let mut request = best(false, Ranking::RowNumber, 1);
    request.groups = 2;
    let first = store.group(request.clone()).await.unwrap();
    assert_eq!(
        told(&first),
        json!([["blue", [[1, "e"]]], ["red", [[1, "b"]]]])
    );
    assert_eq!(first.next, Some(Scalar::from("red")));
    request.after = first.next;
    let transaction = store.transact().unwrap().begin(BeginOptions::new()).await;
    let rest = transaction.unwrap().group(request.clone()).await.unwrap();
    assert_eq!(told(&rest), json!([["Über", [[1, "i"]]]]));
    assert_eq!(rest.next, None);
    request.filter = Filter::eq("points", 77).unwrap();
    assert!(store.group(request).await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn values_have_the_type_of_their_field() {
    let store = filled(false).await;
    let store: &dyn Store = &store;
    let mut request = best(false, Ranking::RowNumber, 5);
    request.by = "active".parse().unwrap();
    let found = store.group(request.clone()).await.unwrap();
    let wanted = json!([[false, [[1, "b"]]], [true, [[1, "a"], [2, "e"]]]]);
    assert_eq!(told(&found), wanted);
    request.by = "points".parse().unwrap();
    request.size = 1;
    let found = store.group(request).await.unwrap();
    let points: Vec<Value> = found.groups.iter().map(|g| Value::from(&g.key)).collect();
    assert_eq!(json!(points), json!([-1, 1, 3, 5, 9]));
}

#[tokio::test]
async fn ties_beyond_a_page_are_refused() {
    let store = filled(false).await;
    let store: &dyn Store = &store;
    let body = Body::encode(&json!({"team": "big"})).unwrap();
    for from in [0, 5_001] {
        let items = (from..from + 5_001).map(|n| {
            let key = Key::new(format!("n{n}")).unwrap();
            BulkItem::Write(Write::put(key, body.clone(), Expected::Any))
        });
        let request = BulkRequest::new(model(false), items.collect());
        assert!(store.bulk(request).await.unwrap().is_ok());
    }
    let error = store
        .group(best(false, Ranking::Rank, 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let plain = store.group(best(false, Ranking::RowNumber, 1)).await;
    assert_eq!(plain.unwrap().groups.len(), 4);
}
