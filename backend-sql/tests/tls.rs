//! TLS, by modes that are said, to a server with certificates of authorities that the test makes.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnectOptions, Postgres};
use strongroom_core::error::ErrorKind;
use strongroom_core::store::{Schema, Store};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

use support::own::OwnServer;

/// The name that the server's certificate is for.
const NAME: &str = "localhost";
/// An address of the same server, for which it is not.
const ADDRESS: &str = "127.0.0.1";

/// One that signs certificates, and the file with its own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(file: PathBuf) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, file }
    }

    /// Gives a server a key and a certificate for a name.
    fn vouch_for(&self, name: &str, server: &mut OwnServer) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        for (file, text) in [
            ("server.crt", certificate.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            let file = server.data().join(file);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            server.give_away(&file);
        }
        server.set("ssl=on");
    }
}

/// Connects in a mode, and tells whether TLS was spoken; else why not.
async fn connect(
    server: &OwnServer,
    host: &str,
    mode: &str,
    trusted: Option<&Path>,
) -> Result<bool, ErrorKind> {
    let name = format!("{mode}-{host}");
    let mut url = format!(
        "{}?sslmode={mode}&application_name={name}",
        server.url(host)
    );
    if let Some(file) = trusted {
        url.push_str(&format!("&sslrootcert={}", file.display()));
    }
    let options = PostgresOptions::from_url(&url).unwrap();
    let store = PostgresStore::connect(options).await;
    let store = store.map_err(|error| error.kind())?;
    store.server_info().await.unwrap();
    let other = format!("{}?sslmode=require", server.url(ADDRESS));
    let other: PgConnectOptions = other.parse().unwrap();
    let mut other = other.connect().await.unwrap();
    let asked = query_scalar::<Postgres, bool>(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = $1",
    );
    let spoken = asked.bind(name).fetch_one(&mut other).await.unwrap();
    other.close().await.unwrap();
    store.close().await.unwrap();
    Ok(spoken)
}

#[tokio::test]
async fn modes_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path().join("ours.pem"));
    let other = Authority::new(folder.path().join("other.pem"));
    let (ours_file, other_file) = (Some(ours.file.as_path()), Some(other.file.as_path()));
    let mut server = OwnServer::new().await;
    ours.vouch_for(NAME, &mut server);
    server.start().await;

    assert_eq!(connect(&server, NAME, "disable", None).await, Ok(false));
    // The server may be anyone's.
    for host in [NAME, ADDRESS] {
        assert_eq!(connect(&server, host, "require", None).await, Ok(true));
    }
    // It is one that the authority knows, by whatever name.
    for host in [NAME, ADDRESS] {
        let connected = connect(&server, host, "verify-ca", ours_file).await;
        assert_eq!(connected, Ok(true), "{host}");
    }
    assert_eq!(
        connect(&server, NAME, "verify-full", ours_file).await,
        Ok(true)
    );
    let refused = Err(ErrorKind::Config);
    for (host, mode, trusted) in [
        (ADDRESS, "verify-full", ours_file),
        (NAME, "verify-full", other_file),
        (NAME, "verify-full", None),
        (NAME, "verify-ca", other_file),
        (NAME, "verify-ca", None),
    ] {
        let connected = connect(&server, host, mode, trusted).await;
        assert_eq!(connected, refused, "{mode} to {host}, {trusted:?}");
    }
    for mode in ["allow", "prefer"] {
        let url = format!("{}?sslmode={mode}", server.url(NAME));
        let kind = PostgresOptions::from_url(&url).map_err(|error| error.kind());
        assert_eq!(kind.err(), Some(ErrorKind::Config), "{mode}");
    }

    // A server that wants TLS is not spoken to without, and one that has none not with.
    server.stop().await;
    fs::write(
        server.data().join("pg_hba.conf"),
        "hostssl all all all trust\n",
    )
    .unwrap();
    let require = format!("{}?sslmode=require", server.url(NAME));
    server.start_by(&require).await;
    let connected = connect(&server, NAME, "disable", None).await;
    assert_eq!(connected, Err(ErrorKind::Unauthorized));
    assert_eq!(connect(&server, NAME, "require", None).await, Ok(true));
}

#[tokio::test]
async fn no_mode_that_asks_for_tls_goes_without() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let sign = if support::url().contains('?') {
            '&'
        } else {
            '?'
        };
        let url = format!("{}{sign}sslmode={mode}", support::url());
        let connected = PostgresStore::connect(PostgresOptions::from_url(&url).unwrap()).await;
        let kind = connected.map_err(|error| error.kind());
        assert_eq!(kind.err(), Some(ErrorKind::Config), "{mode}");
    }
}
