//! References and lazy properties: loaded for a page at once, never stored, shown on output.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::json;
use strongroom_core::handle::{
    Collection, Database, Document as _, Lazy, Ref, Resolve, Saved, output_json, to_output,
};
use strongroom_core::layers::{Call, Enter, Intercept, Layer as _, Reply, Request};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, Key};
use strongroom_core::query::Filter;
use strongroom_core::{ErrorKind, Result};
use strongroom_derive::{Document, Object};

#[derive(Document, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(collection = "teams", crate = strongroom_core)]
struct Team {
    #[document(id)]
    name: String,
    lead: Option<Ref<Person>>,
    #[document(secret, keyword)]
    budget: String,
    #[document(lazy = members)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    members: Lazy<Vec<Person>>,
}

#[derive(Document, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(collection = "people", crate = strongroom_core)]
struct Person {
    #[document(id)]
    id: String,
    #[document(indexed)]
    team: Option<Ref<Team>>,
    friends: Vec<Ref<Person>>,
    home: Option<Home>,
    #[document(secret)]
    password: String,
    #[document(lazy_each = greeting)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    greeting: Lazy<String>,
}

#[derive(Object, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(crate = strongroom_core)]
struct Home {
    #[document(indexed)]
    city: Ref<City>,
}

#[derive(Document, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[document(collection = "cities", crate = strongroom_core)]
struct City {
    #[document(id)]
    name: String,
    #[document(routing)]
    country: String,
}

async fn members(database: &Database, teams: &[&Team]) -> Result<Vec<Vec<Person>>> {
    let people = database.collection::<Person>();
    let mut members = Vec::new();
    for team in teams {
        let filter = Person::fields().team().eq(&Ref::to(&team.name)?);
        let page = people.find(filter).page().await?;
        members.push(page.into_iter().map(|p| p.into_inner()).collect());
    }
    Ok(members)
}

async fn greeting(_: &Database, person: &Person) -> Result<String> {
    Ok(format!("hello {}", person.id))
}

/// Every load, as its collection and keys.
#[derive(Debug, Default)]
struct Loads(std::sync::Mutex<Vec<(String, Vec<String>)>>);

#[derive(Debug)]
struct Recorder(Arc<Loads>);

impl Intercept for Recorder {
    type Scope = ();

    fn enter(&self, call: &Call<'_>) -> Enter<()> {
        if let Request::Load(request) = call.request {
            let mut keys: Vec<_> = request.keys.iter().map(|k| k.id().to_string()).collect();
            keys.sort();
            let load = (request.model.name().to_string(), keys);
            self.0.0.lock().unwrap().push(load);
        }
        Enter::Pass
    }

    async fn around<T: Reply>(&self, (): (), inner: BoxFuture<'_, Result<T>>) -> Result<T> {
        inner.await
    }
}

impl Loads {
    fn take(&self) -> Vec<(String, Vec<String>)> {
        let mut loads = std::mem::take(&mut *self.0.lock().unwrap());
        loads.sort();
        loads
    }
}

fn loads(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
    expected
        .iter()
        .map(|(name, keys)| (name.to_string(), owned(keys)))
        .collect()
}

struct World {
    people: Collection<Person>,
    database: Database,
    loads: Arc<Loads>,
}

fn person(id: &str, team: Option<&str>, friends: &[&str]) -> Person {
    Person {
        id: id.to_owned(),
        team: team.map(|team| Ref::to(team).unwrap()),
        friends: friends.iter().map(|f| Ref::to(*f).unwrap()).collect(),
        home: None,
        password: "hunter2".to_owned(),
        greeting: Lazy::new(),
    }
}

