//! What connections are opened with, by the options or by a function of the user's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use strongroom_core::error::Result;

/// What one connection is opened with where it differs from the options: a password that changes,
/// or the place where a connector of a cloud listens.
///
/// `Debug` prints no password.
///
/// # Examples
///
/// ```
/// use strongroom_sqlx::Login;
///
/// let login = Login::new().user("ada").password("secret");
/// assert!(!format!("{login:?}").contains("secret"));
/// ```
#[derive(Clone, Default)]
pub struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) socket: Option<PathBuf>,
}

impl Login {
    /// Everything as the options have it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the user. Change the password and not the user from one connection to the next where you
    /// can: to know what became of a call that was cut off, its connection may have to be ended by a
    /// later one, which takes rights over other users.
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

    /// Sets the path of the server's Unix socket, in place of host and port. PostgreSQL's is that of
    /// the folder which the socket is in.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// The user's function.
type LogIn = dyn Fn() -> BoxFuture<'static, Result<Login>> + Send + Sync;

/// The options of a driver.
pub(crate) trait DriverOptions: Clone + Send + Sync {
    /// With what the login has.
    fn with(self, login: Login) -> Self;

    /// Whether the server is on this machine.
    fn is_here(&self) -> bool;

    /// Without TLS, or with all of it.
    fn secured(self, tls: bool) -> Self;

    /// Tells where the server is and who uses it, and no password.
    fn show(&self, f: &mut fmt::DebugStruct<'_, '_>);
}

/// Implements [`DriverOptions`] for a driver's options, whose methods have the same names, with the
/// modes without TLS and with all of it.
macro_rules! driver_options {
    ($options:ty, $without:expr, $verified:expr) => {
        impl $crate::login::DriverOptions for $options {
            fn with(mut self, login: $crate::login::Login) -> Self {
                if let Some(user) = &login.user {
                    self = self.username(user);
                }
                if let Some(password) = &login.password {
                    self = self.password(password);
                }
                if let Some(host) = &login.host {
                    self = self.host(host);
                }
                if let Some(port) = login.port {
                    self = self.port(port);
                }
                match login.socket {
                    Some(path) => self.socket(path),
                    None => self,
                }
            }

            fn is_here(&self) -> bool {
                let host = self.get_host();
                // No name begins with a slash: it is the folder of a socket.
                self.get_socket().is_some()
                    || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]")
                    || host.starts_with('/')
            }

            fn secured(self, tls: bool) -> Self {
                self.ssl_mode(if tls { $verified } else { $without })
            }

            fn show(&self, f: &mut std::fmt::DebugStruct<'_, '_>) {
                f.field("host", &self.get_host())
                    .field("port", &self.get_port())
                    .field("database", &self.get_database())
                    .field("user", &self.get_username())
                    .field("tls", &self.get_ssl_mode());
            }
        }
    };
}

pub(crate) use driver_options;

/// What connections are opened with. The driver's options print their password, so `Debug` prints
/// nothing of them.
#[derive(Clone)]
pub(crate) struct Target<O> {
    options: O,
    /// Whether TLS goes by where the server is.
    tls_by_host: bool,
    log_in: Option<Arc<LogIn>>,
}

impl<O: DriverOptions> Target<O> {
    /// By the driver's options alone. With `tls_by_host` connections to this machine go without
    /// TLS, and those to any other with all of it.
    pub(crate) fn new(options: O, tls_by_host: bool) -> Self {
        Self {
            options: match tls_by_host {
                true => by_host(options),
                false => options,
            },
            tls_by_host,
            log_in: None,
        }
    }

    /// Asks this function before each connection.
    pub(crate) fn log_in<F, L>(&mut self, log_in: F)
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<Login>> + Send + 'static,
    {
        self.log_in = Some(Arc::new(move || Box::pin(log_in())));
    }

    /// With other options of the driver's.
    #[cfg(feature = "postgres")]
    pub(crate) fn map(mut self, change: impl FnOnce(O) -> O) -> Self {
        self.options = change(self.options);
        self
    }

    /// What the next connection is opened with.
    pub(crate) async fn next(&self) -> Result<O> {
        let mut options = self.options.clone();
        if let Some(log_in) = &self.log_in {
            options = options.with(log_in().await?);
        }
        Ok(match self.tls_by_host {
            true => by_host(options),
            false => options,
        })
    }

    /// Tells where the server is and who uses it, and no password.
    pub(crate) fn show(&self, f: &mut fmt::DebugStruct<'_, '_>) {
        self.options.show(f);
    }
}

impl<O> fmt::Debug for Target<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

/// Without TLS to this machine, and with all of it to any other.
fn by_host<O: DriverOptions>(options: O) -> O {
    let tls = !options.is_here();
    options.secured(tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[cfg(feature = "mariadb")]
    async fn tls_to_mariadb_goes_by_the_place_that_is_connected_to() {
        use sqlx_mysql::{MySqlConnectOptions, MySqlSslMode};

        let here: MySqlConnectOptions = "mariadb://ada@127.0.0.1/app".parse().unwrap();
        assert_modes(
            here,
            MySqlConnectOptions::get_ssl_mode,
            [MySqlSslMode::Disabled, MySqlSslMode::VerifyIdentity],
        )
        .await;
    }

    #[tokio::test]
    #[cfg(feature = "postgres")]
    async fn tls_to_postgresql_goes_by_the_place_that_is_connected_to() {
        use sqlx_postgres::{PgConnectOptions, PgSslMode};

        let here: PgConnectOptions = "postgres://ada@127.0.0.1/app".parse().unwrap();
        assert_modes(
            here,
            PgConnectOptions::get_ssl_mode,
            [PgSslMode::Disable, PgSslMode::VerifyFull],
        )
        .await;
    }

    /// Opens with several logins, and compares with the modes here and elsewhere.
    async fn assert_modes<O: DriverOptions, M: fmt::Debug>(
        here: O,
        mode: fn(&O) -> M,
        [without, verified]: [M; 2],
    ) {
        let away = Login::new().host("db.example.org");
        for (login, wanted) in [
            (Login::new(), &without),
            (away.clone(), &verified),
            (away.socket("/run/db.sock"), &without),
            (Login::new().host("/run/db"), &without),
        ] {
            let mut target = Target::new(here.clone(), true);
            let told = login.clone();
            target.log_in(move || std::future::ready(Ok(told.clone())));
            let next = target.next().await.unwrap();
            let next = format!("{:?}", mode(&next));
            assert_eq!(next, format!("{wanted:?}"), "{login:?}");
        }
    }
}
