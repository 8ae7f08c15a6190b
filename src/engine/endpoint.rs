//! Where requests go: the base URL, checked so that a key can't leave this machine in clear text.

use std::fmt;
use std::net::IpAddr;
use ureq::http::Uri;

/// A checked base URL without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: String,
    host: String,
    clear_text: bool,
}

#[derive(Debug, PartialEq)]
pub enum UrlFault {
    Malformed,
    /// Not http or https.
    Scheme,
    /// http to a host that is not this machine.
    ClearText {
        host: String,
    },
    /// A user, query or fragment, where a secret could hide and end up in a log.
    Extras,
}

impl BaseUrl {
    pub fn parse(url: &str) -> Result<BaseUrl, UrlFault> {
        let url = url.trim().trim_end_matches('/');
        if url.contains(['#', '@', '?']) {
            return Err(UrlFault::Extras);
        }
        let uri: Uri = url.parse().map_err(|_| UrlFault::Malformed)?;
        let host = uri.host().filter(|host| !host.is_empty());
        let (Some(scheme), Some(host)) = (uri.scheme_str(), host) else {
            return Err(UrlFault::Malformed);
        };
        match scheme {
            "https" => (),
            "http" if is_loopback(host) => (),
            "http" => {
                return Err(UrlFault::ClearText {
                    host: host.to_owned(),
                });
            }
            _ => return Err(UrlFault::Scheme),
        }
        Ok(BaseUrl {
            url: url.to_owned(),
            host: host.to_owned(),
            clear_text: scheme == "http",
        })
    }

    /// The metadata server of a machine in Google Cloud, or what its libraries are told to take for it. The
    /// one http URL that may lead elsewhere: its address is link-local, and no secret is sent there.
    pub fn metadata(host: Option<&str>) -> Result<BaseUrl, UrlFault> {
        let host = host.unwrap_or("metadata.google.internal");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let url = format!("http://{host}");
        match url.parse::<Uri>() {
            Ok(uri) if host.chars().all(plain) => Ok(BaseUrl {
                host: uri.host().ok_or(UrlFault::Malformed)?.to_owned(),
                url,
                clear_text: true,
            }),
            _ => Err(UrlFault::Malformed),
        }
    }

    /// Below this URL.
    pub fn below(&self, path: &str) -> BaseUrl {
        BaseUrl {
            url: self.join(path),
            ..self.clone()
        }
    }

    pub fn as_str(&self) -> &str {
        &self.url
    }

    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// http, and so to this machine.
    pub fn is_clear_text(&self) -> bool {
        self.clear_text
    }

    pub fn host(&self) -> &str {
        &self.host
    }
}

pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "it is not a URL with a host"),
            Self::Scheme => write!(f, "it is neither https nor http"),
            Self::ClearText { host } => {
                write!(f, "http to {host} would send the key in clear text")
            }
            Self::Extras => write!(f, "it has a user, a query or a fragment"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_stays_on_this_machine() {
        for url in [
            "http://127.0.0.1:8080/v1beta",
            "http://localhost/v1",
            "http://[::1]:1/v1",
            "https://generativelanguage.googleapis.com/v1beta/",
        ] {
            assert!(BaseUrl::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://generativelanguage.googleapis.com/v1beta",
            "http://localhost.example.com/v1",
            "http://127.0.0.1.example.com/v1",
            "http://10.0.0.1/v1",
        ] {
            assert!(
                matches!(BaseUrl::parse(url), Err(UrlFault::ClearText { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_url_is_refused() {
        assert_eq!(BaseUrl::parse("").unwrap_err(), UrlFault::Malformed);
        assert_eq!(BaseUrl::parse("/v1beta").unwrap_err(), UrlFault::Malformed);
        assert_eq!(
            BaseUrl::parse("ftp://localhost/").unwrap_err(),
            UrlFault::Scheme
        );
        for url in [
            "http://127.0.0.1@evil.example/v1",
            "https://host/v1?key=secret",
            "https://host/v1#x",
        ] {
            assert_eq!(BaseUrl::parse(url).unwrap_err(), UrlFault::Extras, "{url}");
        }
    }

    #[test]
    fn a_metadata_server_is_a_host_and_nothing_more() {
        let usual = BaseUrl::metadata(None).unwrap();
        assert_eq!(usual.as_str(), "http://metadata.google.internal");
        let other = BaseUrl::metadata(Some("169.254.169.254:80")).unwrap();
        assert_eq!(other.host(), "169.254.169.254");
        for host in ["", "a/b", "u@h", "h?x", "a b"] {
            assert_eq!(
                BaseUrl::metadata(Some(host)),
                Err(UrlFault::Malformed),
                "{host}"
            );
        }
    }

    #[test]
    fn a_path_is_joined_with_one_slash() {
        let base = BaseUrl::parse("http://127.0.0.1:1/v1beta/").unwrap();
        assert_eq!(
            base.join("/models/m:x"),
            "http://127.0.0.1:1/v1beta/models/m:x"
        );
    }
}
