//! What becomes of connections when calls are cut off, refused or lost.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use strongroom_core::error::ErrorKind;
use strongroom_core::model::Key;
use strongroom_core::query::{Filter, Native};
use strongroom_core::store::{
    BeginOptions, CountRequest, Load, LoadRequest, Save, ScanRequest, Search, Store,
};

use crate::support::proxy::{At, Cut, Proxy};
use crate::support::{ENGINE, Login, Named, Options, SqlStore, WRONG};

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

/// A server that was started again, or a firewall, closes all that is idle at once.
#[tokio::test]
async fn one_loss_stands_for_all_that_were_idle() {
    let named = Named::connect(4).await;
    let transact = named.store.transact().unwrap();
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(transact.begin(BeginOptions::new()).await.unwrap());
    }
    for transaction in open {
        transaction.rollback().await.unwrap();
    }
    let load = || {
        let keys = vec![Key::new("a").unwrap()];
        named
            .store
            .load(LoadRequest::new(named.model.clone(), keys))
    };
    assert_eq!(named.end_all().await, 4);
    let lost = load().await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
    for _ in 0..8 {
        load().await.unwrap();
    }
    assert!(named.end_all().await > 0);
    let lost = transact.begin(BeginOptions::new()).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
    load().await.unwrap();
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

/// Polls a call so many times, and drops it.
async fn cut_after(mut polls: usize, call: impl Future) {
    let mut call = pin!(call);
    poll_fn(|context| {
        polls -= 1;
        match call.as_mut().poll(context).is_ready() || polls == 0 {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// The statements of each round are sent for the first time on their connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_cut_off_in_a_savepoint_leaves_nothing_to_hang_on() {
    let named = Named::connect(1).await;
    let mut gone_on = 0;
    for polls in 1..24 {
        let options = Options::from_url(&named.url()).unwrap().connections(1);
        let store = SqlStore::connect(options).await.unwrap();
        let transact = store.transact().unwrap();
        let transaction = transact.begin(BeginOptions::new()).await.unwrap();
        let savepoint = transaction.transact().unwrap();
        let savepoint = savepoint.begin(BeginOptions::new()).await.unwrap();
        cut_after(polls, savepoint.save(named.put("a", polls))).await;
        drop(savepoint);
        let then = async {
            transaction.save(named.put("b", polls)).await?;
            transaction.commit().await
        };
        let then = tokio::time::timeout(Duration::from_secs(20), then).await;
        match then.expect("the transaction hangs") {
            Ok(()) => {
                gone_on += 1;
                assert_eq!(named.number("b").await, u64::try_from(polls).unwrap());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
                assert_eq!(ENGINE, "mariadb", "after {polls} polls: {error:?}");
            }
        }
        store.close().await.unwrap();
    }
    // Calls that came to their end before they were cut off at the least.
    assert!(gone_on > 0, "no transaction went on");
    named.done().await;
}

/// The answer to a call that was cut off comes later, and is an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_late_refusal_of_a_call_cut_off_is_not_that_of_the_next() {
    let named = Named::connect(2).await;
    let transact = named.store.transact().unwrap();
    let holder = transact.begin(BeginOptions::new()).await.unwrap();
    holder.save(named.put("a", 0)).await.unwrap();
    let options = Options::from_url(&named.url()).unwrap().connections(1);
    let store = SqlStore::connect(options.wait(Duration::from_secs(1))).await;
    let store = store.unwrap();
    let transaction = store.transact().unwrap().begin(BeginOptions::new()).await;
    let transaction = transaction.unwrap();
    let savepoint = transaction.transact().unwrap();
    let savepoint = savepoint.begin(BeginOptions::new()).await.unwrap();
    let waiting = savepoint.save(named.put("a", 1));
    let cut = tokio::time::timeout(Duration::from_millis(300), waiting).await;
    assert!(cut.is_err(), "nothing was waited for: {cut:?}");
    drop(savepoint);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let then = async {
        transaction.save(named.put("b", 1)).await?;
        transaction.commit().await
    };
    match then.await {
        Ok(()) => assert_eq!(named.number("b").await, 1),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
            assert_eq!(ENGINE, "mariadb", "{error:?}");
        }
    }
    holder.rollback().await.unwrap();
    store.close().await.unwrap();
    named.done().await;
}

/// A store whose new connections take their time once that is asked for. Two are open already.
async fn slow_to_connect(named: &Named) -> (SqlStore, Arc<AtomicBool>) {
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = slow.clone();
    let options = Options::from_url(&named.url()).unwrap().connections(2);
    let options = options.log_in(move || {
        let slow = is_slow.load(Ordering::SeqCst);
        async move {
            if slow {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            Ok(Login::new())
        }
    });
    let store = SqlStore::connect(options).await.unwrap();
    let transact = store.transact().unwrap();
    let one = transact.begin(BeginOptions::new()).await.unwrap();
    let two = transact.begin(BeginOptions::new()).await.unwrap();
    one.rollback().await.unwrap();
    two.rollback().await.unwrap();
    (store, slow)
}

/// What an abandoned write may still do, no later read has overlooked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_write_does_not_follow_a_later_read() {
    let named = Named::connect(2).await;
    for how in ["load", "transaction", "scan"] {
        named.store.save(named.put("a", 0)).await.unwrap();
        let (store, slow) = slow_to_connect(&named).await;
        let transact = named.store.transact().unwrap();
        let holder = transact.begin(BeginOptions::new()).await.unwrap();
        holder.save(named.put("a", 7)).await.unwrap();
        slow.store(true, Ordering::SeqCst);
        let waiting = store.save(named.put("a", 1));
        let cut = tokio::time::timeout(Duration::from_millis(300), waiting).await;
        assert!(cut.is_err(), "nothing was waited for: {cut:?}");
        let load = LoadRequest::new(named.model.clone(), vec![Key::new("a").unwrap()]);
        let told = match how {
            "load" => store.load(load).await.unwrap().remove(0),
            "scan" => {
                let all = ScanRequest::new(named.model.clone(), Filter::all());
                let mut scan = store.scan(all).await.unwrap();
                Some(scan.next().await.unwrap().remove(0))
            }
            _ => {
                let transaction = store.transact().unwrap().begin(BeginOptions::new()).await;
                let transaction = transaction.unwrap();
                let told = transaction.load(load).await.unwrap().remove(0);
                transaction.rollback().await.unwrap();
                told
            }
        };
        holder.rollback().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let is = named.version(Key::new("a").unwrap()).await.unwrap();
        assert_eq!(is, told.unwrap().version, "{how}");
        store.close().await.unwrap();
    }
    named.done().await;
}

/// Reads that are cut off, as when clients go away, keep nobody from writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_reads_are_not_waited_for() {
    let named = Named::connect(1).await;
    let (store, slow) = slow_to_connect(&named).await;
    slow.store(true, Ordering::SeqCst);
    let load = LoadRequest::new(named.model.clone(), vec![Key::new("a").unwrap()]);
    cut_after(1, store.load(load)).await;
    let save = store.save(named.put("a", 1));
    let saved = tokio::time::timeout(Duration::from_secs(1), save).await;
    saved.expect("a write waited for a read").unwrap();
    store.close().await.unwrap();
    named.done().await;
}
