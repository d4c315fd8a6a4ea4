//! Texts that the engine reads by analysers of its own, on both products.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{
    Body, CollectionName, Expected, FieldDeclaration, Key, Kind, Model, WriteId,
};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Filter, Sort, Words};
use strongroom_core::store::{
    CountRequest, EnsureRequest, ExplainRequest, FindRequest, GroupRequest, MatchingAction,
    MatchingRequest, Save, SaveRequest, ScanRequest, Schema, Search, Write,
};
use strongroom_es::{EsOptions, EsStore, TextAnalysis};
use support::{ensure, opensearch_url, store_at, url};

/// A model with a name of its own and these text fields, one of them within objects.
fn texts(fields: &[&str]) -> Arc<Model> {
    let suffix = WriteId::random().to_string();
    declared(&format!("texts-{}", &suffix[..12]), fields)
}

fn declared(name: &str, fields: &[&str]) -> Arc<Model> {
    let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
    let mut builder = Model::builder(name)
        .field(field("k", Kind::Keyword))
        .field(field("e", Kind::Nested).many())
        .field(field("e.t", Kind::Text).many());
    for path in fields {
        builder = builder.field(field(path, Kind::Text).many());
    }
    builder.build().unwrap()
}

fn reads(pairs: &[(&str, &str)]) -> TextAnalysis {
    pairs
        .iter()
        .fold(TextAnalysis::new(), |all, (field, name)| {
            all.field(field.parse().unwrap(), name.parse().unwrap())
        })
}

/// An analyser of the user's own, of what every server has.
fn own(analysis: TextAnalysis) -> TextAnalysis {
    let own = json!({"analyzer": {"own": {"type": "standard", "stopwords": ["foo"]}}});
    analysis.settings(own).unwrap()
}

async fn with(url: &str, model: &Model, analysis: TextAnalysis) -> EsStore {
    let options = EsOptions::default().replicas(0);
    let options = options.analysis(model.name().clone(), analysis);
    EsStore::connect_with(url, options).await.unwrap()
}

async fn put(store: &EsStore, model: &Arc<Model>, id: &str, body: Value) {
    let body = Body::parse(body.to_string()).unwrap();
    let write = Write::put(Key::new(id).unwrap(), body, Expected::Any);
    let save = SaveRequest::new(model.clone(), write);
    store.save(save).await.unwrap();
}

async fn finds(store: &EsStore, model: &Arc<Model>, filter: Filter) -> Vec<String> {
    store.refresh(model.name().clone()).await.unwrap();
    let page = store.find(FindRequest::new(model.clone(), filter)).await;
    let documents = page.unwrap().documents.into_iter();
    documents.map(|d| d.key.id().to_string()).collect()
}

fn any(field: &str, words: &str) -> Filter {
    Filter::text(field, words, Words::Any).unwrap()
}

/// Asks in every way there is for what the core's words would not find.
async fn every_question(url: &str) {
    let model = texts(&["std", "own", "plain"]);
    let analysis = own(reads(&[
        ("std", "standard"),
        ("own", "own"),
        ("e.t", "standard"),
    ]));
    let store = with(url, &model, analysis).await;
    ensure(&store, &model).await;
    for (id, text) in [("a", "I don't"), ("b", "foo bar"), ("c", "DON'T, don't")] {
        let body = json!({"std": text, "own": [text], "plain": text, "k": id, "e": [{"t": text}]});
        put(&store, &model, id, body).await;
    }
    // A word of the standard analyser is two for the core.
    for (filter, wanted) in [
        (any("std", "don't"), vec!["a", "c"]),
        (any("std", "don"), vec![]),
        (any("plain", "don"), vec!["a", "c"]),
        (any("own", "foo"), vec![]),
        (any("plain", "foo"), vec!["b"]),
        (
            Filter::text("own", "foo bar", Words::All).unwrap(),
            vec!["b"],
        ),
        (
            Filter::text("std", "Foo Bar", Words::Phrase).unwrap(),
            vec!["b"],
        ),
        (
            Filter::text("std", "bar foo", Words::Phrase).unwrap(),
            vec![],
        ),
        (!any("std", "don't"), vec!["b"]),
        (Filter::exists("own").unwrap(), vec!["a", "b", "c"]),
        (
            Filter::nested("e", any("e.t", "don't")).unwrap(),
            vec!["a", "c"],
        ),
        (Filter::nested("e", any("e.t", "don")).unwrap(), vec![]),
    ] {
        assert_eq!(
            finds(&store, &model, filter.clone()).await,
            wanted,
            "{filter:?}"
        );
    }
    let dont = || any("std", "don't");
    let mut request = FindRequest::new(model.clone(), dont());
    request.sort = vec![Sort::by_score()];
    let page = store.find(request).await.unwrap();
    assert_eq!(
        page.documents[0].key.id().as_str(),
        "c",
        "{:?}",
        page.scores
    );
    assert!(page.scores[0] > page.scores[1], "{:?}", page.scores);
    let count = CountRequest::new(model.clone(), dont());
    assert_eq!(store.count(count).await.unwrap(), 2);
    let mut scan = store.scan(ScanRequest::new(model.clone(), dont())).await;
    let piece = scan.as_mut().unwrap().next().await.unwrap();
    assert_eq!(piece.len(), 2);
    let by = GroupRequest::new(model.clone(), dont(), "k".parse().unwrap());
    assert_eq!(store.group(by).await.unwrap().groups.len(), 2);
    let asked = ExplainRequest::Find(FindRequest::new(model.clone(), dont()));
    let asked = store.explain(asked).await.unwrap().to_string();
    assert!(asked.contains("a.std"), "{asked}");
    // A text that is written by a patch is read likewise.
    let patch = Patch::new().set("std".parse().unwrap(), "you don't");
    let write = Write::patch(Key::new("b").unwrap(), patch, Expected::Any);
    store
        .save(SaveRequest::new(model.clone(), write))
        .await
        .unwrap();
    assert_eq!(finds(&store, &model, dont()).await, ["a", "b", "c"]);
    let delete = MatchingRequest::new(model.clone(), dont(), MatchingAction::Delete);
    assert_eq!(store.write_matching(delete).await.unwrap().written, 3);
    store.drop_collection(model.name().clone()).await.unwrap();
}

