//! The derives through the facade: what is declared is what a store keeps, finds and shows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use serde::{Deserialize, Serialize};
use strongroom::model::{Body, Kind};
use strongroom::prelude::*;
use strongroom::{ErrorKind, Result, output_json};

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "orders", unknown = "keep")]
#[serde(rename_all = "camelCase")]
struct Order {
    #[document(id(generated))]
    id: String,
    #[document(indexed)]
    customer: Ref<Customer>,
    #[document(keyword)]
    status: Status,
    #[document(nested)]
    lines: Vec<Line>,
    #[document(scaled_float(factor = 100))]
    total_price: f64,
    weight: Option<f32>,
    count: u64,
    paid: bool,
    tags: Vec<String>,
    delivered_at: Option<Timestamp>,
    label: Option<Binary>,
    #[document(secret)]
    card: Option<String>,
    #[document(unmapped)]
    notes: serde_json::Value,
    #[document(lazy = history)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    history: Lazy<Vec<Order>>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Open,
    Shipped,
}

#[derive(Object, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Line {
    sku: String,
    count: i32,
}

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "customers", id = Self::slug)]
struct Customer {
    name: String,
    #[document(unique)]
    email: String,
}

impl Customer {
    fn slug(&self) -> String {
        self.name.to_lowercase()
    }
}

/// The orders of the same customer, of each of these orders.
async fn history(db: &Database, orders: &[&Order]) -> Result<Vec<Vec<Order>>> {
    let mut histories = Vec::with_capacity(orders.len());
    for order in orders {
        let filter = Order::fields().customer().eq(&order.customer);
        let page = db.collection::<Order>().find(filter).page().await?;
        histories.push(page.into_iter().map(Versioned::into_inner).collect());
    }
    Ok(histories)
}

fn order(customer: &Ref<Customer>, count: u64) -> Order {
    Order {
        id: String::new(),
        customer: customer.clone(),
        status: Status::Open,
        lines: vec![Line {
            sku: "tea".into(),
            count: 2,
        }],
        total_price: 12.5,
        weight: Some(0.1),
        count,
        paid: false,
        tags: vec!["new".into()],
        delivered_at: None,
        label: Some(Binary::from(vec![1, 2, 3])),
        card: Some("4111".into()),
        notes: serde_json::json!({"gift": true}),
        history: Lazy::new(),
    }
}

async fn shop(url: &str) -> Result<(Database, Collection<Order>, Ref<Customer>)> {
    let db = strongroom::connect(url).await?;
    let (orders, customers) = (db.collection::<Order>(), db.collection::<Customer>());
    orders.ensure().await?;
    customers.ensure().await?;
    let ada = Customer {
        name: "Ada".into(),
        email: "ada@example.com".into(),
    };
    let ada = customers.insert(ada).await?;
    Ok((db, orders, Ref::from(&ada)))
}

async fn every_handle_finds_what_was_stored(url: &str) -> Result<()> {
    let (_db, orders, ada) = shop(url).await?;
    let stored = orders.insert(order(&ada, 3)).await?;
    assert_eq!(
        uuid::Uuid::parse_str(&stored.id).unwrap().get_version_num(),
        7
    );
    let f = Order::fields();
    let found = [
        f.id().eq(&stored.id),
        f.customer().eq(&ada),
        f.customer().is_in([&ada]),
        f.status().eq_value(&Status::Open)?,
        f.lines().sku().eq("tea"),
        f.lines().count().between(1, 2),
        f.total_price().eq(12.5),
        f.weight().eq(0.1_f32),
        f.count().gte(3),
        f.count().lt(u64::MAX),
        f.count().ne(u64::MAX),
        f.paid().is_false(),
        f.tags().is_in(["new", "old"]),
        f.tags().prefix("n"),
        !f.delivered_at().exists(),
        f.label().exists(),
        f.card().eq("4111"),
    ];
    for filter in found {
        assert_eq!(orders.find(filter.clone()).count().await?, 1, "{filter:?}");
    }
    let not_found = [
        f.count().eq(u64::MAX),
        f.count().gt(i64::MAX as u64 + 1),
        f.count().is_in([u64::MAX]),
        f.status().eq_value(&Status::Shipped)?,
        f.customer().eq(&Key::routed("eu", "ada")?),
        f.lines().exists().and(f.paid().is_true()),
    ];
    for filter in not_found {
        assert_eq!(orders.find(filter.clone()).count().await?, 0, "{filter:?}");
    }
    let sorted = orders.find(Filter::all()).sort(f.total_price().desc());
    assert_eq!(sorted.page().await?.len(), 1);
    assert_eq!(
        Order::model()?.field("totalPrice").unwrap().kind,
        Kind::ScaledFloat { factor: 100 }
    );
    Ok(())
}

