//! Where the server is, and how it is spoken to.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx_postgres::{PgConnectOptions, PgSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::query::FunctionName;
use strongroom_core::store::FunctionSupport;

use super::login::{self, Connector, PostgresLogin};

/// Longest name of a schema, in bytes.
const MAX_SCHEMA: usize = 63;

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
    connector: Connector,
    pub(crate) schema: Option<String>,
    pooled: bool,
    pub(crate) connections: usize,
    pub(crate) wait: Duration,
    pub(crate) functions: FunctionSupport,
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
        let mut tls_by_host = false;
        let asked = url.contains("sslmode") || url.contains("ssl-mode");
        match connect.get_ssl_mode() {
            PgSslMode::Allow | PgSslMode::Prefer if asked => {
                return refused(
                    "sslmode allow or prefer may go without TLS unnoticed: say disable, require, \
                     verify-ca or verify-full",
                );
            }
            PgSslMode::Allow | PgSslMode::Prefer => {
                connect = login::tls_by_host(connect);
                tls_by_host = true;
            }
            _ => {}
        }
        Ok(Self {
            connector: Connector {
                connect,
                tls_by_host,
                log_in: None,
                settings: None,
            },
            schema: None,
            pooled: false,
            connections: 8,
            wait: Duration::from_secs(10),
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
    /// transaction that holds the document. Ten seconds by default, at least a millisecond.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.max(Duration::from_millis(1));
        self
    }

    /// Lets filters and writes call these functions of the server's, and no others. None by
    /// default: whoever may ask questions could otherwise call whatever the user of the connection
    /// may, which can be much.
    ///
    /// A function is found by its name in the schemas where the connection looks for tables. It is
    /// passed numbers of fields as `numeric`, timestamps as `bigint` milliseconds, and a text
    /// that holds the characters U+0000 or U+0001 as it is stored, with pairs for them.
    ///
    /// # Errors
    ///
    /// `Invalid` if a name is not allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_sqlx::PostgresOptions;
    ///
    /// let options = PostgresOptions::from_url("postgres://ada@127.0.0.1/app")?;
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
    /// use strongroom_sqlx::{PostgresLogin, PostgresOptions};
    ///
    /// # async fn token() -> Result<String, strongroom_core::Error> { Ok(String::new()) }
    /// let options = PostgresOptions::from_url("postgres://ada@db.example.org/app")?
    ///     .log_in(|| async { Ok(PostgresLogin::new().password(token().await?)) });
    /// # let _ = options;
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    #[must_use]
    pub fn log_in<F, L>(mut self, log_in: F) -> Self
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<PostgresLogin>> + Send + 'static,
    {
        self.connector.log_in = Some(Arc::new(move || Box::pin(log_in())));
        self
    }

    /// Keeps everything in a schema of this name, which is made where it is not there. Stores of
    /// different schemas do not see each other's collections. Without this, the server says which
    /// schema it is, by its `search_path`; with it, nothing else is searched, so functions that
    /// filters call are made in this schema, too.
    ///
    /// # Errors
    ///
    /// `Config` if the server has a use of its own for the name, as for those that begin with
    /// `pg_`; if it has a control character; if it is empty or longer than 63 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_sqlx::PostgresOptions;
    ///
    /// let options = PostgresOptions::from_url("postgres://ada@127.0.0.1/app")?;
    /// let options = options.schema("tenant 7")?;
    /// # let _ = options;
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    pub fn schema(mut self, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let refused = |why: &str| {
            let message = format!("{name:?} cannot be a schema: {why}");
            Err(Error::new(ErrorKind::Config, message))
        };
        if name.is_empty() || name.len() > MAX_SCHEMA {
            return refused(&format!("it has not 1 to {MAX_SCHEMA} bytes"));
        }
        if name.chars().any(char::is_control) {
            return refused("it has a control character");
        }
        if name.starts_with("pg_") || matches!(&*name, "$user" | "information_schema") {
            return refused("the server has a use of its own for that name");
        }
        self.schema = Some(name);
        Ok(self)
    }

    /// Says that the URL is that of a pooler which lends a process of the server's for each
    /// transaction, such as PgBouncer in the mode `transaction`.
    ///
    /// Every call is a transaction then, and no statement is kept prepared: a call takes some more
    /// round trips. Nothing is demanded of the pooler but that it rolls back where a client goes
    /// away, and knows the parameters `DateStyle`, `client_encoding` and `TimeZone` of a new
    /// connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_sqlx::PostgresOptions;
    ///
    /// let options = PostgresOptions::from_url("postgres://ada@127.0.0.1:6432/app")?;
    /// let options = options.transaction_pooler();
    /// # let _ = options;
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    #[must_use]
    pub fn transaction_pooler(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// What opens the connections.
    pub(crate) fn connector(&self) -> Connector {
        let wait = self.wait.as_millis().min(i32::MAX.unsigned_abs().into());
        let mut settings = vec![
            ("lock_timeout", wait.to_string()),
            // Compiling a statement to machine code costs more than the small ones sent here.
            ("jit", "off".to_owned()),
            ("client_min_messages", "warning".to_owned()),
        ];
        if let Some(schema) = &self.schema {
            settings.push(("search_path", quoted(schema)));
        }
        let mut connector = self.connector.clone();
        if self.pooled {
            let settings = settings.iter().map(|(name, value)| match *name {
                // A list of names, and not one text.
                "search_path" => format!("; SET LOCAL {name} = {value}"),
                _ => format!("; SET LOCAL {name} = '{value}'"),
            });
            connector.settings = Some(settings.collect::<String>().into());
            connector.connect = connector.connect.extra_float_digits(None);
        } else {
            connector.connect = connector.connect.options(settings);
        }
        connector
    }
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connect = &self.connector.connect;
        f.debug_struct("PostgresOptions")
            .field("host", &connect.get_host())
            .field("port", &connect.get_port())
            .field("database", &connect.get_database())
            .field("user", &connect.get_username())
            .field("tls", &connect.get_ssl_mode())
            .field("schema", &self.schema)
            .field("pooled", &self.pooled)
            .field("connections", &self.connections)
            .field("wait", &self.wait)
            .field("functions", &self.functions)
            .finish()
    }
}
