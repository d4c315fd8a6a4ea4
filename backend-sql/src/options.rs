//! What the options of all servers have.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

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

/// Whether a URL says how connections go with TLS.
pub(crate) fn asks_for_tls_mode(url: &str) -> bool {
    url.contains("sslmode") || url.contains("ssl-mode")
}

/// The methods that the options of all servers have. The type has the fields `common` and `target`;
/// the texts are what `wait` and `functions` mean on the server, and a URL for the examples.
macro_rules! common_options {
    ($options:ident, $login:ident, wait: $wait:literal, functions: $functions:literal, url: $url:literal) => {
        impl $options {
            /// Sets how many connections the store opens at most. Eight by default, one at least.
            #[must_use]
            pub fn connections(mut self, connections: usize) -> Self {
                self.common.connections = connections.max(1);
                self
            }

            /// Sets how long a call waits for a free connection, and a write for another one or a
            /// transaction that holds the document.
            #[doc = $wait]
            /// Ten seconds by default, at least a millisecond.
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
