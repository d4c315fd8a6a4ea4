//! The table of what differs, in the guide, against what the stores tell.
#![cfg(all(
    feature = "sqlite",
    feature = "postgres",
    feature = "mariadb",
    feature = "es"
))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

use std::collections::BTreeMap;

use strongroom::store::{Capabilities, FunctionSupport, Stamping};

const GUIDE: &str = include_str!("../doc/which-engine.md");

/// The rows of the table of capabilities: what it names, and what it says of each store.
fn table() -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = GUIDE
        .lines()
        .skip_while(|line| !line.starts_with("| | memory"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        (cells.next().unwrap(), cells.collect())
    })
    .collect()
}

/// What the table should say of a store.
fn told(can: &Capabilities) -> BTreeMap<&'static str, &'static str> {
    let yes = |can| if can { "yes" } else { "no" };
    BTreeMap::from([
        ("transactions", yes(can.transactions)),
        ("savepoints", yes(can.savepoints)),
        ("atomic bulks", yes(can.atomic_bulk)),
        ("unique fields", yes(can.unique_fields)),
        ("backward pages", yes(can.backward_pages)),
        ("words of text", yes(can.text_search)),
        ("scores of words", yes(can.score)),
        ("objects of nested fields", yes(can.nested_filters)),
        (
            "functions, by name",
            match &can.functions {
                FunctionSupport::Registered(_) => "registered",
                FunctionSupport::Server => "the server's",
                _ => "no",
            },
        ),
        ("native conditions", yes(can.native_filters)),
        ("aggregations", yes(can.aggregations)),
        ("first documents of groups", yes(can.groups)),
        ("scans of one state", yes(can.scans)),
        ("writes of what matches", yes(can.matching_writes)),
        ("concurrent calls are joined", yes(can.gains_by_coalescing)),
        ("searches lag behind writes", yes(can.search_lags)),
        (
            "reads beside a transaction",
            if can.transactions {
                yes(can.reads_beside_transactions)
            } else {
                "–"
            },
        ),
        ("survives the end of the process", yes(can.durable)),
        (
            "created and updated by",
            match can.stamping {
                Stamping::Store => "the store",
                _ => "the handle",
            },
        ),
    ])
}

#[tokio::test]
async fn the_guide_tells_what_the_stores_can() {
    let server = |name: &str, scheme: &str| {
        let variable = format!("STRONGROOM_TEST_{name}_URL");
        let url = std::env::var(&variable).unwrap_or_else(|_| {
            panic!("no server to test with: run `cargo xtask test`, or set {variable}")
        });
        format!("{scheme}:{}", url.split_once(':').unwrap().1)
    };
    let folder = tempfile::tempdir().unwrap();
    let stores = [
        (0, "memory:".to_owned()),
        (
            1,
            format!("sqlite://{}", folder.path().join("a.db").display()),
        ),
        (2, server("POSTGRES", "postgres")),
        (3, server("MARIADB", "mariadb")),
        (4, server("ELASTICSEARCH", "elasticsearch")),
        (4, server("OPENSEARCH", "opensearch")),
    ];
    let table = table();
    for (column, url) in stores {
        let store = strongroom::connect(&url).await.unwrap();
        let told = told(store.capabilities());
        let written: BTreeMap<_, _> = table
            .iter()
            .map(|(row, cells)| (*row, cells[column]))
            .collect();
        assert_eq!(
            written,
            told,
            "the column of {}",
            store.capabilities().engine
        );
        store.close().await.unwrap();
    }
}
