//! The index of the words of text stays true, whatever is written in whichever way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Filter, Sort, Words};
use strongroom_core::store::{
    BeginOptions, BulkItem, BulkRequest, CountRequest, EnsureRequest, ExplainRequest, FindRequest,
    MatchingAction, MatchingRequest, Save, SaveRequest, Schema, Search, Store, Transact, Write,
};
use strongroom_sqlite::{SqliteOptions, SqliteStore, Synchronous};

fn model_of(fields: &[(&str, Kind, bool)]) -> Arc<Model> {
    let mut builder = Model::builder("notes");
    for (path, kind, many) in fields {
        let field = FieldDeclaration::new(path.parse().unwrap(), *kind);
        builder = builder.field(if *many { field.many() } else { field });
    }
    builder.build().unwrap()
}

fn model() -> Arc<Model> {
    model_of(&[
        ("title", Kind::Text, false),
        ("deep.Pages", Kind::Text, true),
        ("deep.pages", Kind::Text, false),
        ("parts", Kind::Nested, true),
        ("parts.note", Kind::Text, true),
        ("n", Kind::Integer, false),
    ])
}

async fn in_file(folder: &Path) -> SqliteStore {
    let options = SqliteOptions::file(folder.join("a.db")).synchronous(Synchronous::Normal);
    SqliteStore::open(options).await.unwrap()
}

fn put(id: &str, body: &Value) -> Write {
    let body = Body::encode(body).unwrap();
    Write::put(Key::new(id).unwrap(), body, Expected::Any)
}

async fn ensure(store: &dyn Store, model: &Arc<Model>) {
    let request = EnsureRequest::new(model.clone());
    store.ensure(request).await.unwrap();
}

async fn save(store: &dyn Store, write: Write) {
    let request = SaveRequest::new(model(), write);
    store.save(request).await.unwrap();
}

async fn ids_of(store: &dyn Store, model: &Arc<Model>, filter: Filter) -> Vec<String> {
    let found = store.find(FindRequest::new(model.clone(), filter)).await;
    let documents = found.unwrap().documents.into_iter();
    documents.map(|d| d.key.id().as_str().to_owned()).collect()
}

async fn ids(store: &dyn Store, field: &str, text: &str, words: Words) -> Vec<String> {
    let filter = Filter::text(field, text, words).unwrap();
    ids_of(store, &model(), filter).await
}

