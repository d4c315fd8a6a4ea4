//! What the tests of functions share.

use std::sync::Arc;

use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, WriteId};
use strongroom_core::query::{Call, Filter};
use strongroom_core::store::{
    CountRequest, EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema, Search, Write,
};

use crate::support::{Options, SqlStore};

/// A store with a collection of its own.
pub struct Texts {
    pub store: SqlStore,
    model: Arc<Model>,
}

impl Texts {
    /// Connects with these options.
    pub async fn new(options: Options) -> Self {
        let store = SqlStore::connect(options).await.unwrap();
        let mut builder = Model::builder(format!("functions-{}", WriteId::random()));
        for (name, kind) in [
            ("k", Kind::Keyword),
            ("n", Kind::Integer),
            ("x", Kind::Float),
            ("b", Kind::Boolean),
            ("at", Kind::Timestamp),
        ] {
            builder = builder.field(FieldDeclaration::new(name.parse().unwrap(), kind));
        }
        let model = builder.build().unwrap();
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        Self { store, model }
    }

    pub fn put(id: &str, body: &str) -> Write {
        let body = Body::parse(body.to_owned()).unwrap();
        Write::put(Key::new(id).unwrap(), body, Expected::Any)
    }

    pub async fn save(&self, write: Write) -> strongroom_core::Result<()> {
        let saved = self.store.save(SaveRequest::new(self.model.clone(), write));
        saved.await.map(drop)
    }

    /// The body of a document, if it is there.
    pub async fn body(&self, id: &str) -> Option<String> {
        let request = LoadRequest::new(self.model.clone(), vec![Key::new(id).unwrap()]);
        let loaded = self.store.load(request).await.unwrap();
        let found = loaded.first().unwrap().as_ref();
        found.map(|found| found.body.as_str().unwrap().to_owned())
    }

    pub async fn count(&self, filter: Filter) -> strongroom_core::Result<u64> {
        let request = CountRequest::new(self.model.clone(), filter);
        self.store.count(request).await
    }

    /// Drops the collection.
    pub async fn done(self) {
        let name = self.model.name().clone();
        assert!(self.store.drop_collection(name).await.unwrap());
    }
}

/// A call of a function without arguments.
pub fn call(name: &str) -> Call {
    Call::new(name).unwrap()
}

/// A call with one more argument, which is a field.
pub fn field(call: Call, name: &str) -> Call {
    call.field(name.parse().unwrap())
}
