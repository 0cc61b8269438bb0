//! The running server, held to its own document by schemathesis.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::{load::LOG, stack::Stack, tables::sha256, wait};

/// Answers of every kind that the document promises, to requests right and wrong, made from it.
#[test]
fn the_server_keeps_to_its_document() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/schemathesis");
    assert!(tool.exists(), "{} is missing; .ci/setup tests installs it", tool.display());
    let stack = Stack::embedded(&["--flush-interval", "100ms"]);
    let mut client = stack.errsift.client();
    for message in ["one", "two"] {
        let event = json!({ "message": message, "service": "s", "tags": { "k": "v" } });
        assert_eq!(client.post(LOG, &event.to_string()).0, 200);
    }
    stack.settle();
    let known = sha256("s\0one");
    let (status, answer) = client.get(&format!("/errors/{known}"));
    assert_eq!(status, 200, "{answer}");

    // an example in the document, so that the answer to a known error is checked too
    let (_, document) = client.get("/openapi.json");
    let mut document: Value = serde_json::from_str(&document).expect("a document in JSON");
    document["paths"]["/errors/{fingerprint}"]["get"]["parameters"][0]["example"] = json!(known);
    // the tool writes no NDJSON, and takes 413 for no answer to too many events
    let content = &mut document["paths"]["/errors/batch"]["post"]["requestBody"]["content"];
    content.as_object_mut().expect("media types").remove("application/x-ndjson");
    content["application/json"]["schema"].as_object_mut().expect("a schema").remove("maxItems");
    let file = stack.errsift.process.dir().join("openapi.json");
    std::fs::write(&file, document.to_string()).expect("a file");

    let run = Command::new(tool)
        .arg("run")
        .arg(&file)
        .args(["--url", &stack.errsift.base_url()])
        // that `since` is before `until` cannot be said in a schema
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--max-examples", "15", "--seed", "1", "--workers", "1"])
        .args(["--generation-database", "none", "--no-color", "--warnings", "off"])
        .current_dir(stack.errsift.process.dir())
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("passed"), "{said}");
    wait::until_true("the server after it all", || client.get("/readyz").0 == 200);
}
