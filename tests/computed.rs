//! Fields that functions make while documents are written, in memory and on SQLite.
#![cfg(all(feature = "derive", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test panics where something is wrong"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use strongroom::Result;
use strongroom::memory::{MemoryOptions, MemoryStore};
use strongroom::model::{FieldPath, Scalar};
use strongroom::prelude::*;
use strongroom::query::{Call, Functions};
use strongroom::sqlite::{SqliteOptions, SqliteStore};
use strongroom::store::BeginOptions;

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "articles")]
struct Article {
    #[document(id)]
    id: String,
    #[document(keyword)]
    title: String,
    #[document(keyword)]
    slug: Option<String>,
    #[document(updated)]
    updated: Option<Timestamp>,
    #[serde(default)]
    reads: u64,
}

/// Counts how often it ran.
fn functions(runs: &Arc<AtomicUsize>) -> Functions {
    let runs = runs.clone();
    let slug = move |arguments: &[Option<Scalar>]| {
        runs.fetch_add(1, Ordering::Relaxed);
        match arguments {
            [Some(Scalar::Text(title))] if title.as_ref() == "panic" => panic!("as asked"),
            [Some(Scalar::Text(title))] => {
                Ok(Some(Scalar::from(title.to_lowercase().replace(' ', "-"))))
            }
            [None] => Ok(None),
            _ => Err(Error::invalid("it takes a text")),
        }
    };
    Functions::new().with("slug", slug).unwrap()
}

async fn each_store(
    test: impl AsyncFn(&Database, Collection<Article>, &AtomicUsize) -> Result<()>,
) -> Result<()> {
    let runs = Arc::new(AtomicUsize::new(0));
    let memory = MemoryStore::with_options(MemoryOptions::new().functions(functions(&runs)));
    let sqlite = SqliteOptions::memory().functions(functions(&runs));
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteOptions::file(folder.path().join("a.db")).functions(functions(&runs));
    for db in [
        Database::new(Arc::new(memory)),
        Database::new(Arc::new(SqliteStore::open(sqlite).await?)),
        Database::new(Arc::new(SqliteStore::open(file).await?)),
    ] {
        runs.store(0, Ordering::Relaxed);
        let articles = db.collection::<Article>();
        articles.ensure().await?;
        test(&db, articles, &runs).await?;
        db.close().await?;
    }
    Ok(())
}

fn article(id: &str, title: &str) -> Article {
    Article {
        id: id.to_owned(),
        title: title.to_owned(),
        slug: None,
        updated: None,
        reads: 0,
    }
}

fn with_slug(articles: &Collection<Article>) -> Collection<Article> {
    let f = Article::fields();
    let call = Call::new("slug").unwrap().field(f.title().into());
    articles.with_computed(f.slug(), call)
}

