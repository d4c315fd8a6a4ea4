//! A struct as a whole: its fields, and whether they fit together.

use std::collections::HashMap;

use proc_macro2::Ident;
use quote::format_ident;
use syn::{Data, DeriveInput, Fields, Path, parse_quote};

use crate::attributes::{ContainerAttributes, Unknown};
use crate::errors::Errors;
use crate::field::Field;
use crate::serde_attributes::ContainerSerde;

/// What both derives need to know of a struct.
pub(crate) struct Container<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) attributes: ContainerAttributes,
    /// The hidden module that everything written goes through.
    pub(crate) private: Path,
    /// The name of the struct of handles.
    pub(crate) handles: Ident,
    pub(crate) fields: Vec<Field>,
}

impl<'a> Container<'a> {
    /// Reads a struct for the derive of the name `derive`.
    ///
    /// Adds to `errors` what is wrong, and fails if nothing more can be said.
    pub(crate) fn read(
        input: &'a DeriveInput,
        derive: &str,
        errors: &mut Errors,
    ) -> syn::Result<Self> {
        let fields = named_fields(input, derive)?;
        if !input.generics.params.is_empty() {
            return Err(syn::Error::new_spanned(
                &input.generics,
                format!(
                    "`{derive}` is not derived for a generic struct, whose fields have no fixed kinds: write one struct for each use"
                ),
            ));
        }
        let attributes = ContainerAttributes::parse(&input.attrs, errors);
        let serde = ContainerSerde::parse(&input.attrs, errors);
        if let Some(span) = serde.deny_unknown_fields {
            let denied = matches!(attributes.unknown, Some((Unknown::Deny, _)));
            if derive == "Document" && !denied {
                errors.at_span(
                    span,
                    "this refuses fields that `#[document(unknown = …)]` would keep: say `#[document(unknown = \"deny\")]` in its place",
                );
            }
        }
        let fields: Vec<Field> = fields
            .iter()
            .filter_map(|field| Field::analyse(field, &input.ident, serde.rename_all, errors))
            .collect();
        let mut names = HashMap::new();
        for field in &fields {
            if let Some(first) = names.insert(field.json.as_str(), &field.ident) {
                errors.at(
                    &field.ident,
                    format!(
                        "`{first}` and `{}` are both named {:?} in JSON: rename one",
                        field.ident, field.json
                    ),
                );
            }
        }
        let private = match &attributes.krate {
            Some((path, _)) => parse_quote!(#path::__private),
            None => parse_quote!(::strongroom::__private),
        };
        let handles = match &attributes.fields {
            Some((name, _)) => name.clone(),
            None => format_ident!("{}Fields", input.ident),
        };
        Ok(Self {
            input,
            attributes,
            private,
            handles,
            fields,
        })
    }
}

fn named_fields<'a>(
    input: &'a DeriveInput,
    derive: &str,
) -> syn::Result<&'a syn::punctuated::Punctuated<syn::Field, syn::Token![,]>> {
    let what = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Ok(&fields.named),
            Fields::Unnamed(_) | Fields::Unit => {
                "a struct with named fields, which this is not: give its fields names"
            }
        },
        Data::Enum(_) => {
            "a struct: put the enum into a field of one, with `#[document(keyword)]` if it is text in JSON"
        }
        Data::Union(_) => "a struct: serde does not write unions",
    };
    Err(syn::Error::new_spanned(
        &input.ident,
        format!("`{derive}` is derived for {what}"),
    ))
}
