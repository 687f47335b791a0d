//! What the types of a handler say of its operation: parameters, body, answers and refusals.
//!
//! A handler that takes `Body<T>` is documented as taking a `T`, because that is what it takes.

use std::collections::BTreeMap;

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, Request, State, ws::WebSocketUpgrade},
    http::HeaderMap,
    response::Response,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::{
    body::{Body, OptionalBody, Parameters, Segment},
    error::ApiError,
    etag::{IfMatch, Tagged},
};

/// What is known of an operation so far.
pub(crate) struct Operation<'a> {
    /// Schemas of answers, which are kept under their names.
    pub(super) answers: &'a mut SchemaGenerator,
    /// Schemas of what is sent, each whole in its place: one type can have another form there.
    pub(super) inputs: &'a mut SchemaGenerator,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    /// By status; `None` for an error.
    pub(in crate::api) responses: BTreeMap<u16, Option<Value>>,
    /// Whether there may be others.
    pub(super) any_status: bool,
}

impl Operation<'_> {
    /// An answer with a JSON body.
    pub(in crate::api) fn answer<T: JsonSchema>(&mut self, status: u16) {
        let schema = self.answers.subschema_for::<T>();
        self.content(status, "application/json", &schema.into());
    }

    /// An answer of another kind.
    pub(in crate::api) fn content(&mut self, status: u16, kind: &str, schema: &Value) {
        let content = json!({ kind: { "schema": schema } });
        match self.responses.entry(status).or_default() {
            Some(Value::Object(known)) => {
                known["content"][kind] = content[kind].clone();
            }
            vacant => *vacant = Some(json!({ "description": "Done", "content": content })),
        }
    }

    /// That the client has the newest state already, by its `If-None-Match`.
    pub(in crate::api) fn not_modified(&mut self) {
        self.parameters.push(json!({
            "name": "If-None-Match",
            "in": "header",
            "required": false,
            "description": "ETag of the answer that you have: 304 and no body when it is the newest",
            "schema": { "type": "string" },
        }));
        let same = json!({ "description": "What you have is the newest" });
        self.responses.insert(304, Some(same));
    }

    /// Errors that the operation may answer with.
    pub(in crate::api) fn errors(&mut self, statuses: &[u16]) {
        for status in statuses {
            self.responses.entry(*status).or_default();
        }
    }

    /// Nobody but a driver knows which statuses there are.
    pub(in crate::api) fn any_status(&mut self) {
        self.any_status = true;
    }

    fn body(&mut self, schema: &Schema, required: bool) {
        let content = json!({ "application/json": { "schema": schema } });
        self.body = Some(json!({ "required": required, "content": content }));
        self.errors(&[400, 413, 415]);
    }

    fn query(&mut self, schema: &Schema) {
        let none = Map::new();
        let of = |key: &str| schema.get(key).and_then(Value::as_object).unwrap_or(&none);
        let required = schema.get("required").and_then(Value::as_array);
        for (name, schema) in of("properties") {
            let mut schema = schema.clone();
            let told = schema.as_object_mut().and_then(|it| it.remove("description"));
            let mut parameter = json!({
                "name": name,
                "in": "query",
                "required": required.is_some_and(|it| it.contains(&json!(name))),
                "schema": schema,
            });
            if let Some(told) = told {
                parameter["description"] = told;
            }
            self.parameters.push(parameter);
        }
        self.errors(&[400]);
    }
}

/// Something that a handler takes.
pub(crate) trait Input {
    /// Adds what it says of the operation.
    fn describe(operation: &mut Operation<'_>);
}

/// Something that a handler answers with.
pub(crate) trait Output {
    /// Adds what it says of the operation.
    fn describe(operation: &mut Operation<'_>);
}

/// A handler; `M` is for the compiler alone.
pub(crate) trait Described<M> {
    /// Adds what its types say of the operation.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! silent {
    ($($type:ty),*) => {
        $(impl Input for $type {
            fn describe(_: &mut Operation<'_>) {}
        })*
    };
}

silent!(HeaderMap, RawQuery, Request);

impl<S> Input for State<S> {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T> Input for Extension<T> {
    fn describe(_: &mut Operation<'_>) {}
}

impl Input for Segment {
    fn describe(operation: &mut Operation<'_>) {
        operation.errors(&[400, 404]);
    }
}

impl<T> Input for Path<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.errors(&[400, 404]);
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation<'_>) {
        operation.parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "required": false,
            "description": "ETag of the state that is to be changed; refused with 412 when that \
                            is not the state any more",
            "schema": { "type": "string" },
        }));
        operation.errors(&[400, 412]);
    }
}

impl<E> Input for Result<WebSocketUpgrade, E> {
    fn describe(operation: &mut Operation<'_>) {
        let switched = json!({ "description": "From here on it is a WebSocket" });
        operation.responses.insert(101, Some(switched));
        operation.errors(&[426]);
    }
}

impl<T: JsonSchema> Input for Body<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.inputs.subschema_for::<T>();
        operation.body(&schema, true);
    }
}

impl<T: JsonSchema> Input for OptionalBody<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.inputs.subschema_for::<T>();
        operation.body(&schema, false);
    }
}

impl<T: JsonSchema> Input for Parameters<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.inputs.subschema_for::<T>();
        operation.query(&schema);
    }
}

impl<T: JsonSchema> Output for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(200);
    }
}

impl<T: JsonSchema> Output for Tagged<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(200);
    }
}

/// Nothing is known of it: the table of routes says what it answers.
impl Output for Response {
    fn describe(_: &mut Operation<'_>) {}
}

/// Nothing but an error.
impl Output for ApiError {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: Output> Output for Result<T, ApiError> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        operation.errors(&[400, 409, 500, 502, 503, 504]);
    }
}

macro_rules! described {
    ($($input:ident),*) => {
        impl<F, R, $($input),*> Described<($($input,)*)> for F
        where
            F: Fn($($input),*) -> R,
            R: Future,
            R::Output: Output,
            $($input: Input,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($input::describe(operation);)*
                <R::Output as Output>::describe(operation);
            }
        }
    };
}

described!();
described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
described!(A, B, C, D, E);
