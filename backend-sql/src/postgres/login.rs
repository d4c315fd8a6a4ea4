//! How connections are opened, by the options or by a function of the user's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx_core::connection::ConnectOptions;
use sqlx_postgres::{PgConnectOptions, PgSslMode};
use strongroom_core::error::Result;

use crate::failure::{Failure, untrusted};

use super::connection::Connection;

/// What one connection is opened with where it differs from the options: a password that changes,
/// or the place where a connector of a cloud listens.
///
/// `Debug` prints no password.
///
/// # Examples
///
/// ```
/// use strongroom_sqlx::PostgresLogin;
///
/// let login = PostgresLogin::new().user("ada").password("secret");
/// assert!(!format!("{login:?}").contains("secret"));
/// ```
#[derive(Clone, Default)]
pub struct PostgresLogin {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    socket: Option<PathBuf>,
}

impl PostgresLogin {
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

    /// Sets the folder of the server's Unix socket, in place of host and port.
    #[must_use]
    pub fn socket(mut self, folder: impl Into<PathBuf>) -> Self {
        self.socket = Some(folder.into());
        self
    }

    fn onto(self, mut connect: PgConnectOptions) -> PgConnectOptions {
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
            Some(folder) => connect.socket(folder),
            None => connect,
        }
    }
}

impl fmt::Debug for PostgresLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLogin")
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The user's function.
pub(crate) type LogIn = dyn Fn() -> BoxFuture<'static, Result<PostgresLogin>> + Send + Sync;

/// Opens connections. The driver's options print their password, so this prints nothing of them.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) connect: PgConnectOptions,
    /// Whether TLS goes by where the server is.
    pub(crate) tls_by_host: bool,
    pub(crate) log_in: Option<Arc<LogIn>>,
    /// Behind a pooler: what every transaction begins with.
    pub(crate) settings: Option<Arc<str>>,
}

impl Connector {
    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let mut connect = self.connect.clone();
        if let Some(log_in) = &self.log_in {
            connect = log_in().await?.onto(connect);
        }
        if self.tls_by_host {
            connect = tls_by_host(connect);
        }
        let driver = connect.connect().await.map_err(untrusted)?;
        Ok(Connection::new(driver, self.settings.clone()))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Without TLS to this machine, and with all of it to any other.
pub(crate) fn tls_by_host(connect: PgConnectOptions) -> PgConnectOptions {
    let host = connect.get_host();
    let here = connect.get_socket().is_some()
        || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]")
        || host.starts_with('/');
    connect.ssl_mode(if here {
        PgSslMode::Disable
    } else {
        PgSslMode::VerifyFull
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_goes_by_the_place_that_is_connected_to() {
        let here: PgConnectOptions = "postgres://ada@127.0.0.1/app".parse().unwrap();
        let mode = |login: PostgresLogin| tls_by_host(login.onto(here.clone())).get_ssl_mode();
        let is = |mode, wanted| std::mem::discriminant(&mode) == std::mem::discriminant(&wanted);
        assert!(is(mode(PostgresLogin::new()), PgSslMode::Disable));
        let away = PostgresLogin::new().host("db.example.org");
        assert!(is(mode(away.clone()), PgSslMode::VerifyFull));
        assert!(is(mode(away.socket("/run/db")), PgSslMode::Disable));
    }
}