async fn world() -> World {
    let loads = Arc::new(Loads::default());
    let store = Recorder(loads.clone()).wrap(Arc::new(MemoryStore::new()));
    let database = Database::new(store);
    let people = database.collection::<Person>();
    let teams = database.collection::<Team>();
    let cities = database.collection::<City>();
    people.ensure().await.unwrap();
    teams.ensure().await.unwrap();
    cities.ensure().await.unwrap();
    for (name, lead) in [("red", Some("ada")), ("blue", None)] {
        let team = Team {
            name: name.to_owned(),
            lead: lead.map(|lead| Ref::to(lead).unwrap()),
            budget: "secret".to_owned(),
            members: Lazy::new(),
        };
        teams.insert(team).await.unwrap();
    }
    let city = City {
        name: "paris".to_owned(),
        country: "fr".to_owned(),
    };
    cities.insert(city).await.unwrap();
    let mut ada = person("ada", Some("red"), &["bob", "ada", "bob"]);
    ada.home = Some(Home {
        city: Ref::to(("fr", "paris")).unwrap(),
    });
    people.insert(ada).await.unwrap();
    for person in [
        person("bob", Some("red"), &["ada", "gone"]),
        person("cyd", Some("blue"), &[]),
        person("dee", None, &["cyd"]),
    ] {
        people.insert(person).await.unwrap();
    }
    loads.take();
    World {
        people,
        database,
        loads,
    }
}

#[tokio::test]
async fn one_load_for_each_collection_of_a_level() {
    let world = world().await;
    let page = Arc::new(world.people.find(Filter::all()).page().await.unwrap());
    let (people, documents) = (world.people.clone(), page.clone());
    // On a task of its own: the future can be sent.
    let resolved = tokio::spawn(async move { people.resolve(&*documents, Resolve::all()).await });
    resolved.await.unwrap().unwrap();
    assert_eq!(
        world.loads.take(),
        loads(&[
            ("cities", &["paris"]),
            ("people", &["ada", "bob", "cyd", "gone"]),
            ("teams", &["blue", "red"]),
        ])
    );
    let ada = page.iter().find(|p| p.id == "ada").unwrap();
    assert_eq!(ada.team.as_ref().unwrap().get().unwrap().name, "red");
    assert_eq!(ada.friends[0].require().unwrap().id, "bob");
    assert_eq!(ada.friends[1].get().unwrap().id, "ada");
    let city = &ada.home.as_ref().unwrap().city;
    assert_eq!(city.require().unwrap().country, "fr");
    assert_eq!(ada.greeting.get().unwrap(), "hello ada");
    // The second level was not asked for.
    let team = ada.team.as_ref().unwrap().get().unwrap();
    assert!(!team.lead.as_ref().unwrap().is_loaded() && !team.members.is_loaded());
    let bob = page.iter().find(|p| p.id == "bob").unwrap();
    assert!(bob.friends[1].is_missing() && !bob.friends[1].is_loaded());
    assert_eq!(
        bob.friends[1].require().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // What is loaded is not loaded again.
    world.people.resolve(&*page, Resolve::all()).await.unwrap();
    assert!(world.loads.take().is_empty());
}

#[tokio::test]
async fn deeper_levels_end_cycles_by_depth() {
    let world = world().await;
    let ada = world.people.get("ada").await.unwrap().unwrap();
    world.loads.take();
    let f = Person::fields();
    let only_friends = || Resolve::only([f.friends().link()]);
    world
        .people
        .resolve([&ada], only_friends().depth(3))
        .await
        .unwrap();
    let taken = world.loads.take();
    let people: Vec<_> = taken.iter().filter(|(name, _)| name == "people").collect();
    assert_eq!(people.len(), 3, "one load for each level: {taken:?}");
    let third = ada.friends[1].get().unwrap().friends[1]
        .get()
        .unwrap()
        .friends[1]
        .get()
        .unwrap();
    assert_eq!(third.id, "ada");
    assert!(!third.friends[1].is_loaded());
    assert!(ada.team.as_ref().unwrap().get().is_none(), "not asked for");
    assert!(!ada.greeting.is_loaded(), "not asked for");

    let city = &ada.home.as_ref().unwrap().city;
    assert!(!city.is_loaded());
    let links = [f.home().city().link(), f.greeting().link()];
    let what = Resolve::only(links);
    world.people.resolve([&ada], what).await.unwrap();
    assert!(city.is_loaded() && ada.greeting.is_loaded());
    assert!(!ada.team.as_ref().unwrap().is_loaded());
    assert_eq!(world.loads.take(), loads(&[("cities", &["paris"])]));

    let bob = world.people.get("bob").await.unwrap().unwrap();
    let again = world.people.get(&ada.friends[0]).await.unwrap().unwrap();
    assert_eq!(*again, *bob);
    world.loads.take();
    world
        .people
        .resolve([&bob], Resolve::all().depth(0))
        .await
        .unwrap();
    assert!(world.loads.take().is_empty() && !bob.greeting.is_loaded());
    world
        .people
        .resolve([&bob], Resolve::all().depth(2))
        .await
        .unwrap();
    let red = bob.team.as_ref().unwrap().get().unwrap();
    assert_eq!(red.lead.as_ref().unwrap().get().unwrap().id, "ada");
    assert_eq!(red.members.get().unwrap().len(), 2);
    let none: [&strongroom_core::handle::Versioned<Person>; 0] = [];
    world.people.resolve(none, Resolve::all()).await.unwrap();
}

#[tokio::test]
async fn nothing_loaded_is_stored_or_counts_as_a_change() {
    let world = world().await;
    let mut bob = world.people.get("bob").await.unwrap().unwrap();
    let stored = Body::encode(&*bob).unwrap();
    world
        .people
        .resolve([&bob], Resolve::all().depth(2))
        .await
        .unwrap();
    assert!(bob.team.as_ref().unwrap().is_loaded());
    assert_eq!(Body::encode(&*bob).unwrap().as_bytes(), stored.as_bytes());
    assert!(!bob.is_changed());
    assert!(matches!(
        world.people.save(&mut bob).await.unwrap(),
        Saved::Unchanged(_)
    ));
    bob.password = "changed".to_owned();
    world.people.save(&mut bob).await.unwrap();
    assert!(
        bob.team.as_ref().unwrap().is_loaded(),
        "a save keeps what is loaded"
    );
    let again = world.people.get("bob").await.unwrap().unwrap();
    assert!(!again.greeting.is_loaded() && !again.team.as_ref().unwrap().is_loaded());
    assert_eq!(*again, *bob);
}

#[tokio::test]
async fn output_shows_what_is_loaded_and_no_secrets() {
    let world = world().await;
    let bob = world.people.get("bob").await.unwrap().unwrap();
    let shown = to_output(&*bob).unwrap();
    assert_eq!(
        shown,
        json!({"id": "bob", "team": "red", "friends": ["ada", "gone"], "home": null})
    );
    world
        .people
        .resolve([&bob], Resolve::all().depth(2))
        .await
        .unwrap();
    let text = output_json(&*bob).unwrap();
    assert!(
        !text.contains("hunter2") && !text.contains("secret"),
        "{text}"
    );
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["team"]["name"], "red");
    assert_eq!(shown["team"]["members"][1]["id"], "bob");
    assert_eq!(shown["team"]["lead"]["id"], "ada");
    assert_eq!(shown["greeting"], "hello bob");
    assert_eq!(shown["friends"][1], "gone");
    // What is stored is as before.
    assert!(serde_json::to_string(&*bob).unwrap().contains("hunter2"));
}

