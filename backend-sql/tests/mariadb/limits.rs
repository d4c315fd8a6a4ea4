//! What MariaDB does otherwise than one would think, and what the store makes of it.

use std::time::Duration;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions};
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, Bulk, BulkReply, BulkRequest, CountRequest, Effect, EnsureRequest, Isolation,
    Load, LoadRequest, Save, SaveRequest, Schema, Search, Store, Write,
};
use strongroom_sqlx::{MariaDbOptions, MariaDbStore};

use crate::support::own::OwnServer;
use crate::support::{self, Named};

fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}

/// The collation that the server prefers takes `'a'`, `'A'`, `'ä'` and `'a '` for one.
#[tokio::test]
async fn ids_differ_by_any_byte() {
    let named = Named::connect(1).await;
    let ids = [
        "a", "A", "a ", " a", "ä", "a\u{308}", "a\t", "a\u{a0}", "'", "\\", "`", "%", "😀",
    ];
    for (n, id) in ids.iter().enumerate() {
        let write = Write::put(
            key(id),
            Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap(),
            Expected::Absent,
        );
        named.store.save(named.save(write)).await.unwrap();
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(named.number(id).await, u64::try_from(n).unwrap(), "{id:?}");
    }
    let keys = ids.iter().map(|id| key(id)).collect();
    let loaded = named
        .store
        .load(LoadRequest::new(named.model.clone(), keys))
        .await
        .unwrap();
    for (id, found) in ids.iter().zip(loaded) {
        assert_eq!(found.unwrap().key.id().as_str(), *id);
    }
    named.done().await;
}

/// Affected rows are matched rows: a put of what is there already moves the version all the same.
#[tokio::test]
async fn what_is_put_unchanged_is_written() {
    let named = Named::connect(1).await;
    let receipt = named.store.save(named.put("a", 1)).await.unwrap();
    let body = Body::parse(r#"{"n":1}"#).unwrap();
    let exactly = Write::put(key("a"), body.clone(), receipt.version.unwrap());
    let receipt = named.store.save(named.save(exactly.clone())).await.unwrap();
    assert_eq!(receipt.effect, Effect::Replaced);
    let conflict = named.store.save(named.save(exactly)).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert_eq!(conflict.actual_version(), receipt.version);
    let present = Write::put(key("a"), body, Expected::Present);
    let receipt = named.store.save(named.save(present)).await.unwrap();
    assert_eq!(receipt.version, named.version(key("a")).await);
    named.done().await;
}

/// A deadlock rolls all of the transaction back. What is sent after it would take effect at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_follows_a_deadlock_that_was_swallowed() {
    let named = Named::connect(4).await;
    for id in ["a", "b", "c"] {
        named.store.save(named.put(id, 0)).await.unwrap();
    }
    let transact = named.store.transact().unwrap();
    let one = transact.begin(BeginOptions::new()).await.unwrap();
    let other = transact.begin(BeginOptions::new()).await.unwrap();
    one.save(named.put("a", 1)).await.unwrap();
    other.save(named.put("b", 2)).await.unwrap();
    let (first, second) = tokio::join!(one.save(named.put("b", 1)), other.save(named.put("a", 2)));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let (victim, winner, wins) = if first.is_ok() {
        (other, one, 1)
    } else {
        (one, other, 2)
    };
    let refused = first.err().or(second.err()).unwrap();
    assert_eq!(refused.kind(), ErrorKind::Contended, "{refused:?}");
    let doomed = victim.save(named.put("c", 9)).await.unwrap_err();
    assert_eq!(doomed.kind(), ErrorKind::Cancelled, "{doomed:?}");
    let doomed = victim.commit().await.unwrap_err();
    assert_eq!(doomed.kind(), ErrorKind::Cancelled, "{doomed:?}");
    winner.commit().await.unwrap();
    assert_eq!(
        (named.number("a").await, named.number("b").await),
        (wins, wins)
    );
    assert_eq!(named.number("c").await, 0);
    named.done().await;
}

