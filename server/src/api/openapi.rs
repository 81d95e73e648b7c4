//! The OpenAPI document of everything that is not GraphQL itself: written from the rules of the routes and one table.
//!
//! The rules say who may, so the document cannot disagree with the server about that; the table says the rest, and a test
//! fails when a route has no row. `openapi.json` in the repository is compared with it.

use axum::{Json, Router, routing::get};
use serde_json::{Map, Value, json};

use super::{
    ROUTES, Transport,
    access::{Caller, Leaves, Route, Scope, route},
};

/// The document describes the routes, not what they hold.
pub(super) const ROUTE: &[Route] = &[route("GET", "/openapi.json", Caller::With(Scope::Read), Leaves::Anyway)];

/// The document.
pub(super) fn router() -> Router<std::sync::Arc<Transport>> {
    Router::new().route("/openapi.json", get(async || Json(document())))
}

/// One argument of a route.
struct Argument {
    name: &'static str,
    /// `path` or `query`.
    place: &'static str,
    required: bool,
    schema: fn() -> Value,
    text: &'static str,
}

const fn query(name: &'static str, required: bool, schema: fn() -> Value, text: &'static str) -> Argument {
    Argument {
        name,
        place: "query",
        required,
        schema,
        text,
    }
}

const fn path(name: &'static str, schema: fn() -> Value, text: &'static str) -> Argument {
    Argument {
        name,
        place: "path",
        required: true,
        schema,
        text,
    }
}

/// Status, media type and schema of an answer.
type Good = (u16, &'static str, fn() -> Value);

/// What a route is.
struct Row {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    text: &'static str,
    arguments: &'static [Argument],
    /// Schema of a JSON body.
    body: Option<fn() -> Value>,
    /// Status, media type, schema of the answer when all is well.
    good: &'static [Good],
    /// Codes of docs/api.md beside those that any route has, each with its status.
    bad: &'static [u16],
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn bytes() -> Value {
    json!({ "type": "string", "format": "binary" })
}

fn whole() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": 9_007_199_254_740_991_u64 })
}

fn one_word() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[A-Za-z0-9._-]+$" })
}

fn recording_name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" })
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

fn list() -> Value {
    json!({ "type": "array", "items": { "type": "object" } })
}

fn status() -> Value {
    json!({
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": { "type": "string", "description": "`ok`, `ready` or `not ready`." },
            "reason": { "type": "string", "description": "Why it is not ready." },
            "warning": { "type": "string", "description": "There while the server is open to everybody." },
        },
    })
}

fn version() -> Value {
    json!({
        "type": "object",
        "required": ["name", "version", "bootId", "site", "manifestHash", "configHash"],
        "properties": {
            "name": { "const": "tapline" },
            "version": { "type": "string" },
            "bootId": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "site": { "type": "string" },
            "manifestHash": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
            "configHash": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
        },
    })
}

fn graphql_request() -> Value {
    json!({
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": { "type": "string", "description": "A GraphQL document; /schema.graphql says what it may ask." },
            "variables": { "type": ["object", "null"] },
            "operationName": { "type": ["string", "null"] },
            "extensions": {
                "type": ["object", "null"],
                "properties": {
                    "lastEventId": { "type": ["string", "null"], "description": "bootId:cycle to go on from." },
                },
            },
        },
    })
}

fn graphql_answer() -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": {},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["message", "extensions"],
                    "properties": {
                        "message": { "type": "string" },
                        "extensions": { "$ref": "#/components/schemas/Failure" },
                    },
                },
            },
        },
    })
}

fn end() -> Value {
    json!({
        "type": "string",
        "pattern": "^([0-9]{1,18}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)$",
        "examples": ["1200", "2026-11-23T17:22:05Z"],
    })
}

fn time_or_day() -> Value {
    json!({
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$",
        "examples": ["2026-11-23", "2026-11-23T17:22:05Z"],
    })
}

fn table() -> Value {
    json!({ "enum": crate::export::What::ALL.map(crate::export::What::name) })
}

