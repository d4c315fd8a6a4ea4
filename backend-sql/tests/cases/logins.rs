//! Passwords: where they come from, and that nobody is told.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::layers::{LayerOptions, default_stack};
use strongroom_core::model::{Body, Expected, Key, Model, WriteId};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, EnsureRequest, SaveRequest, ScanRequest, Schema, Store, Write,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{self, ENGINE, Login, Options, Place, SqlStore, UNSAFE_TLS};

const SECRET: &str = "canary-4711";

/// Collects all that spans and events say, at every level.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<String>>);

struct Collect<'a>(&'a mut String);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Collector {
    fn collect(&self, record: impl FnOnce(&mut Collect<'_>)) {
        record(&mut Collect(&mut self.0.lock().unwrap()));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.collect(|collect| span.record(collect));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.collect(|collect| values.record(collect));
    }

    fn event(&self, event: &Event<'_>) {
        self.collect(|collect| event.record(collect));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn refusal(options: Result<Options, Error>) -> Error {
    options.unwrap_err()
}

/// The server's URL with a password that the server takes.
async fn with_password() -> String {
    let place = support::place_for(SECRET).await;
    let Place {
        scheme,
        user,
        host,
        port,
        database,
    } = place;
    format!("{scheme}://{user}:{SECRET}@{host}:{port}/{database}")
}

#[tokio::test]
async fn passwords_are_told_to_nobody() {
    let with_password = with_password().await;
    let collector = Collector::default();
    // Where there is one subscriber alone, a place in the code that another test's thread, which has
    // none, comes to first counts as one that nobody listens to.
    let another = tracing::Dispatch::new(collector.clone());
    let guard = tracing::subscriber::set_default(collector.clone());
    let mut told = String::new();
    let mut tell = |what: &dyn Debug| told.push_str(&format!("{what:?}\n{what:#?}\n"));

    let (scheme, _) = with_password.split_once("://").unwrap();
    // Options, good and bad.
    let options = Options::from_url(&with_password).unwrap();
    tell(&options);
    tell(
        &options
            .clone()
            .log_in(|| async { Ok(Login::new().password(SECRET)) }),
    );
    tell(&Login::new().user("ada").password(SECRET));
    for open in UNSAFE_TLS {
        let open = refusal(Options::from_url(&format!("{with_password}?{open}")));
        assert_eq!(open.kind(), ErrorKind::Config);
        tell(&open);
    }
    tell(&refusal(Options::from_url(&format!(
        "{scheme}://a:{SECRET}@[::1:x/"
    ))));

    // Servers that are not there, and users that the server does not know.
    for (url, kind) in [
        (
            format!("{scheme}://a:{SECRET}@127.0.0.1:1/none"),
            ErrorKind::Unavailable,
        ),
        (
            with_password.replacen("://", "://no-such-user-", 1),
            ErrorKind::Unauthorized,
        ),
        (format!("{with_password}-none"), ErrorKind::Config),
    ] {
        let options = Options::from_url(&url).unwrap();
        let refused = SqlStore::connect(options).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused:?}");
        told.push_str(&format!("{refused} {refused:?}\n"));
    }

    // Whatever holds connections.
    let store = SqlStore::connect(options).await.unwrap();
    let model = Model::builder(format!("logins-{}", WriteId::random()))
        .build()
        .unwrap();
    let layered = default_stack(Arc::new(store.clone()), &LayerOptions::new());
    layered
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let write = Write::put(
        Key::new("a").unwrap(),
        Body::from_trusted("{}"),
        Expected::Absent,
    );
    let request = SaveRequest::new(model.clone(), write);
    layered.save(request.clone()).await.unwrap();
    let refused = layered.save(request).await.unwrap_err();
    let transact = store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    let scan = ScanRequest::new(model.clone(), Filter::all());
    let mut scans = [
        store_scan(&store, scan.clone()).await,
        transaction.scan(scan).await.unwrap(),
    ];
    let savepoint = transaction.transact().unwrap();
    told.push_str(&format!(
        "{store:?} {store:#?} {layered:?} {refused:?} {transact:?} {transaction:?} {transaction:#?} \
         {savepoint:?} {scans:?}\n"
    ));
    for scan in &mut scans {
        scan.close().await.unwrap();
    }
    transaction.rollback().await.unwrap();
    store.drop_collection(model.name().clone()).await.unwrap();
    store.close().await.unwrap();
    drop((guard, another));
    let traced = collector.0.lock().unwrap().clone();
    assert!(traced.contains(ENGINE), "nothing was traced: {traced}");
    assert!(told.contains("Options {"), "nothing was told: {told}");
    for said in [told, traced] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

async fn store_scan(
    store: &SqlStore,
    request: ScanRequest,
) -> Box<dyn strongroom_core::store::Scan> {
    strongroom_core::store::Search::scan(store, request)
        .await
        .unwrap()
}

/// The options lead nowhere; the function tells where the server is, for every connection anew.
#[tokio::test]
async fn a_function_says_what_connections_are_opened_with() {
    let Place {
        scheme,
        user,
        host,
        port,
        database,
    } = support::place_for(SECRET).await;
    let nowhere = || {
        let url = format!("{scheme}://nobody@127.0.0.1:1/{database}");
        Options::from_url(&url).unwrap().connections(2)
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let options = nowhere().log_in(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let login = Login::new().host(host.clone()).port(port);
        let user = user.clone();
        async move { Ok(login.user(user).password(SECRET)) }
    });
    let store = SqlStore::connect(options).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let transact = store.transact().unwrap();
    let held = transact.begin(BeginOptions::new()).await.unwrap();
    store.server_info().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    store.server_info().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    held.rollback().await.unwrap();

    let failing = nowhere()
        .log_in(|| async { Err(Error::new(ErrorKind::Unauthorized, "the vault is closed")) });
    let refused = SqlStore::connect(failing).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    assert_eq!(refused.message(), "the vault is closed");
}
