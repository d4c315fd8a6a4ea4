//! Writes what is alike for documents and objects: declarations and handles of fields.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, Type};

use crate::container::Container;
use crate::field::{Field, Flags, Role};
use crate::kind::GivenKind;
use crate::types;

/// The attributes of everything written, so that no lint of the user's speaks of it.
pub(crate) fn quiet() -> TokenStream {
    quote! {
        #[automatically_derived]
        #[allow(
            warnings,
            clippy::all,
            clippy::pedantic,
            clippy::nursery,
            clippy::restriction,
            reason = "written by a derive"
        )]
    }
}

/// Statements that declare every field to `model`; `path` makes a path of a name.
pub(crate) fn declarations(
    container: &Container<'_>,
    path: impl Fn(&str) -> TokenStream,
) -> TokenStream {
    let private = &container.private;
    container
        .fields
        .iter()
        .filter_map(|field| {
            let ty = &field.ty;
            let path = path(&field.json);
            let (kind, flags, by_type) = match &field.role {
                Role::Inferred(flags) => {
                    let kind = quote_spanned!(ty.span()=> <#ty as #private::FieldType>::KIND);
                    (kind, flags, true)
                }
                Role::Given(kind, flags) => {
                    let by_type = matches!(kind, GivenKind::Object | GivenKind::Nested);
                    (kind.tokens(private).1, flags, by_type)
                }
                Role::Unmapped | Role::Lazy(_) => return None,
            };
            let flags = flag_calls(flags);
            let field = quote!(#private::FieldDeclaration::new(#path, #kind) #flags);
            Some(if by_type {
                quote_spanned! {ty.span()=>
                    let model = <#ty as #private::FieldType>::declare(#field, model)?;
                }
            } else {
                quote!(let model = model.field(#field);)
            })
        })
        .collect()
}

fn flag_calls(flags: &Flags) -> TokenStream {
    let mut calls = TokenStream::new();
    let given = [
        (flags.many, quote!(.many())),
        (flags.indexed.is_some(), quote!(.indexed())),
        (flags.unique.is_some(), quote!(.unique())),
        (flags.secret, quote!(.secret())),
    ];
    for (given, call) in given {
        if given {
            calls.extend(call);
        }
    }
    calls
}

/// Checks that only the types can tell.
pub(crate) fn assertions(container: &Container<'_>) -> TokenStream {
    let private = &container.private;
    container
        .fields
        .iter()
        .map(|field| {
            let ty = &field.ty;
            match &field.role {
                Role::Inferred(flags) => {
                    let mut checks = TokenStream::new();
                    if let Some(span) = flags.indexed {
                        checks.extend(quote_spanned! {span=>
                            const _: () = ::core::assert!(
                                <#ty as #private::FieldType>::INDEXABLE,
                                "a field of this type cannot be `indexed`: its values are not compared"
                            );
                        });
                    }
                    if let Some(span) = flags.unique {
                        checks.extend(quote_spanned! {span=>
                            const _: () = ::core::assert!(
                                <#ty as #private::FieldType>::KIND.is_comparable(),
                                "a field of this type cannot be `unique`: its values are not compared"
                            );
                            const _: () = ::core::assert!(
                                !<#ty as #private::FieldType>::MANY,
                                "an array cannot be unique: only a single value is compared between documents"
                            );
                        });
                    }
                    checks
                }
                Role::Given(GivenKind::Object | GivenKind::Nested, _) => {
                    quote_spanned! {ty.span()=>
                        const _: () = #private::assert_object::<#ty>();
                    }
                }
                _ => TokenStream::new(),
            }
        })
        .collect()
}

/// Statements that show the walk every field that may hold references.
pub(crate) fn links(container: &Container<'_>) -> TokenStream {
    container
        .fields
        .iter()
        .filter(|field| {
            matches!(
                field.role,
                Role::Inferred(_) | Role::Given(GivenKind::Object | GivenKind::Nested, _)
            )
        })
        .map(|field| {
            let Field {
                ident, json, ty, ..
            } = field;
            quote_spanned!(ty.span()=> links.field(#json, &self.#ident);)
        })
        .collect()
}

/// A method for each field that hands out its handle; `build` makes it of a name in JSON.
pub(crate) fn methods(
    container: &Container<'_>,
    document: &TokenStream,
    build: impl Fn(&str) -> TokenStream,
) -> TokenStream {
    let private = &container.private;
    container
        .fields
        .iter()
        .map(|field| {
            let Field {
                ident,
                visibility,
                json,
                ty,
                ..
            } = field;
            let doc = format!("The field `{json}`.");
            let handle = handle_type(field, document, private);
            let build = build(json);
            let build = quote_spanned!(ty.span()=> ::core::convert::From::from(#build));
            quote! {
                #[doc = #doc]
                #[must_use]
                #visibility fn #ident(&self) -> #handle {
                    #build
                }
            }
        })
        .collect()
}

fn handle_type(field: &Field, document: &TokenStream, private: &Path) -> TokenStream {
    let ty = &field.ty;
    let field_type = quote_spanned!(ty.span()=> <#ty as #private::FieldType>);
    match &field.role {
        Role::Inferred(_) | Role::Given(GivenKind::Object, _) => {
            quote_spanned! {ty.span()=>
                #field_type::Handle<#document, #field_type::Kind, #field_type::Value>
            }
        }
        Role::Given(GivenKind::Nested, _) => {
            quote_spanned! {ty.span()=>
                #field_type::Handle<#document, #private::kinds::Nested, #field_type::Value>
            }
        }
        Role::Given(kind, _) => {
            let (marker, _) = kind.tokens(private);
            let value = types::without_option(ty);
            quote!(#private::Field<#document, #marker, #value>)
        }
        Role::Unmapped => {
            let value = types::without_option(ty);
            quote!(#private::Field<#document, #private::kinds::Unmapped, #value>)
        }
        Role::Lazy(_) => {
            let value: &Type = types::argument(ty, "Lazy").unwrap_or(ty);
            quote!(#private::Field<#document, #private::kinds::Lazy, #value>)
        }
    }
}
