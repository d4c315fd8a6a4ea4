//! The one place where requests leave.
//!
//! A path is made of constants and of a checked index name, and of an id only where that has nothing
//! but letters, digits, dashes and underscores: the client does not escape dots, and
//! `DELETE /index/_doc/..` would drop the index. Every request has a timeout.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::Transport;
use serde::de::DeserializeOwned;
use strongroom_core::Result;

use crate::connection::{self, Security};
use crate::error::{Failure, Refusal};

/// A connection to the engine.
#[derive(Clone)]
pub(crate) struct Wire {
    transport: Transport,
    timeout: Duration,
    /// Where the engine is, without credentials, for messages.
    address: String,
}

/// A request.
pub(crate) struct Request<'a> {
    method: Method,
    path: Cow<'a, str>,
    query: Vec<(&'static str, Cow<'static, str>)>,
    body: Option<Bytes>,
    content_type: &'static str,
    timeout: Option<Duration>,
}

/// The reply to a request, of whatever status.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What the server says it is, if it does.
    pub(crate) product: Option<String>,
    /// The body.
    pub(crate) body: Bytes,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            content_type: "application/json",
            timeout: None,
        }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(body.to_string().into());
        self
    }

    /// A body that is JSON text already.
    pub(crate) fn encoded(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn lines(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body.into());
        self.content_type = "application/x-ndjson";
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl Wire {
    /// Prepares to talk to the engine at `url`; nothing is sent.
    pub(crate) fn new(url: &str, timeout: Duration, security: &Security) -> Result<Self> {
        let (transport, address) = connection::transport(url, timeout, security)?;
        Ok(Self {
            transport,
            timeout,
            address,
        })
    }

    /// Where the engine is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and takes the whole reply, of whatever status.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
        let response = self
            .transport
            .send(
                request.method,
                &request.path,
                headers,
                Some(&request.query),
                request.body,
                Some(request.timeout.unwrap_or(self.timeout)),
            )
            .await
            .map_err(Failure::from_client)?;
        let status = response.status_code().as_u16();
        let product = response.headers().get("x-elastic-product");
        let product = product.and_then(|p| p.to_str().ok()).map(str::to_lowercase);
        let body = response.bytes().await.map_err(Failure::from_client)?;
        Ok(Reply {
            status,
            product,
            body,
        })
    }

    /// Sends a request that only a status of 2xx answers.
    pub(crate) async fn call(&self, request: Request<'_>) -> Result<Reply, Failure> {
        self.send(request).await?.succeeded()
    }
}

impl Reply {
    /// This reply, if its status is 2xx.
    pub(crate) fn succeeded(self) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(Failure::Refused(Refusal::from_reply(
                self.status,
                &self.body,
            )))
        }
    }

    /// Reads the body.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|e| {
            Failure::Garbled(format!(
                "a reply of the search engine is not understood: {e}"
            ))
        })
    }
}
