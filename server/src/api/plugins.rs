//! Plugins exchanged over REST: the same orders and answers as in GraphQL.
//!
//! | route | what |
//! |---|---|
//! | `GET /v1/plugins/candidates` | what may be asked for |
//! | `POST /v1/plugins/swap` | an order; 202 with the attempt |
//! | `POST /v1/plugins/swap/{id}` | confirms or cancels an attempt under review; 202 with the attempt |
//! | `POST /v1/plugins/rollback` | back to the plugin before; 202 with the attempt |
//! | `GET /v1/plugins/swap`, `/v1/plugins/swap/{id}` | all attempts; one, or `latest` |

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Transport,
    access::{Caller, Leaves, Route, Scope, route},
    auth::Identity,
    error::Failure,
    schema::plugins::{self, PluginStage, Wish},
};

/// Who may use the routes, and what their answers give away.
pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "/v1/plugins/candidates",
        Caller::With(Scope::Read),
        Leaves::Anyway,
    ),
    route("GET", "/v1/plugins/swap", Caller::With(Scope::Read), Leaves::Anyway),
    route("POST", "/v1/plugins/swap", Caller::With(Scope::Admin), Leaves::Anyway),
    route(
        "GET",
        "/v1/plugins/swap/{id}",
        Caller::With(Scope::Read),
        Leaves::Anyway,
    ),
    route(
        "POST",
        "/v1/plugins/swap/{id}",
        Caller::With(Scope::Admin),
        Leaves::Anyway,
    ),
    route(
        "POST",
        "/v1/plugins/rollback",
        Caller::With(Scope::Admin),
        Leaves::Anyway,
    ),
];

/// The routes of this area.
pub(super) fn router() -> Router<Arc<Transport>> {
    Router::new()
        .route("/v1/plugins/candidates", get(candidates))
        .route("/v1/plugins/swap", get(all).post(swap))
        .route("/v1/plugins/swap/{id}", get(one).post(decide))
        .route("/v1/plugins/rollback", post(rollback))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SwapBody {
    stage: String,
    plugin: String,
    blake3: Option<String>,
    config: Option<String>,
    shadow_cycles: Option<u32>,
    #[serde(default)]
    review: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    confirm: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    stage: String,
}

async fn candidates(State(transport): State<Arc<Transport>>) -> Result<Response, Failure> {
    Ok(Json(plugins::candidates(&transport.api).await?).into_response())
}

async fn swap(
    State(transport): State<Arc<Transport>>,
    Extension(who): Extension<Identity>,
    body: Bytes,
) -> Result<Response, Failure> {
    let body: SwapBody = read(&body)?;
    let wish = Wish {
        stage: stage(&body.stage)?,
        plugin: body.plugin,
        blake3: body.blake3,
        config: body.config,
        shadow_cycles: body.shadow_cycles,
        review: body.review,
    };
    Ok((StatusCode::ACCEPTED, Json(wish.send(&transport.api, who.operator())?)).into_response())
}

async fn decide(
    State(transport): State<Arc<Transport>>,
    Extension(who): Extension<Identity>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let body: DecisionBody = read(&body)?;
    let attempt = plugins::decide(&transport.api, attempt_number(&id)?, body.confirm, who.operator())?;
    Ok((StatusCode::ACCEPTED, Json(attempt)).into_response())
}

async fn rollback(
    State(transport): State<Arc<Transport>>,
    Extension(who): Extension<Identity>,
    body: Bytes,
) -> Result<Response, Failure> {
    let body: RollbackBody = read(&body)?;
    let attempt = plugins::roll_back(&transport.api, stage(&body.stage)?, who.operator())?;
    Ok((StatusCode::ACCEPTED, Json(attempt)).into_response())
}

async fn all(State(transport): State<Arc<Transport>>) -> Response {
    Json(plugins::attempts(&transport.api)).into_response()
}

async fn one(State(transport): State<Arc<Transport>>, Path(id): Path<String>) -> Result<Response, Failure> {
    let number = match id.as_str() {
        "latest" => None,
        text => Some(attempt_number(text)?),
    };
    let attempt = plugins::attempt(&transport.api, number).ok_or_else(|| Failure::NotFound {
        path: format!("/v1/plugins/swap/{}", id.chars().take(40).collect::<String>()),
    })?;
    Ok(Json(attempt).into_response())
}

fn attempt_number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::Invalid {
        what: "id",
        found: text.escape_default().to_string(),
        expected: "the number of an attempt (of a GET also: latest)".to_owned(),
    })
}

fn read<'b, T: Deserialize<'b>>(body: &'b Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|e| Failure::Invalid {
        what: "body",
        found: e.to_string(),
        expected: "JSON as docs/plugins.md shows it".to_owned(),
    })
}

fn stage(text: &str) -> Result<PluginStage, Failure> {
    match text {
        "cir" | "CIR" => Ok(PluginStage::Cir),
        "tomography" | "TOMOGRAPHY" => Ok(PluginStage::Tomography),
        "tracker" | "TRACKER" => Ok(PluginStage::Tracker),
        other => Err(Failure::Invalid {
            what: "stage",
            found: other.escape_default().to_string(),
            expected: "cir, tomography or tracker".to_owned(),
        }),
    }
}
