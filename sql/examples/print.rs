#![allow(missing_docs, clippy::unwrap_used)]
use strongroom_core::model::*;
use strongroom_sql::{Dialect, MariaDb};
fn main() {
    let f = |p: &str| FieldDeclaration::new(p.parse().unwrap(), Kind::Text);
    let m = Model::builder("docs")
        .field(f("t"))
        .field(f("m").many())
        .build()
        .unwrap();
    println!("DELIMITER //");
    for p in strongroom_sql::mariadb::PREPARE {
        println!("{p}//");
    }
    for s in MariaDb.create_collection(&m) {
        println!("{s}//");
    }
}
