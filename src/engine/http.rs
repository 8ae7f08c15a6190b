//! One HTTP exchange: a body out, a body or a failure back. Redirects and the environment's proxies are not
//! followed.

use std::fs;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::http::header::CONTENT_TYPE;
use ureq::http::response::Parts;
use ureq::http::{HeaderName, HeaderValue, Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Proxy, ProxyProtocol};

use super::endpoint::{self, BaseUrl};
use super::failure::{self, BreakAt, Failure};
use super::surplus;

/// The most that is read of one answer, packed and unpacked; 100 vectors of 3,072 take 7 MB.
const MAX_ANSWER_BYTES: u64 = 32 * 1024 * 1024;

/// What an answer's memory begins with.
const FIRST_READ: usize = 128 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub base_url: BaseUrl,
    /// PEM file with the authorities to trust instead of the built-in ones.
    pub ca_file: Option<String>,
    pub proxy: Option<String>,
    pub timeout: Duration,
    /// Connections kept open for the next requests.
    pub keep_alive: usize,
}

#[derive(Debug)]
pub enum ConnectionFault {
    CaFile { path: String, reason: String },
    Proxy { reason: String },
}

/// An open pool of connections to one endpoint; clones share it.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    connection: Connection,
}

impl Client {
    pub fn new(connection: Connection) -> Result<Client, ConnectionFault> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &connection.ca_file {
            tls = tls.root_certs(authorities(path)?);
        }
        let proxy = match &connection.proxy {
            Some(url) => Some(proxy(url, &connection.base_url)?),
            None => None,
        };
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .proxy(proxy)
            .timeout_global(Some(connection.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(connection.keep_alive)
            .max_idle_connections_per_host(connection.keep_alive)
            .user_agent(concat!("embedding_backfill/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, surplus::connector(), DefaultResolver::default());
        Ok(Client { agent, connection })
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Status and body of the answer to one request. Blocks; for the threads of a pipeline only. `memory`
    /// is where the answer is read to; it serves one request after the other.
    pub fn exchange<'m>(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: &[u8],
        memory: &'m mut Vec<u8>,
    ) -> Result<(u16, &'m [u8]), Failure> {
        let (head, body) = self.told(method, path, headers, body, memory)?;
        Ok((head.status.as_u16(), body))
    }

    /// As `exchange`, with the whole head of the answer. A body is JSON where the headers don't say otherwise.
    pub fn told<'m>(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: &[u8],
        memory: &'m mut Vec<u8>,
    ) -> Result<(Parts, &'m [u8]), Failure> {
        let mut request = Request::builder()
            .method(&method)
            .uri(self.connection.base_url.join(path));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let sent = match method {
            Method::GET | Method::DELETE => request.body(()).map(|request| self.agent.run(request)),
            _ => {
                if headers.iter().all(|(name, _)| *name != CONTENT_TYPE) {
                    request = request.header(CONTENT_TYPE, "application/json");
                }
                request.body(body).map(|request| self.agent.run(request))
            }
        };
        let (head, mut body) = sent
            .map_err(ureq::Error::from)
            .flatten()
            .map_err(|e| self.failure(e))?
            .into_parts();
        let mut reader = body.with_config().limit(MAX_ANSWER_BYTES).reader();
        let mut length = 0;
        loop {
            if length == memory.len() {
                memory.resize((2 * length).max(FIRST_READ), 0);
            }
            match reader.read(&mut memory[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) => return Err(self.failure(ureq::Error::from(e))),
            }
            if length as u64 > MAX_ANSWER_BYTES {
                return Err(Failure::TooLarge {
                    limit: MAX_ANSWER_BYTES,
                });
            }
        }
        Ok((head, &memory[..length]))
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        let host = self.connection.base_url.host().to_owned();
        match error {
            ureq::Error::Timeout(_) => Failure::Timeout {
                host,
                seconds: self.connection.timeout.as_secs(),
            },
            ureq::Error::BodyExceedsLimit(limit) => Failure::TooLarge { limit },
            other => {
                let reason = match &other {
                    ureq::Error::Io(e) => e.to_string(),
                    other => other.to_string(),
                };
                let break_at = match other {
                    ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => BreakAt::Connect,
                    ureq::Error::Io(e) if e.kind() == ErrorKind::ConnectionRefused => {
                        BreakAt::Connect
                    }
                    ureq::Error::Io(_) if failure::is_unknown_host(&reason) => BreakAt::Connect,
                    _ if reason.contains("certificate") => BreakAt::Trust,
                    _ => BreakAt::Exchange,
                };
                Failure::Transport {
                    host,
                    reason,
                    break_at,
                }
            }
        }
    }
}

/// What is wrong with it is said without its URL, which may carry a password.
fn proxy(url: &str, base_url: &BaseUrl) -> Result<Proxy, ConnectionFault> {
    let fault = |reason: &str| ConnectionFault::Proxy {
        reason: reason.into(),
    };
    let proxy = Proxy::new(url).ok();
    let proxy = proxy
        .filter(|proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https))
        .ok_or_else(|| fault("it is not a proxy URL such as http://proxy.example:3128"))?;
    match base_url.is_clear_text() && !endpoint::is_loopback(proxy.host()) {
        true => Err(fault(
            "base_url is http, and a proxy elsewhere would get the key in clear text",
        )),
        false => Ok(proxy),
    }
}

fn authorities(path: &str) -> Result<RootCerts, ConnectionFault> {
    let fault = |reason: String| ConnectionFault::CaFile {
        path: path.into(),
        reason,
    };
    let pem = fs::read(path).map_err(|e| fault(e.to_string()))?;
    let certificates = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(e) => Some(Err(fault(e.to_string()))),
        })
        .collect::<Result<Vec<Certificate<'static>>, _>>()?;
    if certificates.is_empty() {
        return Err(fault("it has no certificate in PEM form".into()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
