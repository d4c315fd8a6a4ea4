//! Functions that filters call by name.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::values::FieldReader;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{FieldPath, MAX_DEPTH, Model, Scalar};

/// Most arguments of one call.
pub const MAX_ARGUMENTS: usize = 32;
const MAX_NAME_BYTES: usize = 60;

/// The name of a function: 1 to 60 bytes of `a-z`, `0-9` and `_`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName(Arc<str>);

impl FunctionName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name breaks the rule above, or begins with `strongroom` or `sqlite`, which
    /// stores and engines keep for themselves.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let made_well = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= MAX_NAME_BYTES
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !made_well {
            return Err(Error::invalid(format!(
                "function name {name:?} must have 1 to {MAX_NAME_BYTES} bytes of a-z, 0-9 and `_`, and begin with a letter"
            )));
        }
        if name.starts_with("strongroom") || name.starts_with("sqlite") {
            return Err(Error::invalid(format!(
                "function name {name:?} is reserved"
            )));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionName({})", self.0)
    }
}

impl FromStr for FunctionName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl Serialize for FunctionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FunctionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(name).map_err(|e| D::Error::custom(e.message()))
    }
}

/// A function and its arguments: values, fields of the document, and other calls.
///
/// # Examples
///
/// ```
/// use strongroom_core::query::{Call, Filter};
///
/// let known = Call::new("check_password")?.value("hunter2").field("password".parse()?);
/// let filter = Filter::eq("name", "ada")?.and(Filter::call(known));
/// # let _ = filter;
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    function: FunctionName,
    arguments: Vec<Argument>,
}

/// An argument of a [`Call`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Argument {
    /// A value.
    Value(Scalar),
    /// The value of a field, or none.
    Field(FieldPath),
    /// What another function makes.
    Call(Box<Call>),
}

impl Call {
    /// A call without arguments.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name is not allowed.
    pub fn new(function: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            function: FunctionName::new(function)?,
            arguments: Vec::new(),
        })
    }

    /// Adds a value.
    #[must_use]
    pub fn value(self, value: impl Into<Scalar>) -> Self {
        self.argument(Argument::Value(value.into()))
    }

    /// Adds the value of a field of one comparable value.
    #[must_use]
    pub fn field(self, path: FieldPath) -> Self {
        self.argument(Argument::Field(path))
    }

    /// Adds what another function makes.
    #[must_use]
    pub fn call(self, call: Self) -> Self {
        self.argument(Argument::Call(Box::new(call)))
    }

    fn argument(mut self, argument: Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    /// The function's name.
    #[must_use]
    pub fn function(&self) -> &FunctionName {
        &self.function
    }

    /// The arguments, in order.
    #[must_use]
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// Whether the call, or one within it, looks at a field of the document.
    #[must_use]
    pub fn reads_fields(&self) -> bool {
        self.arguments.iter().any(|argument| match argument {
            Argument::Value(_) => false,
            Argument::Field(_) => true,
            Argument::Call(call) => call.reads_fields(),
        })
    }

    /// Checks the call, and those within it, against a model and the limits.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming function and field, if a field is not declared, holds many values or
    /// values that are not compared, if a value is not a finite number, or if there are more than
    /// [`MAX_ARGUMENTS`] arguments or [`MAX_DEPTH`] levels.
    pub fn check(&self, model: &Model) -> Result<()> {
        self.check_level(model, 1)
    }

    fn check_level(&self, model: &Model, depth: usize) -> Result<()> {
        let name = &self.function;
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "calls are nested deeper than {MAX_DEPTH} levels"
            )));
        }
        if self.arguments.len() > MAX_ARGUMENTS {
            return Err(Error::invalid(format!(
                "function {name} is called with {} arguments, allowed are {MAX_ARGUMENTS}",
                self.arguments.len()
            )));
        }
        self.arguments.iter().try_for_each(|argument| match argument {
            Argument::Value(Scalar::Float(x)) if !x.is_finite() => Err(Error::invalid(format!(
                "function {name} is called with {x}, which is not a finite number"
            ))),
            Argument::Value(_) => Ok(()),
            Argument::Field(path) => {
                let field = model.require(path)?;
                if field.kind.is_comparable() && !field.many {
                    return Ok(());
                }
                Err(Error::invalid(format!(
                    "function {name} is called with field {path}, which does not hold one comparable value"
                )))
            }
            Argument::Call(call) => call.check_level(model, depth + 1),
        })
    }

    /// The names of the function and of those in the arguments.
    pub fn names(&self) -> Vec<&FunctionName> {
        let mut names = vec![&self.function];
        for argument in &self.arguments {
            if let Argument::Call(call) = argument {
                names.extend(call.names());
            }
        }
        names
    }

    /// Makes the call ready to be evaluated for many documents of one collection.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if the model does not declare one that is an argument.
    pub fn compile(&self, model: &Model) -> Result<CompiledCall> {
        let arguments = self.arguments.iter().map(|argument| {
            Ok(match argument {
                Argument::Value(value) => CompiledArgument::Value(value.clone()),
                Argument::Field(path) => CompiledArgument::Field(FieldReader::new(model, path)?),
                Argument::Call(call) => CompiledArgument::Call(call.compile(model)?),
            })
        });
        Ok(CompiledCall {
            function: self.function.clone(),
            arguments: arguments.collect::<Result<_>>()?,
        })
    }

    /// Calls the function for a document. For many documents, [`compile`](Self::compile) it once.
    ///
    /// # Errors
    ///
    /// `Unsupported` if there is no such function, `Invalid` if it fails, and as for
    /// [`compile`](Self::compile).
    pub fn evaluate(
        &self,
        functions: &Functions,
        model: &Model,
        object: &Map<String, Value>,
    ) -> Result<Option<Scalar>> {
        self.compile(model)?.evaluate(functions, object)
    }
}

