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
mod tests {
    use std::sync::Arc;

    use super::super::testing::{FakeStore, counter, key};
    use super::*;
    use crate::error::{ErrorKind, Operation};
    use crate::layers::Layer;
    use crate::model::{FieldDeclaration, Key, Kind};
    use crate::patch::Patch;
    use crate::query::{Cursor, Filter, Position};
    use crate::store::{BeginOptions, CountRequest, SaveRequest, Store};

    fn users() -> Arc<Model> {
        Model::builder("users")
            .field(FieldDeclaration::new("email".parse().unwrap(), Kind::Keyword).unique())
            .build()
            .unwrap()
    }

    fn put(id: &str) -> Write {
        Write::put(key(id), counter(0), Expected::Any)
    }

    fn computing(write: Write, field: &str) -> Write {
        write.compute(
            field.parse().unwrap(),
            crate::query::Call::new("f").unwrap(),
        )
    }

    /// Runs a call against a store that refuses to be called, and hands out the refusal.
    async fn refused(
        change: impl FnOnce(&mut Capabilities),
        call: impl AsyncFnOnce(Arc<dyn Store>) -> Result<()>,
    ) -> Error {
        let fake = FakeStore::with(change);
        let error = call(CheckLayer::new().wrap(fake.clone()))
            .await
            .unwrap_err();
        assert_eq!(fake.calls(), [], "{error}");
        assert!(error.operation().is_some(), "{error}");
        error
    }

