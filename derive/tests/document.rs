//! What the derive writes: the model, the key, stamps, and handles.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]
#![allow(dead_code, unused_imports, reason = "fields are there to be declared")]

use serde::{Deserialize, Serialize};
use strongroom_core::handle::{Document as _, IdSource, IntoSelection as _};
use strongroom_core::model::{FieldDeclaration, Key, Kind, Model, Timestamp, UnknownFields};
use strongroom_core::query::{Filter, Sort, SourceFilter, Words};
use strongroom_derive::{Document, Object};

#[derive(Document, Serialize, Deserialize, Debug)]
#[document(collection = "users", crate = strongroom_core)]
struct User {
    #[document(id)]
    username: String,
    #[document(indexed)]
    region: Option<String>,
    #[document(text)]
    bio: String,
    #[document(created)]
    created_at: Option<Timestamp>,
    #[document(updated)]
    changed: Timestamp,
    #[document(unique)]
    email: Option<String>,
    #[document(secret)]
    token: String,
    logins: u64,
    tags: Vec<String>,
    #[document(unmapped)]
    notes: serde_json::Value,
    address: Option<Address>,
    #[document(nested)]
    items: Vec<Item>,
    #[document(scaled_float(factor = 100))]
    price: f64,
    #[serde(skip)]
    cached: Option<Box<u128>>,
    #[document(keyword)]
    r#type: Status,
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Status {
    Member,
    Guest,
}

#[derive(Object, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(crate = strongroom_core)]
#[serde(rename_all = "camelCase")]
struct Address {
    #[document(indexed)]
    city_name: String,
    position: Position,
    lines: Vec<String>,
}

#[derive(Object, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(crate = strongroom_core, fields = PositionHandle)]
struct Position {
    lat: f64,
    lon: f64,
}

#[derive(Object, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(crate = strongroom_core)]
struct Item {
    sku: String,
    count: i32,
}

fn declared<'a>(model: &'a Model, path: &str) -> &'a FieldDeclaration {
    model
        .field(path)
        .unwrap_or_else(|| panic!("{path} is not declared"))
}

#[test]
fn the_model_has_what_types_and_attributes_say() {
    let model = User::model().unwrap();
    assert_eq!(model.name().as_str(), "users");
    assert!(!model.is_routed());
    assert_eq!(model.unknown_fields(), UnknownFields::Keep);
    let kinds = [
        ("username", Kind::Keyword, false),
        ("region", Kind::Keyword, false),
        ("bio", Kind::Text, false),
        ("created_at", Kind::Timestamp, false),
        ("changed", Kind::Timestamp, false),
        ("email", Kind::Keyword, false),
        ("token", Kind::Keyword, false),
        ("logins", Kind::Integer, false),
        ("tags", Kind::Keyword, true),
        ("address", Kind::Object, false),
        ("address.cityName", Kind::Keyword, false),
        ("address.position", Kind::Object, false),
        ("address.position.lat", Kind::Float, false),
        ("address.position.lon", Kind::Float, false),
        ("address.lines", Kind::Keyword, true),
        ("items", Kind::Nested, true),
        ("items.sku", Kind::Keyword, true),
        ("items.count", Kind::Integer, true),
        ("price", Kind::ScaledFloat { factor: 100 }, false),
        ("type", Kind::Keyword, false),
    ];
    for (path, kind, many) in kinds {
        let field = declared(&model, path);
        assert_eq!((field.kind, field.many), (kind, many), "{path}");
    }
    assert_eq!(model.fields().count(), kinds.len());
    assert!(declared(&model, "region").indexed);
    assert!(declared(&model, "address.cityName").indexed);
    assert!(declared(&model, "email").unique);
    assert!(declared(&model, "token").secret);
    assert!(!declared(&model, "logins").indexed);
    assert_eq!(
        model.created().map(ToString::to_string).as_deref(),
        Some("created_at")
    );
    assert_eq!(
        model.updated().map(ToString::to_string).as_deref(),
        Some("changed")
    );
    assert!(std::sync::Arc::ptr_eq(&model, &User::model().unwrap()));
}

#[test]
fn handles_know_their_paths_and_kinds() {
    let f = User::fields();
    let filters = [
        (f.region().eq("eu"), Filter::eq("region", "eu")),
        (f.logins().gte(3), Filter::gte("logins", 3)),
        (
            f.tags().is_in(["a", "b"]),
            Filter::is_in("tags", ["a", "b"]),
        ),
        (f.bio().exists(), Filter::exists("bio")),
        (f.address().exists(), Filter::exists("address")),
        (
            f.address().city_name().prefix("Lon"),
            Filter::prefix("address.cityName", "Lon"),
        ),
        (
            f.address().position().lat().lt(5),
            Filter::lt("address.position.lat", 5),
        ),
        (f.items().sku().eq("x"), Filter::eq("items.sku", "x")),
        (f.items().exists(), Filter::exists("items")),
        (f.region().wildcard("e*"), Filter::wildcard("region", "e*")),
        (
            f.bio().has_phrase("first program"),
            Filter::text("bio", "first program", Words::Phrase),
        ),
        (
            f.items()
                .any(f.items().sku().eq("x").and(f.items().count().gt(1))),
            Filter::nested(
                "items",
                Filter::eq("items.sku", "x")
                    .unwrap()
                    .and(Filter::gt("items.count", 1).unwrap()),
            ),
        ),
        (f.price().gt(1.5), Filter::gt("price", 1.5)),
        (
            f.r#type().eq_value(&Status::Guest).unwrap(),
            Filter::eq("type", "guest"),
        ),
    ];
    let model = User::model().unwrap();
    for (typed, untyped) in filters {
        assert_eq!(typed, untyped.unwrap());
        typed.check(&model).unwrap();
    }
    assert_eq!(
        f.logins().desc(),
        Sort::descending("logins".parse().unwrap())
    );
    assert_eq!(f.notes().path().as_str(), "notes");
    let selection = (f.address(), f.items(), f.logins(), f.address().city_name());
    let SourceFilter::Include(paths) = selection.into_selection().unwrap() else {
        panic!("a selection of fields includes them");
    };
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["address", "items", "logins", "address.cityName"]);
    let item = Item {
        sku: "x".to_owned(),
        count: 1,
    };
    let patch = f
        .logins()
        .increment(1)
        .and(f.region().set("eu"))
        .and(f.r#type().set(Status::Member))
        .and(f.items().append([&item]))
        .and(f.notes().set(serde_json::json!({"a": 1})))
        .and(f.address().position().lat().set(1.5))
        .and(f.tags().remove(["old"]))
        .and(f.email().unset());
    patch.check().unwrap();
    assert_eq!(patch.changes().len(), 8);
}