#[tokio::test]
async fn every_write_of_the_handle_computes() -> Result<()> {
    each_store(async |_, plain, runs| {
        let articles = with_slug(&plain);
        let mut a = articles.insert(article("a", "First Things")).await?;
        assert_eq!(a.slug.as_deref(), Some("first-things"));
        assert!(a.updated.is_some() && !a.is_changed());
        assert_eq!(*a, *plain.get("a").await?.unwrap());

        a.title = "Last Things".to_owned();
        assert!(matches!(articles.save(&mut a).await?, Saved::Updated(_)));
        assert_eq!(a.slug.as_deref(), Some("last-things"));
        assert!(matches!(plain.save(&mut a).await?, Saved::Unchanged(_)));
        // An unchanged document is written all the same: the function may make something new.
        assert!(matches!(articles.save(&mut a).await?, Saved::Updated(_)));

        let title = Patch::new().set(Article::fields().title().into(), "By Patch");
        articles.patch("a", title, a.version()).await?;
        let mut a = plain.get("a").await?.unwrap();
        assert_eq!(a.slug.as_deref(), Some("by-patch"));
        plain
            .patch("a", Patch::new().unset("slug".parse()?), Expected::Present)
            .await?;
        articles.patch("a", Patch::new(), Expected::Present).await?;
        plain.reload(&mut a).await?;
        assert_eq!(a.slug.as_deref(), Some("by-patch"));

        let a = articles
            .update("a", |a| a.title = "Updated".to_owned())
            .await?;
        assert_eq!(a.slug.as_deref(), Some("updated"));

        let many = (0..3).map(|n| article(&format!("m{n}"), &format!("Number {n}")));
        for (n, made) in articles.insert_many(many).await?.into_iter().enumerate() {
            assert_eq!(made?.slug, Some(format!("number-{n}")));
        }
        assert_eq!(runs.load(Ordering::Relaxed), 3 + 2 + 1 + 3);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_part_takes_over_what_it_selected() -> Result<()> {
    each_store(async |_, plain, _| {
        plain.insert(article("a", "Some Title")).await?;
        let articles = with_slug(&plain);
        for (fields, slug) in [(["title", "slug"], Some("new")), (["title", "id"], None)] {
            let mut part = articles.select(fields).get("a").await?.unwrap();
            part.title = "New".to_owned();
            if slug.is_none() {
                part.title = "Newer".to_owned();
            }
            articles.save(&mut part).await?;
            assert_eq!(part.slug.as_deref(), slug);
            assert!(!part.is_changed());
        }
        assert_eq!(
            plain.get("a").await?.unwrap().slug.as_deref(),
            Some("newer")
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_transaction_computes_and_rolls_back() -> Result<()> {
    each_store(async |db, plain, _| {
        let tx = db.begin(BeginOptions::new()).await?;
        let articles = with_slug(&tx.collection::<Article>());
        let a = articles.insert(article("a", "In Doubt")).await?;
        assert_eq!(a.slug.as_deref(), Some("in-doubt"));
        for made in articles.insert_many([article("b", "B B")]).await? {
            assert_eq!(made?.slug.as_deref(), Some("b-b"));
        }
        tx.rollback().await?;
        assert!(plain.get("a").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_made_writes_nothing() -> Result<()> {
    each_store(async |_, plain, _| {
        let articles = with_slug(&plain);
        let error = articles.insert(article("p", "panic")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("function slug"), "{error}");
        // The others of a bulk are written.
        let bulk = [article("a", "A"), article("p", "panic"), article("b", "B")];
        let made = articles.insert_many(bulk).await?;
        let kinds: Vec<_> = made
            .iter()
            .map(|m| m.as_ref().err().map(Error::kind))
            .collect();
        assert_eq!(kinds, [None, Some(ErrorKind::Invalid), None]);
        assert!(plain.get("p").await?.is_none());

        let slug = |value: i64| Call::new("slug").unwrap().value(value);
        let at = |path: &str| path.parse::<FieldPath>().unwrap();
        for (field, call, kind, words) in [
            ("slug", slug(1), ErrorKind::Invalid, "it takes a text"),
            (
                "reads",
                Call::new("slug")?.value("x"),
                ErrorKind::Invalid,
                "declared as integer",
            ),
            (
                "id",
                Call::new("slug")?.value("x"),
                ErrorKind::Invalid,
                "part of the key",
            ),
            (
                "updated",
                Call::new("slug")?.value("x"),
                ErrorKind::Invalid,
                "a stamp",
            ),
            (
                "nowhere",
                Call::new("slug")?.value("x"),
                ErrorKind::Invalid,
                "nowhere",
            ),
            (
                "slug",
                Call::new("slugg")?.value("x"),
                ErrorKind::Unsupported,
                "function slugg",
            ),
        ] {
            let computing = plain.with_computed(at(field), call);
            let error = computing.insert(article("c", "C")).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(words), "{error}");
        }
        assert!(plain.get("c").await?.is_none());
        Ok(())
    })
    .await
}
