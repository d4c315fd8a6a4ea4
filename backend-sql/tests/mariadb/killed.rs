//! Whose connections the store ends at the server.

use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_mysql::{MySql, MySqlConnectOptions, MySqlConnection};
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::store::{
    EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema, Store, Write,
};

use crate::support::own::{OwnServer, Stop};
use crate::support::{Options, SqlStore};

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
