//! Google's two doors to its models.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The Gemini API, with a key.
    Gemini,
    /// Vertex AI, with a project and an access token.
    Vertex,
}

/// The Gemini API; it has no locations.
const GEMINI: &str = "https://generativelanguage.googleapis.com/v1beta";

/// A place that is part of a URL, or something that only looks like one.
#[derive(Debug, PartialEq)]
pub enum PlaceFault {
    Project,
    Location,
}

impl Provider {
    pub const ALL: [Provider; 2] = [Provider::Gemini, Provider::Vertex];

    /// As the setting has it.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Gemini => "gemini",
            Provider::Vertex => "vertex",
        }
    }

    /// Where it is, with the version: for Vertex AI by the location.
    pub fn base_url(self, location: &str) -> String {
        match (self, location) {
            (Provider::Gemini, _) => GEMINI.into(),
            (Provider::Vertex, "global") => "https://aiplatform.googleapis.com/v1".into(),
            (Provider::Vertex, "us" | "eu") => {
                format!("https://aiplatform.{location}.rep.googleapis.com/v1")
            }
            (Provider::Vertex, region) => {
                format!("https://{region}-aiplatform.googleapis.com/v1")
            }
        }
    }
}

/// What stands between the base URL of Vertex AI and a model.
pub fn publisher(project: &str, location: &str) -> Result<String, PlaceFault> {
    let plain = |text: &str, others: &[char]| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || others.contains(&c))
    };
    // A project may belong to a domain, as in example.com:project.
    if !plain(project, &['-', '.', ':']) {
        return Err(PlaceFault::Project);
    }
    if !plain(location, &['-']) {
        return Err(PlaceFault::Location);
    }
    Ok(format!(
        "/projects/{project}/locations/{location}/publishers/google"
    ))
}

/// Project and location of a URL that `publisher` is the end of.
pub fn place_in(url: &str) -> Option<(&str, &str)> {
    let (_, place) = url.rsplit_once("/projects/")?;
    let (project, rest) = place.split_once("/locations/")?;
    let (location, _) = rest.split_once("/publishers/")?;
    Some((project, location))
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Provider::Gemini => "the Gemini API",
            Provider::Vertex => "Vertex AI",
        })
    }
}

impl FromStr for Provider {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name().eq_ignore_ascii_case(name))
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_its_own_host() {
        let host = |location| Provider::Vertex.base_url(location);
        assert_eq!(host("global"), "https://aiplatform.googleapis.com/v1");
        assert_eq!(host("eu"), "https://aiplatform.eu.rep.googleapis.com/v1");
        assert_eq!(
            host("us-central1"),
            "https://us-central1-aiplatform.googleapis.com/v1"
        );
    }

    #[test]
    fn what_would_be_more_than_a_part_of_the_path_is_refused() {
        assert_eq!(
            publisher("example.com:my-project", "europe-west4").unwrap(),
            "/projects/example.com:my-project/locations/europe-west4/publishers/google"
        );
        let url = format!("https://host/v1{}", publisher("p", "eu").unwrap());
        assert_eq!(place_in(&url), Some(("p", "eu")));
        assert_eq!(place_in("https://host/v1"), None);
        for project in ["", "a/b", "a?b", "a b", "\u{e4}"] {
            assert_eq!(publisher(project, "global"), Err(PlaceFault::Project));
        }
        for location in ["", "evil.example/", "a.b", "us:1"] {
            assert_eq!(publisher("p", location), Err(PlaceFault::Location));
        }
    }
}