/// A [`Call`] that is ready to be evaluated for many documents of one collection.
///
/// It needs no model any more and can be encoded, so that an engine can be handed it as a value.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{FieldDeclaration, Kind, Model, Scalar};
/// use strongroom_core::query::{Call, Functions};
///
/// let model = Model::builder("users")
///     .field(FieldDeclaration::new("logins".parse()?, Kind::Integer))
///     .build()?;
/// let functions = Functions::new().with("twice", |arguments| match arguments {
///     [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(n * 2))),
///     _ => Ok(None),
/// })?;
/// let twice = Call::new("twice")?.field("logins".parse()?).compile(&model)?;
/// let body = serde_json::json!({"logins": 4});
/// let made = twice.evaluate(&functions, body.as_object().unwrap())?;
/// assert_eq!(made, Some(Scalar::from(8)));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompiledCall {
    function: FunctionName,
    arguments: Vec<CompiledArgument>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CompiledArgument {
    Value(Scalar),
    Field(FieldReader),
    Call(CompiledCall),
}

impl CompiledCall {
    /// The function's name.
    #[must_use]
    pub fn function(&self) -> &FunctionName {
        &self.function
    }

    /// Whether the call, or one within it, looks at a field of the document.
    #[must_use]
    pub fn reads_fields(&self) -> bool {
        self.arguments.iter().any(|argument| match argument {
            CompiledArgument::Value(_) => false,
            CompiledArgument::Field(_) => true,
            CompiledArgument::Call(call) => call.reads_fields(),
        })
    }

    /// Calls the function for a document.
    ///
    /// # Errors
    ///
    /// As for [`Functions::call`], of the function and of those in the arguments.
    pub fn evaluate(
        &self,
        functions: &Functions,
        object: &Map<String, Value>,
    ) -> Result<Option<Scalar>> {
        let arguments = self.arguments.iter().map(|argument| match argument {
            CompiledArgument::Value(value) => Ok(Some(value.clone())),
            CompiledArgument::Field(reader) => Ok(reader.first_value(object)),
            CompiledArgument::Call(call) => call.evaluate(functions, object),
        });
        functions.call(&self.function, &arguments.collect::<Result<Vec<_>>>()?)
    }
}

/// A function of the user's: values in, a value or none out.
pub type Function = dyn Fn(&[Option<Scalar>]) -> Result<Option<Scalar>> + Send + Sync;

