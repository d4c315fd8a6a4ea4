//! Pages backwards, words of text, objects of nested fields, and what is explained.

use super::*;
use crate::ErrorKind::{Invalid, NotFound, Unsupported};
use crate::model::FieldPath;
use crate::query::{Aggregation, Aggregations, Filter, Sort, Words};
use crate::store::{
    AggregateRequest, BeginOptions, CountRequest, ExplainRequest, FindRequest, GroupRequest,
    MatchingAction, MatchingRequest, Page, PageStart, ScanRequest, Search, Transact,
};

fn ids(page: &Page) -> Vec<String> {
    let documents = page.documents.iter();
    documents.map(|d| d.key.id().to_string()).collect()
}

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

async fn holding(documents: &[(&str, &str)]) -> (MemoryStore, Arc<Model>) {
    let store = MemoryStore::new();
    let model = Model::builder("notes")
        .field(declared("n", Kind::Integer).many())
        .field(declared("w", Kind::Text).many())
        .field(declared("o", Kind::Nested).many())
        .field(declared("o.n", Kind::Integer).many())
        .field(declared("o.k", Kind::Keyword).many())
        .build()
        .unwrap();
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    for (id, text) in documents {
        put(&store, &model, id, text, Expected::Absent)
            .await
            .unwrap();
    }
    (store, model)
}

async fn matching(store: &MemoryStore, model: &Arc<Model>, filter: Filter) -> Vec<String> {
    let request = FindRequest::new(model.clone(), filter);
    ids(&store.find(request).await.unwrap())
}

#[tokio::test]
async fn says_what_it_can_do() {
    let (store, _) = holding(&[]).await;
    let can = store.capabilities();
    assert!(can.backward_pages && can.text_search && can.score && can.nested_filters);
    assert!(can.aggregations && can.groups && can.scans && can.matching_writes);
    assert!(!can.native_filters);
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    assert_eq!(tx.capabilities(), can);
}

