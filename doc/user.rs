// What the examples of the README share: the document that the first of them writes out, and a
// database in memory. It is included by the examples and is no part of the crate.

#[allow(unused_imports)]
use std::sync::Arc;

use serde::{Deserialize, Serialize};
#[allow(unused_imports)]
use strongroom::handle::*;
use strongroom::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "users")]
struct User {
    #[document(id)]
    username: String,
    #[document(keyword, indexed)]
    region: String,
    #[document(text)]
    bio: String,
    #[document(created)]
    created_at: Option<Timestamp>,
    logins: u64,
}

#[allow(dead_code)]
impl User {
    fn new(username: &str, region: &str, bio: &str, logins: u64) -> Self {
        Self {
            username: username.to_owned(),
            region: region.to_owned(),
            bio: bio.to_owned(),
            created_at: None,
            logins,
        }
    }
}

/// Runs an example on a collection of three users.
#[allow(dead_code)]
fn run(example: impl AsyncFnOnce(Collection<User>) -> Outcome) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let users = strongroom::connect("memory:").await?.collection::<User>();
        users.ensure().await?;
        let three = [
            User::new("ada", "eu", "Wrote the first program.", 7),
            User::new("bob", "us", "Writes programs, first of all for work.", 2),
            User::new("cy", "eu", "Draws.", 0),
        ];
        users.insert_many(three).await?;
        example(users).await
    })
}
