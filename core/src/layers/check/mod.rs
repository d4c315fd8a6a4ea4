//! Refusing before any I/O what no adapter should see.
//!
//! The check layer is the innermost of a handle's own layers and always there. What passes it:
//!
//! - names keys with a routing exactly where the collection is routed;
//! - filters and sorts by declared fields only, with values that the fields can be compared with;
//! - keeps the limits of pages, loads, bulks and bodies, of the family and of the store;
//! - asks for nothing that the store's [`Capabilities`] do not grant;
//! - holds patches and expectations that make sense in themselves.
//!
//! On the way back it adds operation, collection and key to errors that do not have them.

use std::fmt;

use futures_util::future::BoxFuture;

use super::call::Subject;
use super::{Call, Enter, Intercept, Reply, Request};
use crate::error::{Error, Result};
use crate::model::{Expected, Model, Routing, in_range};
use crate::query::{Aggregation, Filter, FunctionName, Sort};
use crate::store::{
    Action, AggregateRequest, BulkItem, BulkRequest, Capabilities, Computed, CountRequest,
    EnsureRequest, ExplainRequest, FindRequest, FunctionSupport, GroupRequest, LoadRequest,
    MAX_GROUPS, MAX_PAGE, MatchingAction, MatchingRequest, PageStart, ScanRequest, Write,
};

/// Refuses requests that are wrong in themselves or that the store cannot carry out, and tells
/// errors what they are about.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CheckLayer;

impl CheckLayer {
    /// The layer; it has no settings.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// What errors of a call under way are annotated with.
#[derive(Debug)]
pub struct Checked(Subject);

impl Intercept for CheckLayer {
    type Scope = Checked;

    fn enter(&self, call: &Call<'_>) -> Enter<Checked> {
        match check(call) {
            Ok(()) => Enter::Around(Checked(call.subject())),
            Err(error) => Enter::Refuse(call.subject().annotate(error)),
        }
    }

    async fn around<T: Reply>(
        &self,
        Checked(subject): Checked,
        inner: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        match inner.await {
            Ok(mut reply) => {
                let outcomes = reply.outcomes().unwrap_or_default();
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_err()) {
                    let taken = std::mem::replace(outcome, Err(Error::internal("replaced")));
                    *outcome = taken.map_err(|error| subject.clone().annotate(error));
                }
                Ok(reply)
            }
            Err(error) => Err(subject.annotate(error)),
        }
    }
}

fn check(call: &Call<'_>) -> Result<()> {
    let can = call.capabilities;
    match call.request {
        Request::Load(request) => load(request, can),
        Request::Save(request) => write(&request.model, &request.write, can),
        Request::Bulk(request) => bulk(request, can),
        Request::Find(request) => find(request, can),
        Request::Count(request) => count(request, can),
        Request::Aggregate(request) => aggregate(request, can),
        Request::Group(request) => group(request, can),
        Request::Scan(request) => scan(request, can),
        Request::Matching(request) => matching(request, can),
        Request::Explain(request) => match request {
            ExplainRequest::Find(request) => find(request, can),
            ExplainRequest::Count(request) => count(request, can),
            ExplainRequest::Aggregate(request) => aggregate(request, can),
            ExplainRequest::Group(request) => group(request, can),
            ExplainRequest::Scan(request) => scan(request, can),
            ExplainRequest::Matching(request) => matching(request, can),
        },
        Request::Ensure(request) => ensure(request, can),
        Request::Begin(_) if call.in_transaction && !can.savepoints => {
            Err(Error::unsupported("savepoints"))
        }
        Request::Begin(_) if !can.transactions => Err(Error::unsupported("transactions")),
        Request::Begin(_) | Request::Collection(_) | Request::Ready(_) | Request::Nothing => Ok(()),
    }
}

fn load(request: &LoadRequest, can: &Capabilities) -> Result<()> {
    at_most("load", "keys", request.keys.len(), can.max_load_keys)?;
    request
        .keys
        .iter()
        .try_for_each(|key| request.model.check_key(key))
}

