//! The cases, one family a file, and the one list of them.

mod writes;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::failure::Outcome;

/// One case.
pub(crate) struct Case {
    /// Its name, `family::case`.
    pub(crate) name: &'static str,
    /// Runs it.
    pub(crate) run: fn(Arc<Context>) -> BoxFuture<'static, Outcome>,
}

/// Hands the list of all cases to another macro of this crate. A case that is written and not
/// listed here is dead code, which the compiler tells.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_cases {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! {
            $($arguments)*
            writes {
                put_absent_any put_absent_absent put_absent_present put_absent_exactly
                put_deleted_exactly
                put_at_any put_at_absent put_at_present put_at_exactly put_at_stale
                put_at_predecessor
                patch_absent_any patch_absent_absent patch_absent_present patch_absent_exactly
                patch_deleted_exactly
                patch_at_any patch_at_absent patch_at_present patch_at_exactly patch_at_stale
                patch_at_predecessor
                delete_absent_any delete_absent_absent delete_absent_present
                delete_absent_exactly delete_deleted_exactly
                delete_at_any delete_at_absent delete_at_present delete_at_exactly
                delete_at_stale delete_at_predecessor
                check_absent_any check_absent_absent check_absent_present check_absent_exactly
                check_deleted_exactly
                check_at_any check_at_absent check_at_present check_at_exactly check_at_stale
                check_at_predecessor
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __all_cases {
    ($($family:ident { $($case:ident)* })*) => {
        /// Every case.
        pub(crate) static ALL: &[Case] = &[$($(
            Case {
                name: concat!(stringify!($family), "::", stringify!($case)),
                run: |context| Box::pin(async move { $family::$case(&context).await }),
            },
        )*)*];
    };
}

__with_cases! { __all_cases }
