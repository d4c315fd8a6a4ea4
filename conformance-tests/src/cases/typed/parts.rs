//! What was not loaded, or is not known to the type, is not lost by a save.

use serde_json::json;
use strongroom_core::ErrorKind;

use super::{found, scene};
use crate::context::Context;
use crate::failure::{During, Outcome, check_eq, refused};

pub(crate) async fn unknown_fields_survive(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let body = json!({
        "id": "ada", "region": "eu", "logins": 1, "friends": [],
        "later": {"deep": [1, null, "ä"]}, "it's new": true,
    });
    scene.store("ada", &body).await?;
    let mut ada = found(scene.people.get("ada").await, "loading")?;
    ada.logins = 2;
    scene.people.save(&mut ada).await.during("saving")?;
    scene
        .people
        .update("ada", |ada| ada.logins += 1)
        .await
        .during("updating")?;
    let stored = scene.stored("ada").await?;
    check_eq!(stored["logins"], json!(3), "the field that was changed");
    for field in ["later", "it's new", "region"] {
        check_eq!(
            stored[field],
            body[field],
            "the field {field:?}, which was not changed"
        );
    }
    Ok(())
}

pub(crate) async fn a_partial_load_cannot_clobber(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let body = json!({
        "id": "ada", "region": "eu", "logins": 3, "friends": ["bob"], "later": [1],
        "created_at": null, "team": null,
    });
    scene.store("ada", &body).await?;
    let partly = scene.people.select(["region"]);
    let mut ada = found(partly.get("ada").await, "loading a part")?;
    check_eq!(ada.region.as_deref(), Some("eu"), "the selected field");
    check_eq!(ada.logins, 0, "a field that was not selected");
    ada.region = Some("us".to_owned());
    partly.save(&mut ada).await.during("saving a part")?;
    let mut expected = body.clone();
    expected["region"] = json!("us");
    check_eq!(
        scene.stored("ada").await?,
        expected,
        "the document after a part of it was saved"
    );

    let mut ada = found(partly.get("ada").await, "loading a part")?;
    ada.logins = 99;
    refused(
        partly.save(&mut ada).await,
        ErrorKind::Invalid,
        "saving a change of a field that was not loaded",
    )?;
    let mut stale = found(partly.get("ada").await, "loading a part")?;
    scene
        .people
        .update("ada", |ada| ada.logins += 1)
        .await
        .during("updating")?;
    stale.region = Some("de".to_owned());
    refused(
        partly.save(&mut stale).await,
        ErrorKind::Conflict,
        "saving a part of a document that changed elsewhere",
    )?;
    expected["logins"] = json!(4);
    check_eq!(
        scene.stored("ada").await?,
        expected,
        "the document after refusals"
    );
    Ok(())
}
