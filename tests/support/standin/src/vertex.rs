//! Vertex AI: the same models by other methods, below a project and a location, for those who bear an access token.

use crate::answer::{Answer, Form};
use crate::config::Config;
use crate::embed::Door;
use crate::errors::ApiError;
use crate::models::{self, Model};
use crate::predict;
use crate::request::Request;
use crate::service;
use crate::shared::Shared;

/// Of all texts of a request together, before any is cut.
const MAX_TOKENS: usize = 20_000;

pub struct Route<'a> {
    version: &'a str,
    /// From `projects/` on.
    resource: &'a str,
    project: &'a str,
    location: &'a str,
    model: &'a str,
    form: Form,
}

pub fn route(request: &Request) -> Option<Route<'_>> {
    let path = request.path.split('?').next()?;
    let (version, path) = path.strip_prefix('/')?.split_once('/')?;
    let (resource, method) = path.split_once(':')?;
    let parts: Vec<&str> = resource.split('/').collect();
    let [
        "projects",
        project,
        "locations",
        location,
        "publishers",
        "google",
        "models",
        model,
    ] = parts[..]
    else {
        return None;
    };
    let form = match method {
        "predict" => Form::Predict,
        "batchEmbedContents" => Form::VertexBatch,
        "embedContent" => Form::VertexSingle,
        _ => return None,
    };
    let known = request.method == "POST" && matches!(version, "v1" | "v1beta1");
    known.then_some(Route {
        version,
        resource,
        project,
        location,
        model,
        form,
    })
}

pub fn serve(
    shared: &Shared,
    config: &Config,
    request: &Request,
    route: Route,
    too_large: bool,
) -> Result<Answer, ApiError> {
    check_token(config, request, &route)?;
    if route.project != config.project {
        return Err(ApiError::permission_denied(route.resource));
    }
    if too_large {
        return Err(ApiError::recorded("400_payload_too_large"));
    }
    let door = Door::Vertex(route.resource);
    let (model, mut texts) = match route.form {
        Form::Predict => {
            let message = predict::parse(&request.body)?;
            let model = served(config, &route)?;
            (model, message.check(model, config)?)
        }
        Form::VertexBatch => {
            let requests = door.parse_batch(&request.body)?;
            let model = served(config, &route)?;
            (model, door.check_batch(requests, model, config)?)
        }
        _ => {
            let message = door.parse_single(&request.body)?;
            let model = served(config, &route)?;
            (model, vec![door.check_single(message, model, config)?])
        }
    };
    service::measure(config, model, &mut texts)?;
    let tokens: usize = texts.iter().map(|text| text.tokens).sum();
    if tokens > MAX_TOKENS {
        return Err(ApiError::too_long(tokens, MAX_TOKENS));
    }
    service::embed(shared, config, request, model, texts, route.form).map_err(|error| {
        match error.code() {
            // Which quota it is and when to come back is not told here.
            429 => ApiError::recorded("429_vertex_resource_exhausted"),
            _ => error,
        }
    })
}

fn check_token(config: &Config, request: &Request, route: &Route) -> Result<(), ApiError> {
    let method = match route.form {
        Form::Predict => "Predict",
        Form::VertexBatch => "BatchEmbedContents",
        _ => "EmbedContent",
    };
    let method = format!(
        "google.cloud.aiplatform.{}.PredictionService.{method}",
        route.version
    );
    let given = request.header("authorization").unwrap_or_default();
    match given.strip_prefix("Bearer ") {
        Some(token) => config
            .accounts
            .check(token)
            .map_err(|why| why.error(&method)),
        None => Err(ApiError::no_credentials(&method)),
    }
}

fn served(config: &Config, route: &Route) -> Result<&'static Model, ApiError> {
    let here = config.locations.iter().any(|name| name == route.location);
    let model = models::find(route.model).filter(|_| here);
    let model = model.ok_or_else(|| ApiError::publisher_model_not_found(route.resource))?;
    let has_method = match route.form {
        Form::Predict => model.predicts,
        _ => model.embeds_content,
    };
    match has_method {
        true => Ok(model),
        false => Err(ApiError::publisher_model_not_found(route.resource)),
    }
}
