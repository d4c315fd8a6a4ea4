//! What users hold: typed collections, retries, partial and lazy loads, over the store.

mod conflicts;
mod parts;
mod references;

pub(crate) use self::conflicts::*;
pub(crate) use self::parts::*;
pub(crate) use self::references::*;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_core::Result;
use strongroom_core::handle::{Collection, Database, Document as _, Lazy, Ref, RetryPolicy};
use strongroom_core::model::{Body, Expected, Key, Timestamp};
use strongroom_core::store::{SaveRequest, Write};
use strongroom_derive::Document;

use crate::alter::altered;
use crate::context::Context;
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Failure, Outcome, check_eq};
use crate::renamed::Renamed;

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "teams", crate = strongroom_core)]
struct Team {
    #[document(id)]
    name: String,
    #[document(keyword)]
    motto: String,
}

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "people", crate = strongroom_core)]
struct Person {
    #[document(id)]
    id: String,
    #[document(keyword)]
    region: Option<String>,
    #[serde(default)]
    logins: u64,
    #[serde(default)]
    team: Option<Ref<Team>>,
    #[serde(default)]
    friends: Vec<Ref<Person>>,
    #[document(created)]
    created_at: Option<Timestamp>,
    #[document(lazy_each = greeting)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    greeting: Lazy<String>,
}

async fn greeting(_: &Database, person: &Person) -> Result<String> {
    Ok(format!("hello {}", person.id))
}

fn person(id: &str) -> Person {
    Person {
        id: id.to_owned(),
        region: Some("eu".to_owned()),
        logins: 0,
        team: None,
        friends: Vec::new(),
        created_at: None,
        greeting: Lazy::new(),
    }
}

/// A database whose collections have names of their own.
struct Scene {
    people: Collection<Person>,
    teams: Collection<Team>,
    db: Database,
    loads: Arc<AtomicUsize>,
}

async fn scene(cx: &Context) -> Outcome<Scene> {
    let loads = Arc::new(AtomicUsize::new(0));
    let models = [
        (
            Person::model().during("the model of people")?,
            cx.name("people"),
        ),
        (
            Team::model().during("the model of teams")?,
            cx.name("teams"),
        ),
    ];
    let store = altered(cx.store().clone(), Renamed::new(models, loads.clone())?);
    let retry = RetryPolicy::default()
        .with_attempts(100_000)
        .with_backoff(cx.settings().backoff, cx.settings().backoff * 32)
        .with_deadline(cx.settings().patience);
    let db = Database::builder(store).retry(retry).build();
    let (people, teams) = (db.collection::<Person>(), db.collection::<Team>());
    people.ensure().await.during("ensuring people")?;
    teams.ensure().await.during("ensuring teams")?;
    Ok(Scene {
        people,
        teams,
        db,
        loads,
    })
}

impl Scene {
    /// The people as the store holds them.
    fn raw(&self) -> Outcome<Docs> {
        let model = self.people.model().during("the model of people")?;
        Ok(Docs::new(self.db.store().clone(), model.clone()))
    }

    async fn stored(&self, id: &str) -> Outcome<Value> {
        value_of(&self.raw()?.present(&key(id)?).await?)
    }

    /// Stores a body as a program that knows more fields would.
    async fn store(&self, id: &str, body: &Value) -> Outcome {
        let model = self.people.model().during("the model of people")?.clone();
        let write = Write::put(Key::new(id)?, Body::encode(body)?, Expected::Any).keep_stamps();
        self.db
            .store()
            .save(SaveRequest::new(model, write))
            .await
            .during("storing a body")?;
        Ok(())
    }
}

fn found<T>(found: Result<Option<T>>, what: &str) -> Outcome<T> {
    found
        .during(what)?
        .ok_or_else(|| Failure::new(format!("{what}: found no document")))
}

pub(crate) async fn pages_and_streams(cx: &Context) -> Outcome {
    use futures_util::TryStreamExt as _;

    let scene = scene(cx).await?;
    let people = (0..23).map(|n| {
        let mut one = person(&format!("p{n:02}"));
        one.logins = n / 2;
        one
    });
    scene
        .people
        .insert_many(people)
        .await
        .during("inserting people")?;
    scene.people.refresh().await.during("refreshing")?;
    let fields = Person::fields();
    let query = || {
        scene
            .people
            .find(fields.logins().gte(2))
            .sort(fields.logins().desc())
    };
    let mut ids = Vec::new();
    let mut page = Some(query().limit(5).page().await.during("the first page")?);
    while let Some(this) = page {
        let next = this.next().await.during("the next page")?;
        ids.extend(this.into_documents().into_iter().map(|one| one.id.clone()));
        page = next;
    }
    let mut expected: Vec<(u64, String)> = (4..23).map(|n| (n / 2, format!("p{n:02}"))).collect();
    expected.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
    check_eq!(ids, expected, "all pages of five");
    let streamed: Vec<String> = query()
        .stream()
        .map_ok(|one| one.id.clone())
        .try_collect()
        .await
        .during("streaming")?;
    check_eq!(streamed, expected, "the stream");
    check_eq!(query().count().await.during("counting")?, 19, "the count");
    Ok(())
}

pub(crate) async fn stamps_are_filled(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let mut ada = scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let created = ada
        .created_at
        .ok_or_else(|| Failure::new("the time of creation is not filled"))?;
    let stored = scene.stored("ada").await?;
    check_eq!(
        stored["created_at"],
        json!(created.as_millis()),
        "the stored time of creation"
    );
    ada.logins = 1;
    scene.people.save(&mut ada).await.during("saving")?;
    check_eq!(
        ada.created_at,
        Some(created),
        "the time of creation after a change"
    );
    let stored = scene.stored("ada").await?;
    check_eq!(
        stored["created_at"],
        json!(created.as_millis()),
        "the stored time of creation"
    );
    Ok(())
}
