//! The document of the API, held against the host that serves it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{api::NONE, host::Host};

/// Every operation: method, path, what is said of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, told) in methods.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), told.clone()));
        }
    }
    assert!(all.len() > 80, "only {}", all.len());
    all
}

/// A path that leads to nothing that is there.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "absent" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_documented_route_is_there_and_answers_as_documented() {
    let host = Host::start();
    let document = host.get("/openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/api/v1/mining");
    for (method, path, told) in operations(&document) {
        // These go on for as long as somebody listens.
        if path == "/events" || path == "/ws/events" {
            continue;
        }
        let response = host.request(&method, &filled(&path)).send().unwrap();
        let status = response.status().as_u16().to_string();
        let text = response.text().unwrap();
        let what = format!("{method} {path}: {status} {text:.200}");
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(answer["code"] != "NO_ROUTE" || path.contains("/x/"), "{what}");
        assert_ne!(answer["code"], "METHOD_NOT_ALLOWED", "{what}");
        let documented = told["responses"].as_object().unwrap();
        let is_page = path == "/docs" && status == "200";
        assert!(documented.contains_key(&status) || is_page, "{what}");
    }
}

#[test]
fn methods_that_are_not_documented_are_not_there() {
    let host = Host::start();
    let document = host.get("/openapi.json");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if methods.get(method.to_lowercase()).is_some() {
                continue;
            }
            let (status, answer) = host.call(method, &filled(path), NONE);
            let what = format!("{method} {path}: {status} {answer}");
            assert_eq!((status, &answer["code"]), (405, &json!("METHOD_NOT_ALLOWED")), "{what}");
        }
    }
}

#[test]
fn roles_are_those_of_the_document() {
    let host = Host::start();
    let document = host.get("/openapi.json");
    let token = |role: &str| {
        let made = host.ok("POST", "/tokens", &json!({ "name": role, "role": role }));
        made["token"].as_str().unwrap().to_owned()
    };
    let (view, operate) = (token("view"), token("operate"));
    let code = |method: &str, path: &str, token: Option<&str>| {
        let method: Method = method.parse().unwrap();
        let mut request = host.bare_request(&method, &filled(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer: Value = request.send().unwrap().json().unwrap_or_default();
        answer["code"].as_str().unwrap_or_default().to_owned()
    };
    for (method, path, told) in operations(&document) {
        let what = format!("{method} {path}: {}", told["x-role"]);
        let needed = told["x-role"].as_str();
        assert_eq!(code(&method, &path, None) == "NO_TOKEN", needed.is_some(), "{what}");
        if let Some(needed) = needed.filter(|it| *it != "view") {
            assert_eq!(code(&method, &path, Some(&view)), "ROLE_TOO_LOW", "{what}");
            let may = code(&method, &path, Some(&operate)) != "ROLE_TOO_LOW";
            assert_eq!(may, needed == "operate", "{what}");
        } else if needed.is_some() && !path.ends_with("events") {
            assert_ne!(code(&method, &path, Some(&view)), "ROLE_TOO_LOW", "{what}");
        }
    }
}

/// Every reference in `value` leads to something in `document`.
fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| check_references(document, it)),
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            fields.values().for_each(|it| check_references(document, it));
        }
        _ => {}
    }
}

#[test]
fn the_document_is_whole_and_its_page_needs_nothing_else() {
    let host = Host::start();
    let document = host.get("/openapi.json");
    check_references(&document, &document);
    let mut ids: Vec<Value> =
        operations(&document).into_iter().map(|(_, _, told)| told["operationId"].clone()).collect();
    let count = ids.len();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are not unique");
    let create = &document["paths"]["/miners"]["post"];
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert!(body["properties"]["config"].is_object(), "{body}");
    assert_eq!(body["additionalProperties"], false);
    assert!(document["components"]["schemas"]["MinerView"]["properties"]["phase"].is_object());

    let root = host.base.trim_end_matches("/api/v1/mining").to_owned();
    let fetch = |path: &str| {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{root}{path}")).send().unwrap()
    };
    let page = fetch("/docs");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text().unwrap();
    for link in ["/web/docs/docs.js", "/web/docs/docs.css", "/web/app.css", "/web/icon.svg"] {
        assert!(text.contains(link), "{link}");
        assert_eq!(fetch(link).status().as_u16(), 200, "{link}");
    }
    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    let open: Value = fetch("/openapi.json").json().unwrap();
    assert_eq!(open, document);
}
