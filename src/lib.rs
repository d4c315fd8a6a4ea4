//! The facade.

#[doc(hidden)]
pub use strongroom_core::__private;
pub use strongroom_core::handle::Document;
#[cfg(feature = "derive")]
pub use strongroom_derive::{Document, Object};
