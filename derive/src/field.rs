//! One field of a struct: what its attributes say, and whether they fit together.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Type, Visibility};

use crate::attributes::{FieldAttributes, Given, IdSource, Resolver};
use crate::case::Case;
use crate::errors::Errors;
use crate::kind::GivenKind;
use crate::names;
use crate::serde_attributes::FieldSerde;
use crate::types;

/// A field that is part of the document.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) ty: Type,
    /// Its name in JSON.
    pub(crate) json: String,
    pub(crate) role: Role,
    pub(crate) id: Given<IdSource>,
    pub(crate) routing: Given<()>,
    pub(crate) created: Given<()>,
    pub(crate) updated: Given<()>,
}

/// What a field is to the model.
pub(crate) enum Role {
    /// Declared, with the kind that its type has.
    Inferred(Flags),
    /// Declared, with a given kind.
    Given(GivenKind, Flags),
    /// Stored, and not declared.
    Unmapped,
    /// Computed and not stored.
    Lazy(Resolver),
}

/// What is said of a declared field besides its kind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) many: bool,
    pub(crate) indexed: Option<Span>,
    pub(crate) unique: Option<Span>,
    pub(crate) secret: bool,
}

impl Field {
    /// Looks at a field of the struct `of`; `None` if it is no part of the document or wrong beyond use.
    pub(crate) fn analyse(
        field: &syn::Field,
        of: &Ident,
        case: Case,
        errors: &mut Errors,
    ) -> Option<Self> {
        let ident = field.ident.clone()?;
        let attributes = FieldAttributes::parse(&field.attrs, errors);
        let serde = FieldSerde::parse(&field.attrs, errors);
        let is_lazy = types::name(&field.ty).as_deref() == Some("Lazy");
        if serde.skipped {
            refuse_skipped(&attributes, errors);
            return None;
        }
        let json = match &serde.rename {
            Some(name) => name.value(),
            None => case.apply(&ident.unraw().to_string()),
        };
        let role = if attributes.lazy.is_some() || is_lazy {
            lazy(field, &attributes, &serde, errors)?
        } else {
            stored(field, &attributes, &serde, errors)?
        };
        if !matches!(role, Role::Unmapped)
            && let Err(message) = names::check_field(&json)
        {
            match &serde.rename {
                Some(name) => errors.at(name, message),
                None => errors.at(&ident, message),
            }
        }
        Some(Self {
            ident,
            visibility: field.vis.clone(),
            ty: types::without_self(&field.ty, of),
            json,
            role,
            id: attributes.id,
            routing: attributes.routing,
            created: attributes.created,
            updated: attributes.updated,
        })
    }
}

/// Attributes that make no sense on a field that is never written.
fn refuse_skipped(attributes: &FieldAttributes, errors: &mut Errors) {
    let given = [
        attributes.kind.as_ref().map(|(_, span)| *span),
        attributes.id.map(|(_, span)| span),
        attributes.lazy.as_ref().map(|(_, span)| *span),
    ];
    let flags = [
        attributes.routing,
        attributes.indexed,
        attributes.unique,
        attributes.created,
        attributes.updated,
        attributes.secret,
        attributes.many,
    ];
    let first = given
        .into_iter()
        .chain(flags.map(|flag| flag.map(|((), span)| span)))
        .flatten()
        .next();
    if let Some(span) = first {
        errors.at_span(
            span,
            "serde skips the field, so it is not stored: leave `#[document(…)]` or the skip away",
        );
    }
}

fn lazy(
    field: &syn::Field,
    attributes: &FieldAttributes,
    serde: &FieldSerde,
    errors: &mut Errors,
) -> Option<Role> {
    let Some((resolver, span)) = &attributes.lazy else {
        errors.at(
            &field.ty,
            "say what computes the property: `#[document(lazy = path::to::resolver)]`, an `async fn(&Database, &[&Self]) -> Result<Vec<…>>`",
        );
        return None;
    };
    if types::argument(&field.ty, "Lazy").is_none() {
        errors.at(&field.ty, "a lazy property is of the type `Lazy<…>`");
        return None;
    }
    let hidden = serde
        .skip_if
        .as_ref()
        .is_some_and(|path| path.value().trim().ends_with("is_hidden"));
    if !serde.default || !hidden {
        errors.at_span(
            *span,
            "a lazy property is never stored: add `#[serde(default, skip_serializing_if = \"Lazy::is_hidden\")]`",
        );
    }
    let others = [
        attributes.routing,
        attributes.indexed,
        attributes.unique,
        attributes.created,
        attributes.updated,
        attributes.secret,
        attributes.many,
    ];
    let other = others
        .into_iter()
        .flatten()
        .map(|((), span)| span)
        .chain(attributes.kind.as_ref().map(|(_, span)| *span))
        .chain(attributes.id.map(|(_, span)| span))
        .next();
    if let Some(span) = other {
        errors.at_span(
            span,
            "a lazy property is never stored, so this says nothing: leave it away",
        );
    }
    Some(Role::Lazy(resolver.clone()))
}

