//! MariaDB by hand.

use std::sync::{Arc, LazyLock};

use futures_util::TryStreamExt as _;
use sqlx_core::query::query;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_mysql::{MySqlConnection, MySqlRow};
use strongroom::prelude::{Document, Error};
use strongroom::store::Store;
use strongroom_sqlx::{MariaDbOptions, MariaDbStore};

use super::pages::Asked;
use super::{BULK, ByHand};

/// MariaDB.
pub struct MariaDb;

const LOAD: &str = "SELECT id, version, body FROM by_hand WHERE id = ?";
const SAVE: &str =
    "UPDATE by_hand SET body = ?, version = version + 1 WHERE id = ? AND version = ?";
const OF: &str = "SELECT id, version, body FROM by_hand WHERE customer = ? ORDER BY id LIMIT 50";
const FROM: &str = "SELECT id, version, body FROM by_hand \
     WHERE placed_at >= ? ORDER BY placed_at, id LIMIT 50";
const ALL: &str = "SELECT id, version, body FROM by_hand ORDER BY id";

/// The expected version is bound with its sign changed; a number of the batch tells what it wrote.
static SAVE_ALL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO by_hand (id, version, body, tok) VALUES {} ON DUPLICATE KEY UPDATE \
         body = IF(by_hand.version = -VALUES(version), VALUES(body), by_hand.body), \
         tok = IF(by_hand.version = -VALUES(version), VALUES(tok), by_hand.tok), \
         version = IF(by_hand.version = -VALUES(version), by_hand.version + 1, by_hand.version) \
         RETURNING id, version, tok",
        vec!["(?, ?, ?, ?)"; BULK].join(", ")
    )
});

static INSERT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO by_hand (id, version, body) VALUES {}",
        vec!["(?, 1, ?)"; BULK].join(", ")
    )
});

fn encoded<T: Document>(document: &T) -> String {
    serde_json::to_string(document).expect("the document encodes")
}

fn id<T: Document>(document: &T) -> Vec<u8> {
    let key = document.key().expect("a key");
    key.id().as_str().as_bytes().to_vec()
}

fn decoded<T: Document>(row: &MySqlRow) -> sqlx_core::Result<(T, i64)> {
    let document = serde_json::from_str(row.try_get(2)?);
    let document = document.map_err(|e| sqlx_core::Error::Decode(e.into()))?;
    Ok((document, row.try_get(1)?))
}

impl ByHand for MariaDb {
    type Driver = sqlx_mysql::MySql;

    const FAMILY: &'static str = "mariadb";
    const URL: &'static str = "STRONGROOM_TEST_MARIADB_URL";
    const SAVES: f64 = 3.5;
    const CREATE: &'static str = "CREATE TABLE by_hand (id VARBINARY(512) PRIMARY KEY, \
         version BIGINT NOT NULL, \
         body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL, tok BIGINT)";
    const INDEX: &'static str = "ALTER TABLE by_hand \
         ADD COLUMN customer VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin \
         AS (JSON_VALUE(body, '$.customer')) STORED, \
         ADD COLUMN placed_at BIGINT AS (JSON_VALUE(body, '$.placed_at')) STORED, \
         ADD INDEX of_customer (customer, id), ADD INDEX by_time (placed_at, id)";
    const SETTLE: &'static str = "ANALYZE TABLE by_hand";

    async fn store(url: &str) -> Result<Arc<dyn Store>, Error> {
        let store = MariaDbStore::connect(MariaDbOptions::from_url(url)?).await?;
        Ok(Arc::new(store))
    }

    async fn insert_all<T: Document>(
        connection: &mut MySqlConnection,
        documents: &[T],
    ) -> sqlx_core::Result<()> {
        assert_eq!(documents.len(), BULK);
        let mut insert = query(INSERT.as_str());
        for document in documents {
            insert = insert.bind(id(document)).bind(encoded(document));
        }
        insert.execute(connection).await.map(drop)
    }

    async fn load<T: Document>(
        connection: &mut MySqlConnection,
        id: &str,
    ) -> sqlx_core::Result<(T, i64)> {
        decoded(
            &query(LOAD)
                .bind(id.as_bytes())
                .fetch_one(connection)
                .await?,
        )
    }

    async fn save<T: Document>(
        connection: &mut MySqlConnection,
        id: &str,
        document: &T,
        version: i64,
    ) -> sqlx_core::Result<i64> {
        let save = query(SAVE)
            .bind(encoded(document))
            .bind(id.as_bytes())
            .bind(version);
        assert_eq!(
            save.execute(connection).await?.rows_affected(),
            1,
            "no other writer"
        );
        Ok(version + 1)
    }

    async fn save_all<T: Document>(
        connection: &mut MySqlConnection,
        documents: &mut [(T, i64)],
    ) -> sqlx_core::Result<()> {
        raw_sql("BEGIN").execute(&mut *connection).await?;
        for (batch, part) in (1_i64..).zip(documents.chunks_mut(BULK)) {
            assert_eq!(part.len(), BULK);
            let token = part[0].1.wrapping_mul(1_000_003).wrapping_add(batch);
            let mut save = query(SAVE_ALL.as_str());
            for (document, version) in &*part {
                save = save
                    .bind(id(document))
                    .bind(-version)
                    .bind(encoded(document))
                    .bind(token);
            }
            let rows = save.fetch_all(&mut *connection).await?;
            for ((_, version), row) in part.iter_mut().zip(rows) {
                assert_eq!(row.try_get::<i64, _>(2)?, token, "no other writer");
                *version = row.try_get(1)?;
            }
        }
        raw_sql("COMMIT").execute(connection).await.map(drop)
    }

    async fn page<T: Document>(
        connection: &mut MySqlConnection,
        asked: &Asked,
    ) -> sqlx_core::Result<Vec<(T, i64)>> {
        let page = match asked {
            Asked::Of(customer) => query(OF).bind(customer),
            Asked::From(millis) => query(FROM).bind(*millis),
        };
        let rows = page.fetch_all(connection).await?;
        rows.iter().map(decoded).collect()
    }

    async fn stream<T: Document>(connection: &mut MySqlConnection) -> sqlx_core::Result<u64> {
        let mut rows = query(ALL).fetch(connection);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            std::hint::black_box(decoded::<T>(&row)?);
            count += 1;
        }
        Ok(count)
    }
}
