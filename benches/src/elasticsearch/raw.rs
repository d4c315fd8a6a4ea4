//! The work by hand on the official client: its own calls, serialisation included.

use std::marker::PhantomData;

use elasticsearch::http::response::Response;
use elasticsearch::http::transport::Transport;
use elasticsearch::indices::{
    IndicesCreateParts, IndicesDeleteParts, IndicesForcemergeParts, IndicesRefreshParts,
};
use elasticsearch::{
    BulkOperation, BulkParts, Elasticsearch, GetParts, IndexParts, OpenPointInTimeParts,
    SearchParts,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strongroom::model::Kind;
use strongroom::prelude::Document;
use uuid::Uuid;

use super::Failure;

/// How many documents one bulk has.
pub const BULK: usize = 1_000;

/// The place of a document in the order of writes: what a guarded write names.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Place {
    #[serde(rename = "_seq_no")]
    seq_no: i64,
    #[serde(rename = "_primary_term")]
    primary_term: i64,
}

/// What is stored: the document, and the id of the write as the adapter keeps it.
#[derive(Serialize)]
struct Stored<'a, T> {
    write_id: String,
    body: &'a T,
}

#[derive(Deserialize)]
struct Found<T> {
    body: T,
}

#[derive(Deserialize)]
struct Got<T> {
    #[serde(flatten)]
    place: Place,
    #[serde(rename = "_source")]
    source: Found<T>,
}

#[derive(Deserialize)]
struct BulkReply {
    errors: bool,
    items: Vec<BulkItem>,
}

#[derive(Deserialize)]
struct BulkItem {
    index: Place,
}

#[derive(Deserialize)]
struct SearchReply<T> {
    pit_id: Option<String>,
    hits: Hits<T>,
}

#[derive(Deserialize)]
struct Hits<T> {
    hits: Vec<Hit<T>>,
}

#[derive(Deserialize)]
struct Hit<T> {
    #[serde(rename = "_seq_no")]
    seq_no: i64,
    #[serde(rename = "_primary_term")]
    primary_term: i64,
    #[serde(rename = "_source")]
    source: Found<T>,
    #[serde(default)]
    sort: Vec<Value>,
}

/// An index by hand, and the documents in it at their places.
pub struct ByHand<T> {
    client: Elasticsearch,
    index: String,
    /// The documents at their places, in the order in which they were given.
    pub held: Vec<(T, Place)>,
}

/// The client and the index, for many tasks.
pub struct Handle<T> {
    client: Elasticsearch,
    index: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            index: self.index.clone(),
            of: PhantomData,
        }
    }
}

async fn read<B: DeserializeOwned>(response: Response) -> Result<B, Failure> {
    let response = response.error_for_status_code()?;
    Ok(response.json().await?)
}

fn source<T>(body: &T) -> Stored<'_, T> {
    Stored {
        write_id: Uuid::new_v4().simple().to_string(),
        body,
    }
}

fn id_of<T: Document>(document: &T) -> Result<String, Failure> {
    Ok(document.key()?.id().as_str().to_owned())
}

impl<T: Document + Clone> ByHand<T> {
    /// Makes an index with a mapping of the declared fields.
    pub async fn create(transport: Transport, shards: u32) -> Result<Self, Failure> {
        let client = Elasticsearch::new(transport);
        let model = T::model()?;
        let index = format!("{}-by-hand-{}", model.name(), Uuid::new_v4().simple());
        let mut fields = Map::new();
        for field in model.fields() {
            let mapping = match field.kind {
                Kind::Keyword => json!({"type": "keyword"}),
                Kind::Integer => json!({"type": "long"}),
                Kind::Float => json!({"type": "double"}),
                Kind::Boolean => json!({"type": "boolean"}),
                Kind::Timestamp => json!({"type": "date", "format": "epoch_millis"}),
                _ => json!({"type": "text"}),
            };
            fields.insert(field.path.to_string(), mapping);
        }
        fields.insert("id".to_owned(), json!({"type": "keyword"}));
        let created = client
            .indices()
            .create(IndicesCreateParts::Index(&index))
            .body(json!({
                "settings": {"index": {"number_of_shards": shards, "number_of_replicas": 0}},
                "mappings": {"dynamic": false, "properties": {
                    "write_id": {"type": "keyword", "doc_values": false},
                    "body": {"properties": fields},
                }},
            }))
            .send()
            .await?;
        created.error_for_status_code()?;
        Ok(Self {
            client,
            index,
            held: Vec::new(),
        })
    }

    pub fn index(&self) -> &str {
        &self.index
    }

    pub fn handle(&self) -> Handle<T> {
        Handle {
            client: self.client.clone(),
            index: self.index.clone(),
            of: PhantomData,
        }
    }

    /// Stores documents.
    pub async fn fill(&mut self, documents: &[T]) -> Result<(), Failure> {
        for part in documents.chunks(BULK) {
            let operations = part
                .iter()
                .map(|document| {
                    let operation = BulkOperation::index(source(document));
                    Ok(operation.id(id_of(document)?).into())
                })
                .collect::<Result<Vec<BulkOperation<_>>, Failure>>()?;
            let places = self.handle().send(operations).await?;
            self.held.extend(part.iter().cloned().zip(places));
        }
        Ok(())
    }

