//! Writes the implementation of `FieldType` for a struct within documents.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::container::Container;
use crate::document::is_lazy;
use crate::errors::Errors;
use crate::handles;

/// Writes everything that `#[derive(Object)]` adds.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let container = Container::read(input, "Object", &mut errors)?;
    refuse_document_attributes(&container, &mut errors);
    errors.finish()?;
    Ok(write(&container))
}

fn refuse_document_attributes(container: &Container<'_>, errors: &mut Errors) {
    const MESSAGE: &str = "this is said of a document, not of an object within one: leave it away";
    let attributes = &container.attributes;
    let given = [
        attributes.collection.as_ref().map(|(_, span)| *span),
        attributes.unknown.as_ref().map(|(_, span)| *span),
        attributes.id.as_ref().map(|(_, span)| *span),
        attributes.routing.as_ref().map(|(_, span)| *span),
    ];
    for span in given.into_iter().flatten() {
        errors.at_span(span, MESSAGE);
    }
    for field in &container.fields {
        let given = [
            field.id.map(|(_, span)| span),
            field.routing.map(|((), span)| span),
            field.created.map(|((), span)| span),
            field.updated.map(|((), span)| span),
        ];
        for span in given.into_iter().flatten() {
            errors.at_span(span, MESSAGE);
        }
        if is_lazy(field) {
            errors.at(
                &field.ty,
                "a lazy property belongs to a document: move it to the struct that derives `Document`",
            );
        }
    }
}

fn write(container: &Container<'_>) -> TokenStream {
    let private = &container.private;
    let quiet = handles::quiet();
    let name = &container.input.ident;
    let visibility = &container.input.vis;
    let handles_name = &container.handles;
    let doc = format!(
        "The handle of a field that holds a [`{name}`], which hands out those of its fields."
    );
    let methods = handles::methods(
        container,
        &quote!(__T),
        |json| quote!(self.__field.within(#json)),
    );
    let assertions = handles::assertions(container);
    let declarations = handles::declarations(
        container,
        |json| quote!(#private::child_path(&path, #json)?),
    );
    let links = handles::links(container);
    quote! {
        #[doc = #doc]
        #visibility struct #handles_name<__T, __K = #private::kinds::Object, __V = #name> {
            __field: #private::Field<__T, __K, __V>,
        }

        #quiet
        impl<__T, __K, __V> #handles_name<__T, __K, __V> {
            #methods
        }

        #quiet
        const _: () = {
            #assertions

            #[automatically_derived]
            impl<__T, __K, __V> ::core::convert::From<#private::Field<__T, __K, __V>>
                for #handles_name<__T, __K, __V>
            {
                fn from(field: #private::Field<__T, __K, __V>) -> Self {
                    Self { __field: field }
                }
            }

            #[automatically_derived]
            impl<__T, __K, __V> ::core::ops::Deref for #handles_name<__T, __K, __V> {
                type Target = #private::Field<__T, __K, __V>;

                fn deref(&self) -> &Self::Target {
                    &self.__field
                }
            }

            #[automatically_derived]
            impl<__T, __K, __V> #private::IntoFieldPath for #handles_name<__T, __K, __V> {
                fn into_field_path(self) -> #private::Result<#private::FieldPath> {
                    #private::IntoFieldPath::into_field_path(self.__field)
                }
            }

            #[automatically_derived]
            impl<__T, __K, __V> ::core::clone::Clone for #handles_name<__T, __K, __V> {
                fn clone(&self) -> Self {
                    Self { __field: ::core::clone::Clone::clone(&self.__field) }
                }
            }

            #[automatically_derived]
            impl<__T, __K, __V> ::core::fmt::Debug for #handles_name<__T, __K, __V> {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(&self.__field, f)
                }
            }

            #[automatically_derived]
            impl #private::FieldType for #name {
                type Kind = #private::kinds::Object;
                type Value = #name;
                type Handle<__T, __K, __V> = #handles_name<__T, __K, __V>;

                const KIND: #private::Kind = #private::Kind::Object;
                const MANY: bool = false;

                fn declare(
                    field: #private::FieldDeclaration,
                    model: #private::ModelBuilder,
                ) -> #private::Result<#private::ModelBuilder> {
                    let path = ::core::clone::Clone::clone(&field.path);
                    let model = model.field(field);
                    #declarations
                    ::core::result::Result::Ok(model)
                }

                fn links(&self, links: &mut #private::Links<'_>) {
                    #links
                }
            }

            #[automatically_derived]
            impl #private::ObjectType for #name {}
        };
    }
}
