//! Making, extending, describing and dropping collections.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_core::model::{CollectionName, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, Health, Schema, ServerInfo,
};
use strongroom_core::{Error, ErrorKind, Operation, Result};
use tokio::time::Instant;

use crate::answer::Shards;
use crate::compile;
use crate::error::Failure;
use crate::index::Index;
use crate::store::{EsStore, missing};
use crate::wire::{Request, Wire};

/// How often making a collection begins anew because somebody else makes or drops it.
const ATTEMPTS: usize = 32;

impl EsStore {
    /// Creates the index; `false` if somebody else was faster.
    async fn create(&self, model: &Arc<Model>) -> Result<bool> {
        let options = self.options();
        let texts = options.texts_of(model.name());
        let index = Index::draw(model.clone());
        let mut body = compile::index_body(
            model,
            &texts,
            compile::IndexSettings {
                shards: options.shards,
                replicas: options.replicas,
                refresh_interval: options.refresh_interval,
            },
        )?;
        let aliases = json!({model.name().as_str(): {"is_write_index": true}, index.pin(): {}});
        if let Some(body) = body.as_object_mut() {
            body.insert("aliases".to_owned(), aliases);
        }
        let path = format!("/{}", index.name());
        let request = Request::new(Method::Put, &path).json(&body);
        match self.wire().call(request).await {
            Ok(_) => Ok(true),
            // The engine has one answer for a lost race, 500, and others for names that are
            // taken. Whatever the reason, what counts is whether the collection is there now.
            Err(failure) => match self.look_up(model.name()).await {
                Ok(None) => Err(failure.into_ensure_error(&texts)),
                Ok(Some(stored)) => Ok(stored.index.id() == index.id()),
                Err(error) => Err(error),
            },
        }
    }

