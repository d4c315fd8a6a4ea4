//! Every message of the derives, as the compiler prints it.
//!
//! The texts beside the cases are those of the stable toolchain; `TRYBUILD=overwrite` writes them
//! anew when the compiler words its own part of a message differently.

#[test]
fn messages_say_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
