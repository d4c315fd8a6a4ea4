// What the examples of moving share: a document, and a collection of it in two databases in memory.
// It is included by the examples and is no part of the crate.

use serde::{Deserialize, Serialize};
use strongroom::handle::*;
use strongroom::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "orders")]
struct Order {
    #[document(id)]
    number: String,
    paid: bool,
    #[document(updated)]
    changed_at: Option<Timestamp>,
}

/// Runs an example on a collection of three orders and an empty one.
fn run(example: impl AsyncFnOnce(Collection<Order>, Collection<Order>) -> Outcome) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let file = strongroom::connect("memory:").await?.collection::<Order>();
        let cluster = strongroom::connect("memory:").await?.collection::<Order>();
        file.ensure().await?;
        let orders = ["one", "two", "three"].map(|number| Order {
            number: number.to_owned(),
            paid: false,
            changed_at: None,
        });
        file.insert_many(orders).await?;
        example(file, cluster).await
    })
}
