//! Whose connections the store ends at the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_mysql::{MySql, MySqlConnectOptions, MySqlConnection};
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::store::{
    BeginOptions, EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema, Store, Write,
};

use crate::support::own::{OwnServer, Stop};
use crate::support::proxy::{At, Cut, Proxy};
use crate::support::{Login, Options, SqlStore};

async fn number(connection: &mut MySqlConnection) -> i64 {
    let number = query_scalar::<MySql, i64>("SELECT CAST(CONNECTION_ID() AS INTEGER)");
    number.fetch_one(connection).await.unwrap()
}

/// A server that was started again gives the numbers of its connections anew. The store ends the
/// connection that it lost, and not the one that has its number now.
#[tokio::test]
async fn nobody_elses_after_a_restart() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let url = server.url("127.0.0.1");
    let options = Options::from_url(&url).unwrap().connections(1);
    let store = SqlStore::connect(options).await.unwrap();
    let model = Model::builder("docs").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    let beside: MySqlConnectOptions = url.parse().unwrap();
    let last = number(&mut beside.connect().await.unwrap()).await;
    server.stop(Stop::Crash).await;
    server.start().await;
    let mut others = Vec::new();
    loop {
        let mut other = beside.connect().await.unwrap();
        let its = number(&mut other).await;
        others.push(other);
        if its >= last {
            break;
        }
    }
    let load = LoadRequest::new(model.clone(), vec![Key::new("a").unwrap()]);
    let lost = store.load(load).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
    // A write waits until what was lost has ended.
    let body = Body::from_trusted("{}");
    let write = Write::put(Key::new("a").unwrap(), body, Expected::Absent);
    store.save(SaveRequest::new(model, write)).await.unwrap();
    for other in &mut others {
        other.ping().await.unwrap();
    }
    store.close().await.unwrap();
}

/// A user can neither see nor end the connections of others. What one of them may yet commit is not
/// told as undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_another_users_connection_ended_is_not_guessed() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let url = server.url("127.0.0.1");
    let beside: MySqlConnectOptions = url.parse().unwrap();
    let made = "CREATE USER ada@'%' IDENTIFIED BY 'secret'; CREATE USER ada@localhost IDENTIFIED BY 'secret'; \
         GRANT ALL ON test.* TO ada@'%'; GRANT ALL ON test.* TO ada@localhost";
    let mut beside = beside.connect().await.unwrap();
    raw_sql(made).execute(&mut beside).await.unwrap();
    let proxy = Proxy::start(&url).await;
    for (changes, told) in [
        (false, ErrorKind::Unavailable),
        (true, ErrorKind::Indeterminate),
    ] {
        let changed = Arc::new(AtomicBool::new(false));
        let is_changed = changed.clone();
        let options = Options::from_url(&proxy.url()).unwrap().connections(1);
        let options = options.log_in(move || {
            let login = match is_changed.load(Ordering::SeqCst) {
                true => Login::new().user("ada").password("secret"),
                false => Login::new(),
            };
            async move { Ok(login) }
        });
        let store = SqlStore::connect(options).await.unwrap();
        let model = Model::builder("docs").build().unwrap();
        store
            .ensure(EnsureRequest::new(model.clone()))
            .await
            .unwrap();
        let transact = store.transact().unwrap();
        let transaction = transact.begin(BeginOptions::new()).await.unwrap();
        let body = Body::from_trusted("{}");
        let write = Write::put(Key::new("a").unwrap(), body, Expected::Absent);
        let saved = transaction.save(SaveRequest::new(model, write)).await;
        saved.unwrap();
        // The server hears of the commit, and has to wait with it.
        proxy.cut(Cut::Between, At::Commit);
        changed.store(changes, Ordering::SeqCst);
        let held = raw_sql("FLUSH TABLES WITH READ LOCK").execute(&mut beside);
        held.await.unwrap();
        let lost = transaction.commit().await.unwrap_err();
        let released = raw_sql("UNLOCK TABLES").execute(&mut beside).await;
        released.unwrap();
        assert_eq!(lost.kind(), told, "{lost:?}");
        store.close().await.unwrap();
    }
}
