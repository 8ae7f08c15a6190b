//! The metadata server of a machine on Google Cloud: whoever runs there gets the tokens of the machine's account, if it says
//! the one header that a browser or a redirect can't be made to say.

use serde_json::json;

use crate::config::Config;
use crate::reply::Reply;
use crate::request::Request;
use crate::shared::Shared;

const ROOT: &str = "/computeMetadata/v1/";

/// `None` where it is not the metadata server that is asked.
pub fn reply(shared: &Shared, config: &Config, request: &Request) -> Option<Reply> {
    let path = request.path.split('?').next()?.strip_prefix(ROOT)?;
    // A forwarded request is somebody else's.
    let forwarded = request.header("x-forwarded-for").is_some();
    if request.header("metadata-flavor") != Some("Google") || forwarded {
        let page = "<!DOCTYPE html>\n<html lang=en>\n<title>Error 403 (Forbidden)!!1</title>\n";
        return Some(Reply::html(403, page));
    }
    if request.method != "GET" || config.revoked {
        return None;
    }
    let answer = match path {
        "instance/service-accounts/default/token" => {
            shared.note(|stats| stats.grants += 1);
            let answer = json!({
                "access_token": config.accounts.issue(config.token_lifetime),
                "expires_in": config.token_lifetime.as_secs(),
                "token_type": "Bearer",
            });
            Reply::json(200, answer.to_string())
        }
        "instance/service-accounts/default/email" => text(config.accounts.email(&config.project)),
        "project/project-id" => text(config.project.clone()),
        _ => return None,
    };
    Some(answer.with_header("Metadata-Flavor: Google"))
}

fn text(text: String) -> Reply {
    Reply::Answer {
        status: 200,
        content_type: "application/text".into(),
        header: None,
        body: text.into(),
    }
}
