//! The key pair of a service account: the private half for the client's file, the public one to check what it signs.

use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rsa::KeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

pub struct ServiceKey {
    pem: String,
    public: Vec<u8>,
    id: String,
}

impl ServiceKey {
    /// Of openssl's making: ring, which signs and checks, makes no RSA keys.
    ///
    /// # Panics
    /// Where there is no openssl.
    pub fn generate() -> ServiceKey {
        let made = Command::new("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ])
            .output()
            .expect("openssl can be run");
        let pem = String::from_utf8(made.stdout).expect("openssl writes PEM");
        let pkcs8 =
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("openssl makes a key");
        let pair =
            KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).expect("ring reads openssl's keys");
        let public = pair.public_key().as_ref().to_vec();
        // Google's, too, is 40 hexadecimal digits.
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &public);
        let id = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        ServiceKey { pem, public, id }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether RS256 gives this signature of the message.
    pub fn has_signed(&self, message: &str, signature: &str) -> bool {
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public)
            .verify(message.as_bytes(), &signature)
            .is_ok()
    }
}