fn resolution() -> Value {
    json!({ "enum": ["auto", "1s", "1min", "1h", "1d"] })
}

fn zero_or_one() -> Value {
    json!({ "type": "integer", "enum": [0, 1] })
}

fn stage() -> Value {
    json!({ "enum": ["cir", "tomography", "tracker"] })
}

fn swap() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["stage", "plugin"],
        "properties": {
            "stage": stage(),
            "plugin": { "type": "string", "description": "Name of a library or built-in stage of /v1/plugins/candidates." },
            "blake3": { "type": ["string", "null"], "description": "BLAKE3 the file must have, 64 hex digits." },
            "config": { "type": ["string", "null"], "description": "Its configuration table, TOML." },
            "shadowCycles": { "type": ["integer", "null"], "minimum": 0, "maximum": 1200 },
            "review": { "type": "boolean", "description": "After the comparison, wait for a decision." },
        },
    })
}

fn decision() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["confirm"],
        "properties": {
            "confirm": { "type": "boolean", "description": "True: the candidate takes over. False: the manifest stays." },
        },
    })
}

fn rollback() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["stage"],
        "properties": { "stage": stage() },
    })
}

const CSV: &str = "text/csv";
const TEXT: &str = "text/plain";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const HTML: &str = "text/html";
const EVENTS: &str = "text/event-stream";

const fn row(method: &'static str, path: &'static str, id: &'static str, tag: &'static str, text: &'static str) -> Row {
    Row {
        method,
        path,
        id,
        tag,
        text,
        arguments: &[],
        body: None,
        good: &[],
        bad: &[],
    }
}

