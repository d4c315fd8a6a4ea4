//! Fields that the key of a document is made of.

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{DocumentId, Routing};

/// A type that holds an id or a routing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds neither an id nor a routing",
    note = "ids and routings are text, `Uuid` or whole numbers; for another type compute them with `#[document(id = path::to::function)]` or `#[document(routing = path::to::function)]` on the struct"
)]
pub trait KeyPart {
    /// The text of the id or routing, or `None` if there is none.
    fn key_part(&self) -> Option<Cow<'_, str>>;
}

macro_rules! text {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyPart for $t {
            fn key_part(&self) -> Option<Cow<'_, str>> {
                Some(Cow::Borrowed(self.as_ref()))
            }
        }
    )*};
}
text!(String, Box<str>, Arc<str>);

macro_rules! validated {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyPart for $t {
            fn key_part(&self) -> Option<Cow<'_, str>> {
                Some(Cow::Borrowed(self.as_str()))
            }
        }
    )*};
}
validated!(DocumentId, Routing);

macro_rules! printed {
    ($($t:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyPart for $t {
            fn key_part(&self) -> Option<Cow<'_, str>> {
                Some(Cow::Owned(self.to_string()))
            }
        }
    )*};
}
printed!(Uuid, i8, i16, i32, i64, u8, u16, u32, u64, isize, usize);

#[diagnostic::do_not_recommend]
impl<P: KeyPart> KeyPart for Option<P> {
    fn key_part(&self) -> Option<Cow<'_, str>> {
        self.as_ref().and_then(P::key_part)
    }
}

/// A type that holds a generated id, and can tell that it holds none yet.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold a generated id",
    note = "generated ids are held by `String`, `Uuid`, and `Option` of these"
)]
pub trait GeneratedId: KeyPart {
    /// Whether no id was drawn yet: empty text, the nil UUID, `None`.
    fn is_unset(&self) -> bool;

    /// Takes the text of a new id. A `Uuid` does not take text that is no UUID and stays unset.
    fn assign(&mut self, id: String);
}

#[diagnostic::do_not_recommend]
impl GeneratedId for String {
    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn assign(&mut self, id: String) {
        *self = id;
    }
}

#[diagnostic::do_not_recommend]
impl GeneratedId for Uuid {
    fn is_unset(&self) -> bool {
        self.is_nil()
    }

    fn assign(&mut self, id: String) {
        if let Ok(id) = id.parse() {
            *self = id;
        }
    }
}

#[diagnostic::do_not_recommend]
impl<G: GeneratedId + Default> GeneratedId for Option<G> {
    fn is_unset(&self) -> bool {
        self.as_ref().is_none_or(G::is_unset)
    }

    fn assign(&mut self, id: String) {
        let mut drawn = G::default();
        drawn.assign(id);
        *self = Some(drawn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_until_assigned() {
        fn check<G: GeneratedId>(mut unset: G) {
            assert!(unset.is_unset());
            let id = Uuid::from_u128(7).to_string();
            unset.assign(id.clone());
            assert!(!unset.is_unset());
            assert_eq!(unset.key_part().as_deref(), Some(&*id));
        }
        check(String::new());
        check(Uuid::nil());
        check(None::<String>);
        check(Some(String::new()));
        check(None::<Uuid>);
        let mut uuid = Uuid::nil();
        uuid.assign("not a uuid".to_owned());
        assert!(uuid.is_unset());
    }
}
