//! Testing code that uses Strongroom: swap the store, keep the code.
//!
//! Code that takes a [`Database`] or a [`Collection`] never learns which store is behind it. So a
//! test gives it
//!
//! 1. a mock, to say call by call what the store is asked and answers;
//! 2. the store in memory, to have one that simply works, and counts its calls where I/O matters;
//! 3. a store that fails as scripted, to see that the code holds when the network does not.
//!
//! `cargo run --example testing_with_mocks` runs all of them; in a project of your own, each would
//! be a `#[tokio::test]`. The mocks are behind the feature `mock`, for `[dev-dependencies]`.

#![allow(clippy::print_stdout, reason = "an example tells what it did")]

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom::layers::{Fault, FaultLayer, FaultPlan, FaultRule, Layer, RecordLayer, Recorder};
use strongroom::memory::MemoryStore;
use strongroom::mock::MockStore;
use strongroom::model::{Body, RawDocument};
use strongroom::prelude::*;
use strongroom::store::{Capabilities, Effect, Receipt};
use strongroom::{Operation, Result};

// ---- The code under test: it knows nothing of what follows. ----

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "users")]
struct User {
    #[document(id)]
    name: String,
    logins: u64,
}

/// Counts a login, and registers who is new.
async fn log_in(users: &Collection<User>, name: &str) -> Result<u64> {
    match users.update(name, |user| user.logins += 1).await {
        Ok(user) => Ok(user.logins),
        Err(error) if error.is_not_found() => {
            let user = User {
                name: name.to_owned(),
                logins: 1,
            };
            users.insert(user).await.map(|user| user.logins)
        }
        Err(error) => Err(error),
    }
}

// ---- 1. A mock: what is asked, and what if it answers so? ----

/// Someone else saves the user between our load and our save, and the login still counts.
pub(crate) async fn with_a_mock() -> Result<()> {
    let stored = |version: Version, logins: u64| -> Result<RawDocument> {
        let body = Body::parse(format!(r#"{{"name":"ada","logins":{logins}}}"#))?;
        Ok(RawDocument::new(Key::new("ada")?, version, body))
    };
    let first = Version::first(1);
    let second = first.next()?;
    let third = second.next()?;

    let mut store = MockStore::new();
    let mut order = mockall::Sequence::new();
    store
        .expect_capabilities()
        .return_const(Capabilities::new("mock"));
    let answer = stored(first, 1)?;
    store
        .expect_load()
        .once()
        .in_sequence(&mut order)
        .returning(move |_| Ok(vec![Some(answer.clone())]));
    store
        .expect_save()
        .once()
        .in_sequence(&mut order)
        .withf(move |request| request.write.expected == Expected::Exactly(first))
        .returning(move |request| {
            let write = request.write;
            Err(Error::conflict(write.key, write.expected, Some(second)))
        });
    let answer = stored(second, 5)?;
    store
        .expect_load()
        .once()
        .in_sequence(&mut order)
        .returning(move |_| Ok(vec![Some(answer.clone())]));
    store
        .expect_save()
        .once()
        .in_sequence(&mut order)
        .withf(move |request| request.write.expected == Expected::Exactly(second))
        .returning(move |_| Ok(Receipt::written(Effect::Replaced, third)));

    let users = Database::new(Arc::new(store)).collection::<User>();
    assert_eq!(log_in(&users, "ada").await?, 6);
    println!("mock: the conflict was met by loading and saving again");
    Ok(())
}

// ---- 2. The store in memory: does it work, and what does it cost? ----

/// A first and a second login, and the calls that they took.
pub(crate) async fn with_the_store_in_memory() -> Result<()> {
    let recorder = Recorder::new();
    let store = RecordLayer::new(recorder.clone()).wrap(Arc::new(MemoryStore::new()));
    let users = Database::new(store).collection::<User>();
    users.ensure().await?;
    recorder.take();

    assert_eq!(log_in(&users, "ada").await?, 1);
    assert_eq!(log_in(&users, "ada").await?, 2);

    let calls: Vec<Operation> = recorder.calls().iter().map(|call| call.operation).collect();
    let new = [Operation::Load, Operation::Save];
    let known = [Operation::Load, Operation::Save];
    assert_eq!(calls, [new, known].concat());
    println!("memory: two logins took {} calls", calls.len());
    Ok(())
}

// ---- 3. Scripted faults: does it hold when the network does not? ----

/// Requests and replies get lost, and every login counts exactly once.
pub(crate) async fn with_scripted_faults() -> Result<()> {
    let plan = FaultPlan::with_seed(42);
    let store = FaultLayer::new(plan.clone()).wrap(Arc::new(MemoryStore::new()));
    let users = Database::new(store).collection::<User>();
    users.ensure().await?;
    log_in(&users, "ada").await?;

    // The second save from now on takes effect, but its reply is lost.
    plan.add(FaultRule::new(Fault::ReplyLost).on(Operation::Save).nth(2));
    // One save in ten never arrives.
    plan.add(
        FaultRule::new(Fault::RequestLost)
            .on(Operation::Save)
            .every(10),
    );
    for expected in 2..=31 {
        assert_eq!(log_in(&users, "ada").await?, expected);
    }
    assert!(plan.faults() >= 4);
    println!(
        "faults: 30 logins counted once each, through {} faults",
        plan.faults()
    );

    // What cannot be found out is said: a delete leaves nothing to look at.
    plan.clear();
    plan.add(FaultRule::new(Fault::ReplyLost).on(Operation::Save));
    let unknown = users.delete("ada", Expected::Present).await;
    match unknown {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Indeterminate),
        // A store that can prove its deletes resolves them too.
        Ok(_) => println!("faults: the delete was proved"),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    with_a_mock().await?;
    with_the_store_in_memory().await?;
    with_scripted_faults().await?;
    Ok(())
}
