//! Where the server is, and how it is spoken to.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx_mysql::{MySqlConnectOptions, MySqlSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::query::FunctionName;
use strongroom_core::store::FunctionSupport;

use super::login::{self, Connector, MariaDbLogin};

/// How long a call waits by default.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// Where the server is, and how it is spoken to.
///
/// `Debug` prints no password.
///
/// # Examples
///
/// ```
/// use strongroom_sqlx::MariaDbOptions;
///
/// let options = MariaDbOptions::from_url("mariadb://ada:secret@127.0.0.1/app")?;
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone)]
pub struct MariaDbOptions {
    connector: Connector,
    pub(crate) connections: usize,
    pub(crate) wait: Duration,
    pub(crate) functions: FunctionSupport,
}

impl MariaDbOptions {
    /// Reads a URL: `mariadb://user:password@host:port/database`.
    ///
    /// Without `ssl-mode` in it, connections to this machine go without TLS and all others with
    /// `verify_identity`; the other modes are `disabled`, `required` and `verify_ca`. The mode
    /// `preferred`, which may go without TLS and tell nobody, is refused. `ssl-ca`, `ssl-cert` and
    /// `ssl-key` name files, `socket` the server's Unix socket.
    ///
    /// # Errors
    ///
    /// `Config` if the URL does not parse, names no database, or asks for a mode that is refused. It
    /// never tells the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let refused = |message: &str| Err(Error::new(ErrorKind::Config, message));
        let Ok(mut connect) = url.parse::<MySqlConnectOptions>() else {
            return refused("the URL is not that of a MariaDB database");
        };
        if connect.get_database().is_none_or(str::is_empty) {
            return refused("the URL names no database");
        }
        let mut tls_by_host = false;
        if matches!(connect.get_ssl_mode(), MySqlSslMode::Preferred) {
            if url.contains("sslmode") || url.contains("ssl-mode") {
                return refused(
                    "ssl-mode preferred may go without TLS unnoticed: say disabled, required, \
                     verify_ca or verify_identity",
                );
            }
            connect = login::tls_by_host(connect);
            tls_by_host = true;
        }
        // What a connection goes by is set by one statement, whatever the URL says of it.
        let connect = connect
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false);
        Ok(Self {
            connector: Connector {
                connect,
                tls_by_host,
                log_in: None,
                session: session(DEFAULT_WAIT).into(),
                commits: Arc::default(),
            },
            connections: 8,
            wait: DEFAULT_WAIT,
            functions: FunctionSupport::Registered(BTreeSet::new()),
        })
    }

    /// Sets how many connections the store opens at most. Eight by default, one at least.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how long a call waits for a free connection, and a write for another one or a
    /// transaction that holds the document, which the server counts in whole seconds. Ten seconds
    /// by default, at least a millisecond.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.max(Duration::from_millis(1));
        self
    }

    /// Lets filters and writes call these functions of the server's, and no others. None by
    /// default: whoever may ask questions could otherwise call whatever the user of the connection
    /// may, which can be much.
    ///
    /// A function is one of the server's own, or found by its name in the database of the connection.
    ///
    /// # Errors
    ///
    /// `Invalid` if a name is not allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_sqlx::MariaDbOptions;
    ///
    /// let options = MariaDbOptions::from_url("mariadb://ada@127.0.0.1/app")?;
    /// let options = options.functions(["lower", "length"])?;
    /// # let _ = options;
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    pub fn functions<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Result<Self> {
        let names = names.into_iter().map(FunctionName::new);
        self.functions = FunctionSupport::Registered(names.collect::<Result<_>>()?);
        Ok(self)
    }

    /// Lets filters and writes call every function that the server has. For questions that nobody
    /// else may ask: see [`functions`](Self::functions).
    #[must_use]
    pub fn all_functions(mut self) -> Self {
        self.functions = FunctionSupport::Server;
        self
    }

    /// Asks this function before each connection is opened what it is opened with: for passwords
    /// that change, and for connectors that listen in places of their own. It is asked again for
    /// every connection, and by several at once; what takes long it had better keep.
    ///
    /// Its error is the error of the call that needed the connection. It is dropped half-way where
    /// that call is dropped or does not wait longer.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_sqlx::{MariaDbLogin, MariaDbOptions};
    ///
    /// # async fn token() -> Result<String, strongroom_core::Error> { Ok(String::new()) }
    /// let options = MariaDbOptions::from_url("mariadb://ada@db.example.org/app")?
    ///     .log_in(|| async { Ok(MariaDbLogin::new().password(token().await?)) });
    /// # let _ = options;
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    #[must_use]
    pub fn log_in<F, L>(mut self, log_in: F) -> Self
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<MariaDbLogin>> + Send + 'static,
    {
        self.connector.log_in = Some(Arc::new(move || Box::pin(log_in())));
        self
    }

    /// What opens the connections.
    pub(crate) fn connector(&self) -> Connector {
        let mut connector = self.connector.clone();
        connector.session = session(self.wait).into();
        connector
    }
}

/// The statement that sets what a connection goes by. The server waits for locks in whole seconds.
fn session(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1_000).min(31_536_000);
    format!(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', \
         NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, tx_isolation = 'READ-COMMITTED', autocommit = 1, \
         innodb_snapshot_isolation = ON, innodb_lock_wait_timeout = {seconds}, \
         lock_wait_timeout = {seconds}, max_sort_length = 4096, \
         in_predicate_conversion_threshold = 0"
    )
}

impl fmt::Debug for MariaDbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connect = &self.connector.connect;
        f.debug_struct("MariaDbOptions")
            .field("host", &connect.get_host())
            .field("port", &connect.get_port())
            .field("database", &connect.get_database())
            .field("user", &connect.get_username())
            .field("tls", &connect.get_ssl_mode())
            .field("connections", &self.connections)
            .field("wait", &self.wait)
            .field("functions", &self.functions)
            .finish()
    }
}
