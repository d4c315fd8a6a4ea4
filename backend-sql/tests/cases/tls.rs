//! TLS, by modes that are said, to a server with certificates of authorities that the test makes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::query::{Filter, Native};
use strongroom_core::store::{
    CountRequest, EnsureRequest, Save, SaveRequest, Schema, Search, Store, Write,
};

use crate::support::own::{OwnServer, Stop};
use crate::support::{self, ENGINE, Options, SPEAKS_TLS, SqlStore, TLS, TRUSTED, UNSAFE_TLS};

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

    /// Gives a server a key and a certificate for a name, and tells how it is set to use them.
    fn vouch_for(&self, name: &str, server: &OwnServer) -> Vec<String> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = ["server.crt", "server.key"].map(|file| server.data().join(file));
        for (file, text) in files.iter().zip([certificate.pem(), key.serialize_pem()]) {
            fs::write(file, text).unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
            server.give_away(file);
        }
        let [certificate, key] = &files;
        support::with_tls(certificate, key)
    }
}

fn url(server: &OwnServer, host: &str, mode: &str) -> String {
    format!("{}?{mode}", server.url(host))
}

/// Connects, and tells whether the connection goes with TLS; else why there is none.
async fn connect(
    server: &OwnServer,
    host: &str,
    mode: &str,
    trusted: Option<&Path>,
) -> Result<bool, ErrorKind> {
    let mut url = url(server, host, mode);
    if let Some(file) = trusted {
        url.push_str(&format!("&{TRUSTED}={}", file.display()));
    }
    let store = SqlStore::connect(Options::from_url(&url).unwrap()).await;
    let store = store.map_err(|error: Error| error.kind())?;
    let model = Model::builder("docs").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    ensured.unwrap();
    let body = Body::from_trusted("{}");
    let write = Write::put(Key::new("a").unwrap(), body, Expected::Any);
    let saved = store.save(SaveRequest::new(model.clone(), write)).await;
    saved.unwrap();
    let speaks = Filter::Native(Native {
        engine: ENGINE.to_owned(),
        condition: SPEAKS_TLS.to_owned(),
        values: Vec::new(),
    });
    let spoken = store.count(CountRequest::new(model, speaks)).await.unwrap();
    store.close().await.unwrap();
    Ok(spoken == 1)
}

#[tokio::test]
async fn modes_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path().join("ours.pem"));
    let other = Authority::new(folder.path().join("other.pem"));
    let (ours_file, other_file) = (Some(ours.file.as_path()), Some(other.file.as_path()));
    let [none, any, known, named] = TLS;
    let mut server = OwnServer::new().await;
    let refused = Err(ErrorKind::Config);

    // No mode that asks for TLS goes without.
    server.start_by(&url(&server, ADDRESS, none)).await;
    assert_eq!(connect(&server, NAME, none, None).await, Ok(false));
    for (mode, trusted) in [(any, None), (known, ours_file), (named, ours_file)] {
        let connected = connect(&server, NAME, mode, trusted).await;
        assert_eq!(connected, refused, "{mode}");
    }
    server.stop(Stop::Orderly).await;

    let mut settings = ours.vouch_for(NAME, &server);
    server.set(&settings);
    server.start_by(&url(&server, ADDRESS, none)).await;
    assert_eq!(connect(&server, NAME, none, None).await, Ok(false));
    // The server may be anyone's.
    for host in [NAME, ADDRESS] {
        assert_eq!(connect(&server, host, any, None).await, Ok(true), "{host}");
    }
    // It is one that the authority knows, by whatever name.
    for host in [NAME, ADDRESS] {
        let connected = connect(&server, host, known, ours_file).await;
        assert_eq!(connected, Ok(true), "{host}");
    }
    assert_eq!(connect(&server, NAME, named, ours_file).await, Ok(true));
    for (host, mode, trusted) in [
        (ADDRESS, named, ours_file),
        (NAME, named, other_file),
        (NAME, named, None),
        (NAME, known, other_file),
        (NAME, known, None),
    ] {
        let connected = connect(&server, host, mode, trusted).await;
        assert_eq!(connected, refused, "{mode} to {host}, {trusted:?}");
    }
    for mode in UNSAFE_TLS {
        let options = Options::from_url(&url(&server, NAME, mode));
        let kind = options.map_err(|error| error.kind());
        assert_eq!(kind.err(), Some(ErrorKind::Config), "{mode}");
    }
    server.stop(Stop::Orderly).await;

    // A server that wants TLS is not spoken to without.
    settings.extend(support::insist_on_tls(&server));
    server.set(&settings);
    server.start_by(&url(&server, NAME, any)).await;
    let connected = connect(&server, NAME, none, None).await;
    assert_eq!(connected, Err(ErrorKind::Unauthorized));
    assert_eq!(connect(&server, NAME, any, None).await, Ok(true));
}
