//! What the capabilities do not grant is refused by its name, before any call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use strongroom_core::layers::{CheckLayer, Layer};
use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::query::{Aggregation, Aggregations, Call, Filter, Sort, Words};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, Capabilities, CountRequest, ExplainRequest, Explanation,
    FindRequest, FunctionSupport, GroupRequest, Groups, MatchingAction, MatchingReply,
    MatchingRequest, Page, PageStart, Scan, ScanRequest, Store,
};
use strongroom_core::{Error, ErrorKind, Result};

use crate::alter::{Alter, altered};
use crate::context::Context;
use crate::docs::{Docs, key};
use crate::failure::{During, Outcome, check, check_eq, describe, refused};

/// A store that grants nothing optional and counts the questions and writes that reach it.
#[derive(Debug, Default)]
struct GrantsNothing(Arc<AtomicUsize>);

impl GrantsNothing {
    fn called(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Alter for GrantsNothing {
    fn capabilities(&self, inner: &Capabilities) -> Capabilities {
        Capabilities::new(inner.engine)
    }

    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        self.called();
        inner.find(request).await
    }

    async fn count(&self, inner: &Arc<dyn Store>, request: CountRequest) -> Result<u64> {
        self.called();
        inner.count(request).await
    }

    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        request: AggregateRequest,
    ) -> Result<AggregateReply> {
        self.called();
        inner.aggregate(request).await
    }

    async fn group(&self, inner: &Arc<dyn Store>, request: GroupRequest) -> Result<Groups> {
        self.called();
        inner.group(request).await
    }

    async fn scan(&self, inner: &Arc<dyn Store>, request: ScanRequest) -> Result<Box<dyn Scan>> {
        self.called();
        inner.scan(request).await
    }

    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        request: MatchingRequest,
    ) -> Result<MatchingReply> {
        self.called();
        inner.write_matching(request).await
    }

    async fn explain(
        &self,
        inner: &Arc<dyn Store>,
        request: ExplainRequest,
    ) -> Result<Explanation> {
        self.called();
        inner.explain(request).await
    }
}

/// A store that no question is to reach.
#[derive(Debug)]
struct NeverAsked;

fn reached<T>() -> Result<T> {
    Err(Error::internal("the request reached the store"))
}

#[async_trait]
impl Alter for NeverAsked {
    async fn aggregate(&self, _: &Arc<dyn Store>, _: AggregateRequest) -> Result<AggregateReply> {
        reached()
    }

    async fn group(&self, _: &Arc<dyn Store>, _: GroupRequest) -> Result<Groups> {
        reached()
    }

    async fn scan(&self, _: &Arc<dyn Store>, _: ScanRequest) -> Result<Box<dyn Scan>> {
        reached()
    }

    async fn write_matching(
        &self,
        _: &Arc<dyn Store>,
        _: MatchingRequest,
    ) -> Result<MatchingReply> {
        reached()
    }
}

/// The collection with the check layer around a store that must not be asked: aggregations,
/// groups, scans and writes of what matches that arrive there fail as `Internal`.
pub(super) fn never_asked(docs: &Docs) -> Docs {
    let store = altered(docs.store().clone(), NeverAsked);
    docs.within(CheckLayer::new().wrap(store))
}

/// A capability: what its refusal says, whether it is granted, and a question that needs it.
struct Optional {
    says: &'static str,
    granted: bool,
    question: ExplainRequest,
}

/// One question for each capability of the query family.
fn optional(docs: &Docs, can: &Capabilities) -> Outcome<Vec<Optional>> {
    let model = docs.model();
    let find = |filter| ExplainRequest::Find(docs.query(filter));
    let mut backward = docs.query(Filter::all());
    backward.start = PageStart::Last;
    let all = Filter::all;
    let count = Aggregation::Count {
        field: "n".parse()?,
    };
    let counts = Aggregations::from([("counted".to_owned(), count)]);
    let function = Call::new("suite_length")?.field("k".parse()?);
    let within_arguments = Call::new("suite_same")?.call(function.clone()).value(1);
    let known = |can: &Capabilities| match &can.functions {
        FunctionSupport::None => false,
        FunctionSupport::Registered(names) => {
            names.contains(function.function()) && names.contains(within_arguments.function())
        }
        _ => true,
    };
    let nested = Filter::nested("e", Filter::eq("e.n", 1)?)?;
    let words = Filter::text("w", "word", Words::Any)?;
    let native = Filter::native(can.engine, "1 = 1", Vec::<i64>::new());
    let mut scored = docs.query(all());
    scored.sort = vec![Sort::by_score()];
    let delete = MatchingRequest::new(model.clone(), all(), MatchingAction::Delete);
    let row = |says, granted, question| Optional {
        says,
        granted,
        question,
    };
    Ok(vec![
        row(
            "backwards",
            can.backward_pages,
            ExplainRequest::Find(backward),
        ),
        row("words of text", can.text_search, find(words.clone())),
        row(
            "words of text",
            can.text_search,
            find(Filter::Not(Box::new(all().or(words)))),
        ),
        row("score", can.score, ExplainRequest::Find(scored)),
        row("nested", can.nested_filters, find(nested.clone())),
        row(
            "nested",
            can.nested_filters,
            ExplainRequest::Count(CountRequest::new(model.clone(), !nested)),
        ),
        row(
            "suite_length",
            known(can),
            find(Filter::call_eq(function.clone(), 1)),
        ),
        row(
            "suite_",
            known(can),
            find(Filter::call(within_arguments.clone())),
        ),
        row(
            "native conditions",
            can.native_filters,
            find(all().and(native)),
        ),
        row(
            "aggregations",
            can.aggregations,
            ExplainRequest::Aggregate(AggregateRequest::new(model.clone(), all(), counts)),
        ),
        row(
            "groups",
            can.groups,
            ExplainRequest::Group(GroupRequest::new(model.clone(), all(), "k".parse()?)),
        ),
        row(
            "scans",
            can.scans,
            ExplainRequest::Scan(ScanRequest::new(model.clone(), all())),
        ),
        row(
            "writes of what matches",
            can.matching_writes,
            ExplainRequest::Matching(delete),
        ),
    ])
}

