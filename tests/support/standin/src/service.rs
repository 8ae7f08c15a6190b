//! What a request deserves: the ordinary answer, an error, or what the script says. The checks run in the order of
//! Google's layers: route, credentials, JSON, model, fields, quota; nothing is counted as billed before all have passed.

use std::time::Instant;

use crate::answer::{Answer, Form};
use crate::config::Config;
use crate::embed::Door;
use crate::errors::ApiError;
use crate::metadata;
use crate::models::{self, Model};
use crate::oauth;
use crate::reply::Reply;
use crate::request::Request;
use crate::shared::Shared;
use crate::text::Text;
use crate::vertex;

pub enum Outcome {
    Answer(Answer),
    Reply(Reply),
}

/// Decides on a request and waits for as long as Google would take.
pub fn decide(shared: &Shared, config: &Config, request: &Request, too_large: bool) -> Outcome {
    let served = if let Some(route) = route(request) {
        serve(shared, config, request, route, too_large)
    } else if let Some(route) = vertex::route(request) {
        vertex::serve(shared, config, request, route, too_large)
    } else {
        let reply = oauth::reply(shared, config, request)
            .or_else(|| metadata::reply(shared, config, request))
            .unwrap_or_else(not_found);
        return Outcome::Reply(reply);
    };
    match served {
        Ok(answer) => Outcome::Answer(answer),
        Err(error) => Outcome::Reply(Reply::Error(error)),
    }
}

struct Route<'a> {
    version: &'a str,
    model: &'a str,
    form: Form,
}

fn route(request: &Request) -> Option<Route<'_>> {
    let path = request.path.split('?').next()?;
    let (version, resource) = path.strip_prefix('/')?.split_once('/')?;
    let (model, method) = resource.strip_prefix("models/")?.split_once(':')?;
    let form = match method {
        "batchEmbedContents" => Form::Batch,
        "embedContent" => Form::Single,
        _ => return None,
    };
    let known = request.method == "POST" && matches!(version, "v1" | "v1beta");
    known.then_some(Route {
        version,
        model,
        form,
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
            .filter(|model| model.on_gemini)
            .ok_or_else(|| ApiError::model_not_found(route.model, route.version))
    };
    let (model, mut texts) = if route.form == Form::Batch {
        let requests = Door::Gemini.parse_batch(&request.body)?;
        let model = model()?;
        (model, Door::Gemini.check_batch(requests, model, config)?)
    } else {
        let request = Door::Gemini.parse_single(&request.body)?;
        let model = model()?;
        let text = Door::Gemini.check_single(request, model, config)?;
        (model, vec![text])
    };
    measure(config, model, &mut texts)?;
    embed(shared, config, request, model, texts, route.form)
}

/// Counts the tokens of each text.
pub fn measure(config: &Config, model: &Model, texts: &mut [Text]) -> Result<(), ApiError> {
    for text in texts {
        text.tokens = config.semantics.tokens(&text.text);
        if text.is_cut(model) && !text.auto_truncate {
            return Err(ApiError::too_long(text.tokens, model.token_limit));
        }
    }
    Ok(())
}

/// What becomes of good texts: quota, time, and the bill.
pub fn embed(
    shared: &Shared,
    config: &Config,
    request: &Request,
    model: &'static Model,
    texts: Vec<Text>,
    form: Form,
) -> Result<Answer, ApiError> {
    let read = texts.iter().map(|text| text.tokens.min(model.token_limit));
    let tokens = read.sum::<usize>() as u64;
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
        form,
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