const TABLE: &[Row] = &[
    Row {
        good: &[(200, HTML, text), (200, TEXT, text)],
        ..row(
            "GET",
            "/",
            "page",
            "page",
            "The live page; how to build it when it was not.",
        )
    },
    Row {
        arguments: &[path("name", one_word, "File name.")],
        good: &[(200, BYTES, bytes)],
        bad: &[404],
        ..row("GET", "/assets/{name}", "asset", "page", "A file of the live page.")
    },
    Row {
        good: &[(200, "image/svg+xml", text)],
        bad: &[404],
        ..row("GET", "/favicon.svg", "icon", "page", "The live page's icon.")
    },
    Row {
        good: &[(200, HTML, text)],
        ..row("GET", "/graphiql", "graphiql", "page", "A page to try GraphQL on.")
    },
    Row {
        body: Some(graphql_request),
        good: &[(200, JSON, graphql_answer), (200, EVENTS, text)],
        bad: &[400, 413, 415],
        ..row(
            "POST",
            "/graphql",
            "graphqlPost",
            "graphql",
            "A question or an order in GraphQL; with `Accept: text/event-stream` subscriptions too, as an event stream \
             (graphql-sse, distinct connections). Errors of the question itself come with status 200.",
        )
    },
    Row {
        arguments: &[
            query("query", true, text, "A GraphQL document: a question or a subscription."),
            query("variables", false, text, "Its variables, as JSON text."),
            query("operationName", false, text, "Which operation of the document."),
        ],
        good: &[(200, EVENTS, text)],
        bad: &[400],
        ..row(
            "GET",
            "/graphql",
            "graphqlGet",
            "graphql",
            "The same as an event stream from a URL, for `EventSource`; needs `Accept: text/event-stream`.",
        )
    },
    Row {
        good: &[(101, TEXT, text)],
        bad: &[400],
        ..row(
            "GET",
            "/graphql/ws",
            "graphqlWs",
            "graphql",
            "GraphQL over a websocket, sub-protocol graphql-transport-ws. The token may come in `connection_init`.",
        )
    },
    Row {
        good: &[(200, TEXT, text)],
        ..row("GET", "/schema.graphql", "schema", "graphql", "The GraphQL schema.")
    },
    Row {
        good: &[(200, JSON, any_object)],
        ..row("GET", "/openapi.json", "openapi", "probes", "This document.")
    },
    Row {
        good: &[(200, JSON, status)],
        ..row("GET", "/healthz", "healthz", "probes", "The process answers.")
    },
    Row {
        good: &[(200, JSON, status), (503, JSON, status)],
        ..row("GET", "/readyz", "readyz", "probes", "Cycles run, or why not (503).")
    },
    Row {
        good: &[(200, TEXT, text)],
        ..row("GET", "/metrics", "metrics", "probes", "Metrics as Prometheus text.")
    },
    Row {
        good: &[(200, JSON, version)],
        ..row(
            "GET",
            "/version",
            "version",
            "probes",
            "Version, process start, hashes of manifest and configuration.",
        )
    },
    Row {
        good: &[(200, TEXT, text)],
        bad: &[404],
        ..row(
            "GET",
            "/checkpoint",
            "checkpoint",
            "log",
            "The newest published checkpoint, a C2SP signed note.",
        )
    },
    Row {
        arguments: &[path(
            "path",
            one_word,
            "Level and index as C2SP tlog-tiles writes them, for example `0/x001/067`.",
        )],
        good: &[(200, BYTES, bytes)],
        bad: &[404, 410],
        ..row(
            "GET",
            "/tile/{*path}",
            "tile",
            "log",
            "A tile of the log's tree, or a bundle of its leaves.",
        )
    },
    Row {
        arguments: &[query("index", true, whole, "Number of the leaf.")],
        good: &[(200, TEXT, text)],
        bad: &[400, 404, 410],
        ..row(
            "GET",
            "/proof",
            "proof",
            "log",
            "Inclusion of a leaf in the published tree, c2sp.org/tlog-proof@v1.",
        )
    },
    Row {
        arguments: &[query("from", true, whole, "Size of an earlier checkpoint.")],
        good: &[(200, TEXT, text)],
        bad: &[400, 404, 410],
        ..row(
            "GET",
            "/consistency",
            "consistency",
            "log",
            "That the published tree continues the one of that size.",
        )
    },
    Row {
        arguments: &[
            query("from", true, end, "First cycle: number of its leaf, or a time."),
            query("to", true, end, "One past the last cycle: number, or a time."),
            query(
                "checkpoint",
                false,
                whole,
                "Prove against the published checkpoint of this size.",
            ),
            query(
                "old",
                false,
                whole,
                "Carry the checkpoint of this size too, and that the log continues it.",
            ),
            query(
                "inputs",
                false,
                zero_or_one,
                "1: raw input and the state a replay starts from; needs scope admin.",
            ),
            query("nonce", false, one_word, "Comes back in the header Tapline-Nonce."),
        ],
        good: &[
            (200, "application/vnd.tapline.witness-bundle.v1+tar", bytes),
            (206, "application/vnd.tapline.witness-bundle.v1+tar", bytes),
        ],
        bad: &[400, 404, 410, 413, 416],
        ..row(
            "GET",
            "/v1/witness/bundles",
            "bundle",
            "log",
            "A range of the log with all that proves it.",
        )
    },
    Row {
        arguments: &[
            query("what", true, table, "The table."),
            query(
                "from",
                true,
                time_or_day,
                "Begin: a time, or a day of the site's calendar.",
            ),
            query("to", true, time_or_day, "End, not included."),
            query(
                "resolution",
                false,
                resolution,
                "Length of the windows; `auto` is the finest that has the beginning and at most 10,000 of them. The header \
                 Tapline-Resolution says which.",
            ),
        ],
        good: &[(200, CSV, text)],
        bad: &[400, 413],
        ..row(
            "GET",
            "/v1/export",
            "export",
            "memory",
            "A table of what was, as CSV; the privacy class in force decides which tables and rows leave.",
        )
    },
    Row {
        arguments: &[path("name", recording_name, "Its name, as `recordings` has it.")],
        good: &[(200, BYTES, bytes), (206, BYTES, bytes)],
        bad: &[400, 404, 416],
        ..row(
            "GET",
            "/v1/recordings/{name}",
            "recording",
            "log",
            "A recording as a file, for `tapline replay`.",
        )
    },
    Row {
        good: &[(200, JSON, list)],
        ..row(
            "GET",
            "/v1/plugins/candidates",
            "pluginCandidates",
            "plugins",
            "Plugins that a swap can be asked for.",
        )
    },
    Row {
        good: &[(200, JSON, list)],
        ..row(
            "GET",
            "/v1/plugins/swap",
            "swaps",
            "plugins",
            "Attempts to exchange a plugin, ascending.",
        )
    },
    Row {
        body: Some(swap),
        good: &[(202, JSON, any_object)],
        bad: &[400, 413, 415],
        ..row(
            "POST",
            "/v1/plugins/swap",
            "swap",
            "plugins",
            "Brings another plugin into the running cycle.",
        )
    },
    Row {
        arguments: &[path("id", one_word, "Number of the attempt, or `latest`.")],
        good: &[(200, JSON, any_object)],
        bad: &[400, 404],
        ..row("GET", "/v1/plugins/swap/{id}", "swapAttempt", "plugins", "One attempt.")
    },
    Row {
        arguments: &[path("id", one_word, "Number of the attempt.")],
        body: Some(decision),
        good: &[(202, JSON, any_object)],
        bad: &[400, 413, 415],
        ..row(
            "POST",
            "/v1/plugins/swap/{id}",
            "decideSwap",
            "plugins",
            "Confirms or cancels an attempt that waits for it.",
        )
    },
    Row {
        body: Some(rollback),
        good: &[(202, JSON, any_object)],
        bad: &[400, 413, 415],
        ..row(
            "POST",
            "/v1/plugins/rollback",
            "rollback",
            "plugins",
            "Goes back to the plugin that ran before.",
        )
    },
];

