//! Fields whose values functions make while a document is written.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::{Action, Write};
use crate::error::{Error, Result};
use crate::model::{Body, FieldPath, Kind, Model, RawDocument, Scalar};
use crate::patch::Patch;
use crate::query::{Call, CompiledCall, FunctionName, Functions};

/// A field whose value a function makes while the document is written.
///
/// The function's arguments are values and fields of the document as it is written, with all
/// other changes made and no computed field set yet; what it makes, null for nothing, takes the
/// place of what the field holds.
#[derive(Clone)]
pub struct Computed {
    field: FieldPath,
    value: Computation,
}

/// The value of a computed field, on its way from the call to what the call makes.
#[derive(Clone)]
enum Computation {
    Call(Call),
    Ready {
        call: CompiledCall,
        functions: Functions,
        kind: Kind,
    },
    Made(Value),
}

/// What functions made, field by field.
pub type Made = Vec<(FieldPath, Value)>;

impl Computed {
    /// A field that is to hold what a call makes.
    #[must_use]
    pub fn new(field: FieldPath, call: Call) -> Self {
        Self {
            field,
            value: Computation::Call(call),
        }
    }

    /// The field.
    #[must_use]
    pub fn field(&self) -> &FieldPath {
        &self.field
    }

    /// The call, as long as no store has made it ready.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match &self.value {
            Computation::Call(call) => Some(call),
            Computation::Ready { .. } | Computation::Made(_) => None,
        }
    }

    fn check(&self, model: &Model) -> Result<()> {
        let field = model.require(&self.field)?;
        if field.many || !(field.kind.is_comparable() || field.kind == Kind::Text) {
            return Err(Error::invalid(format!(
                "field {} is declared as {}{}: a function makes one value",
                self.field,
                if field.many { "many of " } else { "" },
                field.kind.as_str()
            )));
        }
        self.call().map_or(Ok(()), |call| call.check(model))
    }

    fn evaluate(&self, body: &Body) -> Result<Value> {
        let (call, functions, kind) = match &self.value {
            Computation::Made(value) => return Ok(value.clone()),
            Computation::Ready {
                call,
                functions,
                kind,
            } => (call, functions, *kind),
            Computation::Call(_) => return Err(Error::unsupported("functions in what is written")),
        };
        let object = match call.reads_fields() {
            true => body.to_object()?,
            false => Map::new(),
        };
        self.fit(call.function(), kind, call.evaluate(functions, &object)?)
    }

    /// What the field holds if a function made this.
    fn fit(&self, function: &FunctionName, kind: Kind, made: Option<Scalar>) -> Result<Value> {
        let Some(made) = made else {
            return Ok(Value::Null);
        };
        if let Scalar::Float(x) = &made
            && !x.is_finite()
        {
            return Err(Error::invalid(format!(
                "function {function} made {x}, which is not a finite number"
            )));
        }
        let fits = match kind {
            Kind::Text => matches!(made, Scalar::Text(_)),
            Kind::Integer => matches!(made, Scalar::Integer(_)),
            _ => kind.takes(&made),
        };
        if fits {
            return Ok(Value::from(&made));
        }
        Err(Error::invalid(format!(
            "function {function} made a value of type {}, but field {} is declared as {}",
            made.type_name(),
            self.field,
            kind.as_str()
        )))
    }

    /// Takes over what the call made. A store whose server calls the functions hands it in before
    /// it asks for [`computed_onto`](Write::computed_onto), instead of
    /// [making the write ready](Write::make_ready).
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the function, if the field does not hold such a value; `Invalid` if the
    /// model does not declare the field.
    pub fn make(&mut self, made: Option<Scalar>, model: &Model) -> Result<()> {
        if let Computation::Call(call) = &self.value {
            let kind = model.require(&self.field)?.kind;
            self.value = Computation::Made(self.fit(call.function(), kind, made)?);
        }
        Ok(())
    }
}

/// The arguments stay out of it: they may be secrets.
impl fmt::Debug for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call() {
            Some(call) => write!(f, "Computed({} = {}(…))", self.field, call.function()),
            None => write!(f, "Computed({} = …)", self.field),
        }
    }
}

