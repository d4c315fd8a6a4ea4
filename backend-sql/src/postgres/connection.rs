//! A connection, to the server itself or to a pooler that lends a server's process for each
//! transaction.
//!
//! Behind such a pooler two messages may meet different processes, unless a transaction holds them
//! together. So every statement there is part of a transaction, is not kept under a name, and what
//! a session would be set to is set for each transaction.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx_core::Either;
use sqlx_core::Error as Driver;
use sqlx_core::connection::Connection as _;
use sqlx_core::error::BoxDynError;
use sqlx_core::executor::{Execute, Executor};
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row as _;
use sqlx_core::sql_str::{AssertSqlSafe, SqlStr};
use sqlx_postgres::{
    PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres,
};

/// What a transaction is known by after its commit.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) id: String,
    /// When the server lost its figures last, in seconds, which is when it crashed. It may give the
    /// number of a transaction that was lost in a crash to another one.
    pub(crate) crashed: String,
}

/// The SQL for [`Number::crashed`].
pub(crate) const CRASHED: &str =
    "coalesce(extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())::text, '')";

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    driver: PgConnection,
    /// Behind a pooler: what every transaction begins with.
    settings: Option<Arc<str>>,
    /// Behind a pooler: the number of the transaction whose commit is under way.
    committing: Option<Number>,
}

impl Connection {
    pub(crate) fn new(driver: PgConnection, settings: Option<Arc<str>>) -> Self {
        Self {
            driver,
            settings,
            committing: None,
        }
    }

    /// Whether a pooler lends the server's process.
    pub(crate) fn is_pooled(&self) -> bool {
        self.settings.is_some()
    }

    /// The number of the transaction whose commit may be under way behind the pooler.
    pub(crate) fn committing(&self) -> Option<&Number> {
        self.committing.as_ref()
    }

    /// Begins a transaction with this statement. Behind a pooler, `then` follows at once.
    pub(crate) async fn begin(&mut self, sql: &'static str, then: &str) -> Result<(), Driver> {
        let sql: Cow<'_, str> = match &self.settings {
            Some(settings) => format!("{sql}{settings}{then}").into(),
            None => sql.into(),
        };
        // It holds names and numbers that the options were checked for.
        raw_sql(AssertSqlSafe(sql.into_owned()))
            .execute(&mut self.driver)
            .await
            .map(drop)
    }

    /// The number of the transaction, if it has written.
    pub(crate) async fn number(&mut self) -> Result<Option<Number>, Driver> {
        let asked = format!("SELECT pg_current_xact_id_if_assigned()::text, {CRASHED}");
        let asked = raw_sql(AssertSqlSafe(asked));
        let told = asked.fetch_one(&mut self.driver).await?;
        let id: Option<String> = told.try_get(0)?;
        let crashed = told.try_get(1)?;
        Ok(id.map(|id| Number { id, crashed }))
    }

    /// Commits the transaction of this number.
    pub(crate) async fn commit(&mut self, number: Option<Number>) -> Result<(), Driver> {
        self.committing = number.filter(|_| self.settings.is_some());
        let committed = raw_sql("COMMIT").execute(&mut self.driver).await;
        if !matches!(&committed, Err(error) if super::error::answered(error).is_none()) {
            self.committing = None;
        }
        committed.map(drop)
    }

    /// Waits for a sign of life.
    pub(crate) async fn ping(&mut self) -> Result<(), Driver> {
        self.driver.ping().await
    }

    /// Closes the connection, with a word to the server.
    pub(crate) async fn close(self) -> Result<(), Driver> {
        self.driver.close().await
    }
}

/// A statement that is kept under no name.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Driver>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.settings {
            None => self.driver.fetch_many(query),
            Some(_) => self.driver.fetch_many(Unnamed(query)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Driver>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.settings {
            None => self.driver.fetch_optional(query),
            Some(_) => self.driver.fetch_optional(Unnamed(query)),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Driver>>
    where
        'c: 'e,
    {
        self.driver.prepare_with(sql, parameters)
    }
}
