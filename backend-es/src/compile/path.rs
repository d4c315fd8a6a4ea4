//! Names and places of fields in the index.

use strongroom_core::model::{FieldPath, Kind, Model};

use crate::analysis::{AnalyserName, TextAnalysis};

/// Whether a byte of a name means nothing to the engine.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-')
}

/// The name in the index of the declared field at `path`: plain characters as they are, every
/// other byte as `%` and two hex digits, so that no name means anything to the engine, which takes
/// a dot for a step into an object.
fn field_name(path: &FieldPath) -> String {
    let mut name = String::new();
    for byte in path.as_str().bytes() {
        match byte {
            plain if is_plain(plain) => name.push(plain.into()),
            _ => {
                name.push('%');
                for digit in [byte >> 4, byte & 15] {
                    name.extend(char::from_digit(digit.into(), 16));
                }
            }
        }
    }
    name
}

/// Whether the engine reads the values of the declared field at `path` from the body itself, where
/// they are [plain](super::number::is_plain): a field outermost in the body, whose name means
/// nothing to the engine.
///
/// This depends on no other field, so it stays as it is when fields are added.
pub(super) fn is_direct(path: &FieldPath) -> bool {
    path.as_str().bytes().all(is_plain)
}

/// What is kept of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its values, as the engine's type holds them.
    Values,
    /// The keys of its numbers, where some are not exact otherwise.
    Keys,
    /// The key of its least number, if that is not exact otherwise.
    Least,
    /// The key of its greatest number, if that is not exact otherwise.
    Greatest,
    /// The words of its texts.
    Words,
    /// Its texts as they are, which the engine reads by an analyser.
    Texts,
}

impl Part {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Values => "f",
            Self::Keys => "x",
            Self::Least => "lo",
            Self::Greatest => "hi",
            Self::Words => "t",
            Self::Texts => "a",
        }
    }
}

/// Where fields are looked for: in documents, or in the objects of a nested field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) model: &'a Model,
    pub(crate) nested: Option<&'a FieldPath>,
    texts: Option<&'a TextAnalysis>,
}

impl<'a> Place<'a> {
    /// In documents.
    pub(crate) fn documents(model: &'a Model) -> Self {
        Self {
            model,
            nested: None,
            texts: None,
        }
    }

    /// The same place in an index that reads texts so.
    pub(crate) fn read_by(self, texts: &'a TextAnalysis) -> Self {
        Self {
            texts: Some(texts),
            ..self
        }
    }

    /// The analyser that the engine reads a text by, if it does.
    pub(super) fn analyser(self, field: &FieldPath) -> Option<&'a AnalyserName> {
        self.texts?.of(field)
    }

    /// In the objects of a nested field.
    pub(crate) fn objects(self, field: &'a FieldPath) -> Self {
        Self {
            nested: Some(field),
            ..self
        }
    }

    /// The name of what is kept of a field here.
    pub(crate) fn of(self, part: Part, field: &FieldPath) -> String {
        if part == Part::Values && is_direct(field) {
            return format!("body.{field}");
        }
        format!("{}{}.{}", self.prefix(), part.name(), self.name(field))
    }

    /// The name of the field's own entry within a part.
    pub(super) fn name(self, field: &FieldPath) -> String {
        field_name(field)
    }

    /// The name of the list of fields that have a value here.
    pub(crate) fn existing(self) -> String {
        format!("{}e", self.prefix())
    }

    /// The name of the list of fields that hold numbers here that are not exact.
    pub(crate) fn inexact(self) -> String {
        format!("{}i", self.prefix())
    }

    /// The path of the objects of a nested field, wherever it is asked from.
    pub(crate) fn path_of(self, field: &FieldPath) -> String {
        let name = field_name(field);
        match self.parent(field) {
            None => format!("n.{name}"),
            Some(parent) => format!("{}.n.{name}", self.path_of(parent)),
        }
    }

    fn prefix(self) -> String {
        self.nested
            .map(|field| format!("{}.", self.path_of(field)))
            .unwrap_or_default()
    }

    /// The innermost nested field around a field.
    fn parent(self, field: &FieldPath) -> Option<&'a FieldPath> {
        self.model
            .fields()
            .filter(|f| f.kind == Kind::Nested && f.path != *field && field.is_within(&f.path))
            .map(|f| &f.path)
            .max_by_key(|path| path.segments().count())
    }

    /// The declared fields that can be read here.
    pub(super) fn fields(
        self,
    ) -> impl Iterator<Item = &'a strongroom_core::model::FieldDeclaration> {
        self.model.fields().filter(move |field| {
            self.nested
                .is_none_or(|nested| field.path != *nested && field.path.is_within(nested))
        })
    }

    /// The nested fields whose objects stand right here.
    pub(super) fn children(self) -> impl Iterator<Item = &'a FieldPath> {
        self.fields()
            .filter(move |f| f.kind == Kind::Nested && self.parent(&f.path) == self.nested)
            .map(|f| &f.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::model::FieldDeclaration;

    #[test]
    fn plain_names_stay_and_others_are_spelt_out() {
        let name = |path: &str| field_name(&path.parse().unwrap());
        assert_eq!(name("address.city"), "address%2ecity");
        assert_eq!(name("größe"), "gr%c3%b6%c3%9fe");
        assert_eq!(name(" a%"), "%20a%25");
    }

    #[test]
    fn outermost_fields_with_plain_names_are_read_from_the_body() {
        let direct = |path: &str| is_direct(&path.parse().unwrap());
        assert!(direct("userName") && direct("a-1_"));
        assert!(!direct("a.b") && !direct("größe") && !direct("a b"));
    }

    #[test]
    fn nested_fields_stand_within_each_other() {
        let path = |path: &str| -> FieldPath { path.parse().unwrap() };
        let model = Model::builder("m")
            .field(FieldDeclaration::new(path("a"), Kind::Nested).many())
            .field(FieldDeclaration::new(path("a.b"), Kind::Nested).many())
            .field(FieldDeclaration::new(path("a.b.n"), Kind::Integer).many())
            .build()
            .unwrap();
        let documents = Place::documents(&model);
        let (a, b, n) = (path("a"), path("a.b"), path("a.b.n"));
        assert_eq!(documents.path_of(&b), "n.a.n.a%2eb");
        assert_eq!(documents.of(Part::Values, &n), "f.a%2eb%2en");
        assert_eq!(documents.objects(&a).of(Part::Keys, &n), "n.a.x.a%2eb%2en");
        assert_eq!(documents.objects(&b).existing(), "n.a.n.a%2eb.e");
        assert_eq!(documents.children().collect::<Vec<_>>(), [&a]);
        assert_eq!(documents.objects(&a).children().collect::<Vec<_>>(), [&b]);
    }
}