#[test]
fn keys_given_generated_and_computed() {
    #[derive(Debug)]
    struct Ids;
    impl IdSource for Ids {
        fn next_id(&self) -> String {
            "01902d5e-0000-7000-8000-000000000001".to_owned()
        }
    }

    #[derive(Document, Serialize, Deserialize)]
    #[document(collection = "generated", crate = strongroom_core)]
    struct Generated {
        #[document(id(generated))]
        id: Option<uuid::Uuid>,
        #[document(routing)]
        tenant: u32,
    }
    let mut value = Generated {
        id: None,
        tenant: 7,
    };
    assert!(value.key().unwrap_err().message().contains("not drawn"));
    value.assign_id(&Ids);
    let key = value.key().unwrap();
    assert_eq!(key, Key::routed("7", Ids.next_id()).unwrap());
    value.assign_id(&Ids);
    assert_eq!(value.key().unwrap(), key);
    assert_eq!(Generated::key_fields(), ["id", "tenant"]);
    const { assert!(Generated::ROUTED) };
    assert!(Generated::model().unwrap().is_routed());

    #[derive(Document, Serialize, Deserialize)]
    #[document(collection = "computed", id = Self::slug, routing = region, unknown = "deny", crate = strongroom_core)]
    struct Computed {
        name: String,
    }
    impl Computed {
        fn slug(&self) -> String {
            self.name.to_lowercase()
        }
    }
    fn region(value: &Computed) -> &'static str {
        if value.name.is_empty() { "" } else { "eu" }
    }
    let value = Computed {
        name: "ADA".to_owned(),
    };
    assert_eq!(value.key().unwrap(), Key::routed("eu", "ada").unwrap());
    assert!(Computed::key_fields().is_empty());
    assert_eq!(
        Computed::model().unwrap().unknown_fields(),
        UnknownFields::Deny
    );
    assert!(
        Computed {
            name: String::new()
        }
        .key()
        .is_err()
    );

    let given = Computed {
        name: "x".repeat(513),
    };
    assert!(given.key().unwrap_err().message().contains("allowed are"));
}

#[derive(Object, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(crate = strongroom_core)]
struct Comment {
    text: String,
    replies: Vec<Self>,
    more: Option<Box<Self>>,
}

#[test]
fn kinds_for_types_that_have_none() {
    type Words = Vec<String>;

    #[derive(Document, Serialize, Deserialize)]
    #[document(collection = "given", crate = strongroom_core, fields = GivenHandles)]
    struct Given {
        #[document(id)]
        id: u32,
        #[document(keyword, many)]
        words: Words,
        #[document(keyword)]
        states: Option<Vec<Status>>,
        #[document(timestamp)]
        at: i64,
        #[document(object(open))]
        extra: Open,
        #[document(bytes)]
        picture: String,
        scores: std::collections::BTreeMap<String, f64>,
        #[document(unmapped)]
        #[serde(flatten)]
        rest: serde_json::Map<String, serde_json::Value>,
    }
    #[derive(Serialize, Deserialize)]
    struct Open {
        x: u8,
    }
    let model = Given::model().unwrap();
    let kinds = [
        ("id", Kind::Integer, false),
        ("words", Kind::Keyword, true),
        ("states", Kind::Keyword, true),
        ("at", Kind::Timestamp, false),
        ("extra", Kind::Object, false),
        ("picture", Kind::Bytes, false),
        ("scores", Kind::Object, false),
    ];
    for (path, kind, many) in kinds {
        let field = declared(&model, path);
        assert_eq!((field.kind, field.many), (kind, many), "{path}");
    }
    assert_eq!(model.fields().count(), kinds.len());
    let f: GivenHandles = Given::fields();
    let at = Timestamp::from_millis(7).unwrap();
    assert_eq!(f.at().eq(at), Filter::eq("at", 7).unwrap());
    let open = f
        .states()
        .append([Status::Guest])
        .and(f.at().set(8))
        .and(f.extra().set(Open { x: 1 }));
    open.check().unwrap();
}

#[test]
fn an_object_that_holds_itself_is_refused() {
    #[derive(Document, Serialize, Deserialize)]
    #[document(collection = "threads", crate = strongroom_core)]
    struct Thread {
        #[document(id)]
        id: String,
        comments: Vec<Comment>,
    }
    let error = Thread::model().unwrap_err();
    assert_eq!(error.kind(), strongroom_core::ErrorKind::Invalid);
    assert!(error.message().contains("more than 32 names"), "{error}");
}
