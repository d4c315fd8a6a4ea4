//! PostgreSQL by hand.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx_core::query::query;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_postgres::{PgConnection, PgRow};
use strongroom::prelude::{Document, Error};
use strongroom::store::Store;
use strongroom_sqlx::{PostgresOptions, PostgresStore};

use super::pages::Asked;
use super::{BULK, ByHand};

/// PostgreSQL.
pub struct Postgres;

const INSERT: &str = "INSERT INTO by_hand (id, version, body) \
     SELECT i.id, 1, i.body::jsonb FROM unnest($1::text[], $2::text[]) AS i(id, body)";
const LOAD: &str = "SELECT id, version, body FROM by_hand WHERE id = $1";
const SAVE: &str = "WITH u AS (UPDATE by_hand SET body = $3::jsonb, version = version + 1 \
     WHERE id = $1 AND version = $2 RETURNING version) \
     SELECT true, version FROM u UNION ALL \
     SELECT false, version FROM by_hand WHERE id = $1 AND NOT EXISTS (SELECT FROM u)";
const SAVE_ALL: &str = "WITH i AS MATERIALIZED (SELECT * FROM \
     unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS i(id, version, body, n)), \
     u AS (UPDATE by_hand AS d SET body = i.body::jsonb, version = d.version + 1 \
     FROM i WHERE d.id = i.id AND d.version = i.version RETURNING i.n, d.version) \
     SELECT u.n, true, u.version FROM u UNION ALL \
     SELECT i.n, false, d.version FROM i LEFT JOIN by_hand AS d ON d.id = i.id \
     WHERE i.n NOT IN (SELECT u.n FROM u)";
const OF: &str = "SELECT id, version, body FROM by_hand \
     WHERE body ->> 'customer' = $1 ORDER BY id LIMIT 50";
const FROM: &str = "SELECT id, version, body FROM by_hand \
     WHERE (body ->> 'placed_at')::bigint >= $1 \
     ORDER BY (body ->> 'placed_at')::bigint, id LIMIT 50";
const ALL: &str = "SELECT id, version, body FROM by_hand ORDER BY id";

fn encoded<T: Document>(document: &T) -> String {
    serde_json::to_string(document).expect("the document encodes")
}

/// `jsonb` is sent as a number that tells its form, and its text.
fn decoded<T: Document>(row: &PgRow) -> sqlx_core::Result<(T, i64)> {
    let value = row.try_get_raw(2)?;
    let bytes = value.as_bytes().map_err(sqlx_core::Error::Decode)?;
    let document = serde_json::from_slice(&bytes[1..]);
    let document = document.map_err(|e| sqlx_core::Error::Decode(e.into()))?;
    Ok((document, row.try_get(1)?))
}

impl ByHand for Postgres {
    type Driver = sqlx_postgres::Postgres;

    const FAMILY: &'static str = "postgres";
    const URL: &'static str = "STRONGROOM_TEST_POSTGRES_URL";
    const SAVES: f64 = 4.0;
    const CREATE: &'static str = "CREATE TABLE by_hand \
         (id text COLLATE \"C\" PRIMARY KEY, version bigint NOT NULL, body jsonb NOT NULL)";
    const INDEX: &'static str = "CREATE INDEX ON by_hand ((body ->> 'customer'), id); \
         CREATE INDEX ON by_hand (((body ->> 'placed_at')::bigint), id)";
    const SETTLE: &'static str = "VACUUM ANALYZE";

    async fn store(url: &str) -> Result<Arc<dyn Store>, Error> {
        let store = PostgresStore::connect(PostgresOptions::from_url(url)?).await?;
        Ok(Arc::new(store))
    }

    async fn insert_all<T: Document>(
        connection: &mut PgConnection,
        documents: &[T],
    ) -> sqlx_core::Result<()> {
        let bodies: Vec<_> = documents.iter().map(encoded).collect();
        let insert = query(INSERT).bind(ids(documents)).bind(bodies);
        insert.execute(connection).await.map(drop)
    }

    async fn load<T: Document>(
        connection: &mut PgConnection,
        id: &str,
    ) -> sqlx_core::Result<(T, i64)> {
        decoded(&query(LOAD).bind(id).fetch_one(connection).await?)
    }

    async fn save<T: Document>(
        connection: &mut PgConnection,
        id: &str,
        document: &T,
        version: i64,
    ) -> sqlx_core::Result<i64> {
        let save = query(SAVE).bind(id).bind(version).bind(encoded(document));
        let saved = save.fetch_one(connection).await?;
        assert!(saved.try_get::<bool, _>(0)?, "no other writer");
        saved.try_get(1)
    }

    async fn save_all<T: Document>(
        connection: &mut PgConnection,
        documents: &mut [(T, i64)],
    ) -> sqlx_core::Result<()> {
        raw_sql("BEGIN").execute(&mut *connection).await?;
        for part in documents.chunks_mut(BULK) {
            let versions: Vec<_> = part.iter().map(|(_, version)| *version).collect();
            let bodies: Vec<_> = part.iter().map(|(d, _)| encoded(d)).collect();
            let save = query(SAVE_ALL)
                .bind(ids(part.iter().map(|(document, _)| document)))
                .bind(versions)
                .bind(bodies);
            for saved in save.fetch_all(&mut *connection).await? {
                assert!(saved.try_get::<bool, _>(1)?, "no other writer");
                let at = usize::try_from(saved.try_get::<i64, _>(0)? - 1);
                part[at.expect("a place")].1 = saved.try_get(2)?;
            }
        }
        raw_sql("COMMIT").execute(connection).await.map(drop)
    }

    async fn page<T: Document>(
        connection: &mut PgConnection,
        asked: &Asked,
    ) -> sqlx_core::Result<Vec<(T, i64)>> {
        let page = match asked {
            Asked::Of(customer) => query(OF).bind(customer),
            Asked::From(millis) => query(FROM).bind(*millis),
        };
        let rows = page.fetch_all(connection).await?;
        rows.iter().map(decoded).collect()
    }

    async fn stream<T: Document>(connection: &mut PgConnection) -> sqlx_core::Result<u64> {
        let mut rows = query(ALL).fetch(connection);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            std::hint::black_box(decoded::<T>(&row)?);
            count += 1;
        }
        Ok(count)
    }
}

fn ids<'d, T: Document>(documents: impl IntoIterator<Item = &'d T>) -> Vec<String> {
    let keys = documents.into_iter().map(|d| d.key().expect("a key"));
    keys.map(|key| key.id().as_str().to_owned()).collect()
}
