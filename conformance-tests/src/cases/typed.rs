//! What users hold: typed collections, retries, partial and lazy loads, over the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_core::handle::{
    Collection, Database, Document as _, Lazy, Ref, Resolve, RetryPolicy, Saved,
    TransactionOptions, retry_on_conflict,
};
use strongroom_core::model::{Body, Expected, Key, Timestamp};
use strongroom_core::store::{SaveRequest, Write};
use strongroom_core::{ErrorKind, Result};
use strongroom_derive::Document;

use super::races::at_once;
use crate::alter::altered;
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};
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

pub(crate) async fn updates_are_retried(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let scale = cx.scale();
    let (tasks, times) = (scale.tasks, scale.increments.min(50));
    let results = at_once(tasks, |_| {
        let people = scene.people.clone();
        async move {
            for _ in 0..times {
                people.update("ada", |ada| ada.logins += 1).await?;
            }
            Ok::<(), strongroom_core::Error>(())
        }
    })
    .await?;
    for result in results {
        result.during("updating at once")?;
    }
    let ada = found(scene.people.get("ada").await, "loading")?;
    check_eq!(
        ada.logins,
        (tasks * times) as u64,
        "the counter after {tasks} tasks of {times} updates"
    );
    Ok(())
}

pub(crate) async fn blocks_are_retried_on_conflict(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    for id in ["ada", "bob"] {
        scene.people.insert(person(id)).await.during("inserting")?;
    }
    let policy = RetryPolicy::default()
        .with_attempts(100_000)
        .with_backoff(cx.settings().backoff, Duration::from_millis(50))
        .with_deadline(cx.settings().patience);
    let scale = cx.scale();
    let (tasks, times) = (scale.tasks, scale.increments.min(25));
    let results = at_once(tasks, |task| {
        let (people, policy) = (scene.people.clone(), policy.clone());
        async move {
            let id = if task % 2 == 0 { "ada" } else { "bob" };
            for _ in 0..times {
                retry_on_conflict(&policy, || async {
                    let loaded = people.get(id).await?;
                    let Some(mut one) = loaded else {
                        return Err(strongroom_core::Error::not_found(Key::new(id)?));
                    };
                    one.logins += 1;
                    people.save(&mut one).await
                })
                .await?;
            }
            Ok::<(), strongroom_core::Error>(())
        }
    })
    .await?;
    for result in results {
        result.during("a block that is run again on conflict")?;
    }
    let mut sum = 0;
    for id in ["ada", "bob"] {
        sum += found(scene.people.get(id).await, "loading")?.logins;
    }
    check_eq!(sum, (tasks * times) as u64, "the sum of both counters");
    Ok(())
}

pub(crate) async fn an_unchanged_save_is_no_write(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let mut ada = scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let version = ada.version();
    let saved = scene
        .people
        .save(&mut ada)
        .await
        .during("saving unchanged")?;
    check_eq!(
        saved,
        Saved::Unchanged(version),
        "what a save of an unchanged document says"
    );
    let again = found(scene.people.get("ada").await, "loading")?;
    check_eq!(
        again.version(),
        version,
        "the version after a save of an unchanged document"
    );
    ada.logins = 7;
    let saved = scene.people.save(&mut ada).await.during("saving changed")?;
    check!(
        matches!(saved, Saved::Updated(v) if v != version && v == ada.version()),
        "a save of a changed document says {saved:?}"
    );
    Ok(())
}

