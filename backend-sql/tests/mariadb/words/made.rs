//! Making the index, for collections that are new and for those that were there before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query::query;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions};
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model, ModelBuilder, WriteId};
use strongroom_core::query::{Filter, Words};
use strongroom_core::store::{
    Bulk, BulkRequest, CountRequest, EnsureRequest, Save, SaveRequest, Schema, Search, Store, Write,
};
use strongroom_sqlx::{MariaDbLogin, MariaDbOptions, MariaDbStore};

use crate::own::OwnServer;
use crate::support::without_tls;

use super::{FIELDS, Texts, model, put, text};

fn options(made: &Texts) -> MariaDbOptions {
    MariaDbOptions::from_url(&made.named.url()).unwrap()
}

/// Documents whose texts have some words in common.
fn documents(from: usize, to: usize, version: usize) -> impl Iterator<Item = Write> {
    (from..to).map(move |n| {
        let text = format!("\"number {n} v{version} w{}\"", n % 7);
        put(&format!("id{n}"), &text, Expected::Any)
    })
}

/// Makes the database what it was before there was an index.
async fn forget(made: &Texts) {
    for field in FIELDS {
        let table = format!("texts:w:{field}");
        made.send(&format!(
            "DROP TRIGGER `{table}:insert`; DROP TRIGGER `{table}:update`; \
             DROP TRIGGER `{table}:delete`; DROP TABLE `{table}`"
        ))
        .await;
    }
    made.send("DROP FUNCTION strongroom_words; UPDATE strongroom_format SET version = 1")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_index_gets_it_beside_writers() {
    let made = Texts::new(4).await;
    forget(&made).await;
    assert!(
        made.bulk(documents(0, 400, 1))
            .await
            .iter()
            .all(Result::is_ok)
    );
    let until = Arc::new(AtomicUsize::new(usize::MAX));
    let written: Arc<[AtomicUsize; 2]> = Arc::default();
    let writers: Vec<_> = (0..2_usize)
        .map(|writer| {
            let (store, model) = (made.named.store.clone(), made.model.clone());
            let (until, written) = (until.clone(), written.clone());
            tokio::spawn(async move {
                let mut version = 2;
                while written[writer].load(Ordering::Relaxed) < until.load(Ordering::Relaxed) {
                    let begin = (version * 37 + writer * 200) % 400;
                    let items = documents(begin, begin + 20, version).map(|write| {
                        let gone = version % 3 == 0;
                        let key = write.key.clone();
                        if gone {
                            Write::delete(key, Expected::Any)
                        } else {
                            write
                        }
                    });
                    let items = items.map(Into::into).collect();
                    let request = BulkRequest::new(model.clone(), items);
                    match store.bulk(request).await {
                        Ok(_) => {
                            version += 1;
                            written[writer].fetch_add(1, Ordering::Relaxed);
                        }
                        // One waited for the other's lock, or the server did not find a function or
                        // a table while functions and triggers were made.
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Contended, "{error:?}"),
                    }
                }
            })
        })
        .collect();
    let connects: Vec<_> = (0..4)
        .map(|_| tokio::spawn(MariaDbStore::connect(options(&made))))
        .collect();
    for connected in connects {
        connected.await.unwrap().unwrap();
    }
    // Once all is there, every writer goes on, whatever its connections met.
    let most = written.iter().map(|n| n.load(Ordering::Relaxed)).max();
    until.store(most.unwrap() + 6, Ordering::Relaxed);
    for writer in writers {
        let ended = tokio::time::timeout(Duration::from_secs(60), writer).await;
        ended.expect("a writer that goes on").unwrap();
    }
    made.check().await;
    assert!(made.count("number").await > 100);
    made.done().await;
}

