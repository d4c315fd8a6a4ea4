//! From a URL to a store that keeps documents.
#![cfg(all(feature = "derive", feature = "sqlite"))]

use serde::{Deserialize, Serialize};
use strongroom::prelude::*;
use strongroom::{Operation, Result};

#[derive(Document, Serialize, Deserialize, Debug)]
#[document(collection = "users")]
struct User {
    #[document(id)]
    name: String,
    logins: u64,
}

#[tokio::test]
async fn urls_of_each_kind() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app one.db");
    let file = format!("sqlite://{}", path.display());
    let encoded = file.replace(' ', "%20") + "?synchronous=normal&scans=3&create=true";
    for (url, engine) in [
        ("memory:", "memory"),
        ("sqlite::memory:", "sqlite"),
        (file.as_str(), "sqlite"),
        (encoded.as_str(), "sqlite"),
    ] {
        let db = strongroom::connect(url).await?;
        assert_eq!(db.capabilities().engine, engine);
        db.ready(std::time::Duration::from_secs(5)).await?;
        let users = db.collection::<User>();
        users.ensure().await?;
        let user = User {
            name: "ada".into(),
            logins: 0,
        };
        users.save_with(user, Expected::Any).await?;
        let ada = users.update("ada", |user| user.logins += 1).await?;
        assert_eq!(ada.logins, 1);
        db.close().await?;
        let error = users.get("ada").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{url}");
    }
    let db = strongroom::connect(&file).await?;
    assert!(path.exists());
    let ada = db.collection::<User>().get("ada").await?.unwrap();
    assert_eq!(ada.version().revision(), Some(4), "both URLs are one file");
    Ok(())
}

#[tokio::test]
async fn urls_that_name_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, however long it goes on".repeat(200),
    )
    .unwrap();
    let text = format!("sqlite://{}", text.display());
    let nowhere = format!(
        "sqlite://{}",
        folder.path().join("no/such/folder/x.db").display()
    );
    let absent = format!(
        "sqlite://{}?create=false",
        folder.path().join("absent.db").display()
    );
    for (url, named) in [
        ("app.db", "known are memory:, sqlite: (feature `sqlite`)"),
        ("", "known are"),
        ("mongodb://user:secret@host", "\"mongodb\""),
        ("memory:x", "memory:"),
        ("sqlite:app.db", "sqlite://path"),
        ("sqlite://x?colour=red", "\"colour\""),
        (&text, "text.db"),
        (&nowhere, "x.db"),
        (&absent, "absent.db"),
    ] {
        let error = strongroom::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
        assert_eq!(error.operation(), Some(Operation::Connect));
        assert!(error.message().contains(named), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
