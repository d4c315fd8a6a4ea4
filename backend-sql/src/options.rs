//! What the options of all servers have.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::store::FunctionSupport;

/// What does not depend on the server.
#[derive(Clone)]
pub(crate) struct Common {
    /// Most connections at a time.
    pub(crate) connections: usize,
    /// How long a call waits.
    pub(crate) wait: Duration,
    /// The functions that may be called.
    pub(crate) functions: FunctionSupport,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            connections: 8,
            wait: Duration::from_secs(10),
            functions: FunctionSupport::Registered(BTreeSet::new()),
        }
    }
}

impl Common {
    pub(crate) fn show(&self, f: &mut fmt::DebugStruct<'_, '_>) {
        f.field("connections", &self.connections)
            .field("wait", &self.wait)
            .field("functions", &self.functions);
    }
}

/// Checks that a URL has no parameters but these, and tells whether one of them is a TLS mode.
///
/// No error tells a value, and none tells a name that may be a part of a password.
pub(crate) fn asks_for_tls_mode(url: &str, known: &[&str]) -> Result<bool> {
    let refused = |message: String| Err(Error::new(ErrorKind::Config, message));
    if url.contains('#') {
        return refused(
            "the URL has a #, which in user, password and parameters is %23".to_owned(),
        );
    }
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let names = parameters.map(|parameter| parameter.split('=').next().unwrap_or_default());
    let names: Vec<&str> = names.collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.[]".contains(c);
    if query.contains('@') || !names.iter().all(|name| name.chars().all(is_plain)) {
        return refused(
            "the URL has parameters that are none; in user and password ? is %3F, in parameters @ is %40"
                .to_owned(),
        );
    }
    let is_known = |name: &str| {
        let base = name.split('[').next().unwrap_or_default();
        known.contains(&base) && (base == name || base == "options")
    };
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return refused(format!(
            "parameter {name:?} of the URL is unknown; known are {}",
            known.join(", ")
        ));
    }
    Ok(names
        .iter()
        .any(|name| matches!(*name, "sslmode" | "ssl-mode")))
}

/// The methods that the options of all servers have. The type has the fields `common` and `target`;
/// the texts are what `wait` and `functions` mean on the server, and a URL for the examples.
macro_rules! common_options {
    ($options:ident, $login:ident, wait: $wait:literal, functions: $functions:literal, url: $url:literal) => {
        impl $options {
            /// Sets how many connections calls and transactions share. Eight by default, one at least.
            ///
            /// Beside them each open scan has one of its own, 16 at most, and for a moment each call
            /// that was cut off, to find out what became of it. Calls that are joined take two at a
            /// time for each collection and kind of call; a transaction keeps one until its end.
            ///
            /// Connections stay open until they break. One that was idle for half a minute is asked for a
            /// sign of life before its next use; where one breaks under a call, all that were idle then
            /// are opened anew.
            #[must_use]
            pub fn connections(mut self, connections: usize) -> Self {
                self.common.connections = connections.max(1);
                self
            }

            /// Sets how long a call waits for a free connection, and a write for another one or a
            /// transaction that holds the document.
            #[doc = $wait]
            /// Ten seconds by default, at least a millisecond. To open a connection may take as long,
            /// and five seconds at least.
            #[must_use]
            pub fn wait(mut self, wait: Duration) -> Self {
                self.common.wait = wait.max(Duration::from_millis(1));
                self
            }

            /// Lets filters and writes call these functions of the server's, and no others. None by
            /// default: whoever may ask questions could otherwise call whatever the user of the
            /// connection may, which can be much.
            ///
            #[doc = $functions]
            ///
            /// # Errors
            ///
            /// `Invalid` if a name is not allowed.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use strongroom_sqlx::", stringify!($options), ";")]
            ///
            #[doc = concat!("let options = ", stringify!($options), "::from_url(\"", $url, "\")?;")]
            /// let options = options.functions(["lower", "length"])?;
            /// # let _ = options;
            /// # Ok::<(), strongroom_core::Error>(())
            /// ```
            pub fn functions<N: AsRef<str>>(
                mut self,
                names: impl IntoIterator<Item = N>,
            ) -> Result<Self> {
                let names = names.into_iter().map(FunctionName::new);
                self.common.functions = FunctionSupport::Registered(names.collect::<Result<_>>()?);
                Ok(self)
            }

            /// Lets filters and writes call every function that the server has. For questions that
            /// nobody else may ask: see [`functions`](Self::functions).
            #[must_use]
            pub fn all_functions(mut self) -> Self {
                self.common.functions = FunctionSupport::Server;
                self
            }

            /// Asks this function before each connection is opened what it is opened with: for
            /// passwords that change, and for connectors that listen in places of their own. It is
            /// asked again for every connection, and by several at once; what takes long it had
            /// better keep.
            ///
            /// Its error is the error of the call that needed the connection. It is dropped half-way
            /// where that call is dropped or does not wait longer.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use strongroom_sqlx::{", stringify!($login), ", ", stringify!($options), "};")]
            ///
            /// # async fn token() -> Result<String, strongroom_core::Error> { Ok(String::new()) }
            #[doc = concat!("let options = ", stringify!($options), "::from_url(\"", $url, "\")?")]
            #[doc = concat!("    .log_in(|| async { Ok(", stringify!($login), "::new().password(token().await?)) });")]
            /// # let _ = options;
            /// # Ok::<(), strongroom_core::Error>(())
            /// ```
            #[must_use]
            pub fn log_in<F, L>(mut self, log_in: F) -> Self
            where
                F: Fn() -> L + Send + Sync + 'static,
                L: Future<Output = Result<$login>> + Send + 'static,
            {
                self.target.log_in(log_in);
                self
            }
        }
    };
}

