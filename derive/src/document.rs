//! Writes the implementation of `Document`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Path};

use crate::attributes::{Given, IdSource, Unknown};
use crate::container::Container;
use crate::errors::Errors;
use crate::field::{Field, Role};
use crate::handles;
use crate::names;
use crate::types;

/// Writes everything that `#[derive(Document)]` adds.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let container = Container::read(input, "Document", &mut errors)?;
    let collection = collection(&container, &mut errors);
    let parts = Parts::find(&container, &mut errors);
    errors.finish()?;
    Ok(write(&container, &collection, &parts))
}

fn collection(container: &Container<'_>, errors: &mut Errors) -> String {
    let Some((name, _)) = &container.attributes.collection else {
        errors.at(
            &container.input.ident,
            "the document has no collection: add `#[document(collection = \"…\")]` to the struct",
        );
        return String::new();
    };
    let collection = name.value();
    if let Err(message) = names::check_collection(&collection) {
        errors.at(name, message);
    }
    collection
}

/// Where a part of the key comes from.
enum Source<'a> {
    Field(&'a Field),
    Function(&'a Path),
}

/// The fields with a meaning to the whole document.
struct Parts<'a> {
    id: Option<Source<'a>>,
    generated: Option<&'a Field>,
    routing: Option<Source<'a>>,
    created: Option<&'a Field>,
    updated: Option<&'a Field>,
}

impl<'a> Parts<'a> {
    fn find(container: &'a Container<'_>, errors: &mut Errors) -> Self {
        let id_field = only(container, "id", errors, |field| field.id.map(drop_value));
        let routing_field = only(container, "routing", errors, |field| field.routing);
        let attributes = &container.attributes;
        let id = part(id_field, &attributes.id, "id", errors);
        // An id that was not understood is told already.
        if id.is_none() && errors.is_empty() {
            errors.at(
                &container.input.ident,
                "the document has no id: add `#[document(id)]` or `#[document(id(generated))]` to a field, or `#[document(id = path::to::function)]` to the struct",
            );
        }
        Self {
            id,
            generated: id_field.filter(|f| matches!(f.id, Some((IdSource::Generated, _)))),
            routing: part(routing_field, &attributes.routing, "routing", errors),
            created: only(container, "created", errors, |field| field.created),
            updated: only(container, "updated", errors, |field| field.updated),
        }
    }
}

fn drop_value<T>((_, span): (T, proc_macro2::Span)) -> ((), proc_macro2::Span) {
    ((), span)
}

/// The one field that `given` says something of.
fn only<'a>(
    container: &'a Container<'_>,
    what: &str,
    errors: &mut Errors,
    given: impl Fn(&Field) -> Given<()>,
) -> Option<&'a Field> {
    let mut found = None::<&Field>;
    for field in &container.fields {
        let Some(((), span)) = given(field) else {
            continue;
        };
        match found {
            None => found = Some(field),
            Some(first) => errors.at_span(
                span,
                format!(
                    "`{}` is the `{what}` field already: leave one away",
                    first.ident
                ),
            ),
        }
    }
    found
}

fn part<'a>(
    field: Option<&'a Field>,
    function: &'a Given<Path>,
    what: &str,
    errors: &mut Errors,
) -> Option<Source<'a>> {
    match (field, function) {
        (Some(field), None) => Some(Source::Field(field)),
        (None, Some((path, _))) => Some(Source::Function(path)),
        (Some(field), Some((_, span))) => {
            errors.at_span(
                *span,
                format!(
                    "the {what} is held by the field `{}` already: leave one away",
                    field.ident
                ),
            );
            None
        }
        (None, None) => None,
    }
}

