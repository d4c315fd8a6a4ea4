//! Where the server is, and how it is spoken to.

use std::fmt;
use std::time::Duration;

use sqlx_postgres::{PgConnectOptions, PgSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::query::FunctionName;
use strongroom_core::store::FunctionSupport;

use crate::login::Target;
use crate::options::{Common, asks_for_tls_mode, common_options};

use super::login::{Connector, PostgresLogin};

/// The parameters of a URL.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
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
    target: Target<PgConnectOptions>,
    pub(crate) schema: Option<String>,
    pooled: bool,
    pub(crate) common: Common,
}

impl PostgresOptions {
    /// Reads a URL: `postgres://user:password@host:port/database`.
    ///
    /// Without `sslmode` in it, connections to this machine go without TLS and all others with
    /// `verify-full`; the other modes are `disable`, `require`, which checks no certificate even where
    /// `sslrootcert` is given, and `verify-ca`. The modes `allow` and `prefer`, which may go without
    /// TLS and tell nobody, are refused.
    ///
    /// `sslrootcert`, `sslcert` and `sslkey` name files; certificates are checked against the
    /// authorities that browsers trust, and those of `sslrootcert`. `host` is a name or the folder of
    /// a socket; `hostaddr`, `port`, `dbname`, `user` and `password` stand for the parts of the URL;
    /// `application_name` and `options` go to the server.
    ///
    /// What the URL leaves out is taken from the environment as PostgreSQL's own programs do: from
    /// `PGHOSTADDR`, `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, `PGDATABASE`,
    /// `PGSSLROOTCERT`, `PGSSLCERT`, `PGSSLKEY`, `PGAPPNAME` and `PGOPTIONS`. The TLS mode never is.
    ///
    /// # Errors
    ///
    /// `Config` if the URL does not parse, has other parameters or asks for a mode that is refused.
    /// It never tells the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let refused = |message: &str| Err(Error::new(ErrorKind::Config, message));
        let asks_for_tls_mode = asks_for_tls_mode(url, PARAMETERS)?;
        let Ok(connect) = url.parse::<PgConnectOptions>() else {
            return refused("the URL is not that of a PostgreSQL database");
        };
        let is_lax = matches!(connect.get_ssl_mode(), PgSslMode::Allow | PgSslMode::Prefer);
        if is_lax && asks_for_tls_mode {
            return refused(
                "sslmode allow or prefer may go without TLS unnoticed: say disable, require, \
                 verify-ca or verify-full",
            );
        }
        Ok(Self {
            target: Target::new(connect, !asks_for_tls_mode),
            schema: None,
            pooled: false,
            common: Common::default(),
        })
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
        let wait = self
            .common
            .wait
            .as_millis()
            .min(i32::MAX.unsigned_abs().into());
        let mut settings = vec![
            ("lock_timeout", wait.to_string()),
            // Compiling a statement to machine code costs more than the small ones sent here.
            ("jit", "off".to_owned()),
            ("client_min_messages", "warning".to_owned()),
            // What the server's own defaults must not change.
            ("default_transaction_isolation", "read committed".to_owned()),
            ("standard_conforming_strings", "on".to_owned()),
        ];
        if let Some(schema) = &self.schema {
            settings.push(("search_path", quoted(schema)));
        }
        let target = self.target.clone();
        if !self.pooled {
            return Connector {
                target: target.map(|connect| connect.options(settings)),
                settings: None,
            };
        }
        let settings = settings.iter().map(|(name, value)| match *name {
            // A list of names, and not one text.
            "search_path" => format!("; SET LOCAL {name} = {value}"),
            _ => format!("; SET LOCAL {name} = '{value}'"),
        });
        Connector {
            target: target.map(|connect| connect.extra_float_digits(None)),
            settings: Some(settings.collect::<String>().into()),
        }
    }
}

common_options!(
    PostgresOptions,
    PostgresLogin,
    wait: "The server counts it in milliseconds.",
    functions: "A function is found by its name in the schemas where the connection looks for tables. \
                It is passed numbers of fields as `numeric`, timestamps as `bigint` milliseconds, and \
                a text that holds the characters U+0000 or U+0001 as it is stored, with pairs for \
                them.",
    url: "postgres://ada@db.example.org/app"
);

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PostgresOptions");
        self.target.show(&mut shown);
        shown
            .field("schema", &self.schema)
            .field("pooled", &self.pooled);
        self.common.show(&mut shown);
        shown.finish()
    }
}
