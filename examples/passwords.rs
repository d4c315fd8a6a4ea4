//! Functions of your own in what is written and in filters: passwords that are kept as hashes.
//!
//! `make_password` makes the hash while a document is written, so that no code that saves a user
//! can forget it; `check_password` is asked in a filter, so that hashes never leave the store.
//! `cargo run --example passwords` shows both, on SQLite in memory.

#![allow(clippy::print_stdout, reason = "an example tells what it did")]

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use serde::{Deserialize, Serialize};
use strongroom::Result;
use strongroom::model::Scalar;
use strongroom::prelude::*;
use strongroom::query::{Call, Functions};
use strongroom::sqlite::{SqliteOptions, SqliteStore};

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "accounts")]
struct Account {
    #[document(id)]
    name: String,
    /// Keyword, because functions take fields whose values are compared.
    #[document(keyword, secret)]
    password: Option<String>,
    logins: u64,
}

/// `make_password(text)` and `check_password(text, hash)`.
fn password_functions() -> Result<Functions> {
    Functions::new()
        .with("make_password", |arguments| match arguments {
            [Some(Scalar::Text(password))] => {
                let hash = Argon2::default()
                    .hash_password(password.as_bytes())
                    .map_err(|e| Error::invalid(e.to_string()))?;
                Ok(Some(Scalar::from(hash.to_string())))
            }
            _ => Err(Error::invalid("it takes one text")),
        })?
        .with("check_password", |arguments| match arguments {
            [Some(Scalar::Text(password)), Some(Scalar::Text(hash))] => {
                let hash = PasswordHash::new(hash).map_err(|e| Error::invalid(e.to_string()))?;
                let checked = Argon2::default().verify_password(password.as_bytes(), &hash);
                Ok(Some(Scalar::from(checked.is_ok())))
            }
            // Who has no password never gives the right one.
            [Some(Scalar::Text(_)), None] => Ok(Some(Scalar::from(false))),
            _ => Err(Error::invalid("it takes a text and a hash")),
        })
}

/// A handle whose next write sets the password.
fn with_password(accounts: &Collection<Account>, password: &str) -> Result<Collection<Account>> {
    let call = Call::new("make_password")?.value(password);
    Ok(accounts.with_computed(Account::fields().password(), call))
}

/// The account, if the password is right.
async fn log_in(
    accounts: &Collection<Account>,
    name: &str,
    password: &str,
) -> Result<Option<Versioned<Account>>> {
    let f = Account::fields();
    let right = Call::new("check_password")?
        .value(password)
        .of_field(f.password());
    let named = f.name().eq(name);
    accounts.find(named.and(right.is_true())).one().await
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = SqliteOptions::memory().functions(password_functions()?);
    let db = Database::new(Arc::new(SqliteStore::open(options).await?));
    let accounts = db.collection::<Account>();
    accounts.ensure().await?;

    let ada = Account {
        name: "ada".to_owned(),
        password: None,
        logins: 0,
    };
    let ada = with_password(&accounts, "hunter2")?.insert(ada).await?;
    let stored = ada.password.as_deref().unwrap_or_default();
    println!(
        "ada's password is kept as {}…",
        stored.get(..32).unwrap_or(stored)
    );

    for password in ["hunter1", "hunter2"] {
        match log_in(&accounts, "ada", password).await? {
            Some(account) => println!("{password}: welcome, {}", account.name),
            None => println!("{password}: wrong name or password"),
        }
    }

    // A new password without loading the account, under the version that the form was made for.
    let patch = Patch::new();
    with_password(&accounts, "correct horse")?
        .patch("ada", patch, ada.version())
        .await?;
    let old = log_in(&accounts, "ada", "hunter2").await?;
    let new = log_in(&accounts, "ada", "correct horse").await?;
    println!(
        "after the change: old password {}, new one {}",
        if old.is_some() {
            "still works"
        } else {
            "refused"
        },
        if new.is_some() { "works" } else { "refused" },
    );
    assert!(old.is_none() && new.is_some(), "the password was changed");
    Ok(())
}