/// Who waits too long for a lock has undone only the statement. The transaction is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_is_given_up() {
    let named = Named::connect_by(|options| options.wait(Duration::from_secs(1))).await;
    named.store.save(named.put("a", 0)).await.unwrap();
    let transact = named.store.transact().unwrap();
    let one = transact.begin(BeginOptions::new()).await.unwrap();
    one.save(named.put("a", 1)).await.unwrap();
    let waited = named.store.save(named.put("a", 2)).await.unwrap_err();
    assert_eq!(waited.kind(), ErrorKind::Contended, "{waited:?}");
    let other = transact.begin(BeginOptions::new()).await.unwrap();
    other.save(named.put("b", 2)).await.unwrap();
    let waited = other.save(named.put("a", 2)).await.unwrap_err();
    assert_eq!(waited.kind(), ErrorKind::Contended, "{waited:?}");
    assert_eq!(
        other.commit().await.unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    one.commit().await.unwrap();
    assert_eq!(named.number("a").await, 1);
    assert_eq!(named.version(key("b")).await, None);
    named.done().await;
}

/// A snapshot does not write over what it has not seen.
#[tokio::test]
async fn a_snapshot_does_not_overwrite() {
    let named = Named::connect(2).await;
    named.store.save(named.put("a", 0)).await.unwrap();
    let transact = named.store.transact().unwrap();
    let options = BeginOptions::new().isolation(Isolation::Snapshot);
    let one = transact.begin(options).await.unwrap();
    named.store.save(named.put("a", 1)).await.unwrap();
    let count_up = Patch::new().increment("n".parse().unwrap(), 1);
    let late = named.save(Write::patch(key("a"), count_up, Expected::Present));
    let refused = one.save(late).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Contended, "{refused:?}");
    drop(one);
    assert_eq!(named.number("a").await, 1);
    named.done().await;
}

