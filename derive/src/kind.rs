//! The kinds that a field can be given by an attribute.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{LitInt, Path, Type};

use crate::types;

/// A kind given by `#[document(…)]`.
#[derive(Clone)]
pub(crate) enum GivenKind {
    Keyword,
    Text,
    Boolean,
    Integer,
    Float,
    ScaledFloat(LitInt),
    Timestamp,
    Bytes,
    Object,
    OpenObject,
    Nested,
    Unmapped,
}

impl GivenKind {
    /// The kind of this name, without its argument.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "keyword" => Self::Keyword,
            "text" => Self::Text,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "timestamp" => Self::Timestamp,
            "bytes" => Self::Bytes,
            "object" => Self::Object,
            "nested" => Self::Nested,
            "unmapped" => Self::Unmapped,
            _ => return None,
        })
    }

    /// The attribute that gives the kind.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::ScaledFloat(_) => "scaled_float",
            Self::Timestamp => "timestamp",
            Self::Bytes => "bytes",
            Self::Object => "object",
            Self::OpenObject => "object(open)",
            Self::Nested => "nested",
            Self::Unmapped => "unmapped",
        }
    }

    /// Whether values of the kind are compared, indexed and kept unique.
    pub(crate) fn is_comparable(&self) -> bool {
        matches!(
            self,
            Self::Keyword
                | Self::Boolean
                | Self::Integer
                | Self::Float
                | Self::ScaledFloat(_)
                | Self::Timestamp
        )
    }

    /// The marker and the value of the kind, in the paths of the user's crate.
    pub(crate) fn tokens(&self, private: &Path) -> (TokenStream, TokenStream) {
        let (marker, value) = match self {
            Self::Keyword => (quote!(Keyword), quote!(Keyword)),
            Self::Text => (quote!(Text), quote!(Text)),
            Self::Boolean => (quote!(Boolean), quote!(Boolean)),
            Self::Integer => (quote!(Integer), quote!(Integer)),
            Self::Float => (quote!(Float), quote!(Float)),
            Self::ScaledFloat(factor) => (quote!(Float), quote!(ScaledFloat { factor: #factor })),
            Self::Timestamp => (quote!(Timestamp), quote!(Timestamp)),
            Self::Bytes => (quote!(Bytes), quote!(Bytes)),
            Self::Object | Self::OpenObject => (quote!(Object), quote!(Object)),
            Self::Nested => (quote!(Nested), quote!(Nested)),
            Self::Unmapped => (quote!(Unmapped), quote!()),
        };
        (
            quote!(#private::kinds::#marker),
            quote!(#private::Kind::#value),
        )
    }

    /// Why a field of this type cannot have the kind, where the type's name tells.
    pub(crate) fn refuses(&self, ty: &Type) -> Option<String> {
        let inner = types::innermost(ty);
        let name = types::name(inner)?;
        let holds = match name.as_str() {
            "String" | "str" | "char" => "text",
            "bool" => "`true` or `false`",
            "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => {
                "a whole number"
            }
            "f32" | "f64" => "a number",
            _ => return None,
        };
        let fits = match self {
            Self::Keyword | Self::Text => holds == "text",
            Self::Boolean => holds == "`true` or `false`",
            Self::Integer | Self::Timestamp => holds == "a whole number",
            Self::Float | Self::ScaledFloat(_) => holds.ends_with("number"),
            Self::Bytes => holds == "text" || types::is_bytes(ty),
            Self::Object | Self::OpenObject | Self::Nested => false,
            Self::Unmapped => true,
        };
        (!fits).then(|| {
            format!(
                "a `{name}` holds {holds} and cannot be `{}`: leave the kind away to have the one of the type",
                self.as_str()
            )
        })
    }
}
