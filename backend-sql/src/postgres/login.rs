//! How connections are opened.

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_postgres::{PgConnectOptions, PgSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};

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
        let driver = driver.map_err(untrusted)?;
        check_version(driver.server_version_num())?;
        Ok(Connection::new(driver, self.settings.clone()))
    }
}

/// The oldest server that has all the statements of the store, as the server numbers its versions.
const OLDEST: u32 = 17_00_00;

fn check_version(version: Option<u32>) -> Result<()> {
    match version {
        Some(version) if version < OLDEST => Err(Error::new(
            ErrorKind::Config,
            format!(
                "the server is too old or none that this store knows: it says that it is version \
                 {}, and the store needs PostgreSQL 17 or a later one",
                version / 10_000
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_refused() {
        check_version(Some(18_00_01)).unwrap();
        check_version(Some(17_00_00)).unwrap();
        check_version(None).unwrap();
        let refused = check_version(Some(16_00_10)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.message().contains("version 16,"), "{refused}");
    }
}
