//! The typed handle: inserting, loading, saving, deleting, and what is no I/O.
#![cfg(feature = "derive")]

mod support;

use serde::{Deserialize, Serialize};
use strongroom::handle::{Deleted, UnchangedSave};
use strongroom::prelude::*;
use strongroom::{Operation, Result};
use support::{at, watched};

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "users")]
struct User {
    #[document(id)]
    username: String,
    #[document(indexed)]
    region: String,
    #[document(created)]
    created_at: Option<Timestamp>,
    #[document(updated)]
    updated_at: Option<Timestamp>,
    logins: u64,
    #[document(secret)]
    token: Option<String>,
}

fn user(username: &str) -> User {
    User {
        username: username.to_owned(),
        region: "eu".to_owned(),
        created_at: None,
        updated_at: None,
        logins: 0,
        token: None,
    }
}

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "notes")]
struct Note {
    #[document(id(generated))]
    id: String,
    text: String,
}

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "people")]
struct Person {
    #[document(routing)]
    country: String,
    #[document(id)]
    name: String,
    age: u32,
}

#[tokio::test]
async fn a_document_from_insert_to_delete() -> Result<()> {
    let w = watched();
    let users = w.db.collection::<User>();
    assert!(users.ensure().await?.created);
    let mut ada = users.insert(user("ada")).await?;
    assert_eq!(ada.version().revision(), Some(1));
    assert!(!ada.is_changed());
    let error = users.insert(user("ada")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.key(), Some(ada.key()));
    assert_eq!(error.collection().unwrap().as_str(), "users");
    assert_eq!(error.operation(), Some(Operation::Save));

    ada.logins += 1;
    assert!(ada.is_changed());
    let saved = users.save(&mut ada).await?;
    assert_eq!(saved, Saved::Updated(ada.version()));
    assert_eq!(ada.version().revision(), Some(2));
    let loaded = users.get("ada").await?.unwrap();
    assert_eq!(*loaded, *ada);
    assert_eq!(loaded.version(), ada.version());
    assert!(users.exists("ada").await?);
    assert!(users.get("bob").await?.is_none());
    let keys = ["bob", "ada", "bob", "ada"];
    let found = users.get_many(keys).await?;
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, true, false, true]
    );

    let stale = ada.clone();
    users.update("ada", |user| user.logins += 1).await?;
    let error = users.delete(&stale, stale.version()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    users.reload(&mut ada).await?;
    assert_eq!(users.delete(&ada, ada.version()).await?, Deleted::Removed);
    assert_eq!(users.delete("ada", Expected::Any).await?, Deleted::Absent);
    assert!(!users.exists("ada").await?);
    let error = users.reload(&mut ada).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(ada.logins, 2);
    let error = users.update("ada", |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(users.drop_collection().await?);
    assert!(users.describe().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn an_unchanged_document_is_no_io() -> Result<()> {
    let w = watched();
    let users = w.db.collection::<User>();
    users.ensure().await?;
    users.insert(user("ada")).await?;
    let mut ada = users.get("ada").await?.unwrap();
    w.spy.take();
    ada.logins += 1;
    ada.logins -= 1;
    let version = ada.version();
    assert_eq!(users.save(&mut ada).await?, Saved::Unchanged(version));
    users.update("ada", |_| ()).await?;
    assert_eq!(w.spy.take(), [Operation::Load]);

    let strict = users.clone().with_unchanged(UnchangedSave::Refuse);
    let error = strict.save(&mut ada).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.key(), Some(ada.key()));

    // Looking at documents and building requests is no I/O either.
    let _ = format!("{ada:?} {users:?} {:?}", users.find(Filter::all()));
    let _ = (ada.is_changed(), serde_json::to_string(&*ada).unwrap());
    let _ = users.select(["region"]).bulk().insert(user("x"));
    drop(ada);
    assert_eq!(w.spy.take(), []);
    Ok(())
}

#[tokio::test]
async fn conflicts_tell_and_can_be_merged() -> Result<()> {
    let w = watched();
    let users = w.db.collection::<User>();
    users.ensure().await?;
    let mut mine = users.insert(user("ada")).await?;
    let theirs = users
        .update("ada", |user| user.region = "us".into())
        .await?;
    mine.logins = 5;
    let error = users.save(&mut mine).await.unwrap_err();
    assert!(error.is_conflict());
    let detail = error.conflict_detail().unwrap();
    assert_eq!(detail.expected, Expected::Exactly(mine.version()));
    assert_eq!(detail.actual, Some(theirs.version()));
    assert_eq!(error.key(), Some(mine.key()));
    assert_eq!(mine.logins, 5, "the changes are still there");

    let wanted = mine.logins;
    users.reload(&mut mine).await?;
    mine.logins = mine.logins.max(wanted);
    users.save(&mut mine).await?;
    let merged = users.get("ada").await?.unwrap();
    assert_eq!((merged.region.as_str(), merged.logins), ("us", 5));
    Ok(())
}

#[tokio::test]
async fn values_are_put_under_an_expectation_without_a_load() -> Result<()> {
    let w = watched();
    let users = w.db.collection::<User>();
    users.ensure().await?;
    let mut value = user("ada");
    w.spy.take();
    assert!(matches!(
        users.put(&mut value, Expected::Any).await?,
        Saved::Created(_)
    ));
    let Saved::Updated(second) = users.put(&mut value, Expected::Present).await? else {
        panic!("the document was there");
    };
    let ada = users.save_with(value.clone(), second).await?;
    assert_eq!(ada.version().revision(), Some(3));
    assert_eq!(w.spy.take(), [Operation::Save; 3]);
    let error = users.save_with(value, second).await.unwrap_err();
    assert_eq!(error.actual_version(), Some(ada.version()));
    let error = users.save_with(user("bob"), second).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    Ok(())
}

#[tokio::test]
async fn stamps_come_from_the_clock_and_stay_when_a_save_fails() -> Result<()> {
    let w = watched();
    let users = w.db.collection::<User>();
    users.ensure().await?;
    let mut ada = users.insert(user("ada")).await?;
    assert_eq!(
        (ada.created_at, ada.updated_at),
        (Some(at(1_000)), Some(at(1_000)))
    );
    w.clock.set(at(2_000));
    ada.logins = 1;
    users.save(&mut ada).await?;
    assert_eq!(
        (ada.created_at, ada.updated_at),
        (Some(at(1_000)), Some(at(2_000)))
    );
    assert!(!ada.is_changed());
    assert_eq!(*users.get("ada").await?.unwrap(), *ada);

    w.clock.set(at(3_000));
    ada.logins = 2;
    for kind in [ErrorKind::Conflict, ErrorKind::Invalid] {
        w.spy
            .fail_next(Operation::Save, strongroom::Error::new(kind, "no"));
        assert_eq!(users.save(&mut ada).await.unwrap_err().kind(), kind);
        assert_eq!((ada.updated_at, ada.logins), (Some(at(2_000)), 2));
    }
    w.spy.fail_next(
        Operation::Save,
        strongroom::Error::new(ErrorKind::Invalid, "no"),
    );
    let mut bob = user("bob");
    users.put(&mut bob, Expected::Absent).await.unwrap_err();
    assert_eq!((bob.created_at, bob.updated_at), (None, None));

    ada.created_at = None;
    users.save(&mut ada).await?;
    assert_eq!(
        (ada.created_at, ada.updated_at),
        (Some(at(1_000)), Some(at(3_000)))
    );
    w.clock.set(at(4_000));
    let f = User::fields();
    users
        .patch("ada", f.logins().increment(1), Expected::Any)
        .await?;
    let ada = users.get("ada").await?.unwrap();
    assert_eq!((ada.logins, ada.updated_at), (3, Some(at(4_000))));
    assert_eq!(ada.created_at, Some(at(1_000)));
    Ok(())
}

#[tokio::test]
async fn keys_and_routings() -> Result<()> {
    let w = watched();
    let notes = w.db.collection::<Note>();
    notes.ensure().await?;
    let mut ids = Vec::new();
    for text in ["a", "b"] {
        let note = Note {
            id: String::new(),
            text: text.to_owned(),
        };
        let note = notes.insert(note).await?;
        assert_eq!(note.key().id().as_str(), note.id);
        ids.push(note.id.clone());
    }
    assert!(
        ids[0] < ids[1] && ids[0].parse::<uuid::Uuid>().is_ok(),
        "{ids:?}"
    );
    let id: uuid::Uuid = ids[0].parse().unwrap();
    assert_eq!(notes.get(id).await?.unwrap().text, "a");

    let people = w.db.collection::<Person>();
    people.ensure().await?;
    let person = Person {
        country: "gb".into(),
        name: "ada".into(),
        age: 36,
    };
    let mut ada = people.insert(person).await?;
    people.update(("gb", "ada"), |p| p.age += 1).await?;
    people.reload(&mut ada).await?;
    assert_eq!(ada.age, 37);
    for error in [
        people.get("ada").await.unwrap_err(),
        people.delete("ada", Expected::Any).await.unwrap_err(),
        people.update("ada", |_| ()).await.unwrap_err(),
        people.get_many(["ada"]).await.unwrap_err(),
        notes.get(("gb", "ada")).await.unwrap_err(),
        notes.get("").await.unwrap_err(),
        notes.get("a\0b").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    ada.country = "fr".into();
    w.spy.take();
    let error = people.save(&mut ada).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.message().contains("\"gb\"/\"ada\"") && error.message().contains("\"fr\""),
        "{error}"
    );
    let f = Person::fields();
    let error = people
        .patch(("gb", "ada"), f.name().set("eve"), Expected::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(w.spy.take(), []);
    Ok(())
}

#[tokio::test]
async fn two_models_on_one_collection_are_told_by_the_first_call() -> Result<()> {
    #[derive(Document, Serialize, Deserialize, Clone, Debug)]
    #[document(collection = "users")]
    struct Other {
        #[document(id)]
        username: String,
        #[document(integer)]
        region: i64,
    }
    let w = watched();
    let users = w.db.collection::<User>();
    users.ensure().await?;
    w.spy.take();
    let others = w.db.collection::<Other>();
    for error in [
        others.ensure().await.unwrap_err(),
        others.get("a").await.unwrap_err(),
        others.find(Filter::all()).page().await.unwrap_err(),
        others.insert_many([]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert_eq!(error.collection().unwrap().as_str(), "users");
    }
    assert_eq!(w.spy.take(), []);
    // Another database is another matter.
    watched().db.collection::<Other>().ensure().await?;
    users.insert(user("still")).await?;
    Ok(())
}

#[tokio::test]
async fn debug_shows_the_value_and_not_the_body() -> Result<()> {
    #[derive(Document, Serialize, Deserialize)]
    #[document(collection = "secrets")]
    struct Secret {
        #[document(id)]
        id: String,
        word: String,
    }
    impl std::fmt::Debug for Secret {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Secret(…)")
        }
    }
    let w = watched();
    let secrets = w.db.collection::<Secret>();
    secrets.ensure().await?;
    let secret = Secret {
        id: "s".into(),
        word: "open sesame".into(),
    };
    let secret = secrets.insert(secret).await?;
    let text = format!("{secret:?} {secret:#?}");
    assert!(
        text.contains("Secret(…)") && !text.contains("sesame"),
        "{text}"
    );
    Ok(())
}
