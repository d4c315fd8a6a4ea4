//! Fetching files from Maven Central, by the ordinary client.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

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
    /// The digest that it must have, if that is known here; otherwise it must have the one that the
    /// repository names.
    pub(super) sha256: Option<&'static str>,
}

/// Fetches the items into folders below `work`.
pub(super) fn fetch(items: Vec<Item>, work: &Path) -> Result<()> {
    let (known, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|i| i.sha256.is_some());
    // Repositories do not always name the checksum of a file: what is known here is checked here.
    run(&known, "-c", work)?;
    run(&others, "-C", work)?;
    known.iter().try_for_each(|item| check(item, work))
}

/// Fetches items in one run of Maven, which minds checksums as this flag says.
fn run(items: &[Item], checksums: &str, work: &Path) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let project = project(items)?;
    fs::write(work.join("pom.xml"), project)
        .map_err(|e| format!("could not write to {}: {e}", work.display()))?;
    let mut maven = Command::new("mvn");
    maven
        .args([
            "-q",
            "-B",
            checksums,
            "-Dstyle.color=never",
            "dependency:copy",
        ])
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

/// Refuses an item that has another digest than it must have.
fn check(item: &Item, work: &Path) -> Result<()> {
    let (Some(name), Some(wanted)) = (item.name, item.sha256) else {
        return Err(format!(
            "`{}` has no name to be checked by",
            item.coordinates
        ));
    };
    let path = work.join(&item.folder).join(name);
    let found = digest(&path).map_err(|e| format!("could not read {}: {e}", path.display()))?;
    if found == wanted {
        return Ok(());
    }
    Err(format!(
        "what was fetched as {} is not what it should be: its SHA-256 is {found}, not {wanted}. If \
         Maven's own cache holds a broken copy, remove it there",
        item.coordinates
    ))
}

/// The SHA-256 of a file, in hexadecimal digits.
fn digest(path: &Path) -> std::io::Result<String> {
    let (mut file, mut digest) = (fs::File::open(path)?, Sha256::new());
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            length => digest.update(piece.get(..length).unwrap_or_default()),
        }
    }
    let bytes = digest.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
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
            sha256: None,
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

    #[test]
    fn a_file_with_another_digest_is_refused() {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir_all(work.path().join("to/here")).unwrap();
        fs::write(work.path().join("to/here/archive"), "abc").unwrap();
        let mut item = item("g:a:1", Some("archive"));
        item.sha256 = Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(check(&item, work.path()), Ok(()));
        fs::write(work.path().join("to/here/archive"), "abd").unwrap();
        let refused = check(&item, work.path()).unwrap_err();
        assert!(
            refused.contains("g:a:1") && refused.contains("SHA-256"),
            "{refused}"
        );
    }
}
