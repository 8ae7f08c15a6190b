//! What a request deserves: the ordinary answer, an error, or what the script says. The checks run in the order of
//! Google's layers: route, key, JSON, model, fields, quota; nothing is counted as billed before all have passed.

use std::time::Instant;

use crate::answer::Answer;
use crate::config::Config;
use crate::embed;
use crate::errors::ApiError;
use crate::models;
use crate::reply::Reply;
use crate::request::Request;
use crate::shared::Shared;

pub enum Outcome {
    Answer(Answer),
    Reply(Reply),
}

/// Decides on a request and waits for as long as Google would take.
pub fn decide(shared: &Shared, config: &Config, request: &Request, too_large: bool) -> Outcome {
    let served = route(request)
        .ok_or_else(not_found)
        .and_then(|route| serve(shared, config, request, route, too_large).map_err(Reply::Error));
    match served {
        Ok(answer) => Outcome::Answer(answer),
        Err(reply) => Outcome::Reply(reply),
    }
}

struct Route<'a> {
    version: &'a str,
    model: &'a str,
    batch: bool,
}

fn route(request: &Request) -> Option<Route<'_>> {
    let path = request.path.split('?').next()?;
    let (version, resource) = path.strip_prefix('/')?.split_once('/')?;
    let (model, method) = resource.strip_prefix("models/")?.split_once(':')?;
    let batch = match method {
        "batchEmbedContents" => true,
        "embedContent" => false,
        _ => return None,
    };
    let known = request.method == "POST" && matches!(version, "v1" | "v1beta");
    known.then_some(Route {
        version,
        model,
        batch,
    })
}

/// Google's front end answers in HTML where no method is bound to the path.
fn not_found() -> Reply {
    Reply::html(
        404,
        "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n",
    )
}

fn serve(
    shared: &Shared,
    config: &Config,
    request: &Request,
    route: Route,
    too_large: bool,
) -> Result<Answer, ApiError> {
    check_key(request, &config.key)?;
    if too_large {
        return Err(ApiError::recorded("400_payload_too_large"));
    }
    let model = || {
        models::find(route.model)
            .ok_or_else(|| ApiError::model_not_found(route.model, route.version))
    };
    let (model, texts) = if route.batch {
        let requests = embed::parse_batch(&request.body)?;
        let model = model()?;
        (model, embed::check_batch(requests, model, config)?)
    } else {
        let request = embed::parse_single(&request.body)?;
        let model = model()?;
        (model, vec![embed::check_single(request, model, config)?])
    };
    let mut tokens = 0;
    for text in &texts {
        let count = config.semantics.tokens(&text.text);
        if count > model.token_limit && !text.auto_truncate {
            return Err(ApiError::too_long(count, model.token_limit));
        }
        tokens += count.min(model.token_limit) as u64;
    }
    let count = texts.len() as u64;
    shared.note(|stats| stats.texts += count);
    shared.take_quota(config, model, count, tokens, Instant::now())?;
    shared.pause(config.latency);
    if let Some(poison) = &config.poison
        && texts.iter().any(|text| text.text.contains(poison))
    {
        return Err(ApiError::recorded("400_invalid_argument"));
    }
    shared.note(|stats| {
        stats.texts_billed += count;
        stats.tokens += tokens;
    });
    Ok(Answer {
        model,
        texts,
        tokens,
        batch: route.batch,
        pretty: request.query("prettyPrint") != Some("false"),
    })
}

/// The checks on the API key, in the order of Google's front end.
fn check_key(request: &Request, key: &str) -> Result<(), ApiError> {
    let in_url = request.query("key");
    let given = request
        .header("x-goog-api-key")
        .or(in_url)
        .unwrap_or_default();
    if given.is_empty() {
        return Err(ApiError::recorded("403_no_key"));
    }
    // Keys of the new kind are refused in the URL, good or not.
    if in_url.is_some_and(|key| key.starts_with("AQ.")) {
        return Err(ApiError::recorded("401_key_type_rejected"));
    }
    if given != key {
        return Err(ApiError::recorded("400_api_key_invalid"));
    }
    Ok(())
}
