//! Pages, cursors and counts.

use proptest::prelude::*;

use super::*;
use crate::ErrorKind::{Invalid, NotFound};
use crate::query::{Cursor, Filter, Order, Sort, SourceFilter, Words};
use crate::store::{CountRequest, FindRequest, MAX_PAGE, Page, Search, Total, TotalCount};

fn ids(page: &Page) -> Vec<String> {
    let documents = page.documents.iter();
    documents.map(|d| d.key.id().to_string()).collect()
}

/// Documents `d0` to `d9`, of which every third has no `n`, and the others share three values.
async fn ten() -> (MemoryStore, Arc<Model>) {
    let (store, model, _) = store().await;
    for i in 0..10 {
        let text = if i % 3 == 0 {
            format!(r#"{{"tags":["t{i}"]}}"#)
        } else {
            format!(r#"{{"n":{},"tags":["t{i}","all"]}}"#, i % 4)
        };
        put(&store, &model, &format!("d{i}"), &text, Expected::Any)
            .await
            .unwrap();
    }
    (store, model)
}

fn field(path: &str) -> crate::model::FieldPath {
    path.parse().unwrap()
}

#[tokio::test]
async fn filters_sorts_and_projects() {
    let (store, model) = ten().await;
    let mut request = FindRequest::new(model.clone(), Filter::eq("tags", "all").unwrap());
    request.sort = vec![Sort::descending(field("n"))];
    request.source = SourceFilter::include([field("n")]);
    request.total = Total::Exact;
    let page = store.find(request).await.unwrap();
    assert_eq!(ids(&page), ["d7", "d2", "d1", "d5", "d4", "d8"]);
    assert_eq!(page.documents[0].body.as_str().unwrap(), r#"{"n":3}"#);
    assert!(page.documents[0].write_id.is_some());
    assert!(page.next.is_none());
    let exact = |value| TotalCount { value, exact: true };
    assert_eq!(page.total, Some(exact(6)));
    let count = CountRequest::new(model.clone(), !Filter::exists("n").unwrap());
    assert_eq!(store.count(count).await.unwrap(), 4);
    for (most, value, exact) in [(0, 0, false), (5, 5, false), (6, 6, true), (7, 6, true)] {
        let mut request = FindRequest::new(model.clone(), Filter::exists("n").unwrap());
        request.total = Total::AtMost(most);
        request.limit = 2;
        let total = store.find(request).await.unwrap().total;
        assert_eq!(total, Some(TotalCount { value, exact }));
    }
}

#[tokio::test]
async fn next_is_none_exactly_at_the_end() {
    let (store, model) = ten().await;
    for sort in [Vec::new(), vec![Sort::ascending(field("n"))]] {
        for (offset, limit, more) in [
            (0, 9, true),
            (0, 10, false),
            (0, 11, false),
            (5, 4, true),
            (5, 5, false),
            (10, 1, false),
            (99, 1, false),
        ] {
            let mut request = FindRequest::new(model.clone(), Filter::all());
            (request.offset, request.limit) = (offset, limit);
            request.sort.clone_from(&sort);
            let page = store.find(request).await.unwrap();
            assert_eq!(page.next.is_some(), more, "{offset} {limit}");
            assert_eq!(
                page.documents.len(),
                limit.min(10_usize.saturating_sub(offset))
            );
        }
    }
}

#[tokio::test]
async fn a_cursor_stays_in_its_place_while_documents_come_and_go() {
    let (store, model) = ten().await;
    let mut request = FindRequest::new(model.clone(), Filter::all());
    request.limit = 3;
    let first = store.find(request.clone()).await.unwrap();
    assert_eq!(ids(&first), ["d0", "d1", "d2"]);
    // The very document that the cursor names goes, and others come on both sides of it.
    save(&store, &model, Write::delete(key("d2"), Expected::Any))
        .await
        .unwrap();
    for id in ["d00", "d2a"] {
        put(&store, &model, id, "{}", Expected::Any).await.unwrap();
    }
    request.start = first.next.into();
    let second = store.find(request).await.unwrap();
    assert_eq!(ids(&second), ["d2a", "d3", "d4"]);
}

#[tokio::test]
async fn routing_is_respected() {
    let (store, _, _) = store().await;
    let model = Model::builder("routed").routed().build().unwrap();
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    for (routing, id) in [("eu", "a"), ("us", "a"), ("eu", "b"), ("us", "c")] {
        let key = Key::routed(routing, id).unwrap();
        let write = Write::put(key, body("{}"), Expected::Any);
        save(&store, &model, write).await.unwrap();
    }
    let mut request = FindRequest::new(model.clone(), Filter::all());
    request.limit = 1;
    let mut seen = Vec::new();
    loop {
        let page = store.find(request.clone()).await.unwrap();
        seen.extend(page.documents.iter().map(|d| d.key.to_string()));
        request.start = page.next.into();
        if request.start.cursor().is_none() {
            break;
        }
    }
    let all = [r#""eu"/"a""#, r#""us"/"a""#, r#""eu"/"b""#, r#""us"/"c""#];
    assert_eq!(seen, all);
    let mut request = FindRequest::new(model.clone(), Filter::all());
    request.routing = Some(crate::model::Routing::new("us").unwrap());
    assert_eq!(ids(&store.find(request.clone()).await.unwrap()), ["a", "c"]);
    let mut count = CountRequest::new(model, Filter::all());
    count.routing.clone_from(&request.routing);
    assert_eq!(store.count(count).await.unwrap(), 2);
    let (unrouted_store, unrouted, _) = super::store().await;
    request.model = unrouted;
    assert_eq!(kind(unrouted_store.find(request).await), Invalid);
}

#[tokio::test]
async fn requests_that_are_wrong() {
    let (store, model) = ten().await;
    let good = FindRequest::new(model.clone(), Filter::all());
    let mut paged = good.clone();
    paged.limit = 1;
    let cursor = store.find(paged).await.unwrap().next;
    assert!(cursor.is_some());
    let broken: [fn(&mut FindRequest); 6] = [
        |r| r.limit = 0,
        |r| r.limit = MAX_PAGE + 1,
        |r| r.offset = MAX_PAGE - 49,
        |r| r.filter = Filter::eq("z", 1).unwrap(),
        |r| r.sort = vec![Sort::ascending(field("z"))],
        |r| r.offset = usize::MAX,
    ];
    for (at, break_it) in broken.into_iter().enumerate() {
        let mut request = good.clone();
        break_it(&mut request);
        assert_eq!(kind(store.find(request).await), Invalid, "{at}");
    }
    let mut edge = good.clone();
    edge.offset = MAX_PAGE - 50;
    store.find(edge).await.unwrap();
    let with_cursor: [fn(&mut FindRequest); 3] = [
        |r| r.offset = 1,
        |r| r.filter = Filter::exists("n").unwrap(),
        |r| r.sort = vec![Sort::by_id(Order::Ascending)],
    ];
    for (at, break_it) in with_cursor.into_iter().enumerate() {
        let mut request = good.clone();
        request.start = cursor.clone().into();
        break_it(&mut request);
        assert_eq!(kind(store.find(request).await), Invalid, "{at}");
    }
    let mut request = good;
    request.model = Model::builder("other").build().unwrap();
    assert_eq!(kind(store.find(request).await), NotFound);
}

/// What is put into a generated document, and how it is asked for.
fn bodies() -> impl Strategy<Value = String> {
    let n = prop_oneof![
        Just(String::new()),
        Just(r#""n":null,"#.to_owned()),
        (-2_i64..3).prop_map(|n| format!(r#""n":{n},"#)),
        (-2_i64..3).prop_map(|n| format!(r#""n":{n}.5,"#)),
        Just(r#""n":"text","#.to_owned()),
    ];
    (n, proptest::collection::vec("[ab]{0,2}", 0..3))
        .prop_map(|(n, tags)| format!(r#"{{{n}"tags":{}}}"#, serde_json::json!(tags)))
}

fn sorts() -> impl Strategy<Value = Vec<Sort>> {
    let by = |path: &'static str| {
        (any::<bool>(), any::<bool>()).prop_map(move |(down, first)| {
            let sort = if down {
                Sort::descending(field(path))
            } else {
                Sort::ascending(field(path))
            };
            if first { sort.missing_first() } else { sort }
        })
    };
    let id = prop_oneof![
        Just(Sort::by_id(Order::Ascending)),
        Just(Sort::by_id(Order::Descending))
    ];
    proptest::collection::vec(prop_oneof![by("n"), by("tags"), id], 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The pages of a query, one after the other, are the whole answer, whatever their size.
    #[test]
    fn pages_make_up_the_whole(
        documents in proptest::collection::btree_map("[a-c\u{e9}]{1,3}", bodies(), 0..24),
        sort in sorts(),
        limit in 1_usize..7,
        all in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, model, _) = store().await;
            for (id, text) in &documents {
                put(&store, &model, id, text, Expected::Any).await.unwrap();
            }
            let filter = if all { Filter::all() } else { Filter::gte("tags", "a").unwrap() };
            let mut request = FindRequest::new(model, filter);
            request.sort = sort;
            request.limit = 1_000;
            let whole = store.find(request.clone()).await.unwrap();
            assert!(whole.next.is_none());
            request.limit = limit;
            let mut seen = Vec::new();
            loop {
                let page = store.find(request.clone()).await.unwrap();
                assert!(page.documents.len() <= limit);
                seen.extend(ids(&page));
                assert!(seen.len() <= documents.len(), "pages repeat themselves");
                // Cursors travel as text.
                let text = page.next.map(|cursor| cursor.to_string());
                let Some(text) = text else { break };
                assert_eq!(page.documents.len(), limit);
                request.start = Some(text.parse::<Cursor>().unwrap()).into();
            }
            assert_eq!(seen, ids(&whole));
        });
    }
}

#[tokio::test]
async fn the_score_counts_words() {
    let (store, _, _) = store().await;
    let model = Model::builder("notes")
        .field(declared("t", Kind::Text))
        .build()
        .unwrap();
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    for (id, text) in [
        ("a", r#"{"t":"fox"}"#),
        ("b", r#"{"t":"Fox, fox and fox"}"#),
        ("c", r#"{"t":"hen"}"#),
        ("d", r#"{"t":"a fox"}"#),
    ] {
        put(&store, &model, id, text, Expected::Absent)
            .await
            .unwrap();
    }
    let mut request =
        FindRequest::new(model.clone(), Filter::text("t", "fox", Words::Any).unwrap());
    let page = store.find(request.clone()).await.unwrap();
    assert!(page.scores.is_empty());
    request.sort = vec![Sort::by_score()];
    request.limit = 2;
    let page = store.find(request.clone()).await.unwrap();
    assert_eq!(
        (ids(&page), page.scores),
        (vec!["b".into(), "a".into()], vec![3.0, 1.0])
    );
    request.start = crate::store::PageStart::After(page.next.unwrap());
    let page = store.find(request.clone()).await.unwrap();
    assert_eq!(
        (ids(&page), &page.scores[..]),
        (vec!["d".into()], &[1.0][..])
    );
    assert!(page.next.is_none());
    // Without words all are level, and come by id.
    request.filter = Filter::all();
    request.start = crate::store::PageStart::First;
    let page = store.find(request).await.unwrap();
    assert_eq!(
        (ids(&page), page.scores),
        (vec!["a".into(), "b".into()], vec![0.0, 0.0])
    );
}
