//! References and lazy properties: a level is loaded at once, and nothing of it is stored.

use std::sync::atomic::Ordering;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::handle::{Ref, Resolve, Saved};

use super::{Person, Team, person, scene};
use crate::context::Context;
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};

pub(crate) async fn references_load_a_level_at_once(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let team = |name: &str| Team {
        name: name.to_owned(),
        motto: format!("we are {name}"),
    };
    scene
        .teams
        .insert_many([team("red"), team("blue")])
        .await
        .during("inserting teams")?;
    for n in 0..6 {
        let mut one = person(&format!("p{n}"));
        one.team = Some(Ref::to(if n % 2 == 0 { "red" } else { "blue" })?);
        one.friends = vec![Ref::to(format!("p{}", (n + 1) % 6))?, Ref::to("gone")?];
        scene.people.insert(one).await.during("inserting people")?;
    }
    scene.people.refresh().await.during("refreshing")?;
    let page = scene
        .people
        .find(Person::fields().region().eq("eu"))
        .limit(6)
        .page()
        .await
        .during("finding people")?;
    let page = page.into_documents();
    check_eq!(page.len(), 6, "people found");
    let before = scene.loads.load(Ordering::SeqCst);
    for one in &page {
        let team = one
            .team
            .as_ref()
            .ok_or_else(|| Failure::new("a person has no team"))?;
        check!(
            team.get().is_none(),
            "a reference is loaded that nobody resolved"
        );
        refused(
            team.require(),
            ErrorKind::Invalid,
            "demanding a reference that was not loaded",
        )?;
        check!(
            one.greeting.get().is_none(),
            "a lazy property has a value that nobody computed"
        );
    }
    check_eq!(
        scene.loads.load(Ordering::SeqCst),
        before,
        "loads after looking at references"
    );
    scene
        .people
        .resolve(&page, Resolve::all())
        .await
        .during("resolving a page")?;
    check_eq!(
        scene.loads.load(Ordering::SeqCst) - before,
        2,
        "loads of one level with references to two collections"
    );
    for (n, one) in page.iter().enumerate() {
        let motto = one
            .team
            .as_ref()
            .and_then(|team| team.get())
            .map(|team| team.motto.as_str());
        let expected = if n % 2 == 0 {
            "we are red"
        } else {
            "we are blue"
        };
        check_eq!(motto, Some(expected), "the team of {}", one.id);
        let friend = one.friends[0].require().during("a friend")?;
        check_eq!(
            friend.id,
            format!("p{}", (n + 1) % 6),
            "the friend of {}",
            one.id
        );
        check!(
            one.friends[1].is_missing(),
            "a reference to what is not there says it is"
        );
        let hello = format!("hello {}", one.id);
        check_eq!(
            one.greeting.get(),
            Some(&hello),
            "the greeting of {}",
            one.id
        );
    }
    Ok(())
}

pub(crate) async fn what_is_resolved_is_never_stored(cx: &Context) -> Outcome {
    let scene = scene(cx).await?;
    let team = Team {
        name: "red".to_owned(),
        motto: "we are red".to_owned(),
    };
    scene.teams.insert(team).await.during("inserting a team")?;
    let mut ada = person("ada");
    ada.team = Some(Ref::to("red")?);
    let mut ada = scene.people.insert(ada).await.during("inserting")?;
    let before = scene.stored("ada").await?;
    scene
        .people
        .resolve([&ada], Resolve::all())
        .await
        .during("resolving")?;
    check!(ada.greeting.is_loaded(), "the greeting was not computed");
    let saved = scene
        .people
        .save(&mut ada)
        .await
        .during("saving what was resolved")?;
    check_eq!(
        saved,
        Saved::Unchanged(ada.version()),
        "what a save of a resolved document says"
    );
    ada.logins = 1;
    scene
        .people
        .save(&mut ada)
        .await
        .during("saving a change")?;
    let mut expected = before;
    expected["logins"] = json!(1);
    check_eq!(
        scene.stored("ada").await?,
        expected,
        "what is stored of a resolved document"
    );
    Ok(())
}