async fn every_handle_patches_what_it_is_of(url: &str) -> Result<()> {
    let (_db, orders, ada) = shop(url).await?;
    let stored = orders.insert(order(&ada, 3)).await?;
    let f = Order::fields();
    let delivered = Timestamp::from_millis(1_000)?;
    let line = Line {
        sku: "cup".into(),
        count: 1,
    };
    let patch = f
        .count()
        .increment(-1)
        .and(f.status().set(Status::Shipped))
        .and(f.total_price().increment(0.5))
        .and(f.weight().set(0.2))
        .and(f.delivered_at().max(delivered))
        .and(f.lines().append([&line]))
        .and(f.tags().remove(["new"]))
        .and(f.tags().append(["sent"]))
        .and(f.label().unset())
        .and(f.notes().set(serde_json::json!([1])));
    orders.patch(&stored, patch, Expected::Present).await?;
    let patched = orders.get(&stored).await?.unwrap();
    let expected = Order {
        status: Status::Shipped,
        lines: vec![stored.lines[0].clone(), line],
        total_price: 13.0,
        weight: Some(0.2),
        count: 2,
        tags: vec!["sent".into()],
        delivered_at: Some(delivered),
        label: None,
        notes: serde_json::json!([1]),
        ..(*stored).clone()
    };
    assert_eq!(*patched, expected);

    for wrong in [
        f.count().increment(u64::MAX),
        f.total_price().set(f64::NAN),
        f.count().set(u64::MAX),
    ] {
        let error = orders
            .patch(&stored, wrong, Expected::Present)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(
        orders.get(&stored).await?.unwrap().version(),
        patched.version()
    );
    Ok(())
}

async fn output_has_what_was_loaded_and_no_secret(url: &str) -> Result<()> {
    let (db, orders, ada) = shop(url).await?;
    orders.insert(order(&ada, 1)).await?;
    let second = orders.insert(order(&ada, 2)).await?;
    let stored = Body::encode(&*second)?;
    assert!(stored.as_str()?.contains(r#""label":"AQID""#), "{stored:?}");
    orders.resolve([&second], Resolve::all()).await?;
    assert_eq!(second.customer.require()?.email, "ada@example.com");
    assert_eq!(second.history.require()?.len(), 2);
    let shown = output_json(&*second)?;
    assert!(
        shown.contains("ada@example.com") && shown.contains("history"),
        "{shown}"
    );
    assert!(
        !shown.contains("4111"),
        "the secret of an order within an order: {shown}"
    );
    assert_eq!(Body::encode(&*second)?.as_bytes(), stored.as_bytes());
    assert!(!second.is_changed());
    let page = orders.find(Filter::all()).page().await?;
    let shown: Vec<_> = page.iter().map(|order| Output::new(&**order)).collect();
    assert!(!serde_json::to_string(&shown).unwrap().contains("4111"));
    db.close().await
}

async fn resolvers_see_the_transaction_that_they_run_in(url: &str) -> Result<()> {
    let (db, orders, ada) = shop(url).await?;
    let tx = db.begin(strongroom::store::BeginOptions::new()).await?;
    let inside = tx.collection::<Order>();
    let first = inside.insert(order(&ada, 1)).await?;
    inside.resolve([&first], Resolve::all()).await?;
    assert_eq!(first.history.require()?.len(), 1);
    assert!(first.customer.is_loaded());
    tx.rollback().await?;
    assert_eq!(orders.find(Filter::all()).count().await?, 0);
    Ok(())
}

/// Runs every case above on one store.
macro_rules! on {
    ($store:ident, $url:literal: $($case:ident),*) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() -> strongroom::Result<()> {
                super::$case($url).await
            })*
        }
    };
}

on!(memory, "memory:": every_handle_finds_what_was_stored, every_handle_patches_what_it_is_of, output_has_what_was_loaded_and_no_secret, resolvers_see_the_transaction_that_they_run_in);

#[cfg(feature = "sqlite")]
on!(sqlite, "sqlite::memory:": every_handle_finds_what_was_stored, every_handle_patches_what_it_is_of, output_has_what_was_loaded_and_no_secret, resolvers_see_the_transaction_that_they_run_in);
