//! Field names and values that mean something to query languages. To a store they are data.

use serde_json::{Value, json};
use strongroom_core::model::{Expected, FieldDeclaration, Kind, Model};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Filter, Sort};

use crate::context::Context;
use crate::docs::{key, value_of, version_of};
use crate::failure::{During, Outcome, check_eq};

const NAMES: [&str; 24] = [
    "größe",
    "a-b",
    "a b",
    " a",
    "a ",
    "A",
    "a",
    "it's",
    "$where",
    "a;b",
    "select",
    "from",
    "_id",
    "id",
    "x'; drop table things; --",
    "%",
    "_",
    "?",
    "$1",
    ":n",
    "🦀",
    "(",
    "#",
    "body",
];

const VALUES: [&str; 30] = [
    "",
    " ",
    "a",
    "A",
    "a ",
    " a",
    "ä",
    "a\u{308}",
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\'",
    "%",
    "_",
    "a%",
    "a_",
    "*",
    "?",
    "a*",
    "'; drop table things; --",
    "' or '1'='1",
    "${jndi}",
    "{{n}}",
    "🦀",
    "\u{10ffff}",
    "a\nb",
    "a\0b",
    "null",
];

fn hostile_model(cx: &Context) -> Outcome<strongroom_core::model::ModelBuilder> {
    let mut builder = Model::builder(cx.name("hostile"));
    for (n, name) in NAMES.iter().enumerate() {
        let kind = if n % 2 == 0 {
            Kind::Keyword
        } else {
            Kind::Integer
        };
        let path = name
            .parse()
            .during(format_args!("parsing the path {name:?}"))?;
        let mut field = FieldDeclaration::new(path, kind);
        if n % 3 == 0 {
            field = field.indexed();
        }
        builder = builder.field(field);
        let under = format!("inner.{name}");
        let path = under
            .parse()
            .during(format_args!("parsing the path {under:?}"))?;
        builder = builder.field(FieldDeclaration::new(path, kind));
    }
    Ok(builder)
}

pub(crate) async fn fields_are_filtered_and_sorted(cx: &Context) -> Outcome {
    let docs = cx.docs_of(hostile_model(cx)?).await?;
    let value = |n: usize, high: bool| -> Value {
        match (n % 2, high) {
            (0, false) => json!("low"),
            (0, true) => json!("top"),
            (_, false) => json!(1),
            (_, true) => json!(2),
        }
    };
    for (n, name) in NAMES.iter().enumerate() {
        let body = json!({*name: value(n, true), "inner": {*name: value(n, false)}});
        docs.create(&key(&format!("d{n}"))?, &body).await?;
    }
    docs.refresh().await?;
    for (n, name) in NAMES.iter().enumerate() {
        let at = key(&format!("d{n}"))?;
        let scalar = |high: bool| match (n % 2, high) {
            (0, false) => "low".into(),
            (0, true) => "top".into(),
            (_, false) => strongroom_core::model::Scalar::from(1),
            (_, true) => 2.into(),
        };
        let inner = format!("inner.{name}");
        for filter in [
            Filter::eq(name, scalar(true))?,
            Filter::exists(name)?,
            Filter::gte(&inner, scalar(false))?,
            Filter::eq(name, scalar(true))?.and(Filter::eq(&inner, scalar(false))?),
        ] {
            let found = docs
                .find_keys(filter.clone())
                .await
                .during(format_args!("{filter:?}"))?;
            check_eq!(found, [at.clone()], "what {filter:?} finds");
        }
        let found = docs.find_keys(Filter::eq(name, scalar(false))?).await?;
        check_eq!(
            found,
            [],
            "what a filter on {name:?} finds with the inner field's value"
        );
        let mut sorted = docs.query(Filter::all());
        sorted.sort = vec![Sort::ascending(name.parse()?)];
        sorted.limit = 1;
        let page = docs
            .find(sorted)
            .await
            .during(format_args!("sorting by {name:?}"))?;
        let first: Vec<_> = page.documents.into_iter().map(|d| d.key).collect();
        check_eq!(
            first,
            [at],
            "the first document by {name:?}, which is the only one that has it"
        );
    }
    Ok(())
}

pub(crate) async fn fields_are_patched(cx: &Context) -> Outcome {
    let docs = cx.docs_of(hostile_model(cx)?).await?;
    let at = key("a")?;
    docs.create(&at, &json!({})).await?;
    let mut body = json!({"inner": {}});
    for (n, name) in NAMES.iter().enumerate() {
        let value = if n % 2 == 0 { json!("v") } else { json!(n) };
        let inner = format!("inner.{name}");
        let patch = Patch::new()
            .set(name.parse()?, value.clone())
            .set(inner.parse()?, value.clone());
        let receipt = docs
            .patch(&at, patch, Expected::Present)
            .await
            .during(format_args!("setting {name:?}"))?;
        body[*name] = value.clone();
        body["inner"][*name] = value;
        docs.expect(&at, &body, version_of(&receipt, "patching")?, None)
            .await?;
    }
    Ok(())
}

pub(crate) async fn values_are_compared_as_bytes(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    for (n, value) in VALUES.iter().enumerate() {
        docs.create(
            &key(&format!("{n:02}"))?,
            &json!({"k": value, "o": {"k": value}}),
        )
        .await?;
    }
    docs.refresh().await?;
    let which = |keep: &dyn Fn(&str) -> bool| -> Outcome<Vec<strongroom_core::model::Key>> {
        VALUES
            .iter()
            .enumerate()
            .filter(|(_, value)| keep(value))
            .map(|(n, _)| key(&format!("{n:02}")))
            .collect()
    };
    for value in VALUES {
        for field in ["k", "o.k"] {
            let find = |filter: Filter| docs.find_keys(filter);
            check_eq!(
                find(Filter::eq(field, value)?).await?,
                which(&|v| v == value)?,
                "{field} = {value:?}"
            );
            check_eq!(
                find(Filter::is_in(field, [value, "none"])?).await?,
                which(&|v| v == value)?,
                "{field} in [{value:?}, ..]"
            );
            check_eq!(
                find(Filter::prefix(field, value)?).await?,
                which(&|v| v.as_bytes().starts_with(value.as_bytes()))?,
                "{field} begins with {value:?}"
            );
            check_eq!(
                find(Filter::lt(field, value)?).await?,
                which(&|v| v.as_bytes() < value.as_bytes())?,
                "{field} < {value:?}"
            );
            check_eq!(
                find(!Filter::lte(field, value)?).await?,
                which(&|v| v.as_bytes() > value.as_bytes())?,
                "not {field} <= {value:?}"
            );
        }
    }
    let mut request = docs.query(Filter::all());
    request.sort = vec![Sort::ascending("k".parse()?)];
    request.limit = 100;
    let page = docs.find(request).await.during("sorting by k")?;
    let found: Vec<Value> = page
        .documents
        .iter()
        .map(|d| Ok(value_of(d)?["k"].clone()))
        .collect::<Outcome<_>>()?;
    let mut sorted = VALUES.to_vec();
    sorted.sort_by_key(|value| value.as_bytes());
    check_eq!(
        json!(found),
        json!(sorted),
        "all values in order of their bytes"
    );
    Ok(())
}
