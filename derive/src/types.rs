//! What can be told of a type by its name alone.
//!
//! The kind of a field comes from the `FieldType` trait, which no alias can fool. Names are only
//! looked at where the user has said the kind, and there is no trait to ask.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

/// The type with the struct's name for `Self`, so that it means the same outside the struct.
pub(crate) fn without_self(ty: &Type, name: &Ident) -> Type {
    fn named(tokens: TokenStream, name: &Ident) -> TokenStream {
        tokens
            .into_iter()
            .map(|token| match token {
                TokenTree::Ident(ident) if ident == "Self" => {
                    TokenTree::Ident(Ident::new(&name.to_string(), ident.span()))
                }
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), named(group.stream(), name));
                    inner.set_span(group.span());
                    TokenTree::Group(inner)
                }
                other => other,
            })
            .collect()
    }
    syn::parse2(named(ty.to_token_stream(), name)).unwrap_or_else(|_| ty.clone())
}

/// The name of the last segment of a type's path.
pub(crate) fn name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
        Type::Group(group) => name(&group.elem),
        Type::Paren(paren) => name(&paren.elem),
        _ => None,
    }
}

/// The first type argument of a type of this name: `T` of `Option<T>`.
pub(crate) fn argument<'a>(ty: &'a Type, of: &str) -> Option<&'a Type> {
    let path = match ty {
        Type::Path(path) => path,
        Type::Group(group) => return argument(&group.elem, of),
        Type::Paren(paren) => return argument(&paren.elem, of),
        _ => return None,
    };
    let segment = path.path.segments.last().filter(|s| s.ident == of)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The type without `Option` and `Box` around it.
pub(crate) fn without_option(ty: &Type) -> &Type {
    argument(ty, "Option")
        .or_else(|| argument(ty, "Box"))
        .map_or(ty, without_option)
}

/// The element of an array-like type, if the type looks like one.
pub(crate) fn element(ty: &Type) -> Option<&Type> {
    match without_option(ty) {
        Type::Array(array) => Some(&array.elem),
        Type::Slice(slice) => Some(&slice.elem),
        ty => ["Vec", "VecDeque", "HashSet", "BTreeSet", "IndexSet"]
            .iter()
            .find_map(|of| argument(ty, of)),
    }
}

/// The innermost type, under every `Option`, `Box` and array.
pub(crate) fn innermost(ty: &Type) -> &Type {
    let ty = without_option(ty);
    element(ty).map_or(ty, innermost)
}

/// Whether the type looks like bytes: `Vec<u8>` and the like.
pub(crate) fn is_bytes(ty: &Type) -> bool {
    element(ty).and_then(name).as_deref() == Some("u8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_through_wrappers() {
        let shown = |ty: &Type| ty.to_token_stream().to_string().replace(' ', "");
        let ty: Type = syn::parse_quote!(Option<std::vec::Vec<Option<String>>>);
        assert_eq!(shown(without_option(&ty)), "std::vec::Vec<Option<String>>");
        assert_eq!(element(&ty).map(shown).as_deref(), Some("Option<String>"));
        assert_eq!(shown(innermost(&ty)), "String");
        let named = without_self(
            &syn::parse_quote!([Vec<(Self, Selfish)>; 2]),
            &syn::parse_quote!(User),
        );
        assert_eq!(shown(&named), "[Vec<(User,Selfish)>;2]");
        assert!(is_bytes(&syn::parse_quote!(Option<Vec<u8>>)));
        assert!(is_bytes(&syn::parse_quote!([u8; 4])));
        assert!(!is_bytes(&syn::parse_quote!(Vec<u16>)));
        assert!(element(&syn::parse_quote!(HashMap<String, u8>)).is_none());
    }
}