pub(crate) async fn conflicts_let_a_caller_merge(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    scene
        .people
        .insert(person("ada"))
        .await
        .during("inserting")?;
    let mut mine = found(scene.people.get("ada").await, "loading")?;
    let theirs = scene
        .people
        .update("ada", |ada| ada.logins = 5)
        .await
        .during("someone else's update")?;
    mine.region = Some("us".to_owned());
    let error = refused(
        scene.people.save(&mut mine).await,
        ErrorKind::Conflict,
        "saving what someone else changed meanwhile",
    )?;
    check_eq!(
        error.key(),
        Some(&key("ada")?),
        "the key that `{}` names",
        describe(&error)
    );
    if let Some(actual) = error.actual_version() {
        check_eq!(
            actual,
            theirs.version(),
            "the version that the conflict tells"
        );
        // With that version the caller may decide to win, without a read.
        let region = mine.region.clone();
        scene.people.reload(&mut mine).await.during("reloading")?;
        check_eq!(mine.logins, 5, "what someone else changed, after a reload");
        mine.region = region;
        scene
            .people
            .save(&mut mine)
            .await
            .during("saving what was merged")?;
    }
    Ok(())
}

pub(crate) async fn unknown_fields_survive(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let body = json!({
        "id": "ada", "region": "eu", "logins": 1, "friends": [],
        "later": {"deep": [1, null, "ä"]}, "it's new": true,
    });
    scene.store("ada", &body).await?;
    let mut ada = found(scene.people.get("ada").await, "loading")?;
    ada.logins = 2;
    scene.people.save(&mut ada).await.during("saving")?;
    scene
        .people
        .update("ada", |ada| ada.logins += 1)
        .await
        .during("updating")?;
    let stored = scene.stored("ada").await?;
    check_eq!(stored["logins"], json!(3), "the field that was changed");
    for field in ["later", "it's new", "region"] {
        check_eq!(
            stored[field],
            body[field],
            "the field {field:?}, which was not changed"
        );
    }
    Ok(())
}

pub(crate) async fn a_partial_load_cannot_clobber(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let body = json!({
        "id": "ada", "region": "eu", "logins": 3, "friends": ["bob"], "later": [1],
        "created_at": null, "team": null,
    });
    scene.store("ada", &body).await?;
    let partly = scene.people.select(["region"]);
    let mut ada = found(partly.get("ada").await, "loading a part")?;
    check_eq!(ada.region.as_deref(), Some("eu"), "the selected field");
    check_eq!(ada.logins, 0, "a field that was not selected");
    ada.region = Some("us".to_owned());
    partly.save(&mut ada).await.during("saving a part")?;
    let mut expected = body.clone();
    expected["region"] = json!("us");
    check_eq!(
        scene.stored("ada").await?,
        expected,
        "the document after a part of it was saved"
    );

    let mut ada = found(partly.get("ada").await, "loading a part")?;
    ada.logins = 99;
    refused(
        partly.save(&mut ada).await,
        ErrorKind::Invalid,
        "saving a change of a field that was not loaded",
    )?;
    let mut stale = found(partly.get("ada").await, "loading a part")?;
    scene
        .people
        .update("ada", |ada| ada.logins += 1)
        .await
        .during("updating")?;
    stale.region = Some("de".to_owned());
    refused(
        partly.save(&mut stale).await,
        ErrorKind::Conflict,
        "saving a part of a document that changed elsewhere",
    )?;
    expected["logins"] = json!(4);
    check_eq!(
        scene.stored("ada").await?,
        expected,
        "the document after refusals"
    );
    Ok(())
}