fn write(container: &Container<'_>, collection: &str, parts: &Parts<'_>) -> TokenStream {
    let private = &container.private;
    let quiet = handles::quiet();
    let name = &container.input.ident;
    let visibility = &container.input.vis;
    let handles_name = &container.handles;
    let doc = format!(
        "The handles of the fields of [`{name}`], for filters, sorts, selections and patches."
    );
    let methods = handles::methods(
        container,
        &quote!(#name),
        |json| quote!(#private::Field::root(#json)),
    );
    let assertions = handles::assertions(container);
    let implementation = implementation(container, collection, parts);
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #visibility struct #handles_name {
            _private: (),
        }

        #quiet
        impl #handles_name {
            #methods
        }

        #quiet
        impl #name {
            /// The handles of the fields, for filters, sorts, selections and patches.
            #[must_use]
            #visibility fn fields() -> #handles_name {
                #handles_name { _private: () }
            }
        }

        #quiet
        const _: () = {
            #assertions

            #implementation
        };
    }
}

fn implementation(container: &Container<'_>, collection: &str, parts: &Parts<'_>) -> TokenStream {
    let private = &container.private;
    let name = &container.input.ident;
    let handles_name = &container.handles;
    let model = model(container, collection, parts);
    let key = key(private, parts);
    let key_fields = [&parts.id, &parts.routing]
        .into_iter()
        .flatten()
        .filter_map(|source| match source {
            Source::Field(field) => Some(&field.json),
            Source::Function(_) => None,
        });
    let routed = parts.routing.is_some();
    let assign_id = parts.generated.map(|field| {
        let (ident, span) = (&field.ident, field.ty.span());
        quote_spanned! {span=>
            if #private::GeneratedId::is_unset(&self.#ident) {
                #private::GeneratedId::assign(&mut self.#ident, ids.next_id());
            }
        }
    });
    let [set_created, get_created, restore_created] =
        stamp(private, parts.created, &quote!(created));
    let [set_updated, get_updated, restore_updated] =
        stamp(private, parts.updated, &quote!(updated));
    let links = handles::links(container);
    let lazy = container
        .fields
        .iter()
        .filter_map(|field| lazy_property(private, field));
    quote! {
        #[automatically_derived]
        impl #private::Document for #name {
            type Fields = #handles_name;

            const ROUTED: bool = #routed;

            #model

            fn fields() -> #handles_name {
                #handles_name { _private: () }
            }

            #key

            fn assign_id(&mut self, ids: &dyn #private::IdSource) {
                #assign_id
            }

            fn set_created(&mut self, created: #private::Timestamp) {
                #set_created
            }

            fn created(&self) -> ::core::option::Option<#private::Timestamp> {
                #get_created
            }

            fn set_updated(&mut self, updated: #private::Timestamp) {
                #set_updated
            }

            fn updated(&self) -> ::core::option::Option<#private::Timestamp> {
                #get_updated
            }

            fn restore_stamps(&mut self, before: #private::Stamps) {
                #restore_created
                #restore_updated
            }

            fn key_fields() -> &'static [&'static str] {
                &[#(#key_fields),*]
            }

            fn links(&self, links: &mut #private::Links<'_>) {
                #links
            }

            fn lazy_properties() -> &'static [#private::LazyProperty<Self>] {
                &[#(#lazy),*]
            }
        }
    }
}

