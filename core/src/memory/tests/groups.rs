//! The first documents of each group.

use super::*;
use crate::ErrorKind::{Invalid, NotFound};
use crate::model::{FieldPath, Routing, Scalar};
use crate::query::{Filter, Sort, SourceFilter};
use crate::store::{
    BeginOptions, Bulk, BulkRequest, GroupRequest, Groups, MAX_GROUPS, MAX_PAGE, Ranking, Search,
    Transact,
};

fn model() -> Arc<Model> {
    Model::builder("races")
        .field(declared("team", Kind::Keyword))
        .field(declared("n", Kind::Float))
        .field(declared("at", Kind::Integer).many())
        .build()
        .unwrap()
}

async fn holding(documents: &[(&str, &str)]) -> (MemoryStore, Arc<Model>) {
    let (store, model) = (MemoryStore::new(), model());
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    for (id, text) in documents {
        put(&store, &model, id, text, Expected::Absent)
            .await
            .unwrap();
    }
    (store, model)
}

/// Teams `a` and `b` with ties, and documents in no group.
async fn races() -> (MemoryStore, Arc<Model>) {
    holding(&[
        ("1", r#"{"team":"b","n":5}"#),
        ("2", r#"{"team":"a","n":3}"#),
        ("3", r#"{"team":"a","n":1}"#),
        ("4", r#"{"team":"a","n":3.0}"#),
        ("5", r#"{"team":"a"}"#),
        ("6", r#"{"team":null,"n":9}"#),
        ("7", r#"{"n":9}"#),
        ("8", r#"{"team":7,"n":9}"#),
        ("9", r#"{"team":"a","n":2}"#),
        ("A", r#"{"team":"a","n":"3"}"#),
    ])
    .await
}

fn by(model: &Arc<Model>, field: &str) -> GroupRequest {
    let mut request = GroupRequest::new(model.clone(), Filter::all(), field.parse().unwrap());
    request.sort = vec![Sort::descending("n".parse().unwrap())];
    request
}

/// `a: 1 2, 1 4` for a group of two documents of rank 1.
fn shown(groups: &Groups) -> Vec<String> {
    let groups = groups.groups.iter().map(|group| {
        let documents = group.documents.iter();
        let documents = documents.map(|d| format!("{} {}", d.rank, d.document.key.id()));
        format!(
            "{:?}: {}",
            group.key,
            documents.collect::<Vec<_>>().join(", ")
        )
    });
    groups.collect()
}

#[tokio::test]
async fn each_ranking_numbers_ties_its_way() {
    let (store, model) = races().await;
    for (ranking, size, wanted) in [
        (Ranking::RowNumber, 1, "1 2"),
        (Ranking::RowNumber, 3, "1 2, 2 4, 3 9"),
        (Ranking::RowNumber, 9, "1 2, 2 4, 3 9, 4 3, 5 5, 6 A"),
        (Ranking::Rank, 1, "1 2, 1 4"),
        (Ranking::Rank, 2, "1 2, 1 4"),
        (Ranking::Rank, 3, "1 2, 1 4, 3 9"),
        (Ranking::Rank, 5, "1 2, 1 4, 3 9, 4 3, 5 5, 5 A"),
        (Ranking::DenseRank, 1, "1 2, 1 4"),
        (Ranking::DenseRank, 2, "1 2, 1 4, 2 9"),
        (Ranking::DenseRank, 4, "1 2, 1 4, 2 9, 3 3, 4 5, 4 A"),
    ] {
        let mut request = by(&model, "team");
        (request.ranking, request.size) = (ranking, size);
        let groups = store.group(request).await.unwrap();
        let wanted = [format!("\"a\": {wanted}"), "\"b\": 1 1".to_owned()];
        assert_eq!(shown(&groups), wanted, "{ranking:?} {size}");
        assert!(groups.next.is_none());
    }
    // Without a sort all documents tie, and rows come by id.
    let mut request = by(&model, "team");
    request.sort.clear();
    request.groups = 1;
    request.ranking = Ranking::Rank;
    let groups = store.group(request.clone()).await.unwrap();
    assert_eq!(shown(&groups), ["\"a\": 1 2, 1 3, 1 4, 1 5, 1 9, 1 A"]);
    request.ranking = Ranking::RowNumber;
    let groups = store.group(request).await.unwrap();
    assert_eq!(shown(&groups), ["\"a\": 1 2"]);
}

#[tokio::test]
async fn groups_come_in_order_and_go_on_behind_a_value() {
    let (store, model) = holding(&[
        ("a", r#"{"n":2}"#),
        ("b", r#"{"n":-1.5}"#),
        ("c", r#"{"n":2.0}"#),
        ("d", r#"{"n":10}"#),
        ("e", r#"{"n":"0"}"#),
    ])
    .await;
    let mut request = by(&model, "n");
    request.size = 5;
    request.groups = 1;
    let mut seen = Vec::new();
    loop {
        let groups = store.group(request.clone()).await.unwrap();
        seen.extend(shown(&groups));
        let last = groups.groups.last().map(|g| g.key.clone());
        let Some(next) = groups.next else { break };
        assert_eq!(Some(&next), last.as_ref());
        request.after = Some(next);
    }
    assert_eq!(seen, ["-1.5: 1 b", "2: 1 a, 2 c", "10: 1 d"]);
    request.after = Some(Scalar::from(2.0));
    let groups = store.group(request.clone()).await.unwrap();
    assert_eq!(shown(&groups), ["10: 1 d"]);
    request.after = Some(Scalar::from(99));
    let groups = store.group(request).await.unwrap();
    assert!(groups.groups.is_empty() && groups.next.is_none());
}

#[tokio::test]
async fn filters_projects_and_sees_its_transaction() {
    let (store, model) = races().await;
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    put(&*tx, &model, "Z", r#"{"team":"c","n":5}"#, Expected::Absent)
        .await
        .unwrap();
    let mut request = by(&model, "team");
    request.filter = Filter::gte("n", 5).unwrap();
    request.source = SourceFilter::include(["n".parse::<FieldPath>().unwrap()]);
    let own = tx.group(request.clone()).await.unwrap();
    assert_eq!(shown(&own), ["\"b\": 1 1", "\"c\": 1 Z"]);
    let body = &own.groups[0].documents[0].document.body;
    assert_eq!(body.as_str().unwrap(), r#"{"n":5}"#);
    let beside = store.group(request).await.unwrap();
    assert_eq!(shown(&beside), ["\"b\": 1 1"]);
}

#[tokio::test]
async fn requests_that_are_wrong() {
    let (store, model) = races().await;
    let good = by(&model, "team");
    let broken: [fn(&mut GroupRequest); 7] = [
        |r| r.size = 0,
        |r| r.size = MAX_PAGE + 1,
        |r| r.groups = 0,
        |r| r.groups = MAX_GROUPS + 1,
        |r| r.by = "z".parse().unwrap(),
        |r| r.sort = vec![Sort::ascending("z".parse().unwrap())],
        |r| r.routing = Some(Routing::new("eu").unwrap()),
    ];
    for (at, break_it) in broken.into_iter().enumerate() {
        let mut request = good.clone();
        break_it(&mut request);
        assert_eq!(kind(store.group(request).await), Invalid, "{at}");
    }
    let mut request = good;
    request.model = Model::builder("other")
        .field(declared("team", Kind::Keyword))
        .build()
        .unwrap();
    request.sort.clear();
    assert_eq!(kind(store.group(request).await), NotFound);
}

#[tokio::test]
async fn ties_make_no_endless_group() {
    let (store, model) = holding(&[]).await;
    let fill = async |from: usize, to: usize| {
        let writes = (from..to).map(|i| {
            Write::put(
                key(&format!("{i}")),
                body(r#"{"team":"a","n":1}"#),
                Expected::Absent,
            )
        });
        let request = BulkRequest::new(model.clone(), writes.map(Into::into).collect());
        store.bulk(request).await.unwrap();
    };
    let mut request = by(&model, "team");
    request.ranking = Ranking::DenseRank;
    fill(0, MAX_PAGE).await;
    let groups = store.group(request.clone()).await.unwrap();
    assert_eq!(groups.groups[0].documents.len(), MAX_PAGE);
    fill(MAX_PAGE, MAX_PAGE + 1).await;
    assert_eq!(kind(store.group(request.clone()).await), Invalid);
    request.ranking = Ranking::RowNumber;
    let groups = store.group(request).await.unwrap();
    assert_eq!(groups.groups[0].documents.len(), 1);
}
