//! Where the server is, and how it is spoken to.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sqlx_mysql::{MySqlConnectOptions, MySqlSslMode};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::query::FunctionName;
use strongroom_core::store::FunctionSupport;

use crate::login::Target;
use crate::options::{Common, asks_for_tls_mode, common_options};

use super::login::{Connector, MariaDbLogin};
use super::row::STATEMENTS;

/// The parameters of a URL.
const PARAMETERS: &[&str] = &["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];

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
    target: Target<MySqlConnectOptions>,
    pub(crate) common: Common,
}

impl MariaDbOptions {
    /// Reads a URL: `mariadb://user:password@host:port/database`.
    ///
    /// Without `ssl-mode` in it, connections to this machine go without TLS and all others with
    /// `verify_identity`; the other modes are `disabled`, `required`, which checks no certificate even
    /// where `ssl-ca` is given, and `verify_ca`. The mode `preferred`, which may go without TLS and
    /// tell nobody, is refused. `ssl-ca`, `ssl-cert` and `ssl-key` name files, `socket` the server's
    /// Unix socket. Certificates are checked against the authorities that browsers trust, and those
    /// of `ssl-ca`.
    ///
    /// # Errors
    ///
    /// `Config` if the URL does not parse, names no database, has other parameters or asks for a mode
    /// that is refused. It never tells the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let refused = |message: &str| Err(Error::new(ErrorKind::Config, message));
        let asks_for_tls_mode = asks_for_tls_mode(url, PARAMETERS)?;
        let Ok(connect) = url.parse::<MySqlConnectOptions>() else {
            return refused("the URL is not that of a MariaDB database");
        };
        if connect.get_database().is_none_or(str::is_empty) {
            return refused("the URL names no database");
        }
        if matches!(connect.get_ssl_mode(), MySqlSslMode::Preferred) && asks_for_tls_mode {
            return refused(
                "ssl-mode preferred may go without TLS unnoticed: say disabled, required, \
                 verify_ca or verify_identity",
            );
        }
        // What a connection goes by is set by one statement, whatever the URL says of it.
        let connect = connect
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .statement_cache_capacity(STATEMENTS)
            .timezone(None)
            .set_names(false);
        Ok(Self {
            target: Target::new(connect, !asks_for_tls_mode),
            common: Common::default(),
        })
    }

    /// What opens the connections.
    pub(crate) fn connector(&self) -> Connector {
        Connector {
            target: self.target.clone(),
            session: session(self.common.wait).into(),
            commits: AtomicU64::new(0),
        }
    }
}

common_options!(
    MariaDbOptions,
    MariaDbLogin,
    wait: "The server counts it in whole seconds, rounded up.",
    functions: "A function is one of the server's own, or found by its name in the database of the \
                connection.",
    url: "mariadb://ada@db.example.org/app"
);

/// The statement that sets what a connection goes by, whatever the server's own defaults are. It waits
/// for locks in whole seconds, and says which key is taken in words alone.
fn session(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1_000).min(31_536_000);
    format!(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', \
         NAMES utf8mb4 COLLATE utf8mb4_nopad_bin, tx_isolation = 'READ-COMMITTED', autocommit = 1, \
         innodb_snapshot_isolation = ON, innodb_lock_wait_timeout = {seconds}, \
         lock_wait_timeout = {seconds}, max_sort_length = 4096, \
         in_predicate_conversion_threshold = 0, completion_type = 'NO_CHAIN', \
         sql_select_limit = 18446744073709551615, sql_safe_updates = 0, lc_messages = 'en_US'"
    )
}

impl fmt::Debug for MariaDbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MariaDbOptions");
        self.target.show(&mut shown);
        self.common.show(&mut shown);
        shown.finish()
    }
}