    #[track_caller]
    fn says(error: &Error, kind: ErrorKind, text: &str) {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(text), "{error}");
    }

    #[tokio::test]
    async fn functions_that_the_store_lacks_are_not_called() {
        let error = refused(
            |_| {},
            async |store| {
                let request = SaveRequest::new(users(), computing(put("a"), "email"));
                store.save(request).await.map(drop)
            },
        )
        .await;
        says(&error, ErrorKind::Unsupported, "the function f");
        let error = refused(
            |_| {},
            async |store| {
                let items = vec![put("a").into(), computing(put("b"), "email").into()];
                store.bulk(BulkRequest::new(users(), items)).await.map(drop)
            },
        )
        .await;
        says(&error, ErrorKind::Unsupported, "the function f");
        assert_eq!(error.key(), Some(&key("b")));
    }

    #[tokio::test]
    async fn writes_that_make_no_sense_never_reach_the_adapter() {
        let routed = Key::routed("eu", "ada").unwrap();
        let patch = Patch::new().unset("a".parse().unwrap());
        let writes = [
            (Write::put(routed, counter(0), Expected::Any), "not routed"),
            (
                Write::delete(key("a"), Expected::Absent),
                "nothing to delete",
            ),
            (
                Write::patch(key("a"), patch, Expected::Absent),
                "nothing to patch",
            ),
            (
                Write::patch(key("a"), Patch::new(), Expected::Any),
                "no changes",
            ),
            (
                computing(Write::delete(key("a"), Expected::Any), "email"),
                "a delete cannot compute field email",
            ),
            (computing(put("a"), "z"), "z"),
            (
                computing(computing(put("a"), "email"), "email"),
                "computed twice",
            ),
        ];
        for (write, text) in writes {
            let error = refused(
                |_| {},
                async |store| {
                    let request = SaveRequest::new(users(), write.clone());
                    store.save(request).await.map(drop)
                },
            )
            .await;
            says(&error, ErrorKind::Invalid, text);
            assert_eq!(error.operation(), Some(Operation::Save));
            assert_eq!(error.collection().unwrap().as_str(), "users");
            assert_eq!(error.key(), Some(&write.key));
            let error = refused(
                |_| {},
                async |store| {
                    let items = vec![put("b").into(), write.clone().into()];
                    store.bulk(BulkRequest::new(users(), items)).await.map(drop)
                },
            )
            .await;
            says(&error, ErrorKind::Invalid, text);
            assert_eq!(error.key(), Some(&write.key));
        }
    }

    #[tokio::test]
    async fn limits_of_the_store_hold_to_the_last_item() {
        let at = |items: usize, bytes: usize| {
            move |can: &mut Capabilities| {
                can.max_load_keys = items;
                can.max_bulk_items = items;
                can.max_body_bytes = bytes;
            }
        };
        let load = async |store: Arc<dyn Store>| {
            let keys = vec![key("a"), key("b"), key("c")];
            store.load(LoadRequest::new(users(), keys)).await.map(drop)
        };
        let bulk = async |store: Arc<dyn Store>| {
            let items = ["a", "b", "c"].map(|id| put(id).into()).to_vec();
            store.bulk(BulkRequest::new(users(), items)).await.map(drop)
        };
        let bytes = counter(0).len();
        for call in [
            refused(at(2, bytes), load).await,
            refused(at(2, bytes), bulk).await,
        ] {
            says(&call, ErrorKind::Invalid, "allowed are 2");
        }
        let save = async |store: Arc<dyn Store>| {
            store
                .save(SaveRequest::new(users(), put("a")))
                .await
                .map(drop)
        };
        let error = refused(at(3, bytes - 1), save).await;
        says(
            &error,
            ErrorKind::Invalid,
            "body has 7 bytes, allowed are 6",
        );
        let store = CheckLayer::new().wrap(FakeStore::with(at(3, bytes)));
        load(Arc::clone(&store)).await.unwrap();
        bulk(Arc::clone(&store)).await.unwrap();
        save(store).await.unwrap();
    }

    #[tokio::test]
    async fn pages_keep_their_limits_and_cursors_their_query() {
        let cursor = Cursor::new(
            Position {
                values: Vec::new(),
                key: key("a"),
            },
            users().name(),
            &Filter::all(),
            &[],
            None,
        );
        let page = |limit, offset, filter, after: Option<Cursor>| {
            let mut request = FindRequest::new(users(), filter);
            (request.limit, request.offset, request.start) = (limit, offset, after.into());
            request
        };
        let email = || Filter::eq("email", "x").unwrap();
        let mut elsewhere = page(1, 0, Filter::all(), None);
        elsewhere.routing = Some(Routing::new("eu").unwrap());
        let mut unsortable = page(1, 0, Filter::all(), None);
        unsortable.sort = vec![Sort::ascending("age".parse().unwrap())];
        let bad = [
            (page(0, 0, Filter::all(), None), "limit of 0"),
            (page(10_001, 0, Filter::all(), None), "limit of 10001"),
            (page(1, 10_000, Filter::all(), None), "ends at 10001"),
            (page(1, usize::MAX, Filter::all(), None), "ends at"),
            (
                page(1, 1, Filter::all(), Some(cursor.clone())),
                "only counts from the beginning",
            ),
            (page(1, 0, email(), Some(cursor.clone())), "another query"),
            (page(1, 0, Filter::eq("age", 1).unwrap(), None), "field age"),
            (elsewhere, "not routed"),
            (unsortable, "field age"),
        ];
        for (request, text) in bad {
            let error = refused(|_| {}, async |store| store.find(request).await.map(drop)).await;
            says(&error, ErrorKind::Invalid, text);
        }
        let error = refused(
            |_| {},
            async |store| {
                let filter = Filter::exists("age").unwrap();
                store
                    .count(CountRequest::new(users(), filter))
                    .await
                    .map(drop)
            },
        )
        .await;
        says(&error, ErrorKind::Invalid, "field age");
        let store = CheckLayer::new().wrap(FakeStore::new());
        for good in [
            page(10_000, 0, Filter::all(), None),
            page(1, 9_999, email(), None),
            page(10_000, 0, Filter::all(), Some(cursor)),
        ] {
            store.find(good).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_not_granted_is_unsupported_by_name() {
        let bare = |can: &mut Capabilities| *can = Capabilities::new("bare");
        let error = refused(bare, async |store| {
            let request = BulkRequest::new(users(), vec![put("a").into()]).atomic();
            store.bulk(request).await.map(drop)
        })
        .await;
        says(&error, ErrorKind::Unsupported, "atomic bulks");
        let error = refused(bare, async |store| {
            store.ensure(EnsureRequest::new(users())).await.map(drop)
        })
        .await;
        says(&error, ErrorKind::Unsupported, "email");
        let begin = async |store: Arc<dyn Store>| {
            store
                .transact()
                .unwrap()
                .begin(BeginOptions::new())
                .await
                .map(drop)
        };
        says(
            &refused(bare, begin).await,
            ErrorKind::Unsupported,
            "transactions",
        );
        let fake = FakeStore::with(|can| can.savepoints = false);
        let store = CheckLayer::new().wrap(fake);
        let outer = store
            .transact()
            .unwrap()
            .begin(BeginOptions::new())
            .await
            .unwrap();
        let error = outer
            .transact()
            .unwrap()
            .begin(BeginOptions::new())
            .await
            .unwrap_err();
        says(&error, ErrorKind::Unsupported, "savepoints");
    }

    #[tokio::test]
    async fn errors_from_below_learn_what_they_are_about() {
        let store = CheckLayer::new().wrap(FakeStore::new());
        let write = Write::delete(key("a"), Expected::Present);
        let error = store
            .save(SaveRequest::new(users(), write))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"not found: there is no such document (save users "a")"#
        );
        // The same holds inside a transaction.
        let begun = store
            .transact()
            .unwrap()
            .begin(BeginOptions::new())
            .await
            .unwrap();
        let request = LoadRequest::new(users(), vec![Key::routed("eu", "a").unwrap()]);
        let error = begun.load(request).await.unwrap_err();
        assert_eq!(error.operation(), Some(Operation::Load));
    }
}
