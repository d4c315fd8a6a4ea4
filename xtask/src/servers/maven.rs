//! Fetching files from Maven Central, by the ordinary client.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Result, child};

/// A file to fetch.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// `group:artifact:version`, with `:type` behind it where the type is not `jar`.
    pub(super) coordinates: String,
    /// The folder it goes to, below that of the whole fetch.
    pub(super) folder: String,
    /// What it is called there; its own name if this is none.
    pub(super) name: Option<&'static str>,
}

/// Fetches the items into folders below `work`, all in one run of Maven.
pub(super) fn fetch(items: &[Item], work: &Path) -> Result<()> {
    let project = project(items)?;
    fs::write(work.join("pom.xml"), project)
        .map_err(|e| format!("could not write to {}: {e}", work.display()))?;
    let mut maven = Command::new("mvn");
    maven
        // A file whose checksum is not the one that the repository names is refused.
        .args(["-q", "-B", "-C", "-Dstyle.color=never", "dependency:copy"])
        // Its messages are not part of what our own commands print.
        .stdout(std::io::stderr())
        .current_dir(work);
    if !is_installed(&maven) {
        return Err(
            "there is no Maven (`mvn`) to fetch it with: install it, by `apt-get install maven` \
             or from maven.apache.org"
                .to_owned(),
        );
    }
    if child::run(&mut maven)?.success() {
        Ok(())
    } else {
        Err("Maven could not fetch it: see its messages above".to_owned())
    }
}

pub(super) fn is_installed(command: &Command) -> bool {
    Command::new(command.get_program())
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// A project that does nothing but copy the items.
fn project(items: &[Item]) -> Result<String> {
    let mut text = "<project><modelVersion>4.0.0</modelVersion>\
         <groupId>strongroom</groupId><artifactId>servers</artifactId><version>1</version>\
         <packaging>pom</packaging><build><plugins><plugin>\
         <artifactId>maven-dependency-plugin</artifactId><configuration><artifactItems>\n"
        .to_owned();
    for item in items {
        let parts: Vec<&str> = item.coordinates.split(':').collect();
        let (group, artifact, version, kind) = match parts[..] {
            [group, artifact, version] => (group, artifact, version, "jar"),
            [group, artifact, version, kind] => (group, artifact, version, kind),
            _ => return Err(format!("`{}` names no file of Maven's", item.coordinates)),
        };
        let name = item.name.map_or_else(String::new, |name| {
            format!("<destFileName>{name}</destFileName>")
        });
        writeln!(
            text,
            "<artifactItem><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version><type>{kind}</type>\
             <outputDirectory>${{project.basedir}}/{}</outputDirectory>{name}</artifactItem>",
            item.folder,
        )
        .map_err(|e| e.to_string())?;
    }
    text.push_str("</artifactItems></configuration></plugin></plugins></build></project>\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(coordinates: &str, name: Option<&'static str>) -> Item {
        Item {
            coordinates: coordinates.to_owned(),
            folder: "to/here".to_owned(),
            name,
        }
    }

    #[test]
    fn a_project_copies_each_item_to_its_folder() {
        let text = project(&[item("g.h:a:1.2:zip", Some("archive")), item("g:b:3", None)]).unwrap();
        let items: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("<artifactItem>"))
            .collect();
        assert_eq!(
            items,
            [
                "<artifactItem><groupId>g.h</groupId><artifactId>a</artifactId>\
                 <version>1.2</version><type>zip</type>\
                 <outputDirectory>${project.basedir}/to/here</outputDirectory>\
                 <destFileName>archive</destFileName></artifactItem>",
                "<artifactItem><groupId>g</groupId><artifactId>b</artifactId>\
                 <version>3</version><type>jar</type>\
                 <outputDirectory>${project.basedir}/to/here</outputDirectory></artifactItem>",
            ]
        );
        let refused = project(&[item("g:a", None)]).unwrap_err();
        assert!(refused.contains("`g:a`"), "{refused}");
    }
}
