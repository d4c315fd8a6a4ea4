//! How the engine reads the texts of a collection, where that is left to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_core::model::{FieldPath, Kind, Model};
use strongroom_core::{Error, ErrorKind, Result};

/// Longest name of an analyser, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// What the settings of an analysis may define.
const PARTS: [&str; 5] = [
    "analyzer",
    "char_filter",
    "filter",
    "normalizer",
    "tokenizer",
];

/// The name of an analyser: 1 to 100 bytes of ASCII letters, digits, `_`, `-` and `.`, beginning
/// with a letter or digit.
///
/// # Examples
///
/// ```
/// use strongroom_es::AnalyserName;
///
/// assert!("english".parse::<AnalyserName>().is_ok());
/// assert!("_english".parse::<AnalyserName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AnalyserName(String);

impl AnalyserName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name breaks the rule above.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if name.len() > MAX_NAME_BYTES || !begins_well || !name.bytes().all(is_plain) {
            return Err(Error::invalid(format!(
                "name of an analyser {name:?} is not 1 to {MAX_NAME_BYTES} letters, digits, `_`, `-` and `.`, of which the first is a letter or digit"
            )));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AnalyserName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for AnalyserName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<AnalyserName> for String {
    fn from(name: AnalyserName) -> Self {
        name.0
    }
}

impl fmt::Display for AnalyserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which texts of a collection the engine reads by analysers of its own, and what these are.
///
/// Text is read by the words of the core everywhere, so that every store gives one answer. A field
/// that has an analyser leaves that: the engine is told its texts as they are, and texts and
/// questions alike are read by the analyser, with its stems, synonyms and stop words. What a
/// question then finds is the engine's to say, and other stores may find less or more. Of a
/// question all of whose words the analyser leaves out, nothing is found.
///
/// Analysers are laid down when a collection is made and kept with it: whoever opens the collection
/// reads by them, whatever its own options say. `ensure` refuses with `SchemaMismatch` if they are
/// others than the options ask for. A field that is added may bring one.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use strongroom_es::{EsOptions, TextAnalysis};
///
/// let analysis = TextAnalysis::new()
///     .field("title".parse()?, "english".parse()?)
///     .field("code".parse()?, "parts".parse()?)
///     .settings(json!({
///         "analyzer": {"parts": {"type": "custom", "tokenizer": "by_dash"}},
///         "tokenizer": {"by_dash": {"type": "pattern", "pattern": "-"}},
///     }))?;
/// let options = EsOptions::default().analysis("articles".parse()?, analysis);
/// # let _ = options;
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextAnalysis {
    fields: BTreeMap<FieldPath, AnalyserName>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    settings: Map<String, Value>,
}

impl TextAnalysis {
    /// Every text by the words of the core.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the texts of a field read by an analyser: one that the engine has, such as `standard`
    /// or `english`, or one that the [settings](Self::settings) define.
    #[must_use]
    pub fn field(mut self, field: FieldPath, analyser: AnalyserName) -> Self {
        self.fields.insert(field, analyser);
        self
    }

    /// Sets what the collection's index has as `analysis` in its settings: the user's own
    /// analysers, and the tokenizers and filters that these are made of.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is not an object of `analyzer`, `tokenizer`, `filter`, `char_filter` and
    /// `normalizer`. What these hold is the engine's to judge, when the collection is made.
    pub fn settings(mut self, settings: Value) -> Result<Self> {
        let Value::Object(settings) = settings else {
            return Err(Error::invalid("the settings of an analysis are an object"));
        };
        if let Some(name) = settings.keys().find(|name| !PARTS.contains(&name.as_str())) {
            return Err(Error::invalid(format!(
                "the settings of an analysis have {name:?}, allowed are {}",
                PARTS.join(", ")
            )));
        }
        self.settings = settings;
        Ok(self)
    }

    /// The analyser of a field, if it has one.
    pub(crate) fn of(&self, field: &FieldPath) -> Option<&AnalyserName> {
        self.fields.get(field)
    }