    async fn ensure_now(&self, model: &Arc<Model>) -> Result<EnsureReport> {
        let mut added = Vec::new();
        let wanted = self.options().texts_of(model.name());
        wanted.check(model)?;
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.look_up(model.name()).await? else {
                if self.create(model).await? {
                    return Ok(EnsureReport::created());
                }
                continue;
            };
            let missing = model.extends(stored.index.model())?;
            let index = &stored.index;
            let texts = index.texts().extended(index.model(), &wanted, model)?;
            if missing.is_empty() && stored.unfinished.is_empty() {
                return Ok(EnsureReport::extended(added));
            }
            if !missing.is_empty() {
                added = missing.iter().map(|f| f.path.clone()).collect();
            }
            // Two may extend at once, and the later one's account of the model replaces the
            // earlier one's: whoever finds its own fields gone from it adds them again.
            match self.extend(&stored, model, &texts).await {
                Err(error) if error.kind() == ErrorKind::Contended => {}
                outcome => outcome?,
            }
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!("others changed the collection {ATTEMPTS} times meanwhile"),
        ))
    }

    pub(crate) async fn refresh_index(&self, index: &Index) -> Result<()> {
        let path = format!("/{}/_refresh", index.name());
        let reply = self.wire().call(Request::new(Method::Post, &path)).await;
        let reply = reply.map_err(Failure::into_read_error)?;
        let refreshed: Refreshed = reply.read().map_err(Failure::into_read_error)?;
        refreshed.shards.check()
    }

    /// Health by the engine's word, or `None` if it works for no one or answers nothing.
    async fn health(&self, patience: Duration) -> Result<Option<Health>> {
        let request = Request::new(Method::Get, "/_cluster/health")
            .query("filter_path", "status")
            .timeout(patience);
        let reply = match self.wire().call(request).await {
            Ok(reply) => reply,
            Err(failure) => {
                let error = failure.into_read_error();
                return if error.is_retryable() {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
        };
        let health: ClusterHealth = reply.read().map_err(Failure::into_read_error)?;
        Ok(match health.status.as_str() {
            "green" => Some(Health::Ready),
            "yellow" => Some(Health::Degraded),
            _ => None,
        })
    }
}

/// What answers, by its own word.
pub(crate) async fn ask_server(wire: &Wire) -> Result<ServerInfo> {
    let reply = wire.send(Request::new(Method::Get, "/")).await;
    let reply = reply.map_err(Failure::into_read_error)?;
    // A minimal server has no page there, and answers 405 with the header that tells it.
    if reply.status != 405 {
        let product = reply.product.clone();
        let reply = reply.succeeded().map_err(Failure::into_read_error)?;
        let root: Root = reply.read().map_err(Failure::into_read_error)?;
        let distribution = root.version.distribution.or(product);
        return Ok(ServerInfo::new(
            distribution.unwrap_or_else(|| "unknown".to_owned()),
            root.version.number,
        ));
    }
    let product = reply.product.unwrap_or_else(|| "unknown".to_owned());
    let request =
        Request::new(Method::Get, "/_nodes/_local").query("filter_path", "nodes.*.version");
    let reply = wire.call(request).await;
    let reply = reply.map_err(Failure::into_read_error)?;
    let nodes: Value = reply.read().map_err(Failure::into_read_error)?;
    let node = nodes.get("nodes").and_then(Value::as_object);
    let version = node
        .and_then(|nodes| nodes.values().next()?.get("version")?.as_str())
        .ok_or_else(|| Error::internal("the search engine tells no version"))?;
    Ok(ServerInfo::new(product, version))
}

#[derive(Deserialize)]
struct Refreshed {
    #[serde(rename = "_shards")]
    shards: Shards,
}

#[derive(Deserialize)]
struct ClusterHealth {
    status: String,
}

#[derive(Deserialize)]
struct Root {
    version: RootVersion,
}

#[derive(Deserialize)]
struct RootVersion {
    number: String,
    distribution: Option<String>,
}

#[async_trait]
impl Schema for EsStore {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        let model = &request.model;
        self.guard(
            Operation::Ensure,
            Some(model.name()),
            self.ensure_now(model),
        )
        .await
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        let describe = async {
            let Some(stored) = self.look_up(&collection).await? else {
                return Ok(None);
            };
            self.refresh_index(&stored.index).await?;
            let model = stored.index.model().clone();
            let everything = CountRequest::new(model.clone(), Filter::all());
            let documents = self.count_now(&everything).await?;
            Ok(Some(CollectionDescription::new(model, documents)))
        };
        self.guard(Operation::Describe, Some(&collection), describe)
            .await
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        let drop_it = async {
            let Some(stored) = self.look_up(&collection).await? else {
                return Ok(false);
            };
            self.forget(&collection);
            let path = format!("/{}", stored.index.name());
            let request = Request::new(Method::Delete, &path);
            let reply = self.wire().send(request).await;
            let reply = reply.map_err(Failure::into_write_error)?;
            if reply.status == 404 {
                return Ok(false);
            }
            reply.succeeded().map_err(Failure::into_write_error)?;
            Ok(true)
        };
        self.guard(Operation::DropCollection, Some(&collection), drop_it)
            .await
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        let refresh = async {
            match self.look_up(&collection).await? {
                Some(stored) => self.refresh_index(&stored.index).await,
                None => Err(missing(&collection)),
            }
        };
        self.guard(Operation::Refresh, Some(&collection), refresh)
            .await
    }

    async fn ready(&self, timeout: Duration) -> Result<Health> {
        let ready = async {
            let deadline = Instant::now() + timeout;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        format!("the search engine was not ready within {timeout:?}"),
                    ));
                }
                if let Some(health) = self.health(left).await? {
                    return Ok(health);
                }
                tokio::time::sleep(left.min(Duration::from_millis(100))).await;
            }
        };
        self.guard(Operation::Ready, None, ready).await
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.guard(Operation::ServerInfo, None, ask_server(self.wire()))
            .await
    }
}
