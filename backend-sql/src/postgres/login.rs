//! How connections are opened.

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_postgres::{PgConnectOptions, PgSslMode};

use crate::failure::{Failure, untrusted};
use crate::login::{Login, Target, driver_options};

use super::connection::Connection;

/// What one connection to PostgreSQL is opened with where it differs from the options.
pub type PostgresLogin = Login;

driver_options!(PgConnectOptions, PgSslMode::Disable, PgSslMode::VerifyFull);

/// Opens connections.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) target: Target<PgConnectOptions>,
    /// Behind a pooler: what every transaction begins with.
    pub(crate) settings: Option<Arc<str>>,
}

impl Connector {
    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let driver = self.target.next().await?.connect().await;
        Ok(Connection::new(
            driver.map_err(untrusted)?,
            self.settings.clone(),
        ))
    }
}
