//! Typed aggregations.
#![cfg(all(feature = "derive", feature = "sqlite"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom::Result;
use strongroom::handle::aggregate::{Cardinality, Terms, filtered, top_hits};
use strongroom::prelude::*;
use strongroom::query::{CalendarUnit, TermsOrder};
use support::{Watched, watched};

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "sales")]
struct Sale {
    #[document(routing)]
    shop: String,
    #[document(id)]
    number: u32,
    #[document(keyword)]
    region: Option<String>,
    tags: Vec<String>,
    paid: bool,
    price: f64,
    sold: Option<Timestamp>,
    #[document(text)]
    remark: Option<String>,
    #[document(nested)]
    lines: Vec<Line>,
}

#[derive(Object, Serialize, Deserialize, Clone, Debug)]
struct Line {
    product: String,
    amount: i32,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Price {
    price: f64,
}

fn sale(number: u32, region: Option<&str>, price: f64, sold: Option<&str>) -> Sale {
    Sale {
        shop: if number < 3 { "paris" } else { "rome" }.to_owned(),
        number,
        region: region.map(str::to_owned),
        tags: (0..number).map(|n| format!("t{n}")).collect(),
        paid: number % 2 == 1,
        price,
        sold: sold.map(|text| text.parse().unwrap()),
        remark: None,
        lines: (0..number)
            .map(|n| Line {
                product: if n == 0 { "tea" } else { "cup" }.to_owned(),
                amount: i32::try_from(n).unwrap() - 1,
            })
            .collect(),
    }
}

async fn filled(sales: &Collection<Sale>) -> Result<()> {
    sales.ensure().await?;
    let made = [
        sale(1, Some("eu"), 1.5, Some("2026-01-31T23:59:59.999Z")),
        sale(2, Some("eu"), 2.0, Some("2026-02-01T00:00:00Z")),
        sale(3, Some("Ünï"), -4.0, Some("1969-12-31T23:59:59Z")),
        sale(4, None, 0.0, None),
    ];
    for made in sales.insert_many(made).await? {
        made?;
    }
    Ok(())
}

async fn sales() -> Result<(Watched, Collection<Sale>)> {
    let w = watched();
    let sales = w.db.collection::<Sale>();
    filled(&sales).await?;
    w.spy.take();
    Ok((w, sales))
}

/// Every engine has the same answers.
async fn on_each(test: impl AsyncFn(Collection<Sale>) -> Result<()>) -> Result<()> {
    for url in ["memory:", "sqlite::memory:"] {
        let sales = strongroom::connect(url).await?.collection();
        filled(&sales).await?;
        test(sales).await?;
    }
    Ok(())
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn metrics_have_the_types_of_their_fields() -> Result<()> {
    on_each(async |sales| {
        let f = Sale::fields();
        let all = sales.find(Filter::all());
        let (sum, average, least, last) = all
            .clone()
            .aggregate((
                f.price().sum(),
                f.price().average(),
                f.price().minimum(),
                f.sold().maximum(),
            ))
            .await?;
        assert_eq!((sum, average, least), (-0.5, Some(-0.125), Some(-4.0)));
        assert_eq!(last, Some(time("2026-02-01T00:00:00Z")));

        let amounts = all.clone().aggregate(f.lines().amount().stats()).await?;
        assert_eq!(
            (amounts.count, amounts.min, amounts.max),
            (10, Some(-1), Some(2))
        );
        assert_eq!((amounts.sum, amounts.average), (0.0, Some(0.0)));
        let (sold, regions, tags) = all
            .clone()
            .aggregate((
                f.sold().count(),
                f.region().cardinality(),
                f.tags().cardinality(),
            ))
            .await?;
        assert_eq!((sold, regions), (3, Cardinality::exact(2)));
        assert_eq!(tags.value, 4);
        assert_eq!(all.clone().aggregate(f.remark().count()).await?, 0);

        // Whatever sort, limit, offset and selection say, as for a count.
        let cut = all
            .sort(f.price().desc())
            .limit(1)
            .offset(2)
            .select((f.region(),));
        assert_eq!(cut.aggregate(f.price().sum()).await?, -0.5);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn where_there_is_no_value() -> Result<()> {
    on_each(async |sales| {
        let f = Sale::fields();
        let none = || sales.find(f.price().gt(1_000.0));
        let (stats, least, average, sum, terms, histogram, hits) = none()
            .aggregate((
                f.sold().stats(),
                f.price().minimum(),
                f.price().average(),
                f.price().sum(),
                f.region().terms(),
                f.price().histogram(1.0),
                top_hits(3),
            ))
            .await?;
        assert_eq!((stats.count, stats.min, stats.max), (0, None, None));
        assert_eq!((stats.sum, stats.average), (0.0, None));
        assert_eq!((least, average, sum), (None, None, 0.0));
        assert!(terms.buckets.is_empty() && terms.other == 0);
        assert!(histogram.is_empty() && hits.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn buckets_have_typed_keys() -> Result<()> {
    on_each(async |sales| {
        let f = Sale::fields();
        let all = || sales.find(Filter::all());
        let regions = all()
            .aggregate(
                f.region()
                    .terms()
                    .within((f.price().sum(), f.sold().maximum())),
            )
            .await?;
        let eu = regions.get("eu").expect("two are in it");
        assert_eq!((eu.count, eu.within.0), (2, 3.5));
        assert_eq!(regions.buckets[1].key, "Ünï");
        assert_eq!(regions.get("nowhere"), None);

        let (paid, prices, numbers) = all()
            .aggregate((
                f.paid().terms().order(TermsOrder::KeyDescending),
                f.price().terms().order(TermsOrder::KeyAscending).size(2),
                f.lines().amount().terms().size(1),
            ))
            .await?;
        let paid: Vec<(bool, u64)> = paid.buckets.iter().map(|b| (b.key, b.count)).collect();
        assert_eq!(paid, [(true, 2), (false, 2)]);
        let keys: Vec<f64> = prices.buckets.iter().map(|b| b.key).collect();
        assert_eq!((keys, prices.other, prices.error), (vec![-4.0, 0.0], 2, 0));
        assert_eq!((numbers.buckets[0].key, numbers.buckets[0].count), (-1, 4));

        let steps = all()
            .aggregate(
                f.price()
                    .histogram(2.0)
                    .offset(0.5)
                    .within(f.region().count()),
            )
            .await?;
        let steps: Vec<_> = steps.iter().map(|b| (b.key, b.count, b.within)).collect();
        assert_eq!(steps, [(-5.5, 1, 1), (-1.5, 1, 0), (0.5, 2, 2)]);
        let (months, days) = all()
            .aggregate((
                f.sold().date_histogram(CalendarUnit::Month),
                f.sold()
                    .date_histogram(Duration::from_secs(86_400))
                    .within(f.price().minimum()),
            ))
            .await?;
        let months: Vec<_> = months.iter().map(|b| b.key.to_string()).collect();
        let wanted =
            ["1969-12-01", "2026-01-01", "2026-02-01"].map(|d| format!("{d}T00:00:00.000Z"));
        assert_eq!(months, wanted);
        assert_eq!(days[0].key, time("1969-12-31T00:00:00Z"));
        assert_eq!(days[0].within, Some(-4.0));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn filters_objects_and_hits() -> Result<()> {
    on_each(async |sales| {
        let f = Sale::fields();
        let (paid, lines) = sales
            .find(f.region().exists())
            .aggregate((
                filtered(f.paid().is_true()).within((f.price().sum(), top_hits(1))),
                f.lines().objects().within((
                    f.lines().product().cardinality(),
                    f.lines().amount().maximum(),
                )),
            ))
            .await?;
        assert_eq!((paid.count, paid.within.0), (2, -2.5));
        assert_eq!(paid.within.1[0].number, 1);
        assert_eq!(
            (lines.count, lines.within.0.value, lines.within.1),
            (6, 2, Some(1))
        );

        // What is handed out can be changed and saved, a part of it without touching the rest.
        let mut dearest = sales
            .find(Filter::all())
            .aggregate(top_hits(2).sort(f.price().desc()).select((
                f.price(),
                f.lines(),
                f.tags(),
                f.paid(),
            )))
            .await?;
        assert_eq!(dearest.len(), 2);
        assert_eq!(dearest[0].region, None, "it was not selected");
        dearest[0].price = 9.0;
        sales.save(&mut dearest[0]).await?;
        let saved = sales.get(("paris", "2")).await?.unwrap();
        assert_eq!((saved.price, saved.region.as_deref()), (9.0, Some("eu")));

        let by_shop: Terms<String, _> = sales
            .find(Filter::all())
            .aggregate(
                f.region()
                    .terms()
                    .within(top_hits(1).sort(f.price().asc()).views::<Price>()),
            )
            .await?;
        let cheapest = &by_shop.get("eu").unwrap().within[0];
        assert_eq!(**cheapest, Price { price: 1.5 });
        assert_eq!(cheapest.key().routing().unwrap().as_str(), "paris");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_answer_has_the_shape_of_the_question() -> Result<()> {
    let (w, sales) = sales().await?;
    let f = Sale::fields();
    let all = || sales.find(Filter::all()).routing("paris");
    let named = ["eu", "us"].map(|region| (region.to_owned(), filtered(f.region().eq(region))));
    let ((one, two), by_name, listed, some, none, ()) = all()
        .aggregate((
            (f.price().sum(), (f.price().maximum(), f.price().minimum())),
            BTreeMap::from(named),
            [f.price().count(), f.sold().count()],
            Some(f.paid().count()),
            None::<strongroom::handle::aggregate::TopHits>,
            (),
        ))
        .await?;
    assert_eq!((one, two), (3.5, (Some(2.0), Some(1.5))));
    assert_eq!(by_name["eu"].count, 2);
    assert_eq!(by_name["us"].count, 0);
    assert_eq!(listed, [2, 2]);
    assert_eq!(some, Some(2));
    assert!(none.is_none());
    assert_eq!(w.spy.take().len(), 1, "all of it in one question");
    all().aggregate(()).await?;
    assert_eq!(w.spy.take(), [], "nothing is asked for");

    let twice = BTreeMap::from([
        (
            "a".to_owned(),
            BTreeMap::from([("b.c".to_owned(), f.price().sum())]),
        ),
        (
            "a.b".to_owned(),
            BTreeMap::from([("c".to_owned(), f.price().sum())]),
        ),
    ]);
    let error = all().aggregate(twice).await.unwrap_err();
    assert!(error.message().contains("\"a.b.c\""), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_any_io() -> Result<()> {
    let (w, sales) = sales().await?;
    let f = Sale::fields();
    let all = || sales.find(Filter::all());
    let odd = Duration::from_micros(1_500);
    let too_long = Duration::from_secs(u64::MAX);
    let errors = [
        all().aggregate(f.region().terms().size(0)).await.map(drop),
        all()
            .aggregate(f.region().terms().size(10_001))
            .await
            .map(drop),
        all().aggregate(f.price().histogram(0.0)).await.map(drop),
        all().aggregate(f.price().histogram(-1.0)).await.map(drop),
        all()
            .aggregate(f.price().histogram(f64::NAN))
            .await
            .map(drop),
        all()
            .aggregate(f.price().histogram(1.0).offset(f64::INFINITY))
            .await
            .map(drop),
        all()
            .aggregate(f.sold().date_histogram(Duration::ZERO))
            .await
            .map(drop),
        all()
            .aggregate(f.sold().date_histogram(odd))
            .await
            .map(drop),
        all()
            .aggregate(f.sold().date_histogram(too_long))
            .await
            .map(drop),
        all().aggregate(top_hits(0)).await.map(drop),
        all().aggregate(top_hits(101)).await.map(drop),
        all()
            .aggregate(top_hits(1).select(["a..b"]))
            .await
            .map(drop),
        all()
            .aggregate(f.region().terms().within(top_hits(1).select([""])))
            .await
            .map(drop),
        all()
            .aggregate(f.lines().objects().within(f.price().sum()))
            .await
            .map(drop),
        all().aggregate(vec![f.price().sum(); 101]).await.map(drop),
        all().routing("").aggregate(f.price().sum()).await.map(drop),
        sales
            .find(Filter::eq("unknown", 1)?)
            .aggregate(f.price().sum())
            .await
            .map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(error.collection().unwrap().as_str(), "sales", "{error}");
    }
    assert_eq!(w.spy.take(), []);
    Ok(())
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_kind_is_told() -> Result<()> {
    on_each(async |sales| {
        let f = Sale::fields();
        let half = Patch::new().set("lines".parse()?, serde_json::json!([{"amount": 0.5}]));
        sales.patch(("rome", "4"), half, Expected::Any).await?;
        let amounts = || {
            sales
                .find(f.price().eq(0.0))
                .aggregate(f.lines().amount().terms())
        };
        let error = amounts().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(
            error.message().contains("field lines.amount is 0.5"),
            "{error}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn explanations_name_what_is_asked() -> Result<()> {
    let (w, sales) = sales().await?;
    let f = Sale::fields();
    let find = sales.find(f.region().eq("eu"));
    let texts = [
        find.clone().explain().await?.to_string(),
        find.clone().explain_count().await?.to_string(),
        find.clone().explain_stream().await?.to_string(),
        find.clone()
            .explain_aggregate(f.price().sum())
            .await?
            .to_string(),
    ];
    for text in &texts {
        assert!(text.contains("region"), "{text}");
    }
    assert_eq!(w.spy.take(), [strongroom::Operation::Explain; 4]);
    assert!(find.clone().limit(0).explain().await.is_err());
    assert!(find.explain_aggregate(top_hits(0)).await.is_err());
    Ok(())
}
