//! What becomes of connections when calls are cut off, refused or lost.

use std::time::Duration;

use strongroom_core::error::ErrorKind;
use strongroom_core::model::Key;
use strongroom_core::query::{Filter, Native};
use strongroom_core::store::{BeginOptions, CountRequest, Load, LoadRequest, Save, Search, Store};

use crate::support::proxy::{At, Cut, Proxy};
use crate::support::{ENGINE, Named, Options, SqlStore, WRONG};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_calls_leave_the_only_connection_clean() {
    let named = Named::connect(1).await;
    for round in 0..60_usize {
        let cut = Duration::from_micros(40 * u64::try_from(round).unwrap());
        let begun = tokio::time::timeout(cut, async {
            let transact = named.store.transact().unwrap();
            let transaction = transact.begin(BeginOptions::new()).await?;
            transaction.save(named.put("a", 999)).await?;
            transaction.rollback().await
        });
        drop(begun.await);
        drop(tokio::time::timeout(cut, named.store.save(named.put("b", round))).await);
        // A write called later is decided after the one that was cut off.
        named.store.save(named.put("a", round)).await.unwrap();
        named
            .store
            .save(named.put("b", 1_000 + round))
            .await
            .unwrap();
        assert_eq!(named.number("a").await, u64::try_from(round).unwrap());
        assert_eq!(
            named.number("b").await,
            u64::try_from(1_000 + round).unwrap()
        );
        assert_eq!(named.idle_in_transaction().await, 0, "round {round}");
    }
    named.done().await;
}

#[tokio::test]
async fn a_refused_statement_undoes_nothing_but_itself() {
    let named = Named::connect(2).await;
    let transact = named.store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    transaction.save(named.put("a", 1)).await.unwrap();
    let wrong = Filter::Native(Native {
        engine: ENGINE.to_owned(),
        condition: WRONG.to_owned(),
        values: Vec::new(),
    });
    let refused = transaction
        .count(CountRequest::new(named.model.clone(), wrong))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    transaction.save(named.put("b", 2)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((named.number("a").await, named.number("b").await), (1, 2));
    named.done().await;
}

#[tokio::test]
async fn a_pool_of_one_with_an_open_transaction_fails_in_time() {
    let named = Named::connect(1).await;
    named.store.save(named.put("a", 1)).await.unwrap();
    let transact = named.store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    transaction.save(named.put("a", 2)).await.unwrap();
    let options = BeginOptions::new().wait(Duration::from_millis(50));
    let second = transact.begin(options).await;
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Contended);
    let inner = transaction.transact().unwrap();
    let inner = inner.begin(BeginOptions::new()).await.unwrap();
    inner.save(named.put("b", 3)).await.unwrap();
    inner.commit().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((named.number("a").await, named.number("b").await), (2, 3));
    named.done().await;
}

#[tokio::test]
async fn lost_connections_are_told_and_replaced() {
    let named = Named::connect(1).await;
    named.store.save(named.put("a", 1)).await.unwrap();
    assert!(named.end_all().await > 0);
    let request = LoadRequest::new(named.model.clone(), vec![Key::new("a").unwrap()]);
    let lost = named.store.load(request).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
    assert_eq!(named.number("a").await, 1);
    assert!(named.end_all().await > 0);
    let lost = named.store.save(named.put("a", 2)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Indeterminate, "{lost:?}");
    named.store.save(named.put("a", 3)).await.unwrap();
    // Nothing was committed, and everybody knows.
    let transact = named.store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    transaction.save(named.put("a", 4)).await.unwrap();
    assert!(named.end_all().await > 0);
    let lost = transaction.save(named.put("b", 4)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
    let refused = transaction.commit().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled, "{refused:?}");
    assert_eq!(named.number("a").await, 3);
    named.done().await;
}

#[tokio::test]
async fn a_commit_on_a_lost_connection_wrote_nothing() {
    let named = Named::connect(1).await;
    let transact = named.store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    transaction.save(named.put("a", 1)).await.unwrap();
    assert!(named.end_all().await > 0);
    let lost = transaction.commit().await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
    named.done().await;
}

/// Every commit's connection is cut, half of them before the server hears of the commit, and half
/// after its first answer. What became of each is found out by what the transaction is known by.
/// Where the commit is one of several statements in a message, the first answer is not that of the
/// commit, which the end of the connection can forestall: then nothing is there, and so it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_commits_are_resolved() {
    let named = Named::connect(1).await;
    let proxy = Proxy::start(&named.url()).await;
    let through = Options::from_url(&proxy.url()).unwrap().connections(1);
    let through = SqlStore::connect(through).await.unwrap();
    let mut done = 0;
    for round in 0..20_usize {
        let cut = if round % 2 == 0 {
            Cut::Before
        } else {
            Cut::After
        };
        proxy.cut(cut, At::Commit);
        let transact = through.transact().unwrap();
        let transaction = transact.begin(BeginOptions::new()).await.unwrap();
        let id = format!("n{round}");
        transaction.save(named.put(&id, round)).await.unwrap();
        let committed = transaction.commit().await;
        let keys = vec![Key::new(id.as_str()).unwrap()];
        let loaded = named
            .store
            .load(LoadRequest::new(named.model.clone(), keys))
            .await;
        let is_there = loaded.unwrap().first().unwrap().is_some();
        assert!(!(is_there && cut == Cut::Before), "round {round}");
        done += usize::from(is_there);
        match committed {
            Ok(()) => assert!(is_there, "round {round}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                assert!(!is_there, "round {round}");
            }
        }
    }
    assert!(done > 0, "no commit was done although its answer was lost");
    through.close().await.unwrap();
    named.done().await;
}
