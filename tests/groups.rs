//! The first documents of each group.
#![cfg(all(feature = "derive", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use serde::{Deserialize, Serialize};
use strongroom::Result;
use strongroom::prelude::*;
use strongroom::store::Ranking;
use support::watched;

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "results")]
struct Match {
    #[document(id)]
    id: String,
    #[document(keyword)]
    team: Option<String>,
    year: i32,
    points: f64,
    home: bool,
    played: Timestamp,
    tags: Vec<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Points {
    points: f64,
}

fn result(id: &str, team: Option<&str>, year: i32, points: f64) -> Match {
    Match {
        id: id.to_owned(),
        team: team.map(str::to_owned),
        year,
        points,
        home: year % 2 == 0,
        played: Timestamp::from_millis(i64::from(year) * 1_000).unwrap(),
        tags: vec!["a".to_owned(), "b".to_owned()],
    }
}

async fn filled(results: &Collection<Match>) -> Result<()> {
    results.ensure().await?;
    let made = [
        result("r1", Some("Ärzte"), 2001, 3.0),
        result("r2", Some("blue"), 2001, 5.0),
        result("r3", Some("blue"), 2002, 5.0),
        result("r4", Some("blue"), 2002, 4.0),
        result("r5", Some("blue"), -1, 1.0),
        result("r6", Some("red"), 2002, 0.5),
        result("r7", None, 2001, 9.0),
    ];
    for made in results.insert_many(made).await? {
        made?;
    }
    Ok(())
}

fn ranks<K>(groups: &[strongroom::handle::Group<K, Versioned<Match>>]) -> Vec<Vec<(u64, &str)>> {
    groups
        .iter()
        .map(|group| {
            group
                .documents
                .iter()
                .map(|one| (one.rank, &*one.id))
                .collect()
        })
        .collect()
}

async fn everything(results: Collection<Match>) -> Result<()> {
    filled(&results).await?;
    let f = Match::fields();
    let best = || results.find(Filter::all()).sort(f.points().desc());

    let first = best().per(f.team()).page().await?;
    let keys: Vec<_> = first.iter().map(|group| group.key.as_str()).collect();
    assert_eq!(
        keys,
        ["blue", "red", "Ärzte"],
        "bytes decide, and no value is in no group"
    );
    assert_eq!(ranks(&first), [[(1, "r2")], [(1, "r6")], [(1, "r1")]]);
    assert!(!first.has_next());

    for (ranking, wanted) in [
        (Ranking::RowNumber, vec![(1, "r2"), (2, "r3")]),
        (Ranking::Rank, vec![(1, "r2"), (1, "r3")]),
        (Ranking::DenseRank, vec![(1, "r2"), (1, "r3"), (2, "r4")]),
    ] {
        let two = best().per(f.team()).top(2).ranking(ranking).limit(1);
        let page = two.page().await?;
        assert_eq!(ranks(&page), [wanted], "{ranking:?}");
        assert!(page.has_next());
    }

    // Page by page, and from a key on that a client kept.
    let mut page = best().per(f.team()).limit(1).page().await?;
    let mut seen = Vec::new();
    loop {
        seen.push(page[0].key.clone());
        let Some(next) = page.next().await? else {
            break;
        };
        page = next;
    }
    assert_eq!(seen, ["blue", "red", "Ärzte"]);
    let rest = best().per(f.team()).after("blue").page().await?;
    assert_eq!(rest.into_groups().len(), 2);
    let rest = best().per(f.team()).after(&seen[2]).page().await?;
    assert!(rest.is_empty() && rest.next().await?.is_none());

    // Keys of each kind.
    let years = best().per(f.year()).page().await?;
    let years: Vec<i64> = years.into_iter().map(|group| group.key).collect();
    assert_eq!(years, [-1, 2001, 2002]);
    let points = best().per(f.points()).after(4.5).page().await?;
    let points: Vec<f64> = points.iter().map(|group| group.key).collect();
    assert_eq!(points, [5.0, 9.0]);
    let homes = best().per(f.home()).page().await?;
    let homes: Vec<bool> = homes.iter().map(|group| group.key).collect();
    assert_eq!(homes, [false, true]);
    let times = best().per(f.played()).page().await?;
    assert_eq!(times[0].key.as_millis(), -1_000);

    // Documents can be saved, parts of them and views have their forms.
    let part = results.find(f.team().eq("red")).select((
        f.team(),
        f.year(),
        f.points(),
        f.home(),
        f.played(),
        f.tags(),
    ));
    let mut part = part.per(f.team()).page().await?.into_groups();
    let red = &mut part[0].documents[0].document;
    red.points = 0.75;
    results.save(red).await?;
    let views = best()
        .per(f.team())
        .after("blue")
        .limit(1)
        .page_as::<Points>()
        .await?;
    assert_eq!(**views[0].documents[0], Points { points: 0.75 });
    assert!(views.next().await?.is_some());

    let asked = best().per(f.team()).explain().await?;
    assert!(asked.to_string().contains("team"), "{asked}");
    Ok(())
}

#[tokio::test]
async fn in_memory() -> Result<()> {
    everything(strongroom::connect("memory:").await?.collection()).await
}

#[tokio::test]
async fn on_sqlite() -> Result<()> {
    everything(strongroom::connect("sqlite::memory:").await?.collection()).await
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_any_io() -> Result<()> {
    let w = watched();
    let results = w.db.collection::<Match>();
    filled(&results).await?;
    w.spy.take();
    let f = Match::fields();
    let all = || results.find(Filter::all());
    let bad = [
        all().per(f.tags()),
        all().per(f.team()).top(0),
        all().per(f.team()).top(10_001),
        all().per(f.team()).limit(0),
        all().per(f.team()).limit(1_001),
        all().per(f.team()).limit(1_000).top(11),
        all().limit(5).per(f.team()),
        all().offset(5).per(f.team()),
        all().last().per(f.team()),
        all().total(Total::Exact).per(f.team()),
        all().select(["a..b"]).per(f.team()),
        all().routing("eu").per(f.team()),
        all()
            .sort(Sort::ascending("unknown".parse()?))
            .per(f.team()),
    ];
    for groups in bad {
        let text = format!("{groups:?}");
        let error = groups.page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert_eq!(error.collection().unwrap().as_str(), "results");
    }
    assert_eq!(w.spy.take(), []);
    // Where it is not said, there are as many groups as may be.
    all().per(f.team()).top(10_000).page().await?;
    Ok(())
}
