//! Values to bind, and the statement they belong to.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Kind, Scalar, WriteId};

use crate::dialect::Dialect;

/// A value to bind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Param {
    /// `true` or `false`; databases without booleans bind 1 or 0.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// A number that is compared with values of a field, for a database that keeps them in a form
    /// of its own.
    Number(Scalar),
    /// The id of a write, as the database keeps it: 16 bytes, or a type of its own for them.
    WriteId(WriteId),
}

impl From<WriteId> for Param {
    fn from(id: WriteId) -> Self {
        Self::WriteId(id)
    }
}

impl From<&Scalar> for Param {
    fn from(value: &Scalar) -> Self {
        match value {
            Scalar::Boolean(b) => Self::Boolean(*b),
            Scalar::Integer(i) => Self::Integer(*i),
            Scalar::Float(x) => Self::Float(*x),
            Scalar::Text(t) => Self::Text(Arc::clone(t)),
        }
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

/// A statement with the values to bind, in the order of its placeholders.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// The values.
    pub params: Vec<Param>,
}

/// Writes a statement: text, quoted identifiers and placeholders.
///
/// # Examples
///
/// ```
/// use strongroom_sql::{Param, Sqlite, Writer};
///
/// let mut sql = Writer::new(&Sqlite);
/// sql.text("SELECT body FROM ").identifier("users").text(" WHERE id = ").bind("ada");
/// let statement = sql.finish()?;
/// assert_eq!(statement.sql, r#"SELECT body FROM "users" WHERE id = ?1"#);
/// assert_eq!(statement.params, [Param::from("ada")]);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<'d> {
    dialect: &'d dyn Dialect,
    sql: String,
    params: Vec<Param>,
}

impl<'d> Writer<'d> {
    /// An empty statement.
    #[must_use]
    pub fn new(dialect: &'d dyn Dialect) -> Self {
        Self {
            dialect,
            sql: String::with_capacity(512),
            params: Vec::new(),
        }
    }

    /// The dialect that is written.
    #[must_use]
    pub fn dialect(&self) -> &'d dyn Dialect {
        self.dialect
    }

    /// Adds text, which must not hold values.
    pub fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.sql.push_str(text.as_ref());
        self
    }

    /// Adds formatted text, which must not hold values.
    pub(crate) fn write(&mut self, text: fmt::Arguments<'_>) -> &mut Self {
        // Writing to a string does not fail.
        let _ = self.sql.write_fmt(text);
        self
    }

    /// Adds a quoted identifier.
    pub fn identifier(&mut self, name: &str) -> &mut Self {
        self.sql.push_str(&self.dialect.identifier(name));
        self
    }

    /// Adds a placeholder for a value.
    pub fn bind(&mut self, value: impl Into<Param>) -> &mut Self {
        let value = value.into();
        let placeholder = self.dialect.placeholder(self.params.len() + 1, &value);
        self.sql.push_str(&placeholder);
        self.params.push(value);
        self
    }

    /// Adds a placeholder for what the values of a field of this kind are compared with.
    pub(crate) fn comparand(&mut self, kind: Kind, value: &Scalar) -> &mut Self {
        self.bind(self.dialect.comparand(kind, value))
    }

    /// Adds a limit, as a number in the text. SQLite plans by the limit: it would prepare a
    /// statement with a bound one anew each time that it is bound. Few limits are in use.
    pub(crate) fn limit(&mut self, most: usize) -> &mut Self {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.write(format_args!(" LIMIT {most}"))
    }

    /// The statement.
    ///
    /// # Errors
    ///
    /// `Invalid` if there are more values than the database binds.
    pub fn finish(self) -> Result<Statement> {
        let most = self.dialect.max_params();
        if self.params.len() > most {
            return Err(Error::invalid(format!(
                "query binds {} values, this store binds at most {most}",
                self.params.len()
            )));
        }
        Ok(Statement {
            sql: self.sql,
            params: self.params,
        })
    }
}