pub(crate) use common_options;

#[cfg(all(test, feature = "postgres", feature = "mariadb"))]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{MariaDbOptions, PostgresOptions};

    fn read(url: &str) -> Result<String> {
        Ok(match url.starts_with("postgres") {
            true => format!("{:?}", PostgresOptions::from_url(url)?),
            false => format!("{:?}", MariaDbOptions::from_url(url)?),
        })
    }

    #[test]
    fn parameters_are_those_that_are_heeded() {
        for url in [
            "postgres://ada@db/app?sslmode=verify-ca&sslrootcert=/ca.pem&application_name=a%20b",
            "postgres:///app?host=/run/pg&user=ada&options=-c%20work_mem%3D8MB&options[jit]=on",
            "postgres://ada@db/app?",
            "mariadb://ada@db/app?ssl-mode=verify_ca&ssl-ca=/ca.pem&socket=/run/db.sock",
        ] {
            read(url).unwrap();
        }
        for (url, named) in [
            (
                "postgres://ada@db/app?sslmode=require&channel_binding=secret",
                "channel_binding",
            ),
            ("postgres://ada@db/app?ssl-mode=secret", "ssl-mode"),
            ("postgres://ada@db/app?schema[a]=secret", "schema[a]"),
            ("mariadb://ada@db/app?charset=secret", "charset"),
            (
                "mariadb://ada@db/app?ssl-mode=required&sslmode=secret",
                "sslmode",
            ),
            // The password goes on, but nobody would know.
            ("postgres://ada:12?secret&34@db/app", "%3F"),
            ("mariadb://ada:12?secret@db/app", "%3F"),
            ("postgres://ada:12?secret=abc@db/app", "%3F"),
            ("postgres://ada@db/app?sslmode[a]=secret", "sslmode[a]"),
            ("mariadb://ada:12#secret@db/app", "%23"),
        ] {
            let refused = read(url).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Config, "{url}");
            let told = format!("{refused} {refused:?}");
            assert!(told.contains(named) && !told.contains("secret"), "{told}");
        }
    }

    /// Another process, because nothing may change the variables of this one.
    #[test]
    fn the_environment_takes_no_tls_away() {
        if std::env::var_os("PGSSLMODE").is_none() {
            let itself = std::env::current_exe().unwrap();
            let name = "options::tests::the_environment_takes_no_tls_away";
            let mut again = Command::new(itself);
            let again = again.args(["--exact", name]).env("PGSSLMODE", "disable");
            let ran = again.output().unwrap();
            let told = String::from_utf8_lossy(&ran.stdout).into_owned();
            assert!(ran.status.success() && told.contains("1 passed"), "{told}");
            return;
        }
        let elsewhere = read("postgres://ada@db.example.org/app").unwrap();
        assert!(elsewhere.contains("VerifyFull"), "{elsewhere}");
        let here = read("postgres://ada@127.0.0.1/app").unwrap();
        assert!(here.contains("Disable"), "{here}");
    }
}