/// The server at times looks for a table that is not there, as often as a connection sends a
/// statement again that it prepared before there were triggers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_goes_on_whatever_the_server_made_of_triggers() {
    const WRITERS: usize = 4;
    let made = Texts::new(WRITERS).await;
    let names = FIELDS.map(|field| format!("`texts:w:{field}:delete`"));
    let mut triggers = Vec::new();
    for name in &names {
        let sql = AssertSqlSafe(format!("SHOW CREATE TRIGGER {name}"));
        let mut beside = made.beside().await;
        let row = query::<MySql>(sql).fetch_one(&mut beside).await.unwrap();
        triggers.push(row.get::<String, _>(2));
    }
    let delete = |writer: usize, n: usize| {
        let key = Key::new(format!("id{writer}-{}", n % 5)).unwrap();
        SaveRequest::new(made.model.clone(), Write::delete(key, Expected::Any))
    };
    let ready = AtomicBool::new(false);
    let write = async |writer: usize| {
        let mut n = 0;
        while !ready.load(Ordering::Relaxed) {
            let id = format!("id{writer}-{}", n % 5);
            let put = put(&id, "\"some words\"", Expected::Any);
            for request in [SaveRequest::new(made.model.clone(), put), delete(writer, n)] {
                if let Err(error) = made.named.store.save(request).await {
                    assert_eq!(error.kind(), ErrorKind::Contended, "{error:?}");
                }
            }
            n += 1;
        }
    };
    let remake = async {
        for _ in 0..4 {
            for name in &names {
                made.send(&format!("DROP TRIGGER {name}")).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            for trigger in &triggers {
                made.send(trigger).await;
                made.send("FLUSH TABLES `texts`").await;
            }
        }
        ready.store(true, Ordering::Relaxed);
    };
    tokio::join!(write(0), write(1), write(2), write(3), remake);
    // Each connection may be told so once more.
    let mut refused = 0;
    for n in 0..8 * WRITERS {
        if let Err(error) = made.named.store.save(delete(n % WRITERS, n)).await {
            assert_eq!(error.kind(), ErrorKind::Contended, "{error:?}");
            refused += 1;
        }
    }
    assert!(refused <= WRITERS, "{refused}");
    made.done().await;
}

/// What was begun and cut off is made again from its beginning.
#[tokio::test]
async fn an_index_that_was_begun_is_finished() {
    let made = Texts::new(1).await;
    assert!(
        made.bulk(documents(0, 250, 1))
            .await
            .iter()
            .all(Result::is_ok)
    );
    made.send(
        "DROP TRIGGER `texts:w:t:insert`; DROP TABLE `texts:w:o.many`; \
         DELETE FROM `texts:w:t` WHERE id > 'id2'; UPDATE strongroom_format SET version = 1",
    )
    .await;
    MariaDbStore::connect(options(&made)).await.unwrap();
    made.check().await;
    assert!(
        made.bulk(documents(200, 300, 2))
            .await
            .iter()
            .all(Result::is_ok)
    );
    made.check().await;
    made.done().await;
}

