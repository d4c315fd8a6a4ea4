//! The macro that makes a `#[test]` of each case.

/// The names of all cases, as `family::case`.
pub fn case_names() -> impl Iterator<Item = &'static str> {
    crate::cases::ALL.iter().map(|case| case.name)
}

/// Makes a `#[test]` of each case in each form of a store: `bare::writes::put_absent_any` and so
/// on.
///
/// The argument is an expression that makes the [`Setup`](crate::Setup); it is evaluated once for
/// each case.
///
/// An adapter whose engine is slow can leave the form `dynamic` out, which differs from `bare` by a
/// pointer: `suite!(setup, bare layered)`.
#[macro_export]
macro_rules! suite {
    ($setup:expr, bare layered $(,)?) => {
        /// The cases on the store itself.
        mod bare {
            #[allow(unused_imports)]
            use super::*;
            $crate::__with_cases! { __tests ($setup) (Bare) }
        }
        /// The cases on the store under all layers.
        mod layered {
            #[allow(unused_imports)]
            use super::*;
            $crate::__with_cases! { __tests ($setup) (Layered) }
        }
    };
    ($setup:expr $(,)?) => {
        $crate::suite! { $setup, bare layered }
        /// The cases on the store behind `Arc<dyn Store>`, used as a store.
        mod dynamic {
            #[allow(unused_imports)]
            use super::*;
            $crate::__with_cases! { __tests ($setup) (Dynamic) }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (($setup:expr) ($form:ident) $($family:ident { $($case:ident)* })*) => {$(
        mod $family {
            #[allow(unused_imports)]
            use super::*;
            $crate::__family_tests! { ($setup) ($form) $family $($case)* }
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __family_tests {
    ($setup:tt $form:tt $family:ident $($case:ident)*) => {$(
        $crate::__test! { $setup $form $family $case }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    (($setup:expr) ($form:ident) $family:ident $case:ident) => {
        #[test]
        fn $case() {
            $crate::check(
                $setup,
                $crate::Form::$form,
                concat!(stringify!($family), "::", stringify!($case)),
            );
        }
    };
}
