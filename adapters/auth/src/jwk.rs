//! JSON Web Keys (RFC 7517): reading them once, verifying with them often.

use crate::rsa;
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Verifier;
use sha2::Sha256;

/// RFC 7518, section 3.2: a key for HS256 has at least as many bits as the hash.
const MIN_HMAC_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    HS256,
    RS256,
    ES256,
    EdDSA,
}

impl Algorithm {
    /// From a token's header or a key's `alg`. `none` and all others are unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::HS256),
            "RS256" => Some(Self::RS256),
            "ES256" => Some(Self::ES256),
            // RFC 9864 gives EdDSA over Ed25519 a name of its own.
            "EdDSA" | "Ed25519" => Some(Self::EdDSA),
            _ => None,
        }
    }
}

/// The members of a JWK that matter here. Others (x5c, x5t, ...) are passed
/// over, as RFC 7517 asks.
pub struct Jwk {
    pub kty: String,
    pub kid: Option<String>,
    pub alg: Option<String>,
    pub usage: Option<String>,
    pub key_ops: Option<Vec<String>>,
    pub crv: Option<String>,
    pub k: Option<String>,
    pub n: Option<String>,
    pub e: Option<String>,
    pub x: Option<String>,
    pub y: Option<String>,
    /// A private part is only noticed, never kept.
    pub is_private: bool,
}

enum Material {
    Hmac(Box<Hmac<Sha256>>),
    Rsa(Box<rsa::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

pub struct Key {
    pub kid: Option<String>,
    /// Fixed by the key's type, so that no token can choose another family.
    pub algorithm: Algorithm,
    material: Material,
}

/// What is wrong with a key: the member's name and a message.
pub type KeyError = (&'static str, &'static str);

impl Jwk {
    /// The key, or None if it is for a purpose or an algorithm not used here.
    pub fn into_key(self) -> Result<Option<Key>, KeyError> {
        let Some(algorithm) = self.algorithm().filter(|a| self.is_for(*a)) else {
            return Ok(None);
        };
        if self.is_private {
            return Err(("d", "is a private key: configure only the public part"));
        }
        let material = match algorithm {
            Algorithm::HS256 => self.hmac()?,
            Algorithm::RS256 => self.rsa()?,
            Algorithm::ES256 => self.p256()?,
            Algorithm::EdDSA => self.ed25519()?,
        };
        Ok(Some(Key {
            kid: self.kid,
            algorithm,
            material,
        }))
    }

    fn algorithm(&self) -> Option<Algorithm> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => Some(Algorithm::HS256),
            ("RSA", _) => Some(Algorithm::RS256),
            ("EC", Some("P-256")) => Some(Algorithm::ES256),
            ("OKP", Some("Ed25519")) => Some(Algorithm::EdDSA),
            _ => None,
        }
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let named = |name: &String| Algorithm::from_name(name) == Some(algorithm);
        self.alg.as_ref().is_none_or(named)
            && self.usage.as_ref().is_none_or(|u| u == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"))
    }

    fn hmac(&self) -> Result<Material, KeyError> {
        let secret = decode("k", &self.k)?;
        if secret.len() < MIN_HMAC_BYTES {
            return Err(("k", "is too short: HS256 needs 32 bytes or more"));
        }
        let keyed = Hmac::new_from_slice(&secret).map_err(|_| ("k", "is not usable"))?;
        Ok(Material::Hmac(Box::new(keyed)))
    }

    fn rsa(&self) -> Result<Material, KeyError> {
        let (n, e) = (decode("n", &self.n)?, decode("e", &self.e)?);
        let key = rsa::PublicKey::new(&n, &e)?;
        Ok(Material::Rsa(Box::new(key)))
    }

    fn p256(&self) -> Result<Material, KeyError> {
        let mut point = vec![4];
        point.extend(coordinate("x", &self.x)?);
        point.extend(coordinate("y", &self.y)?);
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
            .map_err(|_| ("x", "and y are not a point on P-256"))?;
        Ok(Material::P256(Box::new(key)))
    }

    fn ed25519(&self) -> Result<Material, KeyError> {
        let x = coordinate("x", &self.x)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&x)
            .map_err(|_| ("x", "is not an Ed25519 public key"))?;
        Ok(Material::Ed25519(Box::new(key)))
    }
}

fn decode(name: &'static str, text: &Option<String>) -> Result<Vec<u8>, KeyError> {
    let text = text.as_deref().ok_or((name, "is missing"))?;
    Base64UrlUnpadded::decode_vec(text).map_err(|_| (name, "is not base64url without padding"))
}

fn coordinate(name: &'static str, text: &Option<String>) -> Result<[u8; 32], KeyError> {
    let bytes = decode(name, text)?;
    bytes.try_into().map_err(|_| (name, "is not 32 bytes long"))
}

impl Key {
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(keyed) => {
                let mut mac = Hmac::clone(keyed);
                mac.update(message);
                mac.verify_slice(signature).is_ok()
            }
            Material::Rsa(key) => key.verifies(message, signature),
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|s| key.verify(message, &s).is_ok()),
            Material::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|s| key.verify_strict(message, &s).is_ok()),
        }
    }
}
