//! Certificates, made when they are asked for: an authority of one's own, and what a server may show that has no right to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// Signs certificates that clients take who trust it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a server shows of itself.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    Expired,
    NotYetValid,
    /// It is another host's.
    WrongHost,
    /// Signed by nobody but itself.
    SelfSigned,
}

const FLAWS: [(Flaw, &str); 5] = [
    (Flaw::None, "good"),
    (Flaw::Expired, "expired"),
    (Flaw::NotYetValid, "not-yet-valid"),
    (Flaw::WrongHost, "wrong-host"),
    (Flaw::SelfSigned, "self-signed"),
];

const MADE: &str = "a key and a certificate can be made of constant parameters";

impl Authority {
    /// Each has a key of its own, also under the same name.
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect(MADE);
        let mut parameters = parameters(&[], name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).expect(MADE).pem();
        Authority {
            issuer: Issuer::new(parameters, key),
            pem,
        }
    }

    /// For a client's file of authorities.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// For `localhost` and 127.0.0.1, but for its flaw.
    pub fn identity(&self, flaw: Flaw) -> Identity {
        let hosts: &[&str] = match flaw {
            Flaw::WrongHost => &["elsewhere.example"],
            _ => &["localhost", "127.0.0.1"],
        };
        let mut parameters = parameters(hosts, "stand-in");
        match flaw {
            Flaw::Expired => parameters.not_after = date_time_ymd(2025, 12, 31),
            Flaw::NotYetValid => parameters.not_before = date_time_ymd(4000, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().expect(MADE);
        let certificate = match flaw {
            Flaw::SelfSigned => parameters.self_signed(&key),
            _ => parameters.signed_by(&key, &self.issuer),
        };
        let chain = vec![CertificateDer::from(certificate.expect(MADE))];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key.into());
        Identity(Arc::new(config.expect("the key is the certificate's")))
    }
}

fn parameters(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts).expect(MADE);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(4095, 12, 31);
    parameters
}

impl Identity {
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl Flaw {
    /// The names that `from_str` takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FLAWS.iter().map(|(_, name)| *name)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = FLAWS.iter().find(|(flaw, _)| flaw == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(name: &str) -> Result<Flaw, String> {
        let named = FLAWS.iter().find(|(_, known)| *known == name);
        named
            .map(|(flaw, _)| *flaw)
            .ok_or_else(|| format!("{name}: no such flaw"))
    }
}
