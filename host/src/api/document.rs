//! The document of the REST API, made of the routes themselves.
//!
//! A route exists only by an [`Entry`], which also says what it is for and which role it needs; the
//! types of its handler say the rest. So nothing can be served that is not in the document, and
//! nothing be in the document that is not served.

pub(crate) mod describe;

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use futures_util::future::{Either, Ready, ready};
use schemars::{
    JsonSchema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use crate::api::{
    Api, ErrorBody,
    document::describe::{Described, Operation},
    gate,
};
use adit_model::access::Role;

/// Errors that every route may answer with: of the gate and of the host itself.
const ALWAYS: &[u16] = &[400, 403, 421, 500, 504];
/// Those of routes that need a token.
const WITH_TOKEN: &[u16] = &[401, 403, 429];

/// Routes about one subject, with what is said of them.
pub(crate) struct Routes {
    methods: Vec<(&'static str, MethodRouter<Api>)>,
    subject: &'static str,
    entries: Vec<(&'static str, Documented)>,
}

/// What of an entry is documented.
struct Documented {
    method: &'static str,
    /// `None`: needs no token.
    role: Option<Role>,
    summary: &'static str,
    subject: &'static str,
    describe: fn(&mut Operation<'_>),
    further: Vec<fn(&mut Operation<'_>)>,
}

/// One method of one route.
pub(crate) struct Entry {
    methods: MethodRouter<Api>,
    documented: Documented,
}

macro_rules! methods {
    ($($name:ident $filter:ident $word:literal),*) => {
        $(pub(crate) fn $name<H, T, M>(
            role: impl Into<Option<Role>>,
            handler: H,
            summary: &'static str,
        ) -> Entry
        where
            H: Handler<T, Api> + Described<M>,
            T: 'static,
        {
            entry((MethodFilter::$filter, $word), role.into(), handler, summary)
        })*
    };
}

methods!(
    get GET "get",
    post POST "post",
    put PUT "put",
    patch PATCH "patch",
    delete DELETE "delete"
);

fn entry<H, T, M>(
    (filter, method): (MethodFilter, &'static str),
    role: Option<Role>,
    handler: H,
    summary: &'static str,
) -> Entry
where
    H: Handler<T, Api> + Described<M>,
    T: 'static,
{
    let methods = on(filter, Guarded { role, handler });
    let documented = Documented {
        method,
        role,
        summary,
        subject: "",
        describe: H::describe,
        further: Vec::new(),
    };
    Entry { methods, documented }
}

/// A handler that only callers with its role get to.
#[derive(Clone)]
struct Guarded<H> {
    /// `None`: everybody does.
    role: Option<Role>,
    handler: H,
}

impl<T, H> Handler<T, Api> for Guarded<H>
where
    H: Handler<T, Api>,
    T: 'static,
{
    type Future = Either<H::Future, Ready<Response>>;

    fn call(self, request: Request, api: Api) -> Self::Future {
        match self.role.map_or(Ok(()), |role| gate::require(role, &request)) {
            Ok(()) => Either::Left(self.handler.call(request, api)),
            Err(error) => Either::Right(ready(error.into_response())),
        }
    }
}

impl Entry {
    /// What `describe` adds, where the types of the handler do not say it all.
    pub(crate) fn and(mut self, describe: fn(&mut Operation<'_>)) -> Self {
        self.documented.further.push(describe);
        self
    }

    /// It answers with a `T` and this status, in place of what its types say.
    pub(crate) fn created<T: JsonSchema>(self) -> Self {
        self.and(|it| {
            it.responses.remove(&200);
            it.answer::<T>(201);
        })
    }

    /// It answers with a `T`.
    pub(crate) fn answers<T: JsonSchema>(self) -> Self {
        self.and(|it| it.answer::<T>(200))
    }

    /// It can find what was downloaded unusable.
    pub(crate) fn verifies(self) -> Self {
        self.and(|it| it.errors(&[422]))
    }
}

impl Routes {
    /// No routes yet.
    pub(crate) fn about(subject: &'static str) -> Self {
        Self { methods: Vec::new(), subject, entries: Vec::new() }
    }

    /// The methods of one more route.
    pub(crate) fn at<const N: usize>(mut self, path: &'static str, entries: [Entry; N]) -> Self {
        let mut methods = MethodRouter::new();
        for Entry { methods: one, mut documented } in entries {
            methods = methods.merge(one);
            documented.subject = self.subject;
            self.entries.push((path, documented));
        }
        self.methods.push((path, methods));
        self
    }

    /// These and those.
    pub(crate) fn with(mut self, others: Self) -> Self {
        self.methods.extend(others.methods);
        self.entries.extend(others.entries);
        self
    }

    /// The routes, to be served below `base`.
    pub(crate) fn into_router(self, base: &str) -> Router<Api> {
        self.methods.into_iter().fold(Router::new(), |router, (path, methods)| {
            router.route(&format!("{base}{path}"), methods)
        })
    }

    /// The document, for routes that are served below `base`.
    pub(crate) fn document(&self, base: &str) -> Value {
        let mut answers = generator(Contract::Serialize, false);
        let mut inputs = generator(Contract::Deserialize, true);
        let error = answers.subschema_for::<ErrorBody>();
        let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut subjects = BTreeSet::new();
        for (path, entry) in &self.entries {
            subjects.insert(entry.subject);
            let path = plain(path);
            let operation = operation(&path, entry, &mut answers, &mut inputs);
            paths.entry(path).or_default().insert(entry.method.to_owned(), operation);
        }
        let tags: Vec<Value> = subjects.into_iter().map(|it| json!({ "name": it })).collect();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Adit",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "One host process, many miners, any driver. Hashes per second, \
                    seconds, watts, degrees Celsius, bytes; milliseconds for latency. A value that \
                    nobody reported is absent, never 0.",
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "servers": [{ "url": base }],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": answers.take_definitions(true),
                "responses": { "Error": {
                    "description": "What was wrong, and what to do",
                    "content": { "application/json": { "schema": error } },
                } },
                "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            },
        })
    }
}

fn generator(contract: Contract, inline: bool) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.inline_subschemas = inline;
    settings.into_generator()
}

/// A path without the marks of parts that may have slashes.
fn plain(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(
    path: &str,
    entry: &Documented,
    answers: &mut SchemaGenerator,
    inputs: &mut SchemaGenerator,
) -> Value {
    let mut operation = Operation {
        answers,
        inputs,
        parameters: path_parameters(path),
        body: None,
        responses: BTreeMap::new(),
        any_status: false,
    };
    (entry.describe)(&mut operation);
    entry.further.iter().for_each(|further| further(&mut operation));
    operation.errors(ALWAYS);
    if entry.role.is_some() {
        operation.errors(WITH_TOKEN);
    }
    let Operation { parameters, body, responses, any_status, .. } = operation;
    let mut responses: BTreeMap<String, Value> = responses
        .into_iter()
        .map(|(status, it)| {
            let error = || match any_status {
                // The same status can be the host's or the driver's.
                true => json!({ "description": "What the host or the driver says" }),
                false => json!({ "$ref": "#/components/responses/Error" }),
            };
            (status.to_string(), it.unwrap_or_else(error))
        })
        .collect();
    if any_status {
        let told = json!({ "description": "What the driver says" });
        responses.insert("default".to_owned(), told);
    }
    let mut told = json!({
        "tags": [entry.subject],
        "summary": entry.summary,
        "operationId": operation_id(entry.method, path),
        "responses": responses,
        "security": [],
    });
    if !parameters.is_empty() {
        told["parameters"] = parameters.into();
    }
    if let Some(body) = body {
        told["requestBody"] = body;
    }
    if let Some(role) = entry.role {
        told["security"] = json!([{ "token": [] }]);
        told["x-role"] = json!(role);
        told["description"] = json!(format!("Needs a token with the role {}.", role.as_str()));
    }
    told
}

/// Such as `post-miners-name-start`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|it: char| !it.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    [method].into_iter().chain(words).collect::<Vec<_>>().join("-")
}

fn path_parameters(path: &str) -> Vec<Value> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "schema": { "type": "string", "minLength": 1 },
            })
        })
        .collect()
}
