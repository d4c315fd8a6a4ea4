//! Partly loaded documents, and members that the type does not know.
#![cfg(feature = "derive")]

mod support;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom::model::{Body, UnknownFields};
use strongroom::patch::Change;
use strongroom::prelude::*;
use strongroom::query::SourceFilter;
use strongroom::store::{Action, LoadRequest, SaveRequest, Write};
use strongroom::{Operation, Result};
use support::{Watched, at, watched};

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "users")]
struct User {
    #[document(id)]
    name: String,
    #[document(keyword)]
    region: Option<String>,
    #[document(object)]
    address: Option<Address>,
    #[document(updated)]
    changed: Option<Timestamp>,
    #[serde(default)]
    logins: u64,
    #[document(unmapped)]
    #[serde(default)]
    marks: HashMap<String, i64>,
}

#[derive(Object, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
struct Address {
    #[serde(default)]
    city: String,
    #[serde(default)]
    zip: String,
}

/// Stores a body as another program would.
async fn store<T: Document>(w: &Watched, key: &str, body: Value) -> Result<()> {
    let users = w.db.collection::<T>();
    users.ensure().await?;
    let write = Write::put(Key::new(key)?, Body::encode(&body)?, Expected::Any);
    let request = SaveRequest::new(users.model()?.clone(), write);
    w.db.store().save(request).await?;
    w.spy.take();
    w.spy.take_writes();
    Ok(())
}

async fn stored<T: Document>(w: &Watched, key: &str) -> Result<Value> {
    let model = w.db.collection::<T>().model()?.clone();
    let request = LoadRequest::new(model, vec![Key::new(key)?]);
    let found = w.db.store().load(request).await?.pop().flatten();
    found
        .ok_or_else(|| strongroom::Error::invalid("not stored"))?
        .body
        .decode()
}

fn ada() -> Value {
    json!({
        "name": "ada", "region": "eu", "logins": 3, "changed": 5, "extra": [1],
        "address": {"city": "London", "zip": "W1", "floor": 2},
        "marks": {"a": 1, "b": 2, "c": 3, "d": 4},
    })
}

#[tokio::test]
async fn a_partial_save_sends_what_changed_of_what_was_loaded() -> Result<()> {
    let w = watched();
    store::<User>(&w, "ada", ada()).await?;
    let f = User::fields();
    let users = w.db.collection::<User>();
    let some = users.select((f.region(), f.address().city()));
    let mut loaded = some.get("ada").await?.unwrap();
    assert_eq!(loaded.name, "ada", "the key comes with every selection");
    assert_eq!((loaded.logins, loaded.changed), (0, None));
    assert!(matches!(loaded.selection(), Some(SourceFilter::Include(paths)) if paths.len() == 3));
    assert!(!loaded.is_changed());
    let unchanged = users.save(&mut loaded).await?;
    assert_eq!(unchanged, Saved::Unchanged(loaded.version()));

    // Someone changes what was not loaded; the guard is on the whole document all the same.
    loaded.region = Some("us".into());
    loaded.address.as_mut().unwrap().city = "Paris".into();
    w.spy.take_writes();
    w.clock.set(at(9_000));
    users.save(&mut loaded).await?;
    let writes = w.spy.take_writes();
    let Action::Patch(patch) = &writes[0].action else {
        panic!("{writes:?}");
    };
    let path = |p: &str| p.parse().unwrap();
    assert_eq!(
        patch.changes(),
        [
            Change::Set(path("address.city"), json!("Paris")),
            Change::Set(path("region"), json!("us")),
            Change::Set(path("changed"), json!(9_000)),
        ]
    );
    assert!(matches!(writes[0].expected, Expected::Exactly(_)));
    assert_eq!(loaded.changed, Some(at(9_000)));
    assert!(!loaded.is_changed());
    let mut expected = ada();
    expected["region"] = json!("us");
    expected["address"]["city"] = json!("Paris");
    expected["changed"] = json!(9_000);
    assert_eq!(stored::<User>(&w, "ada").await?, expected);

    loaded.region = Some("de".into());
    users.update("ada", |user| user.logins += 1).await?;
    assert!(users.save(&mut loaded).await.unwrap_err().is_conflict());
    users.reload(&mut loaded).await?;
    assert_eq!((loaded.logins, loaded.region.as_deref()), (0, Some("us")));
    Ok(())
}

#[tokio::test]
async fn a_change_of_what_was_not_loaded_is_refused() -> Result<()> {
    let w = watched();
    store::<User>(&w, "ada", ada()).await?;
    let users = w.db.collection::<User>();
    let partly = users.select(["region", "address.city"]);
    type Case = (&'static str, fn(&mut User));
    let cases: [Case; 4] = [
        ("field logins ", |user| user.logins = 1),
        ("field address.zip ", |user| {
            user.address.as_mut().unwrap().zip = "W2".into()
        }),
        ("field marks.x ", |user| {
            user.marks.extend([("x".to_owned(), 1)])
        }),
        ("loaded as", |user| user.name = "eve".into()),
    ];
    for (message, change) in cases {
        let mut loaded = partly.get("ada").await?.unwrap();
        change(&mut loaded);
        w.spy.take();
        let error = users.save(&mut loaded).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(message), "{error}");
        assert_eq!(w.spy.take(), []);
    }
    assert_eq!(stored::<User>(&w, "ada").await?, ada());
    Ok(())
}