fn write(model: &Model, write: &Write, can: &Capabilities) -> Result<()> {
    model.check_key(&write.key)?;
    write.check_computed(model)?;
    let calls = write.computed.iter().filter_map(Computed::call);
    calls
        .flat_map(crate::query::Call::names)
        .try_for_each(|name| has_function(name, can))?;
    match &write.action {
        Action::Put(body) => at_most("body", "bytes", body.len(), can.max_body_bytes),
        Action::Patch(patch) => {
            not_absent(write.expected, "patch")?;
            match write.computed.is_empty() {
                true => patch.check(),
                false => patch.check_changes(),
            }
        }
        Action::Delete => not_absent(write.expected, "delete"),
    }
}

fn not_absent(expected: Expected, action: &str) -> Result<()> {
    match expected {
        Expected::Absent => Err(Error::invalid(format!(
            "{action} expects no document, so there is nothing to {action}"
        ))),
        _ => Ok(()),
    }
}

fn bulk(request: &BulkRequest, can: &Capabilities) -> Result<()> {
    if request.atomic && !can.atomic_bulk {
        return Err(Error::unsupported("atomic bulks"));
    }
    at_most("bulk", "items", request.items.len(), can.max_bulk_items)?;
    request.items.iter().try_for_each(|item| {
        match item {
            BulkItem::Write(item) => write(&request.model, item, can),
            BulkItem::Check { key, .. } => request.model.check_key(key),
        }
        .map_err(|error| error.with_key(item.key().clone()))
    })
}

fn find(request: &FindRequest, can: &Capabilities) -> Result<()> {
    let FindRequest {
        model,
        filter,
        sort,
        limit,
        offset,
        start,
        ..
    } = request;
    in_range("page has a limit of", *limit, MAX_PAGE)?;
    if offset.saturating_add(*limit) > MAX_PAGE {
        return Err(Error::invalid(format!(
            "page ends at {}, offset paging ends at {MAX_PAGE}: go on by cursor",
            offset.saturating_add(*limit)
        )));
    }
    query(model, filter, request.routing.as_ref(), can)?;
    order(sort, model, can)?;
    if *offset > 0 && *start != PageStart::First {
        return Err(Error::invalid(format!(
            "page has an offset of {offset}, which only counts from the beginning of a query"
        )));
    }
    if start.is_backward() && !can.backward_pages {
        return Err(Error::unsupported("pages backwards"));
    }
    match start.cursor() {
        None => Ok(()),
        Some(cursor) => cursor
            .position(model.name(), filter, sort, request.routing.as_ref())
            .map(drop),
    }
}

fn count(request: &CountRequest, can: &Capabilities) -> Result<()> {
    query(
        &request.model,
        &request.filter,
        request.routing.as_ref(),
        can,
    )
}

fn aggregate(request: &AggregateRequest, can: &Capabilities) -> Result<()> {
    granted(can.aggregations, "aggregations")?;
    query(
        &request.model,
        &request.filter,
        request.routing.as_ref(),
        can,
    )?;
    Aggregation::check_all(&request.aggregations, &request.model)?;
    request.aggregations.values().try_for_each(|one| match one {
        Aggregation::Filter { filter, .. } => needs(filter, can),
        _ => Ok(()),
    })
}

fn group(request: &GroupRequest, can: &Capabilities) -> Result<()> {
    let GroupRequest {
        model,
        by,
        size,
        groups,
        ..
    } = request;
    granted(can.groups, "groups")?;
    query(model, &request.filter, request.routing.as_ref(), can)?;
    order(&request.sort, model, can)?;
    let field = model.require(by)?;
    if !field.kind.is_comparable() || field.many {
        return Err(Error::invalid(format!(
            "field {by} does not hold one comparable value, so it makes no groups"
        )));
    }
    in_range("group has a size of", *size, MAX_PAGE)?;
    in_range("number of groups is", *groups, MAX_GROUPS)?;
    if size.saturating_mul(*groups) > MAX_PAGE {
        return Err(Error::invalid(format!(
            "{groups} groups of {size} documents are asked for, allowed are {MAX_PAGE} documents in all"
        )));
    }
    match &request.after {
        Some(after) if !field.kind.takes(after) => Err(Error::invalid(format!(
            "groups after a value of type {} are asked for, but field {by} is declared as {}",
            after.type_name(),
            field.kind.as_str()
        ))),
        _ => Ok(()),
    }
}

