//! From a model to an index, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use strongroom_core::model::{Kind, MAX_DEPTH, MAX_FIELDS, Model};
use strongroom_core::{Error, Result};

use super::number;
use super::path::{Part, Place, is_direct};
use super::plain;
use crate::analysis::TextAnalysis;

/// The format of what is stored, written into each index.
const FORMAT: u64 = 4;

/// How a new index is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSettings {
    /// How many primary shards.
    pub(crate) shards: u32,
    /// How many replicas, or as many as the engine makes.
    pub(crate) replicas: Option<u32>,
    /// How often writes are made visible, or as often as the engine does so.
    pub(crate) refresh_interval: Option<Duration>,
}

/// What an index for the model is created with, apart from its aliases.
///
/// # Errors
///
/// `Unsupported`, naming the field, if one is declared unique.
pub(crate) fn index_body(
    model: &Model,
    texts: &TextAnalysis,
    wanted: IndexSettings,
) -> Result<Value> {
    let mut settings = Map::new();
    settings.insert("number_of_shards".to_owned(), wanted.shards.into());
    if let Some(replicas) = wanted.replicas {
        settings.insert("number_of_replicas".to_owned(), replicas.into());
    }
    if let Some(interval) = wanted.refresh_interval {
        let interval = format!("{}ms", interval.as_millis());
        settings.insert("refresh_interval".to_owned(), interval.into());
    }
    // One more than the largest page or group, to tell whether anything follows it.
    for window in ["max_result_window", "max_inner_result_window"] {
        let most = strongroom_core::store::MAX_PAGE + 1;
        settings.insert(window.to_owned(), most.into());
    }
    // Room for as much as a model may declare, and later extensions: a field is kept in at most
    // four ways, and an object of a nested field brings the parts that these ways are in.
    for (what, most) in [
        ("total_fields", MAX_FIELDS * 12),
        ("nested_fields", MAX_FIELDS),
        ("depth", MAX_DEPTH * 3),
    ] {
        settings.insert(format!("mapping.{what}.limit"), most.into());
    }
    if !texts.definitions().is_empty() {
        let analysis = texts.definitions().clone();
        settings.insert("analysis".to_owned(), analysis.into());
    }
    Ok(json!({"settings": {"index": settings}, "mappings": mappings(model, texts)?}))
}

fn mappings(model: &Model, texts: &TextAnalysis) -> Result<Value> {
    let keyword = json!({"type": "keyword"});
    let mut properties = outermost(model, texts)?;
    for (name, mapping) in [
        ("k", keyword.clone()),
        ("r", keyword),
        ("w", json!({"type": "keyword", "doc_values": false})),
        ("raw", json!({"type": "object", "enabled": false})),
    ] {
        properties.insert(name.to_owned(), mapping);
    }
    Ok(json!({
        "dynamic": false,
        "_meta": meta(model, texts),
        "_routing": {"required": model.is_routed()},
        "properties": properties,
    }))
}

/// What adds the fields of a model that declares more than the index knows. Naming what is there
/// already changes nothing.
///
/// # Errors
///
/// `Unsupported`, naming the field, if one is declared unique.
pub(crate) fn extension(model: &Model, texts: &TextAnalysis) -> Result<Value> {
    Ok(json!({"_meta": meta(model, texts), "properties": outermost(model, texts)?}))
}

/// What is kept of documents, and what the engine reads from their bodies.
fn outermost(model: &Model, texts: &TextAnalysis) -> Result<Map<String, Value>> {
    let mut properties = properties(Place::documents(model).read_by(texts))?;
    let direct = plain::direct(model).map(|field| (field.path.to_string(), values(field.kind)));
    properties.insert("body".to_owned(), object(direct.collect()));
    Ok(properties)
}

/// How values of a comparable kind are indexed. The engine takes none of another type for one.
fn values(kind: Kind) -> Value {
    match kind {
        Kind::Keyword | Kind::Boolean => json!({"type": "keyword"}),
        kind if number::is_whole(kind) => json!({"type": "long", "coerce": false}),
        _ => json!({"type": "double", "coerce": false}),
    }
}

fn meta(model: &Model, texts: &TextAnalysis) -> Value {
    json!({"strongroom": {"format": FORMAT, "model": model, "texts": texts}})
}

