//! Orders of about 400 bytes, with fields that pages are asked for by.

use serde::{Deserialize, Serialize};
use strongroom::prelude::*;

/// How many customers there are.
pub const CUSTOMERS: usize = 100;
/// When the first order was placed, in milliseconds.
const FIRST: i64 = 1_700_000_000_000;

/// An order of about 400 bytes of JSON.
#[derive(Document, Clone, Debug, Serialize, Deserialize)]
#[document(collection = "orders")]
pub struct Order {
    #[document(id)]
    pub id: String,
    #[document(keyword, indexed)]
    pub customer: String,
    #[document(indexed)]
    pub placed_at: Timestamp,
    #[document(keyword)]
    pub currency: String,
    #[document(text)]
    pub note: String,
    pub total: f64,
    pub paid: bool,
    pub articles: Vec<String>,
    #[document(created)]
    pub created_at: Option<Timestamp>,
}

/// The name of a customer.
pub fn customer(number: usize) -> String {
    format!("customer-{:03}", number % CUSTOMERS)
}

/// When an order was placed: one a minute.
pub fn placed_at(number: usize) -> Timestamp {
    Timestamp::from_millis(FIRST + 60_000 * number as i64).expect("a time of this century")
}

/// `count` orders of all customers in turn.
pub fn orders(count: usize) -> Vec<Order> {
    let note = "Please leave the parcel with the neighbours across the yard if nobody opens, and \
                ring twice, because the bell is hard to hear in the workshop at the back.";
    (0..count)
        .map(|n| Order {
            id: format!("order-{n:08}"),
            customer: customer(n),
            placed_at: placed_at(n),
            currency: ["EUR", "USD", "JPY"][n % 3].to_owned(),
            note: note.to_owned(),
            total: n as f64 * 0.75,
            paid: n % 5 != 0,
            articles: vec![format!("article-{}", n % 500), "gift wrap".to_owned()],
            created_at: Some(Timestamp::now()),
        })
        .collect()
}