#[tokio::test]
async fn filters_and_patches_by_reference() {
    let world = world().await;
    let f = Person::fields();
    let red = Ref::<Team>::to("red").unwrap();
    let ids = async |filter: Filter| {
        let page = world.people.find(filter).page().await.unwrap();
        page.iter().map(|p| p.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(f.team().eq(&red)).await, ["ada", "bob"]);
    assert_eq!(
        ids(f.team().is_in([&red, &Ref::to("blue").unwrap()]))
            .await
            .len(),
        3
    );
    assert_eq!(
        ids(f.friends().eq(&Key::new("cyd").unwrap())).await,
        ["dee"]
    );
    let paris = Key::routed("fr", "paris").unwrap();
    assert_eq!(ids(f.home().city().eq(&paris)).await, ["ada"]);
    assert!(
        ids(f.home().city().eq(&Key::new("paris").unwrap()))
            .await
            .is_empty()
    );
    assert!(ids(f.team().eq(&paris_team())).await.is_empty());
    assert_eq!(ids(f.team().exists()).await.len(), 3);
    let friend = Ref::to("ada").unwrap();
    let patch = f.team().set(&red).and(f.friends().append([friend]));
    world
        .people
        .patch("dee", patch, Expected::Present)
        .await
        .unwrap();
    let dee = world.people.get("dee").await.unwrap().unwrap();
    assert_eq!(dee.team.as_ref(), Some(&red));
    assert_eq!(dee.friends.len(), 2);
}

fn paris_team() -> Ref<Team> {
    Ref::to(("fr", "paris")).unwrap()
}

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[derive(Document, Serialize, Deserialize)]
#[document(collection = "jobs", crate = strongroom_core)]
struct Job {
    #[document(id)]
    id: u32,
    #[document(lazy_each = run)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    outcome: Lazy<u32>,
}

async fn run(_: &Database, job: &Job) -> Result<u32> {
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    MOST.fetch_max(running, Ordering::SeqCst);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    Ok(job.id * 2)
}

#[tokio::test]
async fn resolvers_run_in_parallel_up_to_the_limit() {
    let database = Database::new(Arc::new(MemoryStore::new()));
    let jobs = database.collection::<Job>();
    jobs.ensure().await.unwrap();
    for id in 0..50 {
        let job = Job {
            id,
            outcome: Lazy::new(),
        };
        jobs.insert(job).await.unwrap();
    }
    for (limit, expected) in [(None, 16), (Some(3), 3), (Some(0), 1), (Some(100), 50)] {
        MOST.store(0, Ordering::SeqCst);
        let page = jobs.find(Filter::all()).limit(50).page().await.unwrap();
        let mut what = Resolve::all();
        if let Some(limit) = limit {
            what = what.concurrency(limit);
        }
        jobs.resolve(&page, what).await.unwrap();
        assert_eq!(MOST.load(Ordering::SeqCst), expected, "{limit:?}");
        assert!(
            page.iter()
                .all(|job| job.outcome.get() == Some(&(job.id * 2)))
        );
    }
}

#[derive(Document, Serialize, Deserialize, Debug)]
#[document(collection = "faulty", crate = strongroom_core)]
struct Faulty {
    #[document(id)]
    id: String,
    #[document(lazy = Self::one_too_few)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    count: Lazy<u32>,
}

impl Faulty {
    async fn one_too_few(_: &Database, faulty: &[&Self]) -> Result<Vec<u32>> {
        Ok(vec![1; faulty.len() - 1])
    }
}

#[tokio::test]
async fn a_wrong_count_is_an_error() {
    let database = Database::new(Arc::new(MemoryStore::new()));
    let faulty = database.collection::<Faulty>();
    faulty.ensure().await.unwrap();
    let value = Faulty {
        id: "a".to_owned(),
        count: Lazy::new(),
    };
    let document = faulty.insert(value).await.unwrap();
    let error = faulty
        .resolve([&document], Resolve::all())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .message()
            .contains("property count gave 0 values for 1"),
        "{error}"
    );
    assert!(!document.count.is_loaded());
}

