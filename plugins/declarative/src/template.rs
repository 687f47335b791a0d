//! Texts with placeholders: `${name}` is filled in, `$$` is a dollar sign.

use adit_plugin_api::{Launch, Value};

use crate::fault::list;

/// What the host prepares for each run.
const OF_RUN: [&str; 8] =
    ["api.port", "api.token", "worker", "miner", "run.dir", "data.dir", "program", "program.dir"];

/// A text with placeholders.
pub(crate) struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    OfRun(&'static str),
    Field { name: String, form: Form },
}

/// How a field's value is written.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// As JSON: a text in quotes.
    Json,
    /// What is before the last colon.
    Host,
    /// What is behind it.
    Port,
}

impl Template {
    /// Reads `text`, in which fields that `is_field` knows may stand. The error says what to write.
    pub(crate) fn new<'a>(
        text: &str,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let fields: Vec<&str> = fields.into_iter().collect();
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                plain.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (name, after) = after
                    .split_once('}')
                    .ok_or("a placeholder has no end: write ${name}, or $$ for a dollar sign")?;
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(piece(name, &fields)?);
                rest = after;
            } else {
                plain.push('$');
                rest = after;
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    /// The fields that stand in it.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// The text with everything filled in; a field without a value is empty, or `null` in JSON.
    pub(crate) fn fill<'a>(
        &self,
        launch: &Launch,
        value: impl Fn(&str) -> Option<&'a Value>,
    ) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::OfRun(name) => text.push_str(&of_run(name, launch)),
                Piece::Field { name, form: Form::Json } if value(name).is_none() => {
                    text.push_str("null");
                }
                Piece::Field { name, form } => {
                    text.push_str(&value(name).map_or_else(String::new, |it| written(it, *form)));
                }
            }
        }
        text
    }

    /// The same for a text without fields.
    pub(crate) fn fill_run(&self, launch: &Launch) -> String {
        self.fill(launch, |_| None)
    }
}

fn piece(name: &str, fields: &[&str]) -> Result<Piece, String> {
    if let Some(known) = OF_RUN.iter().find(|it| **it == name) {
        return Ok(Piece::OfRun(known));
    }
    let (field, form) = match name.split_once(':') {
        None => (name, Form::Plain),
        Some((field, "json")) => (field, Form::Json),
        Some((field, "host")) => (field, Form::Host),
        Some((field, "port")) => (field, Form::Port),
        Some((_, other)) => {
            return Err(format!(
                "${{{name}}}: there is no form {other}; there are json, host, port"
            ));
        }
    };
    if fields.contains(&field) {
        return Ok(Piece::Field { name: field.to_owned(), form });
    }
    let known = list(fields.iter().chain(&OF_RUN).copied());
    Err(format!("there is no ${{{name}}} here; there are {known}"))
}

fn of_run(name: &str, launch: &Launch) -> String {
    let program = launch.program.clone().unwrap_or_default();
    match name {
        "api.port" => launch.api_port.to_string(),
        "api.token" => launch.api_token.clone(),
        "worker" => launch.worker.clone(),
        "miner" => launch.miner.clone(),
        "run.dir" => launch.run_dir.display().to_string(),
        "data.dir" => launch.data_dir.display().to_string(),
        "program" => program.program.display().to_string(),
        _ => program.dir.display().to_string(),
    }
}

fn written(value: &Value, form: Form) -> String {
    let plain = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let words: Vec<String> = items.iter().map(|it| written(it, Form::Plain)).collect();
            words.join(",")
        }
        other => other.to_string(),
    };
    match form {
        Form::Plain => plain,
        Form::Json => value.to_string(),
        Form::Host => plain.rsplit_once(':').map_or(plain.clone(), |(host, _)| host.to_owned()),
        Form::Port => plain.rsplit_once(':').map_or_else(String::new, |(_, port)| port.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::{json, testing};

    use super::*;

    fn check(text: &str, expected: &str) {
        let values = json!({
            "pool": "p.example:33", "threads": 4, "name": "a \"b\"", "cards": ["0", "2"], "on": true,
        });
        let fields = values.as_object().unwrap().keys().map(String::as_str);
        let filled = Template::new(text, fields).map_or_else(
            |error| error,
            |template| template.fill(&testing::launch(), |name| values.get(name)),
        );
        assert_eq!(filled, expected, "{text}");
    }

    #[test]
    fn placeholders_are_filled_in() {
        check("--pool=${pool}", "--pool=p.example:33");
        check("${pool:host} ${pool:port} ${threads}", "p.example 33 4");
        check("{\"n\": ${name:json}, \"c\": ${cards:json}}", r#"{"n": "a \"b\"", "c": ["0","2"]}"#);
        let template = Template::new("${pool}|${pool:json}", ["pool"]).unwrap();
        assert_eq!(template.fill_run(&testing::launch()), "|null", "what is not given");
        check("${cards} ${on} $5 $$ $${x} ${api.port}", "0,2 true $5 $ ${x} 40001");
        check("${program.dir}/a ${worker}", "/opt/adit/program/a rig-1");
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        check("${pool", "a placeholder has no end: write ${name}, or $$ for a dollar sign");
        let there = "api.port, api.token, worker, miner, run.dir, data.dir, program, program.dir";
        let told = Template::new("${walet}", []).err().unwrap();
        assert_eq!(told, format!("there is no ${{walet}} here; there are {there}"));
        let told = Template::new("${pool:upper}", ["pool"]).err().unwrap();
        assert!(told.contains("no form upper; there are json, host, port"), "{told}");
    }
}