/// What a status means, whichever route answers it.
fn meaning(status: u16) -> &'static str {
    match status {
        101 => "The websocket begins.",
        200 => "The answer.",
        202 => "Taken up; it is done at a later cycle.",
        206 => "The part that was asked for.",
        400 => "An argument, the body or the Host header cannot be used: INVALID_ARGUMENT, HOST_MISSING.",
        401 => "No token, or one that is not known: UNAUTHENTICATED.",
        403 => {
            "The token lacks the scope, the page is foreign, or the privacy class does not let it out: FORBIDDEN, \
                ORIGIN_NOT_ALLOWED, PRIVACY."
        }
        404 => "Nothing there: NOT_FOUND.",
        410 => "Retention has taken it: GONE.",
        413 => "Too much at once: TOO_LARGE, RANGE_TOO_LARGE.",
        415 => "The body is not application/json: UNSUPPORTED_MEDIA_TYPE.",
        416 => "The range lies outside.",
        421 => "The Host header names another machine: HOST_NOT_ALLOWED.",
        429 => "Too often: RATE_LIMITED.",
        503 => "Not ready, busy, or not in time: BUSY, TIMED_OUT.",
        _ => "The server's own fault: INTERNAL.",
    }
}

/// Statuses that every route may answer with.
const ANY: [u16; 4] = [400, 421, 429, 500];

fn failure(schemas: &str) -> Value {
    json!({ JSON: { "schema": { "$ref": schemas } } })
}