fn model(container: &Container<'_>, collection: &str, parts: &Parts<'_>) -> TokenStream {
    let private = &container.private;
    let declarations =
        handles::declarations(container, |json| quote!(#private::FieldPath::new(#json)?));
    let routed = parts.routing.is_some().then(|| quote!(.routed()));
    let unknown = match container.attributes.unknown {
        None | Some((Unknown::Keep, _)) => quote!(Keep),
        Some((Unknown::Drop, _)) => quote!(Drop),
        Some((Unknown::Deny, _)) => quote!(Deny),
    };
    let stamps = [
        (parts.created, quote!(created)),
        (parts.updated, quote!(updated)),
    ]
    .into_iter()
    .filter_map(|(field, call)| {
        let json = &field?.json;
        Some(quote!(.#call(#json)))
    });
    quote! {
        fn model() -> #private::Result<::std::sync::Arc<#private::Model>> {
            static MODEL: ::std::sync::OnceLock<::std::sync::Arc<#private::Model>> =
                ::std::sync::OnceLock::new();
            if let ::core::option::Option::Some(model) = MODEL.get() {
                return ::core::result::Result::Ok(::core::clone::Clone::clone(model));
            }
            let model = #private::Model::builder(#collection)
                .unknown(#private::UnknownFields::#unknown)
                #routed
                #(#stamps)*;
            #declarations
            let model = model.build()?;
            ::core::result::Result::Ok(::core::clone::Clone::clone(MODEL.get_or_init(|| model)))
        }
    }
}

fn key(private: &Path, parts: &Parts<'_>) -> TokenStream {
    let text = |source: &Source<'_>| match source {
        Source::Field(field) => {
            let (ident, span) = (&field.ident, field.ty.span());
            quote_spanned!(span=> #private::KeyPart::key_part(&self.#ident))
        }
        Source::Function(path) => quote_spanned! {path.span()=>
            ::core::option::Option::Some(::std::borrow::Cow::Owned(
                ::std::string::String::from(#path(self)),
            ))
        },
    };
    let unset = parts.generated.map(|field| {
        let ident = &field.ident;
        quote! {
            if #private::GeneratedId::is_unset(&self.#ident) {
                return ::core::result::Result::Err(#private::unset_id());
            }
        }
    });
    let id = parts.id.as_ref().map(text);
    let key = match parts.routing.as_ref().map(text) {
        Some(routing) => quote!(#private::routed_key(#routing, #id)),
        None => quote!(#private::key(#id)),
    };
    quote! {
        fn key(&self) -> #private::Result<#private::Key> {
            #unset
            #key
        }
    }
}

/// The bodies that set, get and restore a stamp.
fn stamp(private: &Path, field: Option<&Field>, name: &TokenStream) -> [TokenStream; 3] {
    let Some(field) = field else {
        return [quote!(), quote!(::core::option::Option::None), quote!()];
    };
    let (ident, span) = (&field.ident, field.ty.span());
    [
        quote_spanned!(span=> #private::StampField::set_stamp(&mut self.#ident, #name)),
        quote_spanned!(span=> #private::StampField::stamp(&self.#ident)),
        quote_spanned!(span=> #private::StampField::restore_stamp(&mut self.#ident, before.#name);),
    ]
}

/// What the core is told of a lazy property.
fn lazy_property(private: &Path, field: &Field) -> Option<TokenStream> {
    let Role::Lazy(resolver) = &field.role else {
        return None;
    };
    let Field {
        ident, ty, json, ..
    } = field;
    let path = &resolver.path;
    let value = types::argument(ty, "Lazy").unwrap_or(ty);
    let shown = types::innermost(value);
    let resolver = if resolver.each {
        quote_spanned! {path.span()=>
            #private::Resolver::Each(|database, document| ::std::boxed::Box::pin(async move {
                let value: #value = #path(database, document).await?;
                #private::settle_one(&document.#ident, value);
                ::core::result::Result::Ok(())
            }))
        }
    } else {
        quote_spanned! {path.span()=>
            #private::Resolver::Page(|database, documents| ::std::boxed::Box::pin(async move {
                let values: ::std::vec::Vec<#value> = #path(database, documents).await?;
                let properties =
                    ::core::iter::Iterator::map(documents.iter(), |document| &document.#ident);
                #private::settle_all(#json, properties, values)
            }))
        }
    };
    Some(quote! {
        #private::LazyProperty {
            name: #json,
            is_loaded: |document| document.#ident.is_loaded(),
            resolver: #resolver,
            strip: |value| {
                use #private::{StripDocument as _, StripOther as _};
                (&#private::Probe::<#shown>::NEW).strip(value);
            },
        }
    })
}

/// Whether the field is computed.
pub(crate) fn is_lazy(field: &Field) -> bool {
    matches!(field.role, Role::Lazy(_))
}
