//! What a case is handed: a store in one of its forms, and collections of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use strongroom_core::layers::{CheckLayer, Layer};
use strongroom_core::model::{
    CollectionName, FieldDeclaration, FieldPath, Kind, Model, ModelBuilder, Scalar, WriteId,
};
use strongroom_core::query::Native;
use strongroom_core::store::{Capabilities, EnsureRequest, FunctionSupport, Store};

use crate::docs::Docs;
use crate::failure::{During, Failure, Outcome};
use crate::form::Form;
use crate::functions;
use crate::setup::{Scale, Settings, Setup};

/// The setup's `reopen`, without the setup's type.
type Reopen = dyn Fn() -> BoxFuture<'static, Option<Arc<dyn Store>>> + Send + Sync;

/// The setup's `native`, without the setup's type.
type MakeNative = dyn Fn(&FieldPath, &Scalar) -> Option<Native> + Send + Sync;

/// What a case is handed.
pub(crate) struct Context {
    store: Arc<dyn Store>,
    form: Form,
    settings: Settings,
    reopen: Box<Reopen>,
    native: Box<MakeNative>,
    suffix: String,
    drawn: AtomicUsize,
    made: Mutex<Vec<CollectionName>>,
}

impl Context {
    pub(crate) async fn new<S: Setup>(setup: Arc<S>, form: Form) -> Self {
        let settings = setup.settings();
        let store = form.of(setup.store().await);
        let mut suffix = WriteId::random().to_string();
        suffix.truncate(10);
        let native = setup.clone();
        Self {
            store,
            form,
            settings,
            native: Box::new(move |field, value| native.native(field, value)),
            reopen: Box::new(move || {
                let setup = setup.clone();
                Box::pin(async move { setup.reopen().await.map(|store| form.of(store)) })
            }),
            suffix,
            drawn: AtomicUsize::new(0),
            made: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How much work a heavy case does: the whole of it on the plain store, a part elsewhere.
    pub(crate) fn scale(&self) -> Scale {
        match self.form {
            Form::Bare => self.settings.scale,
            Form::Dynamic | Form::Layered => self.settings.scale.lighter(),
        }
    }

    /// A second store on the same data, in the same form, if the setup can make one.
    pub(crate) async fn reopen(&self) -> Option<Arc<dyn Store>> {
        (self.reopen)().await
    }

    /// The condition in the engine's own language that a field's value equals this one.
    pub(crate) fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        (self.native)(field, value)
    }

    /// Whether filters of the store can call the functions of the suite.
    pub(crate) fn calls_functions(&self) -> bool {
        match &self.capabilities().functions {
            FunctionSupport::Registered(names) => {
                functions::all().names().all(|name| names.contains(name))
            }
            _ => false,
        }
    }

    /// A name for a collection that no other case has.
    pub(crate) fn name(&self, stem: &str) -> String {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let name = format!("{stem}-{}-{n}", self.suffix);
        if let Ok(name) = CollectionName::new(&name) {
            self.made
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(name);
        }
        name
    }

    /// A collection with the usual fields.
    pub(crate) async fn docs(&self) -> Outcome<Docs> {
        self.docs_of(usual_fields(Model::builder(self.name("things"))))
            .await
    }

    /// A routed collection with the usual fields.
    pub(crate) async fn routed_docs(&self) -> Outcome<Docs> {
        self.docs_of(usual_fields(Model::builder(self.name("routed")).routed()))
            .await
    }

    /// A collection of this model.
    pub(crate) async fn docs_of(&self, builder: ModelBuilder) -> Outcome<Docs> {
        let model = builder.build().during("building a model")?;
        self.store
            .ensure(EnsureRequest::new(model.clone()))
            .await
            .during(format_args!("ensuring the collection {}", model.name()))?;
        Ok(Docs::new(self.store.clone(), model))
    }

    /// The same collection with the check layer right around the store, which every handle has.
    pub(crate) fn checked(&self, docs: &Docs) -> Docs {
        docs.within(CheckLayer::new().wrap(docs.store().clone()))
    }

    /// Drops what the case made and closes the store. A case that failed, or that closed the
    /// store itself, may have left it in any state, so nothing here can fail the case.
    pub(crate) async fn finish(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        for name in made {
            let _gone_or_not = self.store.drop_collection(name).await;
        }
        let _closed_or_not = self.store.close().await;
    }
}

/// Declares one field of each comparable kind, and some beneath others.
pub(crate) fn usual_fields(builder: ModelBuilder) -> ModelBuilder {
    let declare = |builder: ModelBuilder, path: &str, kind: Kind| match path.parse() {
        Ok(path) => builder.field(FieldDeclaration::new(path, kind)),
        Err(_) => builder,
    };
    let mut builder = builder;
    for (path, kind) in [
        ("x", Kind::Float),
        ("b", Kind::Boolean),
        ("at", Kind::Timestamp),
        ("o.k", Kind::Keyword),
        ("o.n", Kind::Integer),
    ] {
        builder = declare(builder, path, kind);
    }
    if let (Ok(k), Ok(n), Ok(tags)) = ("k".parse(), "n".parse(), "tags".parse()) {
        builder = builder
            .field(FieldDeclaration::new(k, Kind::Keyword).indexed())
            .field(FieldDeclaration::new(n, Kind::Integer).indexed())
            .field(FieldDeclaration::new(tags, Kind::Keyword).many());
    }
    builder
}

/// The transactions of the store, or `None` after saying that the case has nothing to check.
pub(crate) fn not_granted(feature: &str) -> Outcome {
    // Shown by the test harness on demand: the capabilities' own cases check the refusal.
    println!("not granted by this store: {feature}");
    Ok::<(), Failure>(())
}
