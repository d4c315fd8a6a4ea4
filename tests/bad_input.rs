//! What is wrong from outside gets a clear error of the right kind, and nothing is half-done.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use serde::{Deserialize, Serialize};
use strongroom::model::Body;
use strongroom::prelude::*;

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "notes")]
struct Note {
    #[document(id)]
    id: String,
    #[document(keyword)]
    topic: String,
    #[serde(default)]
    #[document(unmapped)]
    extra: serde_json::Value,
}

fn note(id: &str) -> Note {
    Note {
        id: id.to_owned(),
        topic: "t".to_owned(),
        extra: serde_json::Value::Null,
    }
}

fn expect<T: std::fmt::Debug>(
    what: &str,
    result: strongroom::Result<T>,
    kind: ErrorKind,
    names: &str,
) {
    let error = result.expect_err(what);
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(
        error.to_string().contains(names),
        "{what}: {error} does not name {names:?}"
    );
}

async fn notes() -> (tempfile::TempDir, Collection<Note>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("notes.db").display());
    let db = strongroom::connect(&url).await.unwrap();
    let notes = db.collection::<Note>();
    notes.ensure().await.unwrap();
    (folder, notes)
}

#[tokio::test]
async fn urls() {
    expect(
        "scheme",
        strongroom::connect("mongodb://x").await,
        ErrorKind::Config,
        "mongodb",
    );
    expect(
        "no scheme",
        strongroom::connect("notes.db").await,
        ErrorKind::Config,
        "begins with a scheme",
    );
    expect(
        "option",
        strongroom::connect("sqlite://x.db?colour=red").await,
        ErrorKind::Config,
        "colour",
    );
    expect(
        "option's value",
        strongroom::connect("sqlite://x.db?synchronous=sometimes").await,
        ErrorKind::Config,
        "sometimes",
    );
    assert!(
        !std::path::Path::new("x.db").exists(),
        "a refused URL made a file"
    );
}

#[tokio::test]
async fn files() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    let content = "this is no database, whatever its name says\n".repeat(100);
    std::fs::write(&text, &content).unwrap();
    let url = |path: &std::path::Path| format!("sqlite://{}", path.display());
    expect(
        "no database",
        strongroom::connect(&url(&text)).await,
        ErrorKind::Config,
        "text.db",
    );
    assert_eq!(std::fs::read_to_string(&text).unwrap(), content);
    expect(
        "a folder",
        strongroom::connect(&url(folder.path())).await,
        ErrorKind::Config,
        "",
    );
    let nowhere = folder.path().join("missing").join("notes.db");
    expect(
        "no folder",
        strongroom::connect(&url(&nowhere)).await,
        ErrorKind::Config,
        "notes.db",
    );
}

#[tokio::test]
async fn ids() {
    let (_folder, notes) = notes().await;
    for (what, id, names) in [
        ("empty", String::new(), "empty"),
        ("NUL", "a\0b".to_owned(), "NUL"),
        ("long", "x".repeat(513), "513"),
    ] {
        expect(
            what,
            notes.insert(note(&id)).await,
            ErrorKind::Invalid,
            names,
        );
        expect(
            what,
            notes.get(id.as_str()).await,
            ErrorKind::Invalid,
            names,
        );
    }
    notes.insert(note(&"x".repeat(512))).await.unwrap();
    assert_eq!(notes.find(Filter::all()).count().await.unwrap(), 1);
}

#[tokio::test]
async fn bodies() {
    let (_folder, notes) = notes().await;
    let mut deep = serde_json::json!(1);
    for _ in 0..40 {
        deep = serde_json::json!([deep]);
    }
    let with = |extra| Note { extra, ..note("a") };
    expect(
        "deep",
        notes.insert(with(deep)).await,
        ErrorKind::Invalid,
        "32",
    );
    let large = serde_json::json!("x".repeat(17 * 1024 * 1024));
    expect(
        "large",
        notes.insert(with(large)).await,
        ErrorKind::Invalid,
        "16777216",
    );
    let integer = serde_json::json!(u64::MAX);
    expect(
        "integer",
        notes.insert(with(integer)).await,
        ErrorKind::Invalid,
        "18446744073709551615",
    );
    expect("array", Body::parse("[1]"), ErrorKind::Invalid, "object");
    expect("no JSON", Body::parse("{"), ErrorKind::Invalid, "JSON");
    assert_eq!(notes.find(Filter::all()).count().await.unwrap(), 0);
}

#[tokio::test]
async fn filters() {
    let (_folder, notes) = notes().await;
    let unknown = Filter::eq("topix", "t").unwrap();
    expect(
        "unknown field",
        notes.find(unknown).page().await,
        ErrorKind::Invalid,
        "topix",
    );
    let typed = Filter::eq("topic", 3).unwrap();
    expect(
        "type",
        notes.find(typed).count().await,
        ErrorKind::Invalid,
        "topic",
    );
    expect("path", Filter::eq("a..b", 1), ErrorKind::Invalid, "a..b");
    let page = notes.find(Filter::all()).limit(10_001).page().await;
    expect("page", page, ErrorKind::Invalid, "10000");
}

#[tokio::test]
async fn two_models_of_one_collection() {
    #[derive(Document, Serialize, Deserialize, Clone, Debug)]
    #[document(collection = "notes")]
    struct Other {
        #[document(id)]
        id: String,
        topic: i64,
    }

    let db = strongroom::connect("memory:").await.unwrap();
    db.collection::<Note>().ensure().await.unwrap();
    let other = db.collection::<Other>();
    expect(
        "in one handle",
        other.ensure().await,
        ErrorKind::SchemaMismatch,
        "notes",
    );

    let (folder, notes) = notes().await;
    let url = format!("sqlite://{}", folder.path().join("notes.db").display());
    let again = strongroom::connect(&url).await.unwrap();
    expect(
        "in one file",
        again.collection::<Other>().ensure().await,
        ErrorKind::SchemaMismatch,
        "topic",
    );
    notes.insert(note("still-works")).await.unwrap();
}