    /// Makes what was written visible, and the shards of an index alike: one segment each.
    pub async fn settle(&self, index: &str) -> Result<(), Failure> {
        let indices = [index];
        let refresh = self.client.indices();
        let refresh = refresh.refresh(IndicesRefreshParts::Index(&indices));
        refresh.send().await?.error_for_status_code()?;
        let merge = self.client.indices();
        let merge = merge.forcemerge(IndicesForcemergeParts::Index(&indices));
        merge
            .max_num_segments(1)
            .send()
            .await?
            .error_for_status_code()?;
        Ok(())
    }

    /// Saves some of the documents at their places, in one bulk.
    pub async fn save_all(&mut self, from: usize) -> Result<(), Failure> {
        let handle = self.handle();
        let part = self.held.get_mut(from..from + BULK).ok_or("out of range")?;
        let operations = part
            .iter()
            .map(|(document, place)| {
                let operation = BulkOperation::index(source(document)).id(id_of(document)?);
                let operation = operation.if_seq_no(place.seq_no);
                Ok(operation.if_primary_term(place.primary_term).into())
            })
            .collect::<Result<Vec<BulkOperation<_>>, Failure>>()?;
        let places = handle.send(operations).await?;
        for (held, place) in part.iter_mut().zip(places) {
            held.1 = place;
        }
        Ok(())
    }

    /// Removes the index.
    pub async fn remove(self) -> Result<(), Failure> {
        let indices = [&self.index[..]];
        let delete = self.client.indices();
        let delete = delete.delete(IndicesDeleteParts::Index(&indices));
        delete.send().await?.error_for_status_code()?;
        Ok(())
    }
}

impl<T: Document> Handle<T> {
    async fn send<S: Serialize>(
        &self,
        operations: Vec<BulkOperation<S>>,
    ) -> Result<Vec<Place>, Failure> {
        let call = self.client.bulk(BulkParts::Index(&self.index));
        let reply: BulkReply = read(call.body(operations).send().await?).await?;
        if reply.errors {
            return Err("a document was not stored".into());
        }
        Ok(reply.items.into_iter().map(|item| item.index).collect())
    }

    /// Loads one document with its place.
    pub async fn load(&self, id: &str) -> Result<(T, Place), Failure> {
        let call = self.client.get(GetParts::IndexId(&self.index, id));
        let got: Got<T> = read(call.send().await?).await?;
        Ok((got.source.body, got.place))
    }

    /// Saves one document at its place and hands out its next.
    pub async fn save(&self, document: &T, id: &str, place: Place) -> Result<Place, Failure> {
        let call = self.client.index(IndexParts::IndexId(&self.index, id));
        let call = call.if_seq_no(place.seq_no);
        let call = call.if_primary_term(place.primary_term);
        read(call.body(source(document)).send().await?).await
    }

    /// Searches for a page.
    pub async fn page(&self, query: Value, sort: Value, size: usize) -> Result<Vec<T>, Failure> {
        let indices = [&self.index[..]];
        let call = self.client.search(SearchParts::Index(&indices));
        let call = call.body(json!({
            "query": query,
            "sort": sort,
            "size": size,
            "seq_no_primary_term": true,
            "track_total_hits": false,
        }));
        let reply: SearchReply<T> = read(call.send().await?).await?;
        let hits = reply.hits.hits.into_iter();
        Ok(hits
            .map(|hit| {
                std::hint::black_box((hit.seq_no, hit.primary_term));
                hit.source.body
            })
            .collect())
    }

    /// Reads all documents in the order of their ids, from a point in time, and counts them.
    pub async fn stream(&self, piece: usize) -> Result<u64, Failure> {
        #[derive(Deserialize)]
        struct Opened {
            id: String,
        }
        let indices = [&self.index[..]];
        let parts = OpenPointInTimeParts::Index(&indices);
        let opened = self.client.open_point_in_time(parts).keep_alive("1m");
        let opened: Opened = read(opened.send().await?).await?;
        let (mut point, mut after, mut count) = (opened.id, Vec::new(), 0);
        loop {
            let mut body = json!({
                "pit": {"id": point, "keep_alive": "1m"},
                "sort": [{"body.id": "asc"}],
                "size": piece,
                "seq_no_primary_term": true,
                "track_total_hits": false,
            });
            if !after.is_empty() {
                body["search_after"] = Value::Array(after);
            }
            let call = self.client.search(SearchParts::None).body(body);
            let reply: SearchReply<T> = read(call.send().await?).await?;
            point = reply.pit_id.unwrap_or(point);
            let found = reply.hits.hits.len();
            after = Vec::new();
            for mut hit in reply.hits.hits {
                after = std::mem::take(&mut hit.sort);
                std::hint::black_box((hit.source.body, hit.seq_no, hit.primary_term));
                count += 1;
            }
            if found < piece {
                break;
            }
        }
        let close = self.client.close_point_in_time();
        close
            .body(json!({"id": point}))
            .send()
            .await?
            .error_for_status_code()?;
        Ok(count)
    }
}