#[tokio::test]
async fn a_reference_with_the_wrong_routing_is_refused() {
    let world = world().await;
    let wrong = Person {
        team: Some(paris_team()),
        ..person("eve", None, &[])
    };
    let eve = world.people.insert(wrong).await.unwrap();
    let error = world
        .people
        .resolve([&eve], Resolve::all())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let _ = &world.database;
}

#[test]
fn the_model_declares_references_by_the_key_they_hold() {
    use strongroom_core::model::Kind;
    let model = Person::model().unwrap();
    let kind = |path: &str| model.field(path).map(|f| (f.kind, f.many));
    assert_eq!(kind("team"), Some((Kind::Keyword, false)));
    assert_eq!(kind("friends"), Some((Kind::Keyword, true)));
    assert_eq!(kind("home.city"), Some((Kind::Object, false)));
    assert_eq!(kind("home.city.id"), Some((Kind::Keyword, false)));
    assert_eq!(kind("home.city.routing"), Some((Kind::Keyword, false)));
    let indexed = |path: &str| model.field(path).is_some_and(|f| f.indexed);
    assert!(indexed("home.city.id") && indexed("home.city.routing") && !indexed("home.city"));
    assert_eq!(kind("greeting"), None);
    assert!(model.field("team").unwrap().indexed);
}