/// A statement that changes the schema commits what is open, so it is no part of a transaction.
#[tokio::test]
async fn the_schema_does_not_change_within_a_transaction() {
    let named = Named::connect(1).await;
    let transact = named.store.transact().unwrap();
    let one = transact.begin(BeginOptions::new()).await.unwrap();
    one.save(named.put("a", 1)).await.unwrap();
    // What is there needs no change.
    one.ensure(EnsureRequest::new(named.model.clone()))
        .await
        .unwrap();
    let other = Model::builder("others").build().unwrap();
    let refused = one.ensure(EnsureRequest::new(other)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
    let refused = one
        .drop_collection(named.model.name().clone())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
    one.rollback().await.unwrap();
    assert_eq!(named.version(key("a")).await, None);
    named.done().await;
}

/// Whoever made a collection was cut off between writing it down and making its table.
#[tokio::test]
async fn a_collection_that_was_begun_is_made() {
    let named = Named::connect(1).await;
    let options: MySqlConnectOptions = named.url().parse().unwrap();
    let mut beside = options.connect().await.unwrap();
    let begun = "INSERT INTO strongroom_collections (name, model, made) \
         SELECT 'begun', REPLACE(model, 'docs', 'begun'), FALSE FROM strongroom_collections";
    raw_sql(begun).execute(&mut beside).await.unwrap();
    let field = FieldDeclaration::new("n".parse().unwrap(), Kind::Integer).indexed();
    let model = Model::builder("begun").field(field).build().unwrap();
    assert!(
        named
            .store
            .describe(model.name().clone())
            .await
            .unwrap()
            .is_none()
    );
    let ensured = named
        .store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    assert!(ensured.created);
    let write = Write::put(
        key("a"),
        Body::parse(r#"{"n":1}"#).unwrap(),
        Expected::Absent,
    );
    named
        .store
        .save(SaveRequest::new(model.clone(), write))
        .await
        .unwrap();
    let count = CountRequest::new(model, Filter::eq("n", 1).unwrap());
    assert_eq!(named.store.count(count).await.unwrap(), 1);
    named.done().await;
}

/// The server ends a connection on which a longer message comes than it takes.
#[tokio::test]
async fn messages_are_as_short_as_the_server_wants_them() {
    let mut beside = support::connection().await;
    let before: i64 =
        query_scalar::<MySql, i64>("SELECT CAST(@@GLOBAL.max_allowed_packet AS INTEGER)")
            .fetch_one(&mut beside)
            .await
            .unwrap();
    // Long enough for whoever tests beside.
    let set = |bytes: i64| AssertSqlSafe(format!("SET GLOBAL max_allowed_packet = {bytes}"));
    raw_sql(set(4 << 20)).execute(&mut beside).await.unwrap();
    let named = Named::connect(1).await;
    let body = |bytes: usize| Body::parse(format!(r#"{{"t":"{}"}}"#, "x".repeat(bytes))).unwrap();
    let most = named.store.capabilities().max_body_bytes;
    raw_sql(set(before)).execute(&mut beside).await.unwrap();
    assert!(most < 4 << 20);
    let put = |id: &str, bytes: usize| Write::put(key(id), body(bytes), Expected::Any);
    named
        .store
        .save(named.save(put("most", most - 8)))
        .await
        .unwrap();
    let refused = named
        .store
        .save(named.save(put("more", most - 7)))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused:?}");
    // Together they are far too long for one message; one of them is so by itself.
    let sizes = [1 << 20, 10, most - 8, 3 << 20, 10, 2 << 20, most, 1 << 20];
    let items = sizes
        .iter()
        .enumerate()
        .map(|(n, bytes)| put(&format!("{n}"), *bytes).into());
    let reply = named.store.bulk(named.bulk(items.collect())).await.unwrap();
    for (n, outcome) in reply.outcomes.iter().enumerate() {
        let kind = outcome.as_ref().err().map(|e| e.kind());
        assert_eq!(kind, (n == 6).then_some(ErrorKind::Invalid), "{n}");
        assert_eq!(named.version(key(&format!("{n}"))).await.is_some(), n != 6);
    }
    named.done().await;
}

/// More documents than one statement takes, guarded, with some that are not there.
#[tokio::test]
async fn bulks_of_any_length_are_guarded() {
    let named = Named::connect(1).await;
    let id = |n: usize| format!("id{n:05}");
    let put = |n: usize, expected: Expected| {
        let body = Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap();
        Write::put(key(&id(n)), body, expected)
    };
    let items = (0..3_000).rev().map(|n| put(n, Expected::Absent).into());
    let created = named.store.bulk(named.bulk(items.collect())).await.unwrap();
    assert!(created.is_ok());
    let version = |n: usize| {
        created
            .outcomes
            .get(2_999 - n)
            .unwrap()
            .as_ref()
            .unwrap()
            .version
            .unwrap()
    };
    let items = (0..3_000).map(|n| match n % 5 {
        0 => put(n + 10_000, Expected::Exactly(version(n))).into(),
        1 => put(n + 10_000, Expected::Present).into(),
        2 => put(n, Expected::Exactly(version(n - 1))).into(),
        3 => put(n, Expected::Present).into(),
        _ => put(n, Expected::Exactly(version(n))).into(),
    });
    let reply = named.store.bulk(named.bulk(items.collect())).await.unwrap();
    for (n, outcome) in reply.outcomes.iter().enumerate() {
        let (kind, actual) = match outcome {
            Ok(receipt) => (None, receipt.version),
            Err(error) => (Some(error.kind()), error.actual_version()),
        };
        match n % 5 {
            0 | 1 => assert_eq!(kind, Some(ErrorKind::NotFound), "{n}"),
            2 => assert_eq!(
                (kind, actual),
                (Some(ErrorKind::Conflict), Some(version(n))),
                "{n}"
            ),
            _ => assert_eq!(
                (kind, actual.and_then(|v| v.revision())),
                (None, Some(2)),
                "{n}"
            ),
        }
    }
    // Nothing is left of those that were not there.
    let all = CountRequest::new(named.model.clone(), Filter::all());
    assert_eq!(named.store.count(all).await.unwrap(), 3_000);
    let atomic = BulkRequest::new(
        named.model.clone(),
        vec![
            put(1, Expected::Any).into(),
            put(20_000, Expected::Present).into(),
        ],
    );
    let reply = named.store.bulk(atomic.atomic()).await.unwrap();
    assert!(reply.outcomes.iter().all(Result::is_err));
    assert_eq!(named.version(key(&id(1))).await, Some(version(1)));
    named.done().await;
}

/// The table of commits does not grow for ever.
#[tokio::test]
async fn old_commits_are_pruned() {
    let named = Named::connect(1).await;
    let options: MySqlConnectOptions = named.url().parse().unwrap();
    let mut beside = options.connect().await.unwrap();
    let old = "INSERT INTO strongroom_commits (id, committed_at) VALUES (x'00', 1), (x'01', 2)";
    raw_sql(old).execute(&mut beside).await.unwrap();
    for n in 0..3 {
        let transact = named.store.transact().unwrap();
        let transaction = transact.begin(BeginOptions::new()).await.unwrap();
        transaction.save(named.put("a", n)).await.unwrap();
        transaction.commit().await.unwrap();
    }
    // A transaction that wrote nothing has nothing to note.
    let transaction = named
        .store
        .transact()
        .unwrap()
        .begin(BeginOptions::new())
        .await
        .unwrap();
    transaction
        .load(LoadRequest::new(named.model.clone(), vec![key("a")]))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let left = query_scalar::<MySql, i64>("SELECT COUNT(*) FROM strongroom_commits");
    assert_eq!(left.fetch_one(&mut beside).await.unwrap(), 3);
    named.done().await;
}

/// Another server, or a database of another version, is refused when the store connects.
#[tokio::test]
async fn a_database_of_another_format_is_refused() {
    let named = Named::connect(1).await;
    let options: MySqlConnectOptions = named.url().parse().unwrap();
    let mut beside = options.connect().await.unwrap();
    raw_sql("UPDATE strongroom_format SET version = 4711")
        .execute(&mut beside)
        .await
        .unwrap();
    let again = MariaDbStore::connect(support::Options::from_url(&named.url()).unwrap()).await;
    let refused = again.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
    assert!(refused.message().contains("4711"), "{refused}");
    named.done().await;
}

/// Where a bulk takes several messages, one that is refused leaves nothing of those before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_of_several_messages_is_not_told_as_undone_by_halves() {
    let named = Named::connect(2).await;
    let options = MariaDbOptions::from_url(&named.url()).unwrap();
    let store = MariaDbStore::connect(options.wait(Duration::from_secs(1))).await;
    let store = store.unwrap();
    let body = || Body::parse(format!(r#"{{"t":"{}"}}"#, "x".repeat(9 << 20))).unwrap();
    let items = || {
        let puts = ["a", "b"].map(|id| Write::put(key(id), body(), Expected::Any));
        named.bulk(puts.into_iter().map(Into::into).collect())
    };
    let transact = named.store.transact().unwrap();
    let holder = transact.begin(BeginOptions::new()).await.unwrap();
    holder.save(named.put("b", 1)).await.unwrap();
    let is_there = |told: &strongroom_core::Result<BulkReply>| match told {
        Ok(reply) => reply.outcomes[0].is_ok(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Contended, "{error:?}");
            false
        }
    };
    let told = store.bulk(items()).await;
    let there = named.version(key("a")).await.is_some();
    assert_eq!(there, is_there(&told), "{told:?}");
    if there {
        store
            .save(named.save(Write::delete(key("a"), Expected::Any)))
            .await
            .unwrap();
    }
    let transaction = store.transact().unwrap().begin(BeginOptions::new()).await;
    let transaction = transaction.unwrap();
    let told = transaction.bulk(items()).await;
    let committed = transaction.commit().await.is_ok();
    let there = named.version(key("a")).await.is_some();
    assert_eq!(there, committed && is_there(&told), "{told:?}");
    holder.rollback().await.unwrap();
    store.close().await.unwrap();
    named.done().await;
}

/// A server may have other defaults than ours, which would change what statements do and say.
#[tokio::test]
async fn defaults_of_the_server_change_nothing() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let url = server.url("127.0.0.1");
    let beside: MySqlConnectOptions = url.parse().unwrap();
    let mut beside = beside.connect().await.unwrap();
    let hostile = "SET GLOBAL lc_messages = 'de_DE', completion_type = 'CHAIN', \
         sql_select_limit = 1, sql_safe_updates = 1, sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', \
         autocommit = 0, tx_isolation = 'SERIALIZABLE', time_zone = '+05:00', \
         collation_server = 'latin1_german1_ci'";
    raw_sql(hostile).execute(&mut beside).await.unwrap();
    drop(beside);
    let open = || MariaDbStore::connect(MariaDbOptions::from_url(&url).unwrap());
    let (store, other) = (open().await.unwrap(), open().await.unwrap());
    let name = FieldDeclaration::new("name".parse().unwrap(), Kind::Keyword).unique();
    let model = Model::builder("docs").field(name).build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    let put = |id: &str, name: &str, expected| {
        let body = Body::parse(format!(r#"{{"name":"{name}"}}"#)).unwrap();
        SaveRequest::new(model.clone(), Write::put(key(id), body, expected))
    };
    for (id, name) in [("a", "one\\\\"), ("b", "two")] {
        store.save(put(id, name, Expected::Absent)).await.unwrap();
    }
    let refused = store.save(put("a", "three", Expected::Absent)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let refused = store.save(put("c", "two", Expected::Any)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::UniqueViolation);
    let transaction = store.transact().unwrap().begin(BeginOptions::new()).await;
    let transaction = transaction.unwrap();
    transaction
        .save(put("d", "four", Expected::Absent))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    // On the connection of the transaction, and after it.
    store
        .save(put("e", "five", Expected::Absent))
        .await
        .unwrap();
    let keys = ["a", "b", "d", "e"].map(key).to_vec();
    let loaded = other.load(LoadRequest::new(model.clone(), keys)).await;
    assert!(loaded.unwrap().iter().all(Option::is_some));
    let two = CountRequest::new(model.clone(), Filter::eq("name", "two").unwrap());
    assert_eq!(other.count(two).await.unwrap(), 1);
    other.close().await.unwrap();
    store.close().await.unwrap();
}

/// A message holds fewer long keys than a load may ask for.
#[tokio::test]
async fn lists_of_long_keys_are_as_short_as_the_server_wants() {
    let mut server = OwnServer::new().await;
    let mut settings = support::without_tls();
    settings.push("max-allowed-packet=1M".to_owned());
    server.set(&settings);
    server.start().await;
    let options = MariaDbOptions::from_url(&server.url("127.0.0.1")).unwrap();
    let store = MariaDbStore::connect(options).await.unwrap();
    let model = Model::builder("docs").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    let most = store.capabilities().max_load_keys;
    let keys: Vec<Key> = (0..most).map(|n| key(&format!("{n:0>512}"))).collect();
    let there = [0, most / 2, most - 1];
    let body = || Body::parse("{}").unwrap();
    let puts = there.map(|n| Write::put(keys[n].clone(), body(), Expected::Absent).into());
    let bulk = store
        .bulk(BulkRequest::new(model.clone(), puts.to_vec()))
        .await;
    assert!(bulk.unwrap().is_ok());
    let loaded = store
        .load(LoadRequest::new(model.clone(), keys.clone()))
        .await;
    let loaded = loaded.unwrap();
    for (n, found) in loaded.iter().enumerate() {
        assert_eq!(found.is_some(), there.contains(&n), "{n}");
    }
    let deletes = keys
        .iter()
        .map(|key| Write::delete(key.clone(), Expected::Any).into());
    let reply = store.bulk(BulkRequest::new(model, deletes.collect())).await;
    let deleted = reply.unwrap().outcomes.iter().filter(|o| o.is_ok()).count();
    assert!(deleted == 3 || deleted == most, "{deleted}");
    store.close().await.unwrap();
}