    /// What the index has as `analysis` in its settings.
    pub(crate) fn definitions(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// Checks that fields with an analyser are texts.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if one is not declared as text.
    pub(crate) fn check(&self, model: &Model) -> Result<()> {
        self.fields
            .keys()
            .try_for_each(|field| match model.require(field)?.kind {
                Kind::Text => Ok(()),
                kind => Err(Error::invalid(format!(
                    "field {field} is declared as {}, and only text has an analyser",
                    kind.as_str()
                ))),
            })
    }

    /// This, with the analysers of fields that the collection has not yet.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch`, naming the field, if others are wanted of a field that it has, or other
    /// settings.
    pub(crate) fn extended(&self, stored: &Model, wanted: &Self, model: &Model) -> Result<Self> {
        let mut extended = self.clone();
        for field in model.fields().filter(|field| field.kind == Kind::Text) {
            let (has, wanted) = (self.of(&field.path), wanted.of(&field.path));
            if stored.field(field.path.as_str()).is_none() {
                extended
                    .fields
                    .extend(wanted.map(|wanted| (field.path.clone(), wanted.clone())));
            } else if has != wanted {
                return Err(mismatch(format!(
                    "field {} is read by {} in the index, and by {} as the options have it",
                    field.path,
                    named(has),
                    named(wanted)
                )));
            }
        }
        if self.settings != wanted.settings {
            let field = extended.fields.keys().next();
            let of = field.map_or_else(String::new, |field| format!(", of field {field} at least"));
            return Err(mismatch(format!(
                "the index has other settings of its analysis{of}, than the options"
            )));
        }
        Ok(extended)
    }
}

fn named(analyser: Option<&AnalyserName>) -> String {
    analyser.map_or_else(
        || "no analyser".to_owned(),
        |name| format!("the analyser {name}"),
    )
}

fn mismatch(what: String) -> Error {
    let how = "analysers of a collection that is there are not changed";
    Error::new(ErrorKind::SchemaMismatch, format!("{what}: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strongroom_core::model::FieldDeclaration;

    #[test]
    fn names() {
        for good in ["english", "a", "my-own_1.b", "9"] {
            assert_eq!(AnalyserName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "_a", ".a", "a b", "ä", "a/b", "a\"b", &"a".repeat(101)] {
            assert!(AnalyserName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn settings_define_analysers_alone() {
        let settings = |value| TextAnalysis::new().settings(value);
        assert!(settings(json!({"analyzer": {}, "filter": {}})).is_ok());
        for bad in [json!([]), json!("x"), json!({"number_of_shards": 1})] {
            assert!(settings(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_there_is_not_changed() {
        let model = |texts: &[&str]| {
            let mut builder = Model::builder("m");
            for text in texts {
                builder = builder.field(FieldDeclaration::new(text.parse().unwrap(), Kind::Text));
            }
            builder.build().unwrap()
        };
        let reads = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .fold(TextAnalysis::new(), |all, (field, name)| {
                    all.field(field.parse().unwrap(), name.parse().unwrap())
                })
        };
        let (old, new) = (model(&["a", "b"]), model(&["a", "b", "c"]));
        let stored = reads(&[("a", "english")]);
        let wanted = reads(&[("a", "english"), ("c", "simple")]);
        assert_eq!(stored.extended(&old, &wanted, &new).unwrap(), wanted);
        assert_eq!(stored.extended(&old, &stored, &old).unwrap(), stored);
        let refused = |wanted: &TextAnalysis| {
            let error = stored.extended(&old, wanted, &new).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
            error.message().to_owned()
        };
        let none = TextAnalysis::new();
        assert!(refused(&none).contains("field a is read by the analyser english"));
        assert!(refused(&reads(&[("a", "simple")])).contains("analyser simple"));
        let more = reads(&[("a", "english"), ("b", "simple")]);
        assert!(refused(&more).contains("field b is read by no analyser"));
        let other = stored.clone().settings(json!({"filter": {}})).unwrap();
        assert!(refused(&other).contains("field a"));
        // A field of a wider model that is not asked for now stays as it is.
        assert_eq!(wanted.extended(&new, &stored, &old).unwrap(), wanted);
        assert!(reads(&[("z", "simple")]).check(&old).is_err());
    }
}
