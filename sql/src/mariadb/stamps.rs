//! Stamps by the server's clock, as `Write::stamp` of the core says.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use strongroom_core::model::{FieldPath, Model};

use super::value::json_path;

/// The server's clock in milliseconds, at the moment.
pub const NOW: &str = "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS INTEGER)";

/// The expression for the body of a document that is created, stamped.
///
/// A stamp that lies in an object which the body has not is left out by the server's function, too.
#[must_use]
pub fn stamped_anew(model: &Model, body: &str) -> String {
    let stamps = [model.created(), model.updated()];
    set(body, stamps.into_iter().flatten().map(now))
}

/// The expression for the body of a document that takes the place of `before`, stamped.
#[must_use]
pub fn stamped_over(model: &Model, body: &str, before: &str) -> String {
    let updated = model.updated().map(now);
    let Some(created) = model.created() else {
        return set(body, updated);
    };
    let path = json_path(created);
    let known = format!("JSON_EXTRACT({before}, {path})");
    let kept = set(
        body,
        std::iter::once((path, known.clone())).chain(updated.clone()),
    );
    format!(
        "IF(COALESCE(JSON_TYPE({known}) IN ('INTEGER', 'DOUBLE'), FALSE), {kept}, {})",
        set(body, updated)
    )
}

/// The stamps that a body holds, as two columns of text: of creation and of the last change.
#[must_use]
pub fn stamps_of(model: &Model, body: &str) -> String {
    let column = |path: Option<&FieldPath>| match path {
        Some(path) => format!("JSON_VALUE({body}, {})", json_path(path)),
        None => "NULL".to_owned(),
    };
    format!("{}, {}", column(model.created()), column(model.updated()))
}

/// Bodies that begin with both stamps, whose digits then stand at places that are known.
///
/// The server puts the stamps there without a look at the rest. Its functions for JSON read and
/// write a body several times for each stamp, which costs a bulk as much as the writing.
#[derive(Debug)]
pub struct StampsAhead {
    created: Ahead,
    updated: Ahead,
}

/// One stamp of a body that begins with both.
#[derive(Debug)]
struct Ahead {
    path: String,
    /// The name as JSON has it.
    name: String,
    /// Which character the first digit is, counted from one.
    place: usize,
}

/// How many digits a time of our days has in milliseconds.
const DIGITS: usize = 13;
/// What stands for a time that the server puts there.
const ANY_TIME: &str = "1000000000000";

impl StampsAhead {
    /// `None` for models that have not both stamps, or not as outermost fields.
    #[must_use]
    pub fn new(model: &Model) -> Option<Self> {
        if !Self::fits(model) {
            return None;
        }
        let ahead = |path: &FieldPath, before: usize| {
            let name = serde_json::to_string(path.head()).ok()?;
            // Behind a brace or a comma, the name and a colon.
            let place = before + 1 + name.chars().count() + 1 + 1;
            Some(Ahead {
                path: json_path(path),
                name,
                place,
            })
        };
        let updated = ahead(model.updated()?, 0)?;
        let created = ahead(model.created()?, updated.place + DIGITS - 1)?;
        Some(Self { created, updated })
    }

    /// Whether a model has both stamps as outermost fields.
    #[must_use]
    pub fn fits(model: &Model) -> bool {
        let outermost = |path: Option<&FieldPath>| path.is_some_and(|p| p.parent().is_none());
        outermost(model.created()) && outermost(model.updated())
    }