fn scan(request: &ScanRequest, can: &Capabilities) -> Result<()> {
    granted(can.scans, "scans")?;
    query(
        &request.model,
        &request.filter,
        request.routing.as_ref(),
        can,
    )?;
    in_range("scan has pieces of", request.batch, MAX_PAGE)?;
    order(&request.sort, &request.model, can)
}

fn matching(request: &MatchingRequest, can: &Capabilities) -> Result<()> {
    granted(can.matching_writes, "writes of what matches")?;
    query(
        &request.model,
        &request.filter,
        request.routing.as_ref(),
        can,
    )?;
    in_range(
        "write of what matches has a limit of",
        request.limit,
        MAX_PAGE,
    )?;
    if let Some(after) = &request.after {
        request.model.check_key(after)?;
    }
    match &request.action {
        MatchingAction::Patch(patch) => patch.check(),
        MatchingAction::Delete => Ok(()),
    }
}

fn query(
    model: &Model,
    filter: &Filter,
    wanted: Option<&Routing>,
    can: &Capabilities,
) -> Result<()> {
    filter.check(model)?;
    needs(filter, can)?;
    routing(model, wanted)
}

/// Refuses orders that make no sense or that the store does not have.
fn order(sort: &[Sort], model: &Model, can: &Capabilities) -> Result<()> {
    Sort::check(sort, model)?;
    match sort.iter().any(Sort::is_by_score) {
        true => granted(can.score, "an order by score"),
        false => Ok(()),
    }
}

/// Refuses filters that the store cannot answer.
fn needs(filter: &Filter, can: &Capabilities) -> Result<()> {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().try_for_each(|f| needs(f, can)),
        Filter::Not(inner) => needs(inner, can),
        Filter::Text { .. } => granted(can.text_search, "filters by the words of text"),
        Filter::Nested { filter, .. } => {
            granted(
                can.nested_filters,
                "filters by the objects of nested fields",
            )?;
            needs(filter, can)
        }
        Filter::Call { call, .. } => call
            .names()
            .into_iter()
            .try_for_each(|name| has_function(name, can)),
        Filter::Native(native) => granted(
            can.native_filters && native.engine == can.engine,
            format_args!("native conditions of {}", native.engine),
        ),
        _ => Ok(()),
    }
}

fn has_function(name: &FunctionName, can: &Capabilities) -> Result<()> {
    let known = match &can.functions {
        FunctionSupport::None => false,
        FunctionSupport::Registered(names) => names.contains(name),
        FunctionSupport::Server => true,
    };
    granted(known, format_args!("the function {name}"))
}

fn granted(capability: bool, feature: impl fmt::Display) -> Result<()> {
    if capability {
        return Ok(());
    }
    Err(Error::unsupported(feature))
}

fn routing(model: &Model, routing: Option<&Routing>) -> Result<()> {
    match routing {
        Some(routing) if !model.is_routed() => Err(Error::invalid(format!(
            "query has the routing {routing:?}, but collection {} is not routed",
            model.name()
        ))),
        _ => Ok(()),
    }
}

fn ensure(request: &EnsureRequest, can: &Capabilities) -> Result<()> {
    if can.unique_fields {
        return Ok(());
    }
    match request.model.fields().find(|field| field.unique) {
        Some(field) => Err(Error::unsupported(format!(
            "unique fields, which {} is declared as",
            field.path
        ))),
        None => Ok(()),
    }
}

fn at_most(what: &str, units: &str, count: usize, limit: usize) -> Result<()> {
    if count > limit {
        return Err(Error::invalid(format!(
            "{what} has {count} {units}, allowed are {limit}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