/// What SQLite itself finds wrong, and whether the index has a row for each document.
fn check_file(folder: &Path) {
    let file = Connection::open(folder.join("a.db")).unwrap();
    file.execute_batch(r#"INSERT INTO "notes:t" ("notes:t") VALUES ('integrity-check')"#)
        .unwrap();
    let rows = |sql: &str| -> Vec<i64> {
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(
        rows(r#"SELECT id FROM "notes:t_docsize" ORDER BY id"#),
        rows("SELECT row FROM notes ORDER BY row"),
    );
    let found: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
}

#[tokio::test]
async fn the_plan_goes_by_the_index() {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    ensure(&store, &model()).await;
    let plan = async |filter: Filter| {
        let mut request = FindRequest::new(model(), filter);
        request.sort = vec![Sort::ascending("n".parse().unwrap())];
        let explained = store.explain(ExplainRequest::Find(request)).await.unwrap();
        explained.statements[0].plan.join("\n")
    };
    let words = Filter::text("title", "red fox", Words::All).unwrap();
    for filter in [
        words.clone(),
        words.clone().and(Filter::gte("n", 1).unwrap()),
    ] {
        let plan = plan(filter).await;
        assert!(
            plan.contains("SEARCH d USING INTEGER PRIMARY KEY"),
            "{plan}"
        );
        assert!(plan.contains("notes:t VIRTUAL TABLE INDEX"), "{plan}");
        assert!(!plan.contains("SCAN d"), "{plan}");
    }
    let nested = Filter::nested(
        "parts",
        Filter::text("parts.note", "a", Words::Any).unwrap(),
    );
    let plan = plan(nested.unwrap()).await;
    assert!(!plan.contains("notes:t"), "{plan}");
}

#[tokio::test]
async fn words_are_those_of_the_in_memory_store() {
    let texts = [
        json!("İstanbul, STRASSE & Straße; naïve e\u{301}tude"),
        json!("a\u{0}b \"quoted\" it's x*y -not AND OR NOT NEAR(a b)"),
        json!("\u{e000} red\u{e000}fox １２ ǅ Ⱥ ẞ"),
        json!(""),
        json!("--- ... \u{0}"),
        json!("red  fox"),
        json!(["red", "fox"]),
        json!(["the red fox", ["x"]]),
        json!([[], null, 5, "fox red"]),
        json!(5),
        json!({"red": "fox"}),
        json!("before after"),
        json!("Ⱥ".repeat(2_000)),
    ];
    let questions = [
        "İstanbul",
        "istanbul",
        "i̇stanbul",
        "strasse",
        "straße",
        "naïve",
        "naive",
        "étude",
        "e\u{301}tude",
        "a b",
        "quoted it s",
        "x y",
        "AND",
        "and or not near",
        "red fox",
        "fox red",
        "１２",
        "12",
        "ǆ",
        "ⱥ",
        "ẞ",
        "tail",
        "before after",
        "before",
        "word word",
        "red fox red fox",
        "fox fox",
    ];
    let oracle = MemoryStore::new();
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    for store in [&oracle as &dyn Store, &store] {
        ensure(store, &model()).await;
        for (at, text) in texts.iter().enumerate() {
            let body = json!({"deep": {"Pages": text}, "title": "unrelated", "parts": [{"note": text}, {"note": "fox"}]});
            save(store, put(&format!("k{at:02}"), &body)).await;
        }
    }
    let long = "Ⱥ".repeat(2_000);
    let mut found_some = 0;
    for question in questions.into_iter().chain([long.as_str()]) {
        for words in [Words::Any, Words::All, Words::Phrase] {
            for field in ["deep.Pages", "deep.pages", "title", "parts.note"] {
                let wanted = ids(&oracle, field, question, words).await;
                let found = ids(&store, field, question, words).await;
                assert_eq!(found, wanted, "{words:?} of {question:?} in {field}");
                found_some += usize::from(!wanted.is_empty());
            }
            let inner = Filter::text("parts.note", question, words).unwrap();
            let nested = Filter::nested("parts", inner).unwrap();
            let wanted = ids_of(&oracle, &model(), nested.clone()).await;
            let found = ids_of(&store, &model(), nested).await;
            assert_eq!(found, wanted, "{words:?} of {question:?} in objects");
        }
    }
    assert!(found_some > 80, "{found_some} questions found something");
}

#[tokio::test]
async fn large_texts_and_long_words() {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    ensure(&store, &model()).await;
    let texts = [
        format!("{} tail", "ab".repeat(500_000)),
        format!("before {} after", "é".repeat(20_000)),
        "before after".to_owned(),
        format!("{} end", "word ".repeat(200_000)),
    ];
    for (at, text) in texts.iter().enumerate() {
        save(&store, put(&format!("k{at}"), &json!({"title": text}))).await;
    }
    let check = async |text: &str, words, wanted: &[&str]| {
        let found = ids(&store, "title", text, words).await;
        assert_eq!(found, wanted, "{text}");
    };
    check("tail", Words::Any, &["k0"]).await;
    check("before after", Words::All, &["k1", "k2"]).await;
    // The word between the two is not indexed, and still between them.
    check("before after", Words::Phrase, &["k2"]).await;
    check("word word end", Words::Phrase, &["k3"]).await;
    check("word after", Words::All, &[]).await;
    save(&store, put("k3", &json!({"title": "short"}))).await;
    check("word", Words::Any, &[]).await;
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, Value),
    Patch(u8, Value),
    Delete(u8),
    Bulk(Vec<(u8, Value)>),
    PatchMatching(String, Value),
    DeleteMatching(String),
    /// Steps within a transaction, or a savepoint where there is one, and whether they stay.
    Scope(Vec<Step>, bool),
}

fn text() -> impl Strategy<Value = Value> {
    let words = || proptest::collection::vec("red|fox|Fox|den|é", 0..4).prop_map(|w| w.join(" "));
    prop_oneof![
        4 => words().prop_map(Value::from),
        2 => proptest::collection::vec(words().prop_map(Value::from), 0..3).prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn note() -> impl Strategy<Value = Value> {
    (text(), text(), text(), 0..3).prop_map(|(title, pages, note, n)| {
        json!({"title": title, "deep": {"Pages": pages}, "parts": [{"note": note}], "n": n})
    })
}

fn step() -> BoxedStrategy<Step> {
    let word = || "red|fox|den";
    let flat = prop_oneof![
        4 => (0..6u8, note()).prop_map(|(id, body)| Step::Put(id, body)),
        2 => (0..6u8, text()).prop_map(|(id, text)| Step::Patch(id, text)),
        2 => (0..6u8).prop_map(Step::Delete),
        1 => proptest::collection::vec((0..6u8, note()), 1..5).prop_map(Step::Bulk),
        1 => (word(), text()).prop_map(|(word, text)| Step::PatchMatching(word, text)),
        1 => word().prop_map(Step::DeleteMatching),
    ];
    flat.prop_recursive(2, 12, 4, |inner| {
        (proptest::collection::vec(inner, 1..4), any::<bool>())
            .prop_map(|(steps, stays)| Step::Scope(steps, stays))
    })
    .boxed()
}

async fn take(store: &dyn Store, step: &Step) {
    let key = |id: &u8| Key::new(format!("k{id}")).unwrap();
    let title = || "title".parse().unwrap();
    let matching = |word: &str, action| {
        let filter = Filter::text("title", word, Words::Any).unwrap();
        MatchingRequest::new(model(), filter, action)
    };
    match step {
        Step::Put(id, body) => save(store, put(&format!("k{id}"), body)).await,
        Step::Patch(id, text) => {
            let patch = Patch::new().set(title(), text.clone());
            let write = Write::patch(key(id), patch, Expected::Any);
            // A document that is not there is not patched.
            let _ = store.save(SaveRequest::new(model(), write)).await;
        }
        Step::Delete(id) => save(store, Write::delete(key(id), Expected::Any)).await,
        Step::Bulk(all) => {
            let items = all
                .iter()
                .map(|(id, body)| BulkItem::Write(put(&format!("k{id}"), body)));
            let reply = store.bulk(BulkRequest::new(model(), items.collect())).await;
            assert!(reply.unwrap().is_ok());
        }
        Step::PatchMatching(word, text) => {
            let patch = Patch::new().set(title(), text.clone());
            let request = matching(word, MatchingAction::Patch(patch));
            store.write_matching(request).await.unwrap();
        }
        Step::DeleteMatching(word) => {
            let request = matching(word, MatchingAction::Delete);
            store.write_matching(request).await.unwrap();
        }
        Step::Scope(steps, stays) => {
            let scope = store.transact().unwrap();
            let scope = scope.begin(BeginOptions::new()).await.unwrap();
            for step in steps {
                Box::pin(take(&*scope, step)).await;
            }
            if *stays {
                scope.commit().await.unwrap();
            } else {
                scope.rollback().await.unwrap();
            }
        }
    }
}

async fn same_answers(store: &dyn Store, oracle: &dyn Store) -> Result<(), TestCaseError> {
    for field in ["title", "deep.Pages", "parts.note"] {
        for question in ["red", "fox", "den", "é", "red fox", "fox den red"] {
            for words in [Words::Any, Words::All, Words::Phrase] {
                let wanted = ids(oracle, field, question, words).await;
                let found = ids(store, field, question, words).await;
                prop_assert_eq!(found, wanted, "{:?} of {:?} in {}", words, question, field);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_stays_true_through_every_history(
        steps in proptest::collection::vec(step(), 1..24),
        in_memory in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = if in_memory {
                SqliteStore::open(SqliteOptions::memory()).await.unwrap()
            } else {
                in_file(folder.path()).await
            };
            let oracle = MemoryStore::new();
            ensure(&store, &model()).await;
            ensure(&oracle, &model()).await;
            for step in &steps {
                take(&store, step).await;
                take(&oracle, step).await;
            }
            same_answers(&store, &oracle).await?;
            store.close().await.unwrap();
            if !in_memory {
                check_file(folder.path());
            }
            Ok(())
        });
        outcome?;
    }
}

/// The triggers that a write of a document sets off change nothing of what the write tells.
#[tokio::test]
async fn writes_tell_the_same() {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    ensure(&store, &model()).await;
    let created = store
        .save(SaveRequest::new(
            model(),
            put("a", &json!({"title": "red"})),
        ))
        .await
        .unwrap();
    let version = created.version.unwrap();
    let write = |expected| {
        let body = Body::encode(&json!({"title": "blue"})).unwrap();
        let write = Write::put(Key::new("a").unwrap(), body, expected);
        store.save(SaveRequest::new(model(), write))
    };
    let replaced = write(Expected::Exactly(version)).await.unwrap();
    let lost = write(Expected::Exactly(version)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Conflict);
    assert_eq!(
        write(Expected::Absent).await.unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let again = write(Expected::Present).await.unwrap();
    assert_eq!(
        again.version.unwrap(),
        replaced.version.unwrap().next().unwrap()
    );
    assert_eq!(ids(&store, "title", "blue", Words::Any).await, ["a"]);
    assert!(ids(&store, "title", "red", Words::Any).await.is_empty());
}

#[tokio::test]
async fn a_text_that_stays_is_not_indexed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = in_file(folder.path()).await;
    ensure(&store, &model()).await;
    let body = |n: i64, title: &str| json!({"n": n, "title": title, "deep": {"Pages": ["x"]}});
    save(&store, put("a", &body(1, "red fox"))).await;
    // Every write to the index changes the record of its structure.
    let structure = || -> Vec<u8> {
        let file = Connection::open(folder.path().join("a.db")).unwrap();
        let sql = r#"SELECT block FROM "notes:t_data" WHERE id = 10"#;
        file.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = structure();
    save(&store, put("a", &body(2, "red fox"))).await;
    assert_eq!(structure(), before);
    save(&store, put("a", &body(2, "red dog"))).await;
    assert_ne!(structure(), before);
}

#[tokio::test]
async fn it_grows_with_the_model_and_goes_with_the_collection() {
    let folder = tempfile::tempdir().unwrap();
    let store = in_file(folder.path()).await;
    let plain = model_of(&[("n", Kind::Integer, false)]);
    ensure(&store, &plain).await;
    let tables = || -> i64 {
        let file = Connection::open(folder.path().join("a.db")).unwrap();
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'notes:t%'";
        file.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(tables(), 0, "what declares no text has no index");
    save(
        &store,
        put("a", &json!({"title": "red", "Title": ["blue", "sky"]})),
    )
    .await;
    // A model that was not ensured is told of, not answered without an index.
    let titled = model_of(&[("title", Kind::Text, false)]);
    let red = || Filter::text("title", "red", Words::Any).unwrap();
    let error = store.count(CountRequest::new(titled.clone(), red())).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::SchemaMismatch);
    ensure(&store, &titled).await;
    assert_eq!(ids_of(&store, &titled, red()).await, ["a"]);
    // Another process goes on with the model it knows, and then with one that has more.
    let other = in_file(folder.path()).await;
    ensure(&other, &plain).await;
    save(&other, put("b", &json!({"title": "red red"}))).await;
    assert_eq!(ids_of(&store, &titled, red()).await, ["a", "b"]);
    let both = model_of(&[("title", Kind::Text, false), ("Title", Kind::Text, true)]);
    let sky = Filter::text("Title", "sky", Words::Any).unwrap();
    let error = store
        .count(CountRequest::new(both.clone(), sky.clone()))
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::SchemaMismatch);
    ensure(&other, &both).await;
    assert_eq!(ids_of(&store, &both, sky.clone()).await, ["a"]);
    assert_eq!(ids_of(&store, &titled, red()).await, ["a", "b"]);
    save(
        &store,
        put("a", &json!({"title": "blue", "Title": "red sky"})),
    )
    .await;
    assert_eq!(ids_of(&other, &both, red()).await, ["b"]);
    assert_eq!(ids_of(&other, &both, sky.clone()).await, ["a"]);
    let name = both.name().clone();
    assert!(store.drop_collection(name).await.unwrap());
    assert_eq!(tables(), 0);
    ensure(&other, &both).await;
    assert!(ids_of(&store, &both, sky).await.is_empty());
    check_file(folder.path());
}

#[tokio::test]
async fn it_is_made_and_dropped_within_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let store = in_file(folder.path()).await;
    let red = || CountRequest::new(model(), Filter::text("title", "red", Words::Any).unwrap());
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    ensure(&*tx, &model()).await;
    save(&*tx, put("a", &json!({"title": "red"}))).await;
    assert_eq!(tx.count(red()).await.unwrap(), 1);
    tx.rollback().await.unwrap();
    let error = store.count(red()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    ensure(&store, &model()).await;
    save(&store, put("a", &json!({"title": "red"}))).await;
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    assert!(tx.drop_collection(model().name().clone()).await.unwrap());
    ensure(&*tx, &model()).await;
    save(&*tx, put("b", &json!({"title": "red"}))).await;
    tx.rollback().await.unwrap();
    assert_eq!(ids(&store, "title", "red", Words::Any).await, ["a"]);
    save(&store, put("b", &json!({"title": "red"}))).await;
    assert_eq!(ids(&store, "title", "red", Words::Any).await, ["a", "b"]);
    check_file(folder.path());
}

#[tokio::test]
async fn a_broken_index_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = in_file(folder.path()).await;
    ensure(&store, &model()).await;
    for broken in [
        r#"DROP TABLE "notes:t""#,
        r#"DROP TRIGGER "notes:t:insert""#,
        r#"DROP TRIGGER "notes:t:update""#,
        r#"DROP TRIGGER "notes:t:delete""#,
    ] {
        let file = Connection::open(folder.path().join("a.db")).unwrap();
        file.execute_batch(broken).unwrap();
        drop(file);
        let reader = in_file(folder.path()).await;
        let request = EnsureRequest::new(model());
        let report = reader.ensure(request).await.unwrap();
        assert!(!report.created && report.added.is_empty());
        save(&store, put("a", &json!({"title": "red"}))).await;
        assert_eq!(ids(&reader, "title", "red", Words::Any).await, ["a"]);
        save(&store, put("a", &json!({"title": "blue"}))).await;
        assert!(ids(&reader, "title", "red", Words::Any).await.is_empty());
        check_file(folder.path());
    }
}

#[tokio::test]
async fn many_text_fields() {
    let names: Vec<String> = (0..300).map(|n| format!("f{n}")).collect();
    let fields: Vec<_> = names
        .iter()
        .map(|n| (n.as_str(), Kind::Text, false))
        .collect();
    let model = model_of(&fields);
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    ensure(&store, &model).await;
    let body = Value::Object(
        names
            .iter()
            .map(|name| (name.clone(), json!(format!("word of {name}"))))
            .collect(),
    );
    save(&store, put("a", &body)).await;
    for (field, text, wanted) in [
        ("f0", "f0", 1),
        ("f299", "word of f299", 1),
        ("f7", "f8", 0),
    ] {
        let filter = Filter::text(field, text, Words::Phrase).unwrap();
        let count = store.count(CountRequest::new(model.clone(), filter)).await;
        assert_eq!(count.unwrap(), wanted, "{field}");
    }
}

#[tokio::test]
async fn fields_of_any_name() {
    let names = [
        "it's ; --",
        "a,b",
        "x=y",
        "content=''",
        "(z)",
        "`w`",
        "größe",
        "rank",
        "rowid",
        "^A",
        "A",
        "a",
        "{c} : x",
        "?1",
        "tokenize",
    ];
    let fields: Vec<_> = names.map(|n| (n, Kind::Text, false)).to_vec();
    let model = model_of(&fields);
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    ensure(&store, &model).await;
    for (at, name) in names.iter().enumerate() {
        let body = json!({ *name: format!("word{at}") });
        save(&store, put(&format!("k{at:02}"), &body)).await;
    }
    for (at, name) in names.iter().enumerate() {
        let words = |word: usize| Filter::text(name, format!("word{word}"), Words::Any).unwrap();
        let found = ids_of(&store, &model, words(at)).await;
        assert_eq!(found, [format!("k{at:02}")], "{name}");
        let found = ids_of(&store, &model, words((at + 1) % names.len())).await;
        assert!(found.is_empty(), "{name}: {found:?}");
        let body = json!({ *name: "word" });
        save(&store, put(&format!("k{at:02}"), &body)).await;
        assert!(ids_of(&store, &model, words(at)).await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_question_of_as_many_words_as_there_may_be() {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    ensure(&store, &model()).await;
    let text: Vec<String> = (0..32).map(|n| format!("w{n}")).collect();
    save(&store, put("a", &json!({"title": text.join(" ")}))).await;
    save(&store, put("b", &json!({"title": "w31"}))).await;
    let text = text.join(" ");
    assert_eq!(ids(&store, "title", &text, Words::Any).await, ["a", "b"]);
    assert_eq!(ids(&store, "title", &text, Words::All).await, ["a"]);
    assert_eq!(ids(&store, "title", &text, Words::Phrase).await, ["a"]);
}