/// A collection whose fields the questions name; its model is all that refusals need.
async fn collection(cx: &Context) -> Outcome<Docs> {
    let docs = cx.docs().await?;
    docs.create(&key("a")?, &json!({"k": "v", "n": 1})).await?;
    let mut builder = Model::builder(docs.model().name().as_str());
    for field in docs.model().fields() {
        builder = builder.field(field.clone());
    }
    for (path, kind) in [
        ("w", Kind::Text),
        ("e", Kind::Nested),
        ("e.n", Kind::Integer),
    ] {
        builder = builder.field(FieldDeclaration::new(path.parse()?, kind));
    }
    Ok(Docs::new(docs.store().clone(), builder.build()?))
}

/// Asks a question itself, not for its explanation.
async fn ask(store: &Arc<dyn Store>, question: ExplainRequest) -> Result<String> {
    Ok(match question {
        ExplainRequest::Find(request) => format!("{:?}", store.find(request).await?),
        ExplainRequest::Count(request) => format!("{:?}", store.count(request).await?),
        ExplainRequest::Aggregate(request) => format!("{:?}", store.aggregate(request).await?),
        ExplainRequest::Group(request) => format!("{:?}", store.group(request).await?),
        ExplainRequest::Scan(request) => format!("{:?}", store.scan(request).await?),
        ExplainRequest::Matching(request) => format!("{:?}", store.write_matching(request).await?),
        other => format!("a question that the suite does not know: {other:?}"),
    })
}

pub(crate) async fn nothing_else_is_carried_out(cx: &Context) -> Outcome {
    let docs = collection(cx).await?;
    let calls = Arc::new(AtomicUsize::new(0));
    let bare = altered(cx.store().clone(), GrantsNothing(calls.clone()));
    let store = CheckLayer::new().wrap(bare);
    for Optional { says, question, .. } in optional(&docs, store.capabilities())? {
        let what = format!("what is not granted: {question:?}");
        let asked = ask(&store, question.clone()).await;
        let error = refused(asked, ErrorKind::Unsupported, &what)?;
        check!(
            error.message().contains(says),
            "the refusal `{}` does not name the feature: {says}",
            describe(&error)
        );
        let explained = store.explain(question).await;
        refused(
            explained,
            ErrorKind::Unsupported,
            format_args!("explaining {what}"),
        )?;
    }
    check_eq!(
        calls.load(Ordering::SeqCst),
        0,
        "calls that reached the store"
    );
    docs.present(&key("a")?).await.map(drop)
}

pub(crate) async fn what_is_missing_is_refused(cx: &Context) -> Outcome {
    let docs = collection(cx).await?;
    let checked = cx.checked(&docs);
    for Optional {
        says,
        granted,
        question,
    } in optional(&docs, cx.capabilities())?
    {
        if granted {
            continue;
        }
        let what = format!("what the store does not grant: {question:?}");
        let asked = ask(checked.store(), question.clone()).await;
        let error = refused(asked, ErrorKind::Unsupported, &what)?;
        check!(
            error.message().contains(says),
            "the refusal `{}` does not name the feature: {says}",
            describe(&error)
        );
        // Filters and pages are the check layer's alone; a whole call is the store's as well.
        if !matches!(question, ExplainRequest::Find(_) | ExplainRequest::Count(_)) {
            let what = format!("{what}, of the store itself");
            let asked = ask(docs.store(), question).await;
            refused(asked, ErrorKind::Unsupported, what)?;
        }
    }
    docs.present(&key("a")?).await.map(drop)
}

pub(crate) async fn explanations_are_of_what_is_granted(cx: &Context) -> Outcome {
    let docs = collection(cx).await?;
    let checked = cx.checked(&docs);
    for Optional {
        granted, question, ..
    } in optional(&docs, cx.capabilities())?
    {
        if !granted {
            let explained = checked.store().explain(question.clone()).await;
            let what = format!("explaining what is not granted: {question:?}");
            refused(explained, ErrorKind::Unsupported, what)?;
        }
    }
    docs.refresh().await?;
    let count = docs.count(Filter::all()).await.during("counting")?;
    check_eq!(count, 1, "documents after questions and explanations");
    Ok(())
}