    /// The time of creation that a body has, if it has as many digits as those of our days.
    #[must_use]
    pub fn created<'b>(&self, body: &'b str) -> Option<&'b str> {
        let Members(members) = serde_json::from_str(body).ok()?;
        self.created_of(&members)
    }

    fn created_of<'b>(&self, members: &[Member<'b>]) -> Option<&'b str> {
        let (_, value) = members
            .iter()
            .rfind(|(name, _)| name.get() == self.created.name)?;
        let text = value.get();
        let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then_some(text)
    }

    /// A body that is stored, with the stamps at their places: that of creation is the body's own
    /// unless the document is new. `None` if the body has none that fits.
    #[must_use]
    pub fn text(&self, body: &str, is_new: bool) -> Option<String> {
        let Members(members) = serde_json::from_str(body).ok()?;
        let created = match is_new {
            true => ANY_TIME,
            false => self.created_of(&members)?,
        };
        let mut text = String::with_capacity(body.len() + 2 * (self.created.place + DIGITS));
        for (name, value) in [
            (&self.updated.name, ANY_TIME),
            (&self.created.name, created),
        ] {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(name);
            text.push(':');
            text.push_str(value);
        }
        for (name, value) in members {
            if name.get() != self.updated.name && name.get() != self.created.name {
                text.push(',');
                text.push_str(name.get());
                text.push(':');
                text.push_str(value.get());
            }
        }
        text.push('}');
        Some(text)
    }

    /// What is bound behind the body of [`StampsAhead::anew`].
    #[must_use]
    pub fn place(&self, is_new: bool) -> i64 {
        // The server puts nothing at the place zero.
        let place = if is_new { self.created.place } else { 0 };
        i64::try_from(place).unwrap_or_default()
    }

    /// The expression for a body that is created, stamped with the time `now`, or to take the place
    /// of another. Its two values are the text of the body and its [`place`](StampsAhead::place).
    ///
    /// The time is best a column that was set just before: the server takes longer to tell it than
    /// to put it into a body.
    #[must_use]
    pub fn anew(&self, now: &str) -> String {
        let updated = self.updated.place;
        format!("INSERT(INSERT(?, {updated}, {DIGITS}, {now}), ?, {DIGITS}, {now})")
    }

    /// The expression for such a body that takes the place of `before`, stamped.
    ///
    /// Where both begin alike but for the time of change, a number that the first comma ends, the
    /// time of creation is there already. Looking it up takes the server longer than all else.
    #[must_use]
    pub fn over(&self, body: &str, before: &str, now: &str) -> String {
        let (updated, created) = (self.updated.place, self.created.place);
        let behind = updated + DIGITS;
        let rest = created + DIGITS + 1 - behind;
        let same = |from: usize, length: usize| {
            format!("SUBSTR({before}, {from}, {length}) = SUBSTR({body}, {from}, {length})")
        };
        let known = format!("JSON_EXTRACT({before}, {})", self.created.path);
        format!(
            "INSERT(IF(LOCATE(',', {before}) = {behind} AND {} AND {}, {body}, INSERT({body}, \
             IF(JSON_TYPE({known}) IN ('INTEGER', 'DOUBLE'), {created}, 0), {DIGITS}, \
             COALESCE({known}, ''))), {updated}, {DIGITS}, {now})",
            same(1, updated),
            same(behind, rest),
        )
    }

    /// The expression for a body that takes the place of one with the same time of creation, whose
    /// time of change the server then calls the last number that it inserted.
    #[must_use]
    pub fn over_same(&self, body: &str) -> String {
        format!(
            "JSON_SET({body}, {}, LAST_INSERT_ID({NOW}))",
            self.updated.path
        )
    }

    /// The condition that a body has a time of creation.
    #[must_use]
    pub fn is_created(&self, body: &str, at: &str) -> String {
        format!("JSON_EXTRACT({body}, {}) = {at}", self.created.path)
    }
}

/// A member of an object, as it is written.
type Member<'b> = (&'b RawValue, &'b RawValue);

/// The members of an object.
struct Members<'b>(Vec<Member<'b>>);

impl<'b> Deserialize<'b> for Members<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'b> Visitor<'b> for Object {
            type Value = Members<'b>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn now(path: &FieldPath) -> (String, String) {
    (json_path(path), NOW.to_owned())
}

fn set(body: &str, values: impl IntoIterator<Item = (String, String)>) -> String {
    let mut sets = String::new();
    for (path, value) in values {
        sets.push_str(&format!(", {path}, {value}"));
    }
    if sets.is_empty() {
        return body.to_owned();
    }
    format!("JSON_SET({body}{sets})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_are_stamped_in_one_expression() {
        let both = Model::builder("docs").created("c").updated("o.u");
        let both = both.build().unwrap();
        assert_eq!(
            stamped_anew(&both, "?"),
            format!(r#"JSON_SET(?, '$."c"', {NOW}, '$."o"."u"', {NOW})"#)
        );
        assert_eq!(
            stamped_over(&both, "b", "t.body"),
            format!(
                r#"IF(COALESCE(JSON_TYPE(JSON_EXTRACT(t.body, '$."c"')) IN ('INTEGER', 'DOUBLE'), FALSE), JSON_SET(b, '$."c"', JSON_EXTRACT(t.body, '$."c"'), '$."o"."u"', {NOW}), JSON_SET(b, '$."o"."u"', {NOW}))"#
            )
        );
        let one = Model::builder("docs").updated("u").build().unwrap();
        assert_eq!(
            stamped_over(&one, "b", "t.body"),
            format!(r#"JSON_SET(b, '$."u"', {NOW})"#)
        );
        assert_eq!(
            stamps_of(&one, "body"),
            r#"NULL, JSON_VALUE(body, '$."u"')"#
        );
    }

    #[test]
    fn stamps_stand_ahead_of_the_rest() {
        let model = Model::builder("docs").created("né").updated("u");
        let ahead = StampsAhead::new(&model.build().unwrap()).unwrap();
        let body = r#"{"a":"x","u":null,"né":1700000000001,"b":{"u":1}}"#;
        let text = ahead.text(body, false).unwrap();
        assert_eq!(
            text,
            r#"{"u":1000000000000,"né":1700000000001,"a":"x","b":{"u":1}}"#
        );
        let digits_at = |place: usize| text.chars().skip(place - 1).take(DIGITS).collect();
        let (updated, created): (String, String) = (
            digits_at(ahead.updated.place),
            digits_at(ahead.created.place),
        );
        assert_eq!(
            (updated.as_str(), created.as_str()),
            (ANY_TIME, "1700000000001")
        );
        assert_eq!(
            ahead.text("{}", true).unwrap(),
            r#"{"u":1000000000000,"né":1000000000000}"#
        );
        for none in [
            "{}",
            r#"{"né":null}"#,
            r#"{"né":"1700000000001"}"#,
            r#"{"né":-1}"#,
        ] {
            assert_eq!(ahead.text(none, false), None, "{none}");
            assert_eq!(ahead.created(none), None, "{none}");
        }
        let nested = Model::builder("docs").created("o.c").updated("u");
        assert!(StampsAhead::new(&nested.build().unwrap()).is_none());
    }
}
