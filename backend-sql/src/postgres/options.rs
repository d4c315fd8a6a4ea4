//! Where the server is, and how it is spoken to.

use std::fmt;
use std::time::Duration;

use sqlx_postgres::{PgConnectOptions, PgSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};

/// Where the server is, and how it is spoken to.
///
/// `Debug` prints no password.
///
/// # Examples
///
/// ```
/// use strongroom_sqlx::PostgresOptions;
///
/// let options = PostgresOptions::from_url("postgres://ada:secret@127.0.0.1/app")?;
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) connect: PgConnectOptions,
    pub(crate) connections: usize,
    pub(crate) wait: Duration,
}

impl PostgresOptions {
    /// Reads a URL: `postgres://user:password@host:port/database`.
    ///
    /// Without `sslmode` in it, connections to this machine go without TLS and all others with
    /// `verify-full`. The modes `allow` and `prefer`, which may go without TLS and tell nobody,
    /// are refused.
    ///
    /// # Errors
    ///
    /// `Config` if the URL does not parse or asks for a mode that is refused. It never tells the
    /// URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let refused = |message: &str| Err(Error::new(ErrorKind::Config, message));
        let Ok(mut connect) = url.parse::<PgConnectOptions>() else {
            return refused("the URL is not that of a PostgreSQL database");
        };
        let asked = url.contains("sslmode") || url.contains("ssl-mode");
        match connect.get_ssl_mode() {
            PgSslMode::Allow | PgSslMode::Prefer if asked => {
                return refused(
                    "sslmode allow or prefer may go without TLS unnoticed: say disable, require, \
                     verify-ca or verify-full",
                );
            }
            PgSslMode::Allow | PgSslMode::Prefer => {
                let host = connect.get_host();
                let here = connect.get_socket().is_some()
                    || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]")
                    || host.starts_with('/');
                connect = connect.ssl_mode(if here {
                    PgSslMode::Disable
                } else {
                    PgSslMode::VerifyFull
                });
            }
            _ => {}
        }
        Ok(Self {
            connect,
            connections: 8,
            wait: Duration::from_secs(10),
        })
    }

    /// Sets how many connections the store opens at most. Eight by default, one at least.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how long a call waits for a free connection, and a write for another one or a
    /// transaction that holds the document. Ten seconds by default, at least a millisecond.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.max(Duration::from_millis(1));
        self
    }

    /// What each connection is opened with.
    pub(crate) fn of_connection(&self) -> PgConnectOptions {
        let wait = self.wait.as_millis().min(i32::MAX.unsigned_abs().into());
        self.connect.clone().options([
            ("lock_timeout", wait.to_string()),
            // Compiling a statement to machine code costs more than the small ones sent here.
            ("jit", "off".to_owned()),
            ("client_min_messages", "warning".to_owned()),
        ])
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("database", &self.connect.get_database())
            .field("user", &self.connect.get_username())
            .field("tls", &self.connect.get_ssl_mode())
            .field("connections", &self.connections)
            .field("wait", &self.wait)
            .finish()
    }
}
