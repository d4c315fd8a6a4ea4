//! The serde attributes that decide how fields are named and whether they are stored.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, LitStr, Token};

use crate::case::Case;
use crate::errors::Errors;

/// What serde was told about the struct.
#[derive(Default)]
pub(crate) struct ContainerSerde {
    pub(crate) rename_all: Case,
    pub(crate) deny_unknown_fields: Option<Span>,
}

/// What serde was told about a field.
#[derive(Default)]
pub(crate) struct FieldSerde {
    /// The name in JSON, where it was given.
    pub(crate) rename: Option<LitStr>,
    /// The field is never written.
    pub(crate) skipped: bool,
    /// The field's own members are written in its place.
    pub(crate) flatten: Option<Span>,
    /// The field is written by a function, so its type does not tell what it looks like.
    pub(crate) custom: Option<Span>,
    pub(crate) default: bool,
    /// The path of `skip_serializing_if`.
    pub(crate) skip_if: Option<LitStr>,
}

impl ContainerSerde {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        each(attributes, errors, |meta, errors| {
            let name = name_of(&meta);
            match name.as_str() {
                "rename_all" => {
                    if let Some(rule) = one_name(&meta, "rename_all", errors)? {
                        // A rule that there is not is told by serde.
                        found.rename_all = Case::from_name(&rule.value()).unwrap_or_default();
                    }
                }
                "transparent" | "from" | "try_from" | "into" | "remote" => {
                    errors.at(
                        &meta.path,
                        format!(
                            "`#[serde({name})]` hides the fields that are stored: derive for the type that serde writes"
                        ),
                    );
                    skip_value(&meta)?;
                }
                "deny_unknown_fields" => found.deny_unknown_fields = Some(meta.path.span()),
                _ => skip_value(&meta)?,
            }
            Ok(())
        });
        found
    }
}

impl FieldSerde {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        each(attributes, errors, |meta, errors| {
            match name_of(&meta).as_str() {
                "rename" => {
                    if let Some(name) = one_name(&meta, "rename", errors)? {
                        found.rename = Some(name);
                    }
                }
                "skip" | "skip_serializing" => found.skipped = true,
                "flatten" => found.flatten = Some(meta.path.span()),
                "default" => {
                    found.default = true;
                    skip_value(&meta)?;
                }
                "skip_serializing_if" => found.skip_if = Some(meta.value()?.parse()?),
                "with" | "serialize_with" => {
                    found.custom = Some(meta.path.span());
                    skip_value(&meta)?;
                }
                _ => skip_value(&meta)?,
            }
            Ok(())
        });
        found
    }
}

fn each(
    attributes: &[Attribute],
    errors: &mut Errors,
    mut one: impl FnMut(ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        let parsed = attribute.parse_nested_meta(|meta| one(meta, errors));
        errors.take(parsed);
    }
}

fn name_of(meta: &ParseNestedMeta<'_>) -> String {
    meta.path
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The name in `rename = "x"` or in `rename(serialize = "x", deserialize = "x")`.
fn one_name(
    meta: &ParseNestedMeta<'_>,
    what: &str,
    errors: &mut Errors,
) -> syn::Result<Option<LitStr>> {
    if meta.input.peek(Token![=]) {
        return meta.value()?.parse().map(Some);
    }
    let (mut written, mut read) = (None::<LitStr>, None::<LitStr>);
    meta.parse_nested_meta(|inner| {
        let slot = if inner.path.is_ident("serialize") {
            &mut written
        } else {
            &mut read
        };
        *slot = Some(inner.value()?.parse()?);
        Ok(())
    })?;
    match (written, read) {
        (Some(written), Some(read)) if written.value() == read.value() => Ok(Some(written)),
        _ => {
            errors.at(
                &meta.path,
                format!(
                    "`{what}` differs between writing and reading, so that what is stored would not be read: give one name for both"
                ),
            );
            Ok(None)
        }
    }
}

/// Steps over whatever follows the name of an attribute that is of no interest here.
fn skip_value(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|inner| skip_value(&inner))?;
    }
    Ok(())
}