#[tokio::test]
async fn selections_in_finds_and_by_exclusion() -> Result<()> {
    let w = watched();
    store::<User>(&w, "ada", ada()).await?;
    let users = w.db.collection::<User>();
    let page = users.find(Filter::all()).select(["region"]).page().await?;
    let mut first = page.into_iter().next().unwrap();
    assert_eq!(
        (first.address.clone(), first.region.as_deref()),
        (None, Some("eu"))
    );
    first.region = None;
    users.save(&mut first).await?;
    let without = SourceFilter::Exclude(vec!["address".parse()?, "name".parse()?]);
    let mut most = users.select(without).get("ada").await?.unwrap();
    assert_eq!(
        (most.name.as_str(), &most.address, most.logins),
        ("ada", &None, 3)
    );
    most.marks.remove("a");
    users.save(&mut most).await?;
    let stored = stored::<User>(&w, "ada").await?;
    assert_eq!(stored["marks"], json!({"b": 2, "c": 3, "d": 4}));
    assert_eq!(stored["address"], ada()["address"]);
    assert_eq!(
        (&stored["region"], &stored["extra"]),
        (&Value::Null, &json!([1]))
    );
    let error = users.select(["not..good"]).get("ada").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Invalid, Some(Operation::Load))
    );
    Ok(())
}

#[tokio::test]
async fn a_missing_field_says_what_to_do() -> Result<()> {
    #[derive(Document, Serialize, Deserialize, Debug)]
    #[document(collection = "strict")]
    struct Strict {
        #[document(id)]
        name: String,
        #[document(keyword)]
        region: String,
        logins: u64,
    }
    let w = watched();
    store::<Strict>(
        &w,
        "ada",
        json!({"name": "ada", "region": "eu", "logins": 1}),
    )
    .await?;
    let all = w.db.collection::<Strict>();
    let error = all.select(["region"]).get("ada").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert!(
        error.message().contains("`logins`") && error.message().contains("select it"),
        "{error}"
    );
    assert_eq!(error.key(), Some(&Key::new("ada")?));
    #[derive(Deserialize)]
    struct View {
        region: String,
    }
    let view = all.select(["region"]).get_as::<View>("ada").await?.unwrap();
    assert_eq!(view.region, "eu");
    Ok(())
}

#[tokio::test]
async fn unknown_members_survive_a_save() -> Result<()> {
    let w = watched();
    store::<User>(&w, "ada", ada()).await?;
    let users = w.db.collection::<User>();
    let mut loaded = users.get("ada").await?.unwrap();
    assert!(!loaded.is_changed());
    assert_eq!(
        users.save(&mut loaded).await?,
        Saved::Unchanged(loaded.version())
    );
    for logins in [4, 5] {
        loaded.logins = logins;
        users.save(&mut loaded).await?;
        assert!(!loaded.is_changed());
    }
    users
        .update("ada", |user| {
            user.address.as_mut().unwrap().zip = "W2".into()
        })
        .await?;
    let mut expected = ada();
    expected["logins"] = json!(5);
    expected["address"]["zip"] = json!("W2");
    expected["changed"] = json!(1_000);
    assert_eq!(stored::<User>(&w, "ada").await?, expected);
    Ok(())
}

#[tokio::test]
async fn an_order_that_differs_each_time_is_no_change() -> Result<()> {
    let w = watched();
    let mut body = ada();
    for n in 0..40 {
        body["marks"][format!("m{n}")] = json!(n);
    }
    store::<User>(&w, "ada", body).await?;
    let users = w.db.collection::<User>();
    let mut loaded = users.get("ada").await?.unwrap();
    // A map built anew has another order of iteration.
    loaded.marks = loaded.marks.drain().collect::<HashMap<_, _>>();
    assert!(!loaded.is_changed());
    assert!(matches!(
        users.save(&mut loaded).await?,
        Saved::Unchanged(_)
    ));
    let (one, two) = (loaded.marks["m1"], loaded.marks["m2"]);
    loaded.marks.insert("m1".into(), two);
    loaded.marks.insert("m2".into(), one);
    assert!(loaded.is_changed(), "same bytes, other value");
    Ok(())
}

#[derive(Document, Serialize, Deserialize, Debug)]
#[document(collection = "dropping", unknown = "drop")]
struct Dropping {
    #[document(id)]
    name: String,
    n: i64,
}

#[derive(Document, Serialize, Deserialize, Debug)]
#[document(collection = "denying", unknown = "deny")]
struct Denying {
    #[document(id)]
    name: String,
    n: i64,
}

#[tokio::test]
async fn unknown_members_are_dropped_or_denied_where_the_model_says_so() -> Result<()> {
    let w = watched();
    let body = json!({"name": "a", "n": 1, "extra": true});
    store::<Dropping>(&w, "a", body.clone()).await?;
    let dropping = w.db.collection::<Dropping>();
    assert_eq!(dropping.model()?.unknown_fields(), UnknownFields::Drop);
    dropping.update("a", |_| ()).await?;
    assert_eq!(
        stored::<Dropping>(&w, "a").await?,
        body,
        "unchanged is not saved"
    );
    dropping.update("a", |d| d.n = 2).await?;
    assert_eq!(
        stored::<Dropping>(&w, "a").await?,
        json!({"name": "a", "n": 2})
    );

    store::<Denying>(&w, "a", body).await?;
    store::<Denying>(&w, "b", json!({"name": "b", "n": 1})).await?;
    let denying = w.db.collection::<Denying>();
    let error = denying.get("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert!(error.message().contains("unknown field extra"), "{error}");
    assert_eq!(denying.update("b", |d| d.n = 2).await?.n, 2);
    Ok(())
}
