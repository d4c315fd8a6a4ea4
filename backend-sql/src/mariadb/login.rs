//! How connections are opened.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use strongroom_core::error::{Error, ErrorKind};

use crate::failure::{Failure, untrusted};
use crate::login::{Login, Target, driver_options};

use super::error::answered;

/// What one connection to MariaDB is opened with where it differs from the options.
pub type MariaDbLogin = Login;

driver_options!(
    MySqlConnectOptions,
    MySqlSslMode::Disabled,
    MySqlSslMode::VerifyIdentity
);

/// Opens connections.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) target: Target<MySqlConnectOptions>,
    /// The statement that sets what every connection goes by.
    pub(crate) session: Arc<str>,
    /// How many transactions were committed.
    pub(crate) commits: AtomicU64,
}

/// Whether the server does not know something that is set for every connection.
fn is_unknown_setting(error: &sqlx_core::Error) -> bool {
    answered(error).is_some_and(|answer| matches!(answer.number(), 1193 | 1273))
}

impl Connector {
    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, Failure> {
        let connected = self.target.next().await?.connect().await;
        let mut connection = connected.map_err(untrusted)?;
        match raw_sql(AssertSqlSafe(self.session.clone()))
            .execute(&mut connection)
            .await
        {
            Ok(_) => Ok(connection),
            Err(error) if is_unknown_setting(&error) => {
                let refused = Error::new(
                    ErrorKind::Config,
                    "the server is none that this store knows: it needs MariaDB 10.11.8, 11.4.2 or \
                     a later one",
                );
                Err(refused.with_source(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