#[tokio::test]
async fn a_field_that_is_added_is_indexed_with_what_is_there() {
    for routed in [false, true] {
        let builder = |builder: ModelBuilder| {
            if routed { builder.routed() } else { builder }
        };
        let made = Texts::of(2, builder(Model::builder("texts"))).await;
        let write = |write: Write| {
            let mut write = write;
            if routed {
                let id = write.key.id().clone();
                let routing = format!("r{}", id.as_str().len());
                write.key = Key::routed(routing, id.as_str()).unwrap();
            }
            write
        };
        let outcomes = made.bulk(documents(0, 350, 1).map(write)).await;
        assert!(outcomes.iter().all(Result::is_ok));
        let wanted = builder(model("texts")).build().unwrap();
        // Others may do so at the same time.
        let ensure = || made.named.store.ensure(EnsureRequest::new(wanted.clone()));
        let (one, two) = tokio::join!(ensure(), ensure());
        assert_eq!(one.unwrap().added.len() + two.unwrap().added.len(), 3);
        let made = Texts {
            named: made.named,
            model: wanted,
        };
        made.check().await;
        assert_eq!(made.indexed("t").await.len(), 350 * 4);
        let outcomes = made.bulk(documents(100, 200, 2).map(write)).await;
        assert!(outcomes.iter().all(Result::is_ok));
        made.check().await;
        made.done().await;
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_collection() {
    // So long that the server knows tables and triggers by shorter names.
    let name = format!("texts-{}-{}", WriteId::random(), "x".repeat(40));
    let made = Texts::of(1, model(&name).field(text(&"long".repeat(20)))).await;
    let words = Write::put(
        Key::new("a").unwrap(),
        Body::parse(format!(r#"{{"t":"one","{}":"two"}}"#, "long".repeat(20))).unwrap(),
        Expected::Absent,
    );
    made.save(words).await.unwrap();
    assert_eq!(made.count("one").await, 1);
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND table_name NOT LIKE 'strongroom%'";
    assert_eq!(made.number(tables).await, 5);
    let dropped = made.named.store.drop_collection(made.model.name().clone());
    assert!(dropped.await.unwrap());
    // The one of the tests is still there.
    assert_eq!(made.number(tables).await, 1);
    let triggers =
        "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()";
    assert_eq!(made.number(triggers).await, 0);
    let again = EnsureRequest::new(made.model.clone());
    assert!(made.named.store.ensure(again).await.unwrap().created);
    assert_eq!(made.count("one").await, 0);
    made.done().await;
}

#[tokio::test]
async fn making_it_takes_a_privilege_and_using_it_none() {
    let made = Texts::new(1).await;
    let user = format!("words-{}", WriteId::random());
    let user = &user[..20];
    for host in ["%", "localhost"] {
        made.send(&format!(
            "CREATE USER '{user}'@'{host}' IDENTIFIED BY 'secret'; \
             GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, CREATE ROUTINE, \
             ALTER ROUTINE, EXECUTE ON `{}`.* TO '{user}'@'{host}'",
            made.named.name
        ))
        .await;
    }
    let login = user.to_owned();
    let options = options(&made).log_in(move || {
        let login = MariaDbLogin::new().user(login.clone()).password("secret");
        async move { Ok(login) }
    });
    let store = MariaDbStore::connect(options).await.unwrap();
    let more = model("more").build().unwrap();
    let refused = store.ensure(EnsureRequest::new(more.clone())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused:?}");
    assert!(refused.message().contains("TRIGGER"), "{refused}");
    assert!(store.describe(more.name().clone()).await.unwrap().is_none());
    let ensured = made.named.store.ensure(EnsureRequest::new(more)).await;
    assert!(ensured.unwrap().created);
    let items = documents(0, 10, 1).map(Into::into).collect();
    let request = BulkRequest::new(made.model.clone(), items);
    assert!(store.bulk(request).await.unwrap().is_ok());
    made.check().await;
    assert_eq!(made.count("v1").await, 10);
    for host in ["%", "localhost"] {
        made.send(&format!("DROP USER '{user}'@'{host}'")).await;
    }
    made.done().await;
}

/// A server that writes a binary log lets few users make functions and triggers.
#[tokio::test]
async fn a_binary_log_takes_a_setting_that_the_message_names() {
    let mut server = OwnServer::new().await;
    let mut settings = without_tls();
    settings.extend(["log-bin=log", "server-id=1"].map(str::to_owned));
    server.set(&settings);
    server.start().await;
    let url = server.url("127.0.0.1");
    let beside: MySqlConnectOptions = url.parse().unwrap();
    let mut beside = beside.connect().await.unwrap();
    let made = raw_sql(
        "CREATE USER ada@'%' IDENTIFIED BY 'secret'; CREATE USER ada@localhost IDENTIFIED BY 'secret'; \
         GRANT ALL ON test.* TO ada@'%'; GRANT ALL ON test.* TO ada@localhost",
    );
    made.execute(&mut beside).await.unwrap();
    let options = || {
        let options = MariaDbOptions::from_url(&url).unwrap().connections(1);
        let login = MariaDbLogin::new().user("ada").password("secret");
        options.log_in(move || {
            let login = login.clone();
            async move { Ok(login) }
        })
    };
    let refused = MariaDbStore::connect(options()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused:?}");
    let message = refused.message();
    assert!(
        message.contains("log_bin_trust_function_creators = ON"),
        "{message}"
    );
    let trust = raw_sql("SET GLOBAL log_bin_trust_function_creators = ON");
    trust.execute(&mut beside).await.unwrap();
    let store = MariaDbStore::connect(options()).await.unwrap();
    let model = model("texts").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    for version in 1..3 {
        let items = documents(0, 10, version).map(Into::into).collect();
        let request = BulkRequest::new(model.clone(), items);
        let written = store.bulk(request).await.unwrap();
        assert!(written.outcomes.iter().all(Result::is_ok), "{written:?}");
    }
    let filter = Filter::text("t", "v2", Words::All).unwrap();
    let count = store.count(CountRequest::new(model, filter)).await;
    assert_eq!(count.unwrap(), 10);
    store.close().await.unwrap();
}
