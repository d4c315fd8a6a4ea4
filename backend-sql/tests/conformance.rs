//! The conformance suite on a real server.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_postgres::PgConnectOptions;
use strongroom_conformance::Setup;
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;
use strongroom_sqlx::PostgresStore;
use tokio::sync::OnceCell;

/// The functions that the suite asks for, for arguments of every type. Other processes may make
/// them at the same time.
const FUNCTIONS: &str = r#"
BEGIN;
SELECT pg_advisory_xact_lock(4711);
DO $make$
DECLARE
  types text[] := ARRAY['text', 'boolean', 'integer', 'bigint', 'numeric', 'double precision'];
  a text; b text; c text;
BEGIN
  -- The name of a value's type; a number without a fraction in its text is an integer.
  CREATE OR REPLACE FUNCTION suite_type(value anyelement) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
      IF value IS NULL THEN RETURN 'none'; END IF;
      IF pg_typeof(value)::text IN ('text', 'boolean') THEN RETURN pg_typeof(value); END IF;
      IF pg_typeof(value)::text IN ('integer', 'bigint') THEN RETURN 'integer'; END IF;
      IF pg_typeof(value)::text = 'numeric' AND scale(value) = 0 THEN RETURN 'integer'; END IF;
      RETURN 'float';
    END $$;
  CREATE OR REPLACE FUNCTION suite_text() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '' $$;
  CREATE OR REPLACE FUNCTION suite_fails() RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE 'it was asked to fail'; END $$;
  FOREACH a IN ARRAY types LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION suite_length(v %s) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ %s $$',
      a, CASE a WHEN 'text' THEN 'SELECT char_length(v)::bigint' ELSE 'SELECT NULL::bigint' END);
    -- The server refuses a quotient that is too small to be told from zero.
    EXECUTE format('CREATE OR REPLACE FUNCTION suite_half(v %s) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN %s END $$',
      a, CASE WHEN a IN ('text', 'boolean') THEN 'RETURN NULL;'
        ELSE 'RETURN v::double precision / 2; EXCEPTION WHEN numeric_value_out_of_range THEN RETURN 0;' END);
    EXECUTE format('CREATE OR REPLACE FUNCTION suite_fails(v %s) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE ''it was asked to fail''; END $$', a);
    EXECUTE format('CREATE OR REPLACE FUNCTION suite_same(v %s) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE ''two arguments are compared''; END $$', a);
    EXECUTE format('CREATE OR REPLACE FUNCTION suite_text(v %s) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT suite_type(v) $$', a);
    FOREACH b IN ARRAY types LOOP
      EXECUTE format('CREATE OR REPLACE FUNCTION suite_same(v %s, w %s) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT to_jsonb(v) = to_jsonb(w) $$', a, b);
      EXECUTE format('CREATE OR REPLACE FUNCTION suite_text(v %s, w %s) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT suite_type(v) || '' '' || suite_type(w) $$', a, b);
      FOREACH c IN ARRAY types LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION suite_text(v %s, w %s, x %s) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT suite_type(v) || '' '' || suite_type(w) || '' '' || suite_type(x) $$', a, b, c);
      END LOOP;
    END LOOP;
  END LOOP;
END $make$;
COMMIT;
"#;

async fn make_functions() {
    let options: PgConnectOptions = support::url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    raw_sql(FUNCTIONS).execute(&mut connection).await.unwrap();
}

struct Postgres;

impl Setup for Postgres {
    async fn store(&self) -> Arc<dyn Store> {
        static MADE: OnceCell<()> = OnceCell::const_new();
        MADE.get_or_init(make_functions).await;
        let functions = strongroom_conformance::functions();
        let options = support::options()
            .functions(functions.names().map(|name| name.as_str()))
            .unwrap();
        Arc::new(PostgresStore::connect(options).await.unwrap())
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        let path: Vec<_> = field.segments().map(|name| format!("\"{name}\"")).collect();
        let path = path.join(",").replace('\'', "''");
        let condition = format!("d.body #> '{{{path}}}' = to_jsonb(?)");
        Some(Native {
            engine: "postgresql".to_owned(),
            condition,
            values: vec![value.clone()],
        })
    }
}

strongroom_conformance::suite!(Postgres);