fn stored(
    field: &syn::Field,
    attributes: &FieldAttributes,
    serde: &FieldSerde,
    errors: &mut Errors,
) -> Option<Role> {
    let kind = attributes.kind.clone();
    let is_unmapped = matches!(kind, Some((GivenKind::Unmapped, _)));
    if let Some(span) = serde.flatten.filter(|_| !is_unmapped) {
        errors.at_span(
            span,
            "the members of a flattened field have no path of their own: add `#[document(unmapped)]`, or make it an object of its own",
        );
        return None;
    }
    if let Some(span) = serde.custom.filter(|_| kind.is_none()) {
        errors.at_span(
            span,
            "serde writes the field with a function, so its type does not tell the kind: say it, such as `#[document(keyword)]`, or `#[document(unmapped)]`",
        );
        return None;
    }
    let flags = flags(field, attributes, errors);
    check_key_and_stamps(attributes, errors);
    let Some((kind, span)) = kind else {
        return Some(Role::Inferred(flags));
    };
    if is_unmapped {
        refuse_unmapped(attributes, errors);
        return Some(Role::Unmapped);
    }
    // A function of the user's decides what is written, so the type says nothing.
    if serde.custom.is_none() {
        if let Some(message) = kind.refuses(&field.ty) {
            errors.at_span(span, message);
        } else if matches!(kind, GivenKind::Bytes) && types::is_bytes(&field.ty) {
            errors.at_span(
                span,
                "serde writes this as an array of numbers: use the type `Binary`, which is written as Base64",
            );
        }
    }
    check_flags(&kind, &flags, errors);
    Some(Role::Given(kind, flags))
}

fn flags(field: &syn::Field, attributes: &FieldAttributes, errors: &mut Errors) -> Flags {
    let given_bytes = matches!(attributes.kind, Some((GivenKind::Bytes, _)));
    let looks_many = !given_bytes && types::element(&field.ty).is_some();
    if let (Some(((), span)), true) = (attributes.unique, looks_many) {
        errors.at_span(
            span,
            "an array cannot be unique: only a single value is compared between documents",
        );
    }
    if let (Some(((), span)), Some(_)) = (attributes.secret, &attributes.id) {
        errors.at_span(
            span,
            "the id is part of every key, error and log, so it cannot be secret",
        );
    }
    Flags {
        many: attributes.many.is_some() || looks_many,
        indexed: attributes.indexed.map(|((), span)| span),
        unique: attributes.unique.map(|((), span)| span),
        secret: attributes.secret.is_some(),
    }
}

fn check_flags(kind: &GivenKind, flags: &Flags, errors: &mut Errors) {
    if kind.is_comparable() {
        return;
    }
    for (span, what) in [(flags.indexed, "indexed"), (flags.unique, "unique")] {
        if let Some(span) = span {
            errors.at_span(
                span,
                format!(
                    "a field that is `{}` cannot be `{what}`: its values are not compared",
                    kind.as_str()
                ),
            );
        }
    }
}

fn refuse_unmapped(attributes: &FieldAttributes, errors: &mut Errors) {
    let refused = [
        (attributes.indexed, "indexed"),
        (attributes.unique, "unique"),
        (attributes.secret, "secret"),
        (attributes.created, "created"),
        (attributes.updated, "updated"),
        (attributes.many, "many"),
    ];
    for (given, what) in refused {
        if let Some(((), span)) = given {
            errors.at_span(
                span,
                format!("the model must know the field to make it `{what}`: give it a kind instead of `unmapped`"),
            );
        }
    }
}

fn check_key_and_stamps(attributes: &FieldAttributes, errors: &mut Errors) {
    let is_timestamp = |kind: &Given<GivenKind>| {
        matches!(
            kind,
            None | Some((GivenKind::Timestamp | GivenKind::Unmapped, _))
        )
    };
    let stamp = attributes.created.or(attributes.updated);
    if let (Some(((), span)), false) = (stamp, is_timestamp(&attributes.kind)) {
        errors.at_span(span, "a stamp is a timestamp: leave the other kind away");
    }
    if let (Some(_), Some(((), span))) = (attributes.created, attributes.updated) {
        errors.at_span(span, "one field cannot hold both stamps: add another one");
    }
    if let (Some((IdSource::Given | IdSource::Generated, _)), Some(((), span))) =
        (attributes.id, stamp)
    {
        errors.at_span(span, "the id cannot be a stamp");
    }
    if let (Some(_), Some(((), span))) = (attributes.id, attributes.routing) {
        errors.at_span(
            span,
            "the id cannot be the routing too: a routing places several documents together",
        );
    }
}
