//! From a model to an index, and back.

use serde_json::{Map, Value, json};
use strongroom_core::model::{FieldDeclaration, Kind, Model};
use strongroom_core::{Error, Result};

use super::path::field_name;

/// The format of what is stored, written into each index.
const FORMAT: u64 = 1;

/// What an index for the model is created with, apart from its aliases.
///
/// # Errors
///
/// `Unsupported`, naming the field, if one is declared unique.
pub(crate) fn index_body(model: &Model, shards: u32, replicas: Option<u32>) -> Result<Value> {
    let mut settings = Map::new();
    settings.insert("number_of_shards".to_owned(), shards.into());
    if let Some(replicas) = replicas {
        settings.insert("number_of_replicas".to_owned(), replicas.into());
    }
    // One more than the largest page, to tell whether anything follows it.
    settings.insert(
        "max_result_window".to_owned(),
        (strongroom_core::store::MAX_PAGE + 1).into(),
    );
    Ok(json!({"settings": {"index": settings}, "mappings": mappings(model)?}))
}

fn mappings(model: &Model) -> Result<Value> {
    let keyword = json!({"type": "keyword"});
    Ok(json!({
        "dynamic": false,
        "_meta": meta(model),
        "_routing": {"required": model.is_routed()},
        "properties": {
            "k": keyword,
            "r": keyword,
            "w": {"type": "keyword", "index": false, "doc_values": false},
            "e": keyword,
            "f": values(properties(model.fields())?),
            "lo": values(sort_keys(model.fields())),
            "hi": values(sort_keys(model.fields())),
            "body": {"type": "object", "enabled": false},
        },
    }))
}

/// An object of values by path, in which a dot separates nothing.
fn values(properties: Map<String, Value>) -> Value {
    json!({
        "type": "object",
        "dynamic": false,
        "subobjects": false,
        "properties": properties,
    })
}

/// What adds fields to the index of a collection that holds no document.
///
/// # Errors
///
/// `Unsupported`, naming the field, if one is declared unique.
pub(crate) fn extension(model: &Model, added: &[&FieldDeclaration]) -> Result<Value> {
    Ok(json!({
        "_meta": meta(model),
        "properties": {
            "f": {"properties": properties(added.iter().copied())?},
            "lo": {"properties": sort_keys(added.iter().copied())},
            "hi": {"properties": sort_keys(added.iter().copied())},
        },
    }))
}

fn meta(model: &Model) -> Value {
    json!({"strongroom": {"format": FORMAT, "model": model}})
}

fn properties<'a>(
    fields: impl Iterator<Item = &'a FieldDeclaration>,
) -> Result<Map<String, Value>> {
    let mut properties = Map::new();
    for field in fields {
        if field.unique {
            return Err(Error::unsupported(format_args!(
                "unique fields, of which field {} is one",
                field.path
            )));
        }
        let kind = match field.kind {
            Kind::Keyword => "keyword",
            Kind::Boolean => "boolean",
            Kind::Integer | Kind::Timestamp => "long",
            Kind::Float | Kind::ScaledFloat { .. } => "double",
            // Tested for existence only, which the paths in `e` tell.
            _ => continue,
        };
        properties.insert(field_name(&field.path), json!({"type": kind}));
    }
    Ok(properties)
}

/// Sort keys are sorted by and never searched.
fn sort_keys<'a>(fields: impl Iterator<Item = &'a FieldDeclaration>) -> Map<String, Value> {
    let comparable = fields.filter(|field| field.kind.is_comparable());
    let key = json!({"type": "keyword", "index": false});
    comparable
        .map(|field| (field_name(&field.path), key.clone()))
        .collect()
}

/// The model in an index's mappings, if this crate wrote them.
pub(crate) fn model_of(mappings: &Value) -> Option<Model> {
    let ours = mappings.get("_meta")?.get("strongroom")?;
    if ours.get("format")?.as_u64()? != FORMAT {
        return None;
    }
    serde_json::from_value(ours.get("model")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::ErrorKind;

    #[test]
    fn the_model_survives() {
        let model = Model::builder("a")
            .routed()
            .field(FieldDeclaration::new("ö.n".parse().unwrap(), Kind::Integer))
            .field(FieldDeclaration::new("t".parse().unwrap(), Kind::Text))
            .build()
            .unwrap();
        let body = index_body(&model, 3, None).unwrap();
        let mappings = &body["mappings"];
        assert_eq!(model_of(mappings).as_ref(), Some(&*model));
        assert_eq!(mappings["_routing"]["required"], true);
        assert_eq!(
            mappings["properties"]["f"]["properties"].to_string(),
            r#"{"%c3%b6.n":{"type":"long"}}"#
        );
        assert_eq!(model_of(&json!({"_meta": {"else": 1}})), None);
    }

    #[test]
    fn unique_fields_are_refused() {
        let model = Model::builder("a")
            .field(FieldDeclaration::new("u".parse().unwrap(), Kind::Keyword).unique())
            .build()
            .unwrap();
        let error = index_body(&model, 3, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("field u"), "{error}");
    }
}