fn operation(row: &Row, rule: &Route) -> Value {
    let mut responses = Map::new();
    for (status, media, schema) in row.good {
        let response = responses.entry(status.to_string());
        let response = response.or_insert_with(|| json!({ "description": meaning(*status), "content": {} }));
        if *status != 101 {
            response["content"][media] = json!({ "schema": schema() });
        }
    }
    let guarded = rule.caller != Caller::Anybody;
    // A token that is shown is looked at everywhere.
    let known: &[u16] = if guarded { &[401, 403, 503] } else { &[401, 403] };
    for status in ANY.iter().chain(known).chain(row.bad) {
        let entry = responses.entry(status.to_string());
        entry.or_insert_with(
            || json!({ "description": meaning(*status), "content": failure("#/components/schemas/Refusal") }),
        );
    }
    let parameters: Vec<Value> = row
        .arguments
        .iter()
        .map(|a| {
            json!({
                "name": a.name,
                "in": a.place,
                "required": a.required,
                "description": a.text,
                "schema": (a.schema)(),
            })
        })
        .collect();
    let scope = match rule.caller {
        Caller::Anybody => None,
        Caller::Known => Some("a token; the scope of each field stands in docs/api.md".to_owned()),
        Caller::With(scope) => Some(format!("scope `{}`", scope.name())),
        Caller::PublicLog(scope) => Some(format!("scope `{}`, or nothing with `public_log = true`", scope.name())),
    };
    let text = match scope {
        None => row.text.to_owned(),
        Some(scope) => format!("{} Needs {scope}.", row.text),
    };
    let mut operation = json!({
        "operationId": row.id,
        "tags": [row.tag],
        "summary": row.text.split(['.', ';']).next(),
        "description": text,
        "responses": responses,
    });
    if guarded {
        // Without: the local user of a server that has no tokens.
        operation["security"] = json!([{ "token": [] }, {}]);
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = row.body {
        operation["requestBody"] = json!({ "required": true, "content": { JSON: { "schema": body() } } });
    }
    operation
}

/// The document. Keys stand in one order: it is compared byte by byte.
fn document() -> Value {
    let mut paths = Map::new();
    for rule in ROUTES.iter().copied().flatten() {
        let Some(row) = TABLE.iter().find(|r| (r.method, r.path) == (rule.method, rule.path)) else {
            continue;
        };
        // A rest of a path is one argument here; its slashes stay slashes.
        let path = rule.path.replace("{*", "{");
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[rule.method.to_ascii_lowercase()] = operation(row, rule);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tapline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Files and probes of a Tapline server. What is structured is asked for in GraphQL (/schema.graphql); docs/api.md is the guide.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8080" }],
        "tags": [
            { "name": "page", "description": "The live page." },
            { "name": "graphql", "description": "Questions, orders, subscriptions." },
            { "name": "probes", "description": "Is it there, is it well." },
            { "name": "log", "description": "The witness log." },
            { "name": "memory", "description": "What was, added up." },
            { "name": "plugins", "description": "Plugins exchanged while the cycle runs." },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`tapline token create`." },
            },
            "schemas": {
                "Failure": {
                    "type": "object",
                    "required": ["code", "help", "correlationId"],
                    "properties": {
                        "code": { "type": "string", "description": "Stable; docs/api.md lists all." },
                        "message": { "type": "string", "description": "What was found and what is expected." },
                        "help": { "type": "string", "description": "What to do." },
                        "correlationId": { "type": "string", "description": "Stands in the server's log beside what is not told." },
                    },
                },
                "Refusal": {
                    "type": "object",
                    "required": ["error"],
                    "properties": { "error": { "$ref": "#/components/schemas/Failure" } },
                },
            },
        },
    })
}

/// The document as the repository keeps it.
pub(super) fn text_of_document() -> String {
    serde_json::to_string_pretty(&document()).map_or_else(|_| String::new(), |text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_one_row() {
        let key = |method: &'static str, path: &'static str| (path, method);
        let mut rules: Vec<_> = ROUTES
            .iter()
            .copied()
            .flatten()
            .map(|r| key(r.method, r.path))
            .collect();
        let mut rows: Vec<_> = TABLE.iter().map(|r| key(r.method, r.path)).collect();
        rules.sort_unstable();
        rows.sort_unstable();
        assert_eq!(
            rules, rows,
            "each route of ROUTES, and nothing else, has a row in TABLE"
        );
    }

    #[test]
    fn the_document_is_the_one_in_the_repository() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, text_of_document()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        // Values, not text: which order keys are written in depends on what else is built.
        assert!(
            serde_json::from_str::<Value>(&committed).is_ok_and(|committed| committed == document()),
            "openapi.json differs from the routes: `cargo xtask schema --update` writes it anew"
        );
    }
}
