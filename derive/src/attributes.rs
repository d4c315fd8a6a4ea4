//! The `#[document(…)]` attributes of structs and fields.

use proc_macro2::{Ident, Span};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, LitInt, LitStr, Path, Token};

use crate::errors::Errors;
use crate::kind::GivenKind;

/// An attribute with the place where it was given.
pub(crate) type Given<T> = Option<(T, Span)>;

/// `#[document(…)]` of a struct.
#[derive(Default)]
pub(crate) struct ContainerAttributes {
    pub(crate) krate: Given<Path>,
    pub(crate) collection: Given<LitStr>,
    pub(crate) unknown: Given<Unknown>,
    pub(crate) id: Given<Path>,
    pub(crate) routing: Given<Path>,
    pub(crate) fields: Given<Ident>,
}

/// `unknown = "…"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Keep,
    Drop,
    Deny,
}

/// `#[document(…)]` of a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) kind: Given<GivenKind>,
    pub(crate) id: Given<IdSource>,
    pub(crate) routing: Given<()>,
    pub(crate) indexed: Given<()>,
    pub(crate) unique: Given<()>,
    pub(crate) created: Given<()>,
    pub(crate) updated: Given<()>,
    pub(crate) secret: Given<()>,
    pub(crate) many: Given<()>,
    pub(crate) lazy: Given<Resolver>,
}

/// Where an id comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdSource {
    Given,
    Generated,
}

/// What computes a lazy property.
#[derive(Clone)]
pub(crate) struct Resolver {
    pub(crate) path: Path,
    /// Whether it is called for each document instead of for a page of them.
    pub(crate) each: bool,
}

const CONTAINER: &str =
    "`collection`, `unknown`, `id`, `routing`, `fields` and `crate` are known on a struct";
const FIELD: &str = "known on a field are `id`, `routing`, `indexed`, `unique`, `created`, `updated`, `secret`, `many`, `lazy`, `unmapped` and the kinds `keyword`, `text`, `boolean`, `integer`, `float`, `scaled_float`, `timestamp`, `bytes`, `object`, `nested`";

impl ContainerAttributes {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        each(attributes, errors, |meta, name, errors| match name {
            "crate" => once(&mut found.krate, path(meta)?, meta, errors),
            "collection" => once(&mut found.collection, meta.value()?.parse()?, meta, errors),
            "id" => once(&mut found.id, path(meta)?, meta, errors),
            "routing" => once(&mut found.routing, path(meta)?, meta, errors),
            "fields" => once(&mut found.fields, meta.value()?.parse()?, meta, errors),
            "unknown" => {
                let value: LitStr = meta.value()?.parse()?;
                let unknown = match value.value().as_str() {
                    "keep" => Unknown::Keep,
                    "drop" => Unknown::Drop,
                    "deny" => Unknown::Deny,
                    _ => {
                        errors.at(value, "unknown fields are \"keep\", \"drop\" or \"deny\"");
                        return Ok(());
                    }
                };
                once(&mut found.unknown, unknown, meta, errors)
            }
            _ => Err(meta.error(format!("unknown attribute: {CONTAINER}"))),
        });
        found
    }
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut found = Self::default();
        each(attributes, errors, |meta, name, errors| match name {
            "id" => {
                let source = match word(meta, &["generated"])? {
                    Some(_) => IdSource::Generated,
                    None => IdSource::Given,
                };
                once(&mut found.id, source, meta, errors)
            }
            "routing" => once(&mut found.routing, (), meta, errors),
            "indexed" => once(&mut found.indexed, (), meta, errors),
            "unique" => once(&mut found.unique, (), meta, errors),
            "created" => once(&mut found.created, (), meta, errors),
            "updated" => once(&mut found.updated, (), meta, errors),
            "secret" => once(&mut found.secret, (), meta, errors),
            "many" => once(&mut found.many, (), meta, errors),
            "lazy" | "lazy_each" => {
                let resolver = Resolver {
                    path: path(meta)?,
                    each: name == "lazy_each",
                };
                once(&mut found.lazy, resolver, meta, errors)
            }
            "object" => {
                let kind = match word(meta, &["open"])? {
                    Some(_) => GivenKind::OpenObject,
                    None => GivenKind::Object,
                };
                found.set_kind(kind, meta, errors)
            }
            "scaled_float" => {
                let kind = GivenKind::ScaledFloat(factor(meta)?);
                found.set_kind(kind, meta, errors)
            }
            other => match GivenKind::from_name(other) {
                Some(kind) => found.set_kind(kind, meta, errors),
                None => Err(meta.error(format!("unknown attribute: {FIELD}"))),
            },
        });
        found
    }

    fn set_kind(
        &mut self,
        kind: GivenKind,
        meta: &ParseNestedMeta<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        if let Some((first, _)) = &self.kind {
            errors.at(
                &meta.path,
                format!(
                    "the field is `{}` and `{}`: a field has one kind",
                    first.as_str(),
                    kind.as_str()
                ),
            );
            return Ok(());
        }
        self.kind = Some((kind, meta.path.span()));
        Ok(())
    }
}

fn each(
    attributes: &[Attribute],
    errors: &mut Errors,
    mut one: impl FnMut(&ParseNestedMeta<'_>, &str, &mut Errors) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|a| a.path().is_ident("document")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string);
            one(&meta, name.as_deref().unwrap_or_default(), errors)
        });
        errors.take(parsed);
    }
}

fn once<T>(
    slot: &mut Given<T>,
    value: T,
    meta: &ParseNestedMeta<'_>,
    errors: &mut Errors,
) -> syn::Result<()> {
    if slot.is_some() {
        errors.at(&meta.path, "this is given twice: leave one away");
    } else {
        *slot = Some((value, meta.path.span()));
    }
    Ok(())
}

/// `name = path::to::function`, without quotes.
fn path(meta: &ParseNestedMeta<'_>) -> syn::Result<Path> {
    let value = meta.value()?;
    if value.peek(LitStr) {
        let text: LitStr = value.parse()?;
        return Err(syn::Error::new(
            text.span(),
            format!("write the path without quotes: {}", text.value()),
        ));
    }
    value.parse()
}

/// `name(word)`, or `None` for `name` alone.
fn word(meta: &ParseNestedMeta<'_>, allowed: &[&str]) -> syn::Result<Option<Ident>> {
    if !meta.input.peek(syn::token::Paren) {
        return Ok(None);
    }
    let content;
    syn::parenthesized!(content in meta.input);
    let word: Ident = content.parse()?;
    if allowed.iter().any(|a| word == a) && content.is_empty() {
        return Ok(Some(word));
    }
    Err(syn::Error::new(
        word.span(),
        format!("only `{}` is known here", allowed.join("`, `")),
    ))
}

/// `scaled_float(factor = 100)`.
fn factor(meta: &ParseNestedMeta<'_>) -> syn::Result<LitInt> {
    const HOW: &str = "say how many steps there are between two whole numbers, from 1 to 4294967295: `scaled_float(factor = 100)`";
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error(HOW));
    }
    let content;
    syn::parenthesized!(content in meta.input);
    let name: Ident = content.parse()?;
    content.parse::<Token![=]>()?;
    let factor: LitInt = content.parse()?;
    if name != "factor" || !content.is_empty() || !matches!(factor.base10_parse::<u32>(), Ok(1..)) {
        return Err(syn::Error::new(factor.span(), HOW));
    }
    Ok(factor)
}
