//! How connections are opened, by the options or by a function of the user's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::future::BoxFuture;
use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};

use crate::failure::{Failure, untrusted};

use super::error::answered;

/// What one connection is opened with where it differs from the options: a password that changes,
/// or the place where a connector of a cloud listens.
///
/// `Debug` prints no password.
///
/// # Examples
///
/// ```
/// use strongroom_sqlx::MariaDbLogin;
///
/// let login = MariaDbLogin::new().user("ada").password("secret");
/// assert!(!format!("{login:?}").contains("secret"));
/// ```
#[derive(Clone, Default)]
pub struct MariaDbLogin {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    socket: Option<PathBuf>,
}

impl MariaDbLogin {
    /// Everything as the options have it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the name or address of the server. Where the options do not say whether connections
    /// go with TLS, this name decides.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the path of the server's Unix socket, in place of host and port.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    fn onto(self, mut connect: MySqlConnectOptions) -> MySqlConnectOptions {
        if let Some(user) = &self.user {
            connect = connect.username(user);
        }
        if let Some(password) = &self.password {
            connect = connect.password(password);
        }
        if let Some(host) = &self.host {
            connect = connect.host(host);
        }
        if let Some(port) = self.port {
            connect = connect.port(port);
        }
        match self.socket {
            Some(path) => connect.socket(path),
            None => connect,
        }
    }
}

impl fmt::Debug for MariaDbLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MariaDbLogin")
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The user's function.
pub(crate) type LogIn = dyn Fn() -> BoxFuture<'static, Result<MariaDbLogin>> + Send + Sync;

/// Opens connections. The driver's options print their password, so this prints nothing of them.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) connect: MySqlConnectOptions,
    /// Whether TLS goes by where the server is.
    pub(crate) tls_by_host: bool,
    pub(crate) log_in: Option<Arc<LogIn>>,
    /// The statement that sets what every connection goes by.
    pub(crate) session: Arc<str>,
    /// How many transactions were committed.
    pub(crate) commits: Arc<AtomicU64>,
}

/// Whether the server does not know something that is set for every connection.
fn is_unknown_setting(error: &sqlx_core::Error) -> bool {
    answered(error).is_some_and(|answer| matches!(answer.number(), 1193 | 1273))
}

impl Connector {
    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, Failure> {
        let mut connect = self.connect.clone();
        if let Some(log_in) = &self.log_in {
            connect = log_in().await?.onto(connect);
        }
        if self.tls_by_host {
            connect = tls_by_host(connect);
        }
        let mut connection = connect.connect().await.map_err(untrusted)?;
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

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Without TLS to this machine, and with all of it to any other.
pub(crate) fn tls_by_host(connect: MySqlConnectOptions) -> MySqlConnectOptions {
    let host = connect.get_host();
    let here = connect.get_socket().is_some()
        || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]");
    connect.ssl_mode(if here {
        MySqlSslMode::Disabled
    } else {
        MySqlSslMode::VerifyIdentity
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_goes_by_the_place_that_is_connected_to() {
        let here: MySqlConnectOptions = "mariadb://ada@127.0.0.1/app".parse().unwrap();
        let mode = |login: MariaDbLogin| tls_by_host(login.onto(here.clone())).get_ssl_mode();
        let is = |mode, wanted| std::mem::discriminant(&mode) == std::mem::discriminant(&wanted);
        assert!(is(mode(MariaDbLogin::new()), MySqlSslMode::Disabled));
        let away = MariaDbLogin::new().host("db.example.org");
        assert!(is(mode(away.clone()), MySqlSslMode::VerifyIdentity));
        assert!(is(
            mode(away.socket("/run/db.sock")),
            MySqlSslMode::Disabled
        ));
    }
}
