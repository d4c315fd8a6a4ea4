//! Which servers there are, and which of them a run needs.

use super::elasticsearch::{ELASTICSEARCH, ELASTICSEARCH_8};
use super::elasticsearch_cluster::ELASTICSEARCH_CLUSTER;
use super::mariadb::MARIADB;
use super::opensearch::{OPENSEARCH, OPENSEARCH_2};
use super::postgres::POSTGRES;
use super::recipe::Recipe;
use crate::Result;

type Recipes = &'static [&'static dyn Recipe];

/// The servers of every run of the tests that need them.
const QUICK: Recipes = &[&ELASTICSEARCH, &OPENSEARCH, &POSTGRES, &MARIADB];
/// The servers that only runs at full scale need besides.
const FULL: Recipes = &[&ELASTICSEARCH_8, &OPENSEARCH_2, &ELASTICSEARCH_CLUSTER];

/// The servers that test programs talk to, which `cargo xtask test` starts. One that no test
/// talks to yet is in `QUICK` or `FULL` alone: it would only make the run slower.
const TESTED: Recipes = &[&ELASTICSEARCH, &OPENSEARCH, &POSTGRES, &MARIADB];
/// The servers that test programs talk to besides when they run at full scale.
const TESTED_IN_FULL: Recipes = &[&ELASTICSEARCH_8, &OPENSEARCH_2, &ELASTICSEARCH_CLUSTER];

/// The servers that benchmarks run on, by the names that their scenarios have.
const MEASURED: Recipes = &[&ELASTICSEARCH, &POSTGRES, &MARIADB];

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// What every change is tested with.
    Quick,
    /// Everything.
    Full,
}

impl Scale {
    /// The scale that `--full` asks for, or its absence.
    pub(crate) fn from_flag(full: bool) -> Self {
        if full { Self::Full } else { Self::Quick }
    }
}

/// The servers that the tests need.
pub(super) fn tested(scale: Scale) -> Vec<&'static dyn Recipe> {
    of_scale(scale, TESTED, TESTED_IN_FULL)
}

/// The servers that benchmarks ask for: those whose names are in one of the arguments.
pub(super) fn measured(arguments: &[String]) -> Vec<&'static dyn Recipe> {
    let asked = |recipe: &&dyn Recipe| arguments.iter().any(|a| a.contains(recipe.name()));
    MEASURED.iter().copied().filter(asked).collect()
}

/// The servers of these names; all of the scale if there are no names.
pub(super) fn chosen(names: &[String], scale: Scale) -> Result<Vec<&'static dyn Recipe>> {
    if names.is_empty() {
        return Ok(of_scale(scale, QUICK, FULL));
    }
    let mut chosen: Vec<&'static dyn Recipe> = Vec::new();
    for name in names {
        let recipe = find(name).ok_or_else(|| {
            let known: Vec<&str> = all().map(Recipe::name).collect();
            format!(
                "there is no server `{name}`; there are {}",
                known.join(", ")
            )
        })?;
        if !chosen.iter().any(|c| c.name() == recipe.name()) {
            chosen.push(recipe);
        }
    }
    Ok(chosen)
}

/// The server of this name.
pub(super) fn find(name: &str) -> Option<&'static dyn Recipe> {
    all().find(|recipe| recipe.name() == name)
}

/// All servers there are.
pub(super) fn all() -> impl Iterator<Item = &'static dyn Recipe> {
    QUICK.iter().chain(FULL).copied()
}

fn of_scale(scale: Scale, quick: Recipes, full: Recipes) -> Vec<&'static dyn Recipe> {
    let full = match scale {
        Scale::Quick => &[],
        Scale::Full => full,
    };
    quick.iter().chain(full).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(recipes: Vec<&'static dyn Recipe>) -> Vec<&'static str> {
        recipes.into_iter().map(Recipe::name).collect()
    }

    #[test]
    fn names_choose_and_no_names_choose_the_scale() {
        let chosen = |given: &[&str], scale| {
            let given: Vec<String> = given.iter().map(|n| (*n).to_owned()).collect();
            chosen(&given, scale).map(names)
        };
        let quick = ["elasticsearch", "opensearch", "postgres", "mariadb"];
        assert_eq!(chosen(&[], Scale::Quick).unwrap(), quick);
        assert_eq!(
            chosen(&[], Scale::Full).unwrap()[4..],
            ["elasticsearch-8", "opensearch-2", "elasticsearch-cluster"]
        );
        assert_eq!(
            chosen(&["opensearch-2", "postgres", "postgres"], Scale::Quick).unwrap(),
            ["opensearch-2", "postgres"]
        );
        let refused = chosen(&["mysql"], Scale::Quick).unwrap_err();
        assert!(
            refused.contains("`mysql`") && refused.contains("mariadb"),
            "{refused}"
        );
    }

    #[test]
    fn benchmarks_run_on_the_servers_that_they_name() {
        let asked = |argument: &str| names(measured(&[argument.to_owned()]));
        assert_eq!(asked("postgres: lone load"), ["postgres"]);
        assert_eq!(asked("elasticsearch"), ["elasticsearch"]);
        assert!(asked("sqlite: lone load").is_empty());
    }

    #[test]
    fn each_server_has_its_own_name_and_variable() {
        let distinct = |of: fn(&'static dyn Recipe) -> &'static str| {
            all().map(of).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(distinct(|recipe| recipe.name()), all().count());
        assert_eq!(distinct(|recipe| recipe.variable()), all().count());
        for recipe in tested(Scale::Full) {
            assert!(find(recipe.name()).is_some());
        }
    }
}