#[tokio::test]
async fn pages_backwards_are_the_pages_forwards() {
    let (store, model) = holding(&[
        ("a", r#"{"n":2}"#),
        ("b", r#"{"n":1}"#),
        ("c", r#"{"n":[1,9]}"#),
        ("d", "{}"),
        ("e", r#"{"n":null}"#),
        ("f", r#"{"n":1.0}"#),
        ("g", r#"{"n":"1"}"#),
    ])
    .await;
    let up = Sort::ascending(path("n"));
    let down = Sort::descending(path("n"));
    for sort in [
        vec![],
        vec![up.clone()],
        vec![down.clone()],
        vec![up.missing_first()],
        vec![down.missing_first()],
    ] {
        let mut request = FindRequest::new(model.clone(), Filter::all());
        request.sort = sort;
        let whole = ids(&store.find(request.clone()).await.unwrap());
        for limit in 1..9 {
            request.limit = limit;
            request.start = PageStart::Last;
            let mut seen: Vec<String> = Vec::new();
            loop {
                let page = store.find(request.clone()).await.unwrap();
                assert_eq!(page.next.is_some(), !seen.is_empty());
                seen.splice(0..0, ids(&page));
                let Some(previous) = page.previous else { break };
                assert_eq!(page.documents.len(), limit);
                assert!(seen.len() < whole.len());
                request.start = PageStart::Before(previous);
            }
            assert_eq!(seen, whole, "{:?} {limit}", request.sort);
        }
    }
}

#[tokio::test]
async fn words_of_text() {
    let (store, model) = holding(&[
        ("a", r#"{"w":"The quick red FOX"}"#),
        ("b", r#"{"w":["red", "quick fox", null]}"#),
        ("c", r#"{"w":["fox, quick"]}"#),
        ("d", r#"{"w":7}"#),
        ("e", r#"{"w":[]}"#),
        ("f", "{}"),
    ])
    .await;
    for (words, wanted) in [
        (Words::All, &["a", "b", "c"][..]),
        (Words::Any, &["a", "b", "c"]),
        (Words::Phrase, &["b"]),
    ] {
        let filter = Filter::text("w", "quick fox", words).unwrap();
        assert_eq!(matching(&store, &model, filter).await, wanted, "{words:?}");
    }
    let not = !Filter::text("w", "red", Words::Any).unwrap();
    assert_eq!(matching(&store, &model, not).await, ["c", "d", "e", "f"]);
}

#[tokio::test]
async fn objects_one_by_one() {
    let (store, model) = holding(&[
        ("a", r#"{"o":[{"n":1,"k":"x"},{"n":2}]}"#),
        ("b", r#"{"o":[{"n":1},{"k":"x"}]}"#),
        ("c", r#"{"o":{"n":[0,1],"k":["x"]}}"#),
        ("d", r#"{"o":[null,5]}"#),
        ("e", r#"{"o":[]}"#),
    ])
    .await;
    let both = Filter::eq("o.n", 1)
        .unwrap()
        .and(Filter::eq("o.k", "x").unwrap());
    assert_eq!(
        matching(&store, &model, both.clone()).await,
        ["a", "b", "c"]
    );
    let nested = Filter::nested("o", both).unwrap();
    assert_eq!(matching(&store, &model, nested.clone()).await, ["a", "c"]);
    assert_eq!(matching(&store, &model, !nested).await, ["b", "d", "e"]);
    let without = Filter::nested("o", !Filter::exists("o.k").unwrap()).unwrap();
    assert_eq!(matching(&store, &model, without).await, ["a", "b"]);
}

#[tokio::test]
async fn explains_what_is_examined() {
    let (store, model) = holding(&[("a", "{}"), ("b", "{}")]).await;
    let filter = Filter::eq("n", 5).unwrap();
    let debug = format!("{filter:?}");
    let mut find = FindRequest::new(model.clone(), filter.clone());
    find.sort = vec![Sort::descending(path("n"))];
    let count = CountRequest::new(model.clone(), filter.clone());
    let sum = Aggregation::Sum { field: path("n") };
    let sum = Aggregations::from([("total".to_owned(), sum)]);
    let aggregate = AggregateRequest::new(model.clone(), filter.clone(), sum);
    let group = GroupRequest::new(model.clone(), filter.clone(), path("n"));
    let scan = ScanRequest::new(model.clone(), filter.clone());
    let delete = MatchingRequest::new(model.clone(), filter, MatchingAction::Delete);
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    for (words, request) in [
        ("Descending", ExplainRequest::Find(find.clone())),
        ("count", ExplainRequest::Count(count)),
        ("total", ExplainRequest::Aggregate(aggregate)),
        ("group them by n", ExplainRequest::Group(group)),
        ("pieces of 500", ExplainRequest::Scan(scan)),
        ("delete the first 1000", ExplainRequest::Matching(delete)),
    ] {
        let explained = store.explain(request.clone()).await.unwrap();
        assert_eq!(explained, tx.explain(request).await.unwrap());
        assert_eq!(explained.statements.len(), 1);
        let text = &explained.statements[0].text;
        for part in ["collection notes", &debug, words] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(explained.statements[0].plan, ["2 documents are there"]);
    }
    let mut wrong = find.clone();
    wrong.filter = Filter::eq("z", 1).unwrap();
    let wrong = ExplainRequest::Find(wrong);
    assert_eq!(kind(store.explain(wrong).await), Invalid);
    let native = Filter::native("sqlite", "1 = 1", Vec::<i64>::new());
    let native = CountRequest::new(model, native);
    assert_eq!(
        kind(store.explain(ExplainRequest::Count(native)).await),
        Unsupported
    );
    find.model = Model::builder("other")
        .field(declared("n", Kind::Integer))
        .build()
        .unwrap();
    assert_eq!(
        kind(store.explain(ExplainRequest::Find(find)).await),
        NotFound
    );
}