pub(crate) async fn references_load_a_level_at_once(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let team = |name: &str| Team {
        name: name.to_owned(),
        motto: format!("we are {name}"),
    };
    scene
        .teams
        .insert_many([team("red"), team("blue")])
        .await
        .during("inserting teams")?;
    for n in 0..6 {
        let mut one = person(&format!("p{n}"));
        one.team = Some(Ref::to(if n % 2 == 0 { "red" } else { "blue" })?);
        one.friends = vec![Ref::to(format!("p{}", (n + 1) % 6))?, Ref::to("gone")?];
        scene.people.insert(one).await.during("inserting people")?;
    }
    scene.people.refresh().await.during("refreshing")?;
    let page = scene
        .people
        .find(Person::fields().region().eq("eu"))
        .limit(6)
        .page()
        .await
        .during("finding people")?;
    let page = page.into_documents();
    check_eq!(page.len(), 6, "people found");
    let before = scene.loads.load(Ordering::SeqCst);
    for one in &page {
        let team = one
            .team
            .as_ref()
            .ok_or_else(|| Failure::new("a person has no team"))?;
        check!(
            team.get().is_none(),
            "a reference is loaded that nobody resolved"
        );
        refused(
            team.require(),
            ErrorKind::Invalid,
            "demanding a reference that was not loaded",
        )?;
        check!(
            one.greeting.get().is_none(),
            "a lazy property has a value that nobody computed"
        );
    }
    check_eq!(
        scene.loads.load(Ordering::SeqCst),
        before,
        "loads after looking at references"
    );
    scene
        .people
        .resolve(&page, Resolve::all())
        .await
        .during("resolving a page")?;
    check_eq!(
        scene.loads.load(Ordering::SeqCst) - before,
        2,
        "loads of one level with references to two collections"
    );
    for (n, one) in page.iter().enumerate() {
        let motto = one
            .team
            .as_ref()
            .and_then(|team| team.get())
            .map(|team| team.motto.as_str());
        let expected = if n % 2 == 0 {
            "we are red"
        } else {
            "we are blue"
        };
        check_eq!(motto, Some(expected), "the team of {}", one.id);
        let friend = one.friends[0].require().during("a friend")?;
        check_eq!(
            friend.id,
            format!("p{}", (n + 1) % 6),
            "the friend of {}",
            one.id
        );
        check!(
            one.friends[1].is_missing(),
            "a reference to what is not there says it is"
        );
        let hello = format!("hello {}", one.id);
        check_eq!(
            one.greeting.get(),
            Some(&hello),
            "the greeting of {}",
            one.id
        );
    }
    Ok(())
}

pub(crate) async fn what_is_resolved_is_never_stored(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let team = Team {
        name: "red".to_owned(),
        motto: "we are red".to_owned(),
    };
    scene.teams.insert(team).await.during("inserting a team")?;
    let mut ada = person("ada");
    ada.team = Some(Ref::to("red")?);
    let mut ada = scene.people.insert(ada).await.during("inserting")?;
    let before = scene.stored("ada").await?;
    scene
        .people
        .resolve([&ada], Resolve::all())
        .await
        .during("resolving")?;
    check!(ada.greeting.is_loaded(), "the greeting was not computed");
    let saved = scene
        .people
        .save(&mut ada)
        .await
        .during("saving what was resolved")?;
    check_eq!(
        saved,
        Saved::Unchanged(ada.version()),
        "what a save of a resolved document says"
    );
    ada.logins = 1;
    scene
        .people
        .save(&mut ada)
        .await
        .during("saving a change")?;
    let mut expected = before;
    expected["logins"] = json!(1);
    check_eq!(
        scene.stored("ada").await?,
        expected,
        "what is stored of a resolved document"
    );
    Ok(())
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

pub(crate) async fn transactions_are_run_again(cx: &Context) -> Outcome {
    if !cx.capabilities().transactions {
        return not_granted("transactions");
    }
    let scene = scene(cx).await?;
    for id in ["ada", "bob"] {
        scene.people.insert(person(id)).await.during("inserting")?;
    }
    let scale = cx.scale();
    let (tasks, times) = (scale.tasks.min(8), scale.increments.min(10));
    let results = at_once(tasks, |_| {
        let db = scene.db.clone();
        async move {
            for _ in 0..times {
                db.transaction(TransactionOptions::new(), |tx| async move {
                    let people = tx.collection::<Person>();
                    people.update("ada", |ada| ada.logins += 1).await?;
                    people.update("bob", |bob| bob.logins += 1).await.map(drop)
                })
                .await?;
            }
            Ok::<(), strongroom_core::Error>(())
        }
    })
    .await?;
    for result in results {
        result.during("transactions at once")?;
    }
    for id in ["ada", "bob"] {
        let one = found(scene.people.get(id).await, "loading")?;
        check_eq!(one.logins, (tasks * times) as u64, "the counter of {id}");
    }
    Ok(())
}
