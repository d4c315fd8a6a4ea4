// What the examples of the handles share: a document written out by hand, as the derive writes it,
// and a database in memory. It is included by the examples and is no part of the crate.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
#[allow(unused_imports)]
use strongroom_core::handle::*;
use strongroom_core::memory::MemoryStore;
#[allow(unused_imports)]
use strongroom_core::model::{Expected, FieldDeclaration, Key, Kind, Model, Timestamp};
#[allow(unused_imports)]
use strongroom_core::patch::Patch;
#[allow(unused_imports)]
use strongroom_core::query::{Filter, Sort};
#[allow(unused_imports)]
use strongroom_core::{Error, ErrorKind, Result};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct User {
    name: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    logins: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    bio: String,
}

impl User {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: Some("eu".to_owned()),
            logins: 0,
            bio: String::new(),
        }
    }
}

struct UserFields;

#[allow(dead_code)]
impl UserFields {
    fn name(&self) -> Field<User, kinds::Keyword, String> {
        Field::root("name")
    }

    fn region(&self) -> Field<User, kinds::Keyword, String> {
        Field::root("region")
    }

    fn logins(&self) -> Field<User, kinds::Integer, u64> {
        Field::root("logins")
    }

    fn bio(&self) -> Field<User, kinds::Text, String> {
        Field::root("bio")
    }
}

impl Document for User {
    type Fields = UserFields;

    fn model() -> Result<Arc<Model>> {
        Model::builder("users")
            .field(FieldDeclaration::new("name".parse()?, Kind::Keyword))
            .field(FieldDeclaration::new("region".parse()?, Kind::Keyword))
            .field(FieldDeclaration::new("logins".parse()?, Kind::Integer))
            .field(FieldDeclaration::new("bio".parse()?, Kind::Text))
            .build()
    }

    fn fields() -> UserFields {
        UserFields
    }

    fn key(&self) -> Result<Key> {
        Key::new(&self.name)
    }

    fn assign_id(&mut self, _: &dyn IdSource) {}

    fn set_created(&mut self, _: Timestamp) {}

    fn created(&self) -> Option<Timestamp> {
        None
    }

    fn set_updated(&mut self, _: Timestamp) {}

    fn key_fields() -> &'static [&'static str] {
        &["name"]
    }
}

#[allow(dead_code)]
fn run(example: impl AsyncFnOnce(Database, Collection<User>) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap().block_on(async {
        let db = Database::new(Arc::new(MemoryStore::new()));
        let users = db.collection::<User>();
        users.ensure().await?;
        example(db, users).await
    })
}