/// Functions by name, which a store without a server calls in filters.
///
/// A function is called with the arguments of the call, `None` for a field without a value. It
/// should always make the same of the same arguments where it is called in filters; it runs on
/// whichever thread the store works, and blocks it. One that panics fails, and may be called again
/// afterwards. A question calls it for the documents that it comes to look at, in no certain order,
/// so one that fails for some documents fails some questions and not others.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::Scalar;
/// use strongroom_core::query::Functions;
///
/// let functions = Functions::new().with("shout", |arguments| match arguments {
///     [Some(Scalar::Text(text))] => Ok(Some(Scalar::from(text.to_uppercase()))),
///     _ => Ok(None),
/// })?;
/// assert_eq!(functions.names().count(), 1);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Functions {
    by_name: BTreeMap<FunctionName, Arc<Function>>,
}

impl Functions {
    /// No functions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function, or replaces the one of that name.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name is not allowed.
    pub fn with(
        mut self,
        name: impl AsRef<str>,
        function: impl Fn(&[Option<Scalar>]) -> Result<Option<Scalar>> + Send + Sync + 'static,
    ) -> Result<Self> {
        self.by_name
            .insert(FunctionName::new(name)?, Arc::new(function));
        Ok(self)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &FunctionName> {
        self.by_name.keys()
    }

    /// Each name with its function, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&FunctionName, &Arc<Function>)> {
        self.by_name.iter()
    }

    /// Calls a function.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming the function, if there is none of this name; `Invalid`, naming it, if
    /// it fails, panics, or makes a number that is not finite.
    pub fn call(
        &self,
        name: &FunctionName,
        arguments: &[Option<Scalar>],
    ) -> Result<Option<Scalar>> {
        let function = self
            .by_name
            .get(name)
            .ok_or_else(|| Error::unsupported(format!("the function {name}")))?;
        let failed = |e: Error| {
            let message = format!("function {name} failed: {}", e.message());
            Error::new(ErrorKind::Invalid, message).with_source(e)
        };
        // A panic would otherwise unwind through the store, and leave its locks poisoned.
        let made = catch_unwind(AssertUnwindSafe(|| function(arguments)))
            .map_err(|_| Error::invalid(format!("function {name} panicked")))?;
        match made.map_err(failed)? {
            Some(Scalar::Float(x)) if !x.is_finite() => Err(Error::invalid(format!(
                "function {name} made {x}, which is not a finite number"
            ))),
            made => Ok(made),
        }
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Kind};
    use serde_json::json;

    fn model() -> std::sync::Arc<Model> {
        Model::builder("c")
            .field(FieldDeclaration::new("a.b".parse().unwrap(), Kind::Integer))
            .build()
            .unwrap()
    }

    #[test]
    fn a_compiled_call_is_the_same_after_it_was_encoded() {
        let functions = Functions::new()
            .with("shown", |arguments| {
                let shown = format!("{arguments:?}");
                Ok(Some(Scalar::from(shown.as_str())))
            })
            .unwrap();
        let inner = Call::new("shown").unwrap().value("é\0\"").value(1.0);
        let call = Call::new("shown").unwrap();
        let call = call.value(-0.0).value(true).value(i64::MIN).value("1");
        let call = call.field("a.b".parse().unwrap()).call(inner);
        let compiled = call.compile(&model()).unwrap();
        let encoded = serde_json::to_string(&compiled).unwrap();
        let decoded: CompiledCall = serde_json::from_str(&encoded).unwrap();
        for body in [json!({"a": {"b": 7}}), json!({"a": {"b": "x"}}), json!({})] {
            let object = body.as_object().unwrap();
            let made = decoded.evaluate(&functions, object).unwrap();
            assert_eq!(made, compiled.evaluate(&functions, object).unwrap());
            assert_eq!(made, call.evaluate(&functions, &model(), object).unwrap());
        }
        let unknown = Call::new("shown").unwrap().field("z".parse().unwrap());
        assert!(unknown.compile(&model()).is_err());
        for bad in [r#""lower case""#, r#""strongroom_call""#, r#""""#] {
            assert!(serde_json::from_str::<FunctionName>(bad).is_err(), "{bad}");
        }
    }
}
