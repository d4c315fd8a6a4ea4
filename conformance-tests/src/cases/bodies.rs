//! Bodies come back as the JSON values that they were.

use serde_json::{Value, json};
use strongroom_core::model::{Body, Expected, MAX_DEPTH};
use strongroom_core::store::Write;

use crate::context::Context;
use crate::docs::{Docs, key, text_of, version_of};
use crate::failure::{During, Outcome, check, check_eq};

/// Stores the text of a body and checks what comes back, alone and out of a bulk.
async fn survives(docs: &Docs, id: &str, text: String) -> Outcome {
    let body = Body::parse(text).during("parsing the body")?;
    let at = key(id)?;
    let receipt = docs
        .save(Write::put(at.clone(), body.clone(), Expected::Any))
        .await
        .during("putting it")?;
    let found = docs.present(&at).await?;
    check_eq!(Some(found.version), receipt.version, "the version");
    check!(
        found.body.same_value(&body),
        "it came back as another value: {}",
        cut(&text_of(&found))
    );
    let reply = docs
        .bulk(vec![
            Write::put(at.clone(), body.clone(), found.version).into(),
        ])
        .await
        .during("a bulk")?;
    for outcome in reply.outcomes {
        version_of(&outcome.during("putting it in a bulk")?, "the bulk")?;
    }
    let found = docs.present(&at).await?;
    check!(
        found.body.same_value(&body),
        "it came back from a bulk as another value: {}",
        cut(&text_of(&found))
    );
    Ok(())
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

async fn all_survive(cx: &Context, bodies: Vec<String>) -> Outcome {
    let docs = cx.docs().await?;
    for (n, body) in bodies.into_iter().enumerate() {
        let told = cut(&body);
        survives(&docs, &format!("b{n}"), body)
            .await
            .during(format_args!("the body {told}"))?;
    }
    Ok(())
}

pub(crate) async fn text_of_any_script(cx: &Context) -> Outcome {
    let texts = [
        "",
        " ",
        "\0",
        "a\0b",
        "\u{1}\u{1f}\u{7f}\u{80}",
        "\u{feff}",
        "\u{fffe}\u{ffff}",
        "\u{10ffff}",
        "ä a\u{308} Å \u{212b}",
        "🦀👩\u{200d}👩\u{200d}👧",
        "\u{202e}rtl",
        "日本語",
        "'",
        "''",
        "\"",
        "\\",
        "\\\\u0000",
        "\\\"",
        "</script>",
        "\u{2028}\u{2029}",
        "\r\n\t",
        "%s %d {} {0} $1 :x @y ?",
    ];
    let mut bodies = Vec::new();
    for text in texts {
        bodies.push(
            json!({"v": text, "k": text, text: 1, "o": {"k": text, text: {text: text}}})
                .to_string(),
        );
    }
    bodies.push(json!({"all": texts}).to_string());
    // One text in two spellings, and white space, are the same value.
    bodies.push(r#"  { "v" : "\u00e4\ud83e\udd80\/" , "k":"\u0061" } "#.to_owned());
    all_survive(cx, bodies).await
}

pub(crate) async fn numbers_at_their_edges(cx: &Context) -> Outcome {
    let numbers = [
        "0",
        "-0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "4294967296",
        "0.1",
        "-0.1",
        "1.0",
        "0.30000000000000004",
        "1e15",
        "1e16",
        "1e21",
        "1e22",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "5e-324",
        "2.2250738585072014e-308",
        "123456789.123456789",
        "1E+2",
        "1e-7",
        "3.141592653589793",
        "0.0",
        "100.0",
        "1.5e3",
    ];
    let mut bodies = Vec::new();
    for number in numbers {
        bodies.push(format!(
            r#"{{"v":{number},"list":[{number},[{number}]],"x":{number}}}"#
        ));
    }
    for integer in [
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "0",
    ] {
        bodies.push(format!(r#"{{"n":{integer},"o":{{"n":{integer}}},"at":0}}"#));
    }
    all_survive(cx, bodies).await
}

pub(crate) async fn shapes(cx: &Context) -> Outcome {
    let nested = |depth: usize| {
        format!(
            r#"{{"a":{}1{}}}"#,
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let wide: Value = (0..2_000)
        .map(|n| (format!("field {n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let bodies = vec![
        "{}".to_owned(),
        r#"{"":""}"#.to_owned(),
        r#"{"a":null,"b":[],"c":{},"d":[[],[[]],{}],"e":[null,null]}"#.to_owned(),
        r#"{"a.b":1,"a":{"b":2},"a..b":3,".":4,"$":5,"[0]":6,"*":7,"a\"b":8,"a\\b":9}"#.to_owned(),
        r#"{"id":1,"_id":2,"version":3,"_version":4,"body":5,"write_id":6,"routing":7,"__proto__":8}"#
            .to_owned(),
        r#"{"strongroom":{"version":1}}"#.to_owned(),
        r#"{"mixed":[1,"1",true,null,1.0,{"a":1},[1]]}"#.to_owned(),
        nested(MAX_DEPTH),
        objects(MAX_DEPTH),
        wide.to_string(),
        json!({"long": "ä".repeat(500_000)}).to_string(),
        json!({"k": "k".repeat(1_024), "tags": vec!["t"; 1_000]}).to_string(),
    ];
    all_survive(cx, bodies).await
}