/// The index keeps how it reads texts; other wishes are refused by name.
async fn kept_with_the_collection(url: &str) {
    let model = texts(&["t"]);
    let english = own(reads(&[("t", "standard")]));
    let store = with(url, &model, english.clone()).await;
    ensure(&store, &model).await;
    ensure(&store, &model).await;
    put(
        &store,
        &model,
        "a",
        json!({"t": "I don't", "u": "They don't"}),
    )
    .await;
    // Whoever knows nothing of it finds and writes alike.
    let other = store_at(url).await;
    assert_eq!(finds(&other, &model, any("t", "don't")).await, ["a"]);
    assert_eq!(finds(&other, &model, any("t", "don")).await, [""; 0]);
    put(&other, &model, "b", json!({"t": "don't"})).await;
    assert_eq!(finds(&store, &model, any("t", "don't")).await, ["a", "b"]);
    for analysis in [
        TextAnalysis::new(),
        reads(&[("t", "standard")]),
        own(TextAnalysis::new()),
        own(reads(&[("t", "simple")])),
    ] {
        let changed = with(url, &model, analysis).await;
        let error = changed
            .ensure(EnsureRequest::new(model.clone()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(error.message().contains("field t"), "{error}");
    }
    // An addition that the engine refuses leaves the collection as it was.
    let wider = declared(model.name().as_str(), &["t", "u"]);
    let unheard_of = own(reads(&[("t", "standard"), ("u", "unheard-of")]));
    let refused = with(url, &wider, unheard_of).await;
    let error = refused.ensure(EnsureRequest::new(wider.clone())).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.message().contains("unheard-of"), "{error}");
    ensure(&store, &model).await;
    assert_eq!(finds(&store, &model, any("t", "don't")).await, ["a", "b"]);
    // A field that is added brings its own, also for what is there already.
    let more = own(reads(&[("t", "standard"), ("u", "own")]));
    let store = with(url, &wider, more).await;
    let report = store
        .ensure(EnsureRequest::new(wider.clone()))
        .await
        .unwrap();
    assert_eq!(report.added.len(), 1);
    // Also for who knew the collection before.
    let count = CountRequest::new(wider.clone(), any("u", "foo they"));
    assert_eq!(other.count(count).await.unwrap(), 1);
    assert_eq!(finds(&store, &wider, any("u", "they")).await, ["a"]);
    assert_eq!(finds(&other, &wider, any("u", "foo they")).await, ["a"]);
    assert_eq!(finds(&store, &wider, any("t", "don't")).await, ["a", "b"]);
    other.drop_collection(model.name().clone()).await.unwrap();
}

/// What cannot be made is refused, and nothing is made.
async fn refusals(url: &str) {
    let model = texts(&["t"]);
    let name: CollectionName = model.name().clone();
    for (analysis, named) in [
        (reads(&[("t", "unheard-of")]), "unheard-of"),
        (reads(&[("k", "standard")]), "field k"),
        (reads(&[("z", "standard")]), "field z"),
        (
            TextAnalysis::new()
                .settings(json!({"analyzer": {"own": {"type": "unheard-of"}}}))
                .unwrap(),
            "unheard-of",
        ),
    ] {
        let store = with(url, &model, analysis).await;
        let error = store
            .ensure(EnsureRequest::new(model.clone()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().contains(named), "{error}");
        assert!(store.describe(name.clone()).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_on_elasticsearch() {
    every_question(&url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_on_opensearch() {
    every_question(&opensearch_url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_with_the_collection_on_elasticsearch() {
    kept_with_the_collection(&url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_with_the_collection_on_opensearch() {
    kept_with_the_collection(&opensearch_url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_on_elasticsearch() {
    refusals(&url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_on_opensearch() {
    refusals(&opensearch_url()).await;
}

/// A language's stems and stop words, which the server of these tests has as a module.
#[tokio::test(flavor = "multi_thread")]
async fn stems_of_a_language() {
    let model = texts(&["t"]);
    let store = with(&opensearch_url(), &model, reads(&[("t", "english")])).await;
    ensure(&store, &model).await;
    put(&store, &model, "a", json!({"t": "The foxes were running."})).await;
    put(&store, &model, "b", json!({"t": "A hen"})).await;
    assert_eq!(finds(&store, &model, any("t", "run")).await, ["a"]);
    let both = Filter::text("t", "the fox", Words::All).unwrap();
    assert_eq!(finds(&store, &model, both).await, ["a"]);
    assert_eq!(finds(&store, &model, any("t", "the")).await, [""; 0]);
    store.drop_collection(model.name().clone()).await.unwrap();
}
