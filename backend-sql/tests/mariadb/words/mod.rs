//! The index of the words of text, which tables of the store's own keep.

mod kept;
mod made;

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query::query;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnectOptions, MySqlConnection};
use strongroom_core::error::Result;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, Key, Kind, Model, ModelBuilder, Version,
};
use strongroom_core::query::{Filter, Words, words};
use strongroom_core::store::{
    Bulk, BulkItem, BulkRequest, CountRequest, EnsureRequest, FindRequest, Load, LoadRequest,
    Receipt, Save, SaveRequest, Schema, Search, Write,
};

use crate::support::Named;

/// How much of a word the index holds, in bytes.
const INDEXED: usize = 128;

/// The fields of texts: of one, and of many.
const FIELDS: [&str; 2] = ["t", "o.many"];

fn text(path: &str) -> FieldDeclaration {
    FieldDeclaration::new(path.parse().unwrap(), Kind::Text)
}

/// A model with texts.
fn model(name: &str) -> ModelBuilder {
    let [one, many] = FIELDS;
    let number = FieldDeclaration::new("n".parse().unwrap(), Kind::Integer);
    Model::builder(name)
        .field(text(one))
        .field(text(many).many())
        .field(number)
}

/// A document whose text is in both fields, as JSON.
fn put(id: &str, text: &str, expected: impl Into<Expected>) -> Write {
    let body = format!(r#"{{"t":{text},"o":{{"many":[[{text}],"many words"]}},"n":1}}"#);
    Write::put(Key::new(id).unwrap(), Body::parse(body).unwrap(), expected)
}

/// A collection of texts in a database of its own.
struct Texts {
    named: Named,
    model: Arc<Model>,
}

impl Texts {
    async fn new(connections: usize) -> Self {
        Self::of(connections, model("texts")).await
    }

    async fn of(connections: usize, model: ModelBuilder) -> Self {
        let named = Named::connect(connections).await;
        let model = model.build().unwrap();
        let ensured = named.store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        Self { named, model }
    }

    async fn save(&self, write: Write) -> Result<Receipt> {
        let request = SaveRequest::new(self.model.clone(), write);
        self.named.store.save(request).await
    }

    async fn bulk(&self, items: impl IntoIterator<Item = Write>) -> Vec<Result<Receipt>> {
        let items = items.into_iter().map(BulkItem::from).collect();
        let request = BulkRequest::new(self.model.clone(), items);
        self.named.store.bulk(request).await.unwrap().outcomes
    }

    async fn version(&self, id: &str) -> Option<Version> {
        let keys = vec![Key::new(id).unwrap()];
        let request = LoadRequest::new(self.model.clone(), keys);
        let loaded = self.named.store.load(request).await.unwrap();
        loaded.first().unwrap().as_ref().map(|found| found.version)
    }

    fn having(&self, text: &str, mode: Words) -> CountRequest {
        let filter = Filter::text("t", text, mode).unwrap();
        CountRequest::new(self.model.clone(), filter)
    }

    /// How many documents have all of the words.
    async fn count(&self, text: &str) -> u64 {
        let request = self.having(text, Words::All);
        self.named.store.count(request).await.unwrap()
    }

    /// A connection to the database, beside the store's.
    async fn beside(&self) -> MySqlConnection {
        let options: MySqlConnectOptions = self.named.url().parse().unwrap();
        options.connect().await.unwrap()
    }

    async fn send(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        raw_sql(sql)
            .execute(&mut self.beside().await)
            .await
            .unwrap();
    }

    /// A number that the server tells of the database.
    async fn number(&self, what: &'static str) -> i64 {
        let asked = query_scalar::<MySql, i64>(what);
        asked.fetch_one(&mut self.beside().await).await.unwrap()
    }

    /// The words of a field's index, with the ids of the documents.
    async fn indexed(&self, field: &str) -> BTreeSet<(String, String)> {
        let key = if self.model.is_routed() {
            "CONCAT(routing, '/', id)"
        } else {
            "id"
        };
        let sql = format!("SELECT word, {key} FROM `{}:w:{field}`", self.model.name());
        let rows = query::<MySql>(AssertSqlSafe(sql));
        let rows = rows.fetch_all(&mut self.beside().await).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        rows.iter()
            .map(|row| (text(row.get(0)), text(row.get(1))))
            .collect()
    }

    /// The words of a field as the core finds them in the documents that are there.
    async fn there(&self, field: &str) -> BTreeSet<(String, String)> {
        let mut find = FindRequest::new(self.model.clone(), Filter::all());
        find.limit = 10_000;
        let mut all = BTreeSet::new();
        for document in self.named.store.find(find).await.unwrap().documents {
            let id = match document.key.routing() {
                Some(routing) => format!("{routing}/{}", document.key.id()),
                None => document.key.id().to_string(),
            };
            let body = serde_json::Value::Object(document.body.to_object().unwrap());
            let pointer = format!("/{}", field.replace('.', "/"));
            let mut open: Vec<_> = body.pointer(&pointer).into_iter().collect();
            while let Some(value) = open.pop() {
                match value {
                    serde_json::Value::Array(items) if field == "o.many" => open.extend(items),
                    serde_json::Value::String(text) => all.extend(words(text).map(|word| {
                        let part = word.as_bytes().chunks(INDEXED).next().unwrap();
                        (String::from_utf8_lossy(part).into_owned(), id.clone())
                    })),
                    _ => {}
                }
            }
        }
        all
    }

    /// Checks that the index holds the words of the documents that are there, and no others.
    async fn check(&self) {
        for field in FIELDS {
            let (indexed, there) = (self.indexed(field).await, self.there(field).await);
            let missing: Vec<_> = there.difference(&indexed).take(5).collect();
            let left: Vec<_> = indexed.difference(&there).take(5).collect();
            assert!(
                missing.is_empty() && left.is_empty(),
                "{field}: the index lacks {missing:?}, and has {left:?} left"
            );
        }
    }

    async fn done(self) {
        self.named.done().await;
    }
}