impl Write {
    /// Lets a function make the value of a field; see [`Computed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::model::{Body, Expected, Key};
    /// use strongroom_core::query::Call;
    /// use strongroom_core::store::Write;
    ///
    /// let body = Body::parse(r#"{"name":"ada"}"#)?;
    /// let write = Write::put(Key::new("ada")?, body, Expected::Absent)
    ///     .compute("password".parse()?, Call::new("make_password")?.value("hunter2"));
    /// assert!(!format!("{write:?}").contains("hunter2"));
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    #[must_use]
    pub fn compute(mut self, field: FieldPath, call: Call) -> Self {
        self.computed.push(Computed::new(field, call));
        self
    }

    /// Checks the computed fields against a model.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if it is not declared, does not hold one value, is computed
    /// twice or lies within another computed one, if a call does not pass [`Call::check`], or if
    /// the write is a delete.
    pub(crate) fn check_computed(&self, model: &Model) -> Result<()> {
        let Some(first) = self.computed.first() else {
            return Ok(());
        };
        if matches!(self.action, Action::Delete) {
            return Err(Error::invalid(format!(
                "a delete cannot compute field {}",
                first.field
            )));
        }
        let mut fields = BTreeSet::new();
        for computed in &self.computed {
            computed.check(model)?;
            if !fields.insert(&computed.field) {
                return Err(Error::invalid(format!(
                    "field {} is computed twice",
                    computed.field
                )));
            }
        }
        Ok(())
    }

    /// Gives the computed fields these functions to call, and runs those calls that need no stored
    /// document: all of a put, and those of a patch whose arguments are values only. A store does
    /// so before it takes what other writes wait for.
    ///
    /// A call that fails is left to [`computed_onto`](Self::computed_onto), which tells.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if the model does not declare one.
    pub fn make_ready(&mut self, functions: &Functions, model: &Model) -> Result<()> {
        let nothing = Body::from_trusted("{}");
        let (body, is_whole) = match &self.action {
            Action::Put(body) => (body, true),
            Action::Patch(_) | Action::Delete => (&nothing, false),
        };
        for computed in &mut self.computed {
            let Computation::Call(call) = &computed.value else {
                continue;
            };
            let needs_document = call.reads_fields() && !is_whole;
            computed.value = Computation::Ready {
                call: call.compile(model)?,
                functions: functions.clone(),
                kind: model.require(&computed.field)?.kind,
            };
            if !needs_document && let Ok(made) = computed.evaluate(body) {
                computed.value = Computation::Made(made);
            }
        }
        Ok(())
    }

    /// Sets the computed fields in `body`, which is the document with all other changes of the
    /// write, and hands out what was made as well. The write was made
    /// [ready](Self::make_ready), or its fields [were made](Computed::make).
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the function, if it fails, or makes a value that its field does not hold;
    /// `Invalid` if the field cannot be reached; `Unsupported` if there is no such function, or if
    /// the write was not made ready.
    pub fn computed_onto(&self, body: Body) -> Result<(Body, Made)> {
        if self.computed.is_empty() {
            return Ok((body, Made::new()));
        }
        let made = self.computed.iter().map(|computed| {
            let value = computed.evaluate(&body)?;
            Ok((computed.field.clone(), value))
        });
        let made = made.collect::<Result<Made>>()?;
        let patch = made.iter().fold(Patch::new(), |patch, (field, value)| {
            patch.set(field.clone(), value.clone())
        });
        Ok((patch.apply(&body)?, made))
    }

    /// What the computed fields hold in the document that the write left.
    pub(crate) fn made_in(&self, document: &RawDocument) -> Made {
        if self.computed.is_empty() {
            return Made::new();
        }
        let object = document.body.to_object().unwrap_or_default();
        let made = self.computed.iter().map(|computed| {
            let value = computed.field.find_in(&object);
            (computed.field.clone(), value.cloned().unwrap_or_default())
        });
        made.collect()
    }
}