/// What is kept of documents, or of the objects of a nested field.
fn properties(place: Place<'_>) -> Result<Map<String, Value>> {
    let mut parts: BTreeMap<&'static str, Map<String, Value>> = BTreeMap::new();
    for field in place.fields() {
        if field.unique {
            return Err(Error::unsupported(format_args!(
                "unique fields, of which field {} is one",
                field.path
            )));
        }
        let mut keep = |part: Part, mapping: Value| {
            let part = parts.entry(part.name()).or_default();
            part.insert(place.name(&field.path), mapping);
        };
        match place.analyser(&field.path) {
            _ if field.kind != Kind::Text => {}
            Some(name) => keep(
                Part::Texts,
                json!({"type": "text", "analyzer": name.as_str()}),
            ),
            // The words were found already, and are set apart by spaces.
            None => keep(
                Part::Words,
                json!({"type": "text", "analyzer": "whitespace"}),
            ),
        }
        if !field.kind.is_comparable() {
            continue;
        }
        if !is_direct(&field.path) {
            keep(Part::Values, values(field.kind));
        }
        if number::is_number(field.kind) {
            keep(Part::Keys, json!({"type": "keyword"}));
            for end in [Part::Least, Part::Greatest] {
                keep(end, json!({"type": "keyword", "index": false}));
            }
        }
    }
    let mut properties: Map<String, Value> = parts
        .into_iter()
        .map(|(name, fields)| (name.to_owned(), object(fields)))
        .collect();
    let mut nested = Map::new();
    for child in place.children() {
        let properties = self::properties(place.objects(child))?;
        let mapping = json!({"type": "nested", "dynamic": false, "properties": properties});
        nested.insert(place.name(child), mapping);
    }
    if !nested.is_empty() {
        properties.insert("n".to_owned(), object(nested));
    }
    // Searched, and never sorted or counted by.
    for list in ["e", "i"] {
        let mapping = json!({"type": "keyword", "doc_values": false});
        properties.insert(list.to_owned(), mapping);
    }
    Ok(properties)
}

fn object(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "dynamic": false, "properties": properties})
}

/// The model in an index's mappings, and how its texts are read, if this crate wrote them.
pub(crate) fn model_of(mappings: &Value) -> Option<(Model, TextAnalysis)> {
    let ours = mappings.get("_meta")?.get("strongroom")?;
    if ours.get("format")?.as_u64()? != FORMAT {
        return None;
    }
    let model = serde_json::from_value(ours.get("model")?.clone()).ok()?;
    let texts = serde_json::from_value(ours.get("texts")?.clone()).ok()?;
    Some((model, texts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::ErrorKind;
    use strongroom_core::model::FieldDeclaration;

    const SETTINGS: IndexSettings = IndexSettings {
        shards: 3,
        replicas: None,
        refresh_interval: Some(Duration::from_secs(5)),
    };

    #[test]
    fn the_model_survives() {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let model = Model::builder("a")
            .routed()
            .field(field("ö", Kind::Integer))
            .field(field("t", Kind::Text))
            .field(field("x", Kind::Float))
            .field(field("i", Kind::Nested).many())
            .field(field("i.b", Kind::Boolean).many())
            .build()
            .unwrap();
        let texts = TextAnalysis::new()
            .field("t".parse().unwrap(), "own".parse().unwrap())
            .settings(json!({"analyzer": {"own": {"type": "standard"}}}))
            .unwrap();
        let body = index_body(&model, &texts, SETTINGS).unwrap();
        let analysis = &body["settings"]["index"]["analysis"];
        assert_eq!(analysis["analyzer"]["own"]["type"], "standard");
        assert_eq!(body["settings"]["index"]["refresh_interval"], "5000ms");
        let mappings = &body["mappings"];
        assert_eq!(model_of(mappings), Some(((*model).clone(), texts)));
        assert_eq!(mappings["_routing"]["required"], true);
        let properties = &mappings["properties"];
        assert_eq!(
            properties["a"]["properties"].to_string(),
            r#"{"t":{"analyzer":"own","type":"text"}}"#
        );
        assert!(properties.get("t").is_none());
        assert_eq!(
            properties["f"]["properties"].to_string(),
            r#"{"%c3%b6":{"coerce":false,"type":"long"},"i%2eb":{"type":"keyword"}}"#
        );
        assert_eq!(
            properties["body"]["properties"].to_string(),
            r#"{"x":{"coerce":false,"type":"double"}}"#
        );
        assert_eq!(
            properties["n"]["properties"]["i"]["properties"]["f"]["properties"].to_string(),
            r#"{"i%2eb":{"type":"keyword"}}"#
        );
        assert_eq!(model_of(&json!({"_meta": {"else": 1}})), None);
    }

    #[test]
    fn unique_fields_are_refused() {
        let model = Model::builder("a")
            .field(FieldDeclaration::new("u".parse().unwrap(), Kind::Keyword).unique())
            .build()
            .unwrap();
        let error = index_body(&model, &TextAnalysis::new(), SETTINGS).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("field u"), "{error}");
    }
}
