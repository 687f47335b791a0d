//! The driver's own REST routes, below `/drivers/sim/x`: an example of what a driver can offer.
//!
//! - `GET /hello?name=…` greets.
//! - `GET /notes` lists, and `GET PUT DELETE /notes/KEY` keep, texts in the driver's storage.
//! - `POST /tell?kind=…` tells an event, with the JSON object in the body as its data.
//! - `POST /send?to=PEER` sends the body to this driver on a peer and returns its answer.

use adit_plugin_api::{Error, Host, HttpRequest, HttpResponse, PeerId, Result, Value, json};

/// Notes share the driver's storage with whatever else it may keep one day.
const NOTES: &str = "note/";

/// Answers `request`.
///
/// # Errors
/// When there is no such route, or the host refuses what the route needs.
pub(crate) fn answer(host: &Host, request: &HttpRequest) -> Result<HttpResponse> {
    let path = request.path.as_str();
    match (request.method.as_str(), path.strip_prefix("/notes/")) {
        ("GET", None) if path == "/hello" => hello(request),
        ("GET", None) if path == "/notes" => {
            let keys = host.keys(NOTES)?;
            let names = keys.iter().filter_map(|key| key.strip_prefix(NOTES)).map(Value::from);
            Ok(HttpResponse::json(&json!({ "notes": names.collect::<Vec<_>>() })))
        }
        ("POST", None) if path == "/tell" => {
            let kind = parameter(request, "kind").unwrap_or("told");
            let text = String::from_utf8_lossy(&request.body);
            let data: Value = text.parse().map_err(|_| Error::invalid("the body: write JSON"))?;
            host.event(kind, &data)?;
            Ok(HttpResponse::json(&json!({ "told": kind })))
        }
        ("POST", None) if path == "/send" => {
            let to = parameter(request, "to").ok_or_else(|| Error::invalid("to: name a peer"))?;
            let answer = host.send(&PeerId(to.to_owned()), &request.body)?;
            Ok(text(200, answer))
        }
        ("GET", Some(key)) if !key.is_empty() => Ok(match host.get(&note(key))? {
            Some(note) => text(200, note),
            None => refusal(404, "there is no such note"),
        }),
        ("PUT", Some(key)) if !key.is_empty() => {
            host.put(&note(key), &request.body)?;
            Ok(HttpResponse::json(&json!({ "stored": key })))
        }
        ("DELETE", Some(key)) if !key.is_empty() => {
            host.remove(&note(key))?;
            Ok(HttpResponse::json(&json!({ "removed": key })))
        }
        (_, None) if ["/hello", "/notes", "/tell", "/send"].contains(&path) => {
            Ok(refusal(405, "this route has another method"))
        }
        (_, Some(_)) => Ok(refusal(405, "a note takes GET, PUT and DELETE")),
        _ => Ok(refusal(404, "there are /hello, /notes, /notes/KEY, /tell and /send")),
    }
}

fn hello(request: &HttpRequest) -> Result<HttpResponse> {
    let name = parameter(request, "name").unwrap_or("miner");
    if name.chars().count() > 100 {
        return Err(Error::invalid("name: write at most 100 characters"));
    }
    Ok(HttpResponse::json(&json!({ "hello": name, "from": "sim" })))
}

fn parameter<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn note(key: &str) -> String {
    format!("{NOTES}{key}")
}

fn text(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse { status, content_type: "application/octet-stream".to_owned(), body }
}

fn refusal(status: u16, error: &str) -> HttpResponse {
    HttpResponse { status, ..HttpResponse::json(&json!({ "error": error })) }
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::testing;

    use super::*;

    fn ask(host: &Host, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = HttpRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        };
        let response = answer(host, &request)?;
        Ok((response.status, String::from_utf8(response.body).unwrap()))
    }

    #[test]
    fn it_greets() {
        let host = testing::host().handle();
        let (status, body) = ask(&host, "GET", "/hello?name=Ada", "").unwrap();
        assert_eq!((status, body.as_str()), (200, r#"{"from":"sim","hello":"Ada"}"#));
        assert_eq!(ask(&host, "POST", "/hello", "").unwrap().0, 405);
        for path in ["/", "/hello/", "/../hello", "", "/notesx"] {
            assert_eq!(ask(&host, "GET", path, "").unwrap().0, 404, "{path}");
        }
        assert!(ask(&host, "GET", &format!("/hello?name={}", "x".repeat(101)), "").is_err());
    }

    #[test]
    fn notes_are_kept_listed_and_removed() {
        let host = testing::host();
        let ask = |method, path, body| ask(&host.handle(), method, path, body);
        assert_eq!(ask("GET", "/notes/a", "").unwrap().0, 404);
        assert_eq!(ask("PUT", "/notes/a", "text").unwrap().0, 200);
        assert_eq!(host.stored("note/a").as_deref(), Some(b"text".as_slice()));
        assert_eq!(ask("GET", "/notes/a", "").unwrap(), (200, "text".to_owned()));
        assert_eq!(ask("GET", "/notes", "").unwrap().1, r#"{"notes":["a"]}"#);
        assert_eq!(ask("DELETE", "/notes/a", "").unwrap().0, 200);
        assert_eq!(ask("GET", "/notes", "").unwrap().1, r#"{"notes":[]}"#);
        assert_eq!(ask("POST", "/notes/a", "").unwrap().0, 405);
        assert!(ask("PUT", &format!("/notes/{}", "x".repeat(300)), "").is_err());
    }

    #[test]
    fn an_event_is_told() {
        let host = testing::host();
        let (handle, path) = (host.handle(), "/tell?kind=rain");
        assert_eq!(ask(&handle, "POST", path, r#"{"mm":3}"#).unwrap().0, 200);
        assert_eq!(host.events(), [("rain".to_owned(), json!({ "mm": 3 }))]);
        assert!(ask(&handle, "POST", path, "rain").is_err());
    }

    #[test]
    fn a_message_reaches_the_peer_and_its_answer_comes_back() {
        let host = testing::host();
        assert!(ask(&host.handle(), "POST", "/send?to=p", "hi").is_err());
        host.answer_with(|_, payload| Ok([payload, b"!"].concat()));
        assert_eq!(ask(&host.handle(), "POST", "/send?to=p", "hi").unwrap().1, "hi!");
        assert!(ask(&host.handle(), "POST", "/send", "hi").is_err());
        assert_eq!(host.sent().len(), 2);
    }
}
