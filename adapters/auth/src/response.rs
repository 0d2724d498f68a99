//! The local response of a refusal.

use crate::decide::Refusal;
use crate::reason::{Description, Subject};

pub struct Denial {
    pub status: u32,
    /// For operators: the code of the reason, and the rule.
    pub details: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Which credentials the configuration accepts; a 401 names a challenge for each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accepts {
    pub api_keys: bool,
    pub tokens: bool,
    pub basic: bool,
    pub signatures: bool,
}

pub fn denial(refusal: Refusal, realm: &str, accepts: Accepts) -> Denial {
    let description = refusal.reason.describe();
    let mut headers = vec![("content-type", "application/json".to_owned())];
    for challenge in challenges(&description, realm, accepts) {
        headers.push(("www-authenticate", challenge));
    }
    // Both texts are constants without a character that JSON would escape.
    let body = format!(
        "{{\"error\":\"{}\",\"message\":\"{}\"}}",
        description.error, description.message
    );
    Denial {
        status: description.status,
        details: match refusal.rule {
            Some(place) => format!("{}:rules[{place}]", description.code),
            None => description.code.to_owned(),
        },
        headers,
        body,
    }
}

fn challenges(description: &Description, realm: &str, accepts: Accepts) -> Vec<String> {
    let mut list = Vec::new();
    match (description.status, description.subject) {
        (401, subject) => {
            if accepts.tokens {
                list.push(bearer(description, realm, subject == Subject::Token));
            }
            // No RFC defines a scheme for API keys; the README documents this one.
            if accepts.api_keys {
                list.push(format!("ApiKey realm=\"{realm}\""));
            }
            if accepts.basic {
                list.push(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
            }
            // RFC 9421 names none either.
            if accepts.signatures {
                list.push(format!("Signature realm=\"{realm}\""));
            }
        }
        (403, Subject::Token) if accepts.tokens => list.push(bearer(description, realm, true)),
        _ => {}
    }
    list
}

/// RFC 6750, section 3: a request without a token gets a challenge without an error.
fn bearer(description: &Description, realm: &str, about_token: bool) -> String {
    if !about_token || description.error == "unauthorized" {
        return format!("Bearer realm=\"{realm}\"");
    }
    format!(
        "Bearer realm=\"{realm}\", error=\"{}\", error_description=\"{}\"",
        description.error, description.message
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    const BOTH: Accepts = Accepts {
        api_keys: true,
        tokens: true,
        basic: false,
        signatures: false,
    };

    fn challenges_of(reason: Reason, accepts: Accepts) -> Vec<String> {
        let denial = denial(reason.into(), "r", accepts);
        let named = |(name, _): &&(&str, String)| *name == "www-authenticate";
        denial
            .headers
            .iter()
            .filter(named)
            .map(|h| h.1.clone())
            .collect()
    }

    #[test]
    fn missing_credential_is_challenged_without_error() {
        let list = challenges_of(Reason::CredentialMissing, BOTH);
        assert_eq!(list, ["Bearer realm=\"r\"", "ApiKey realm=\"r\""]);
    }

    #[test]
    fn bad_token_names_the_error() {
        let list = challenges_of(Reason::TokenExpired, BOTH);
        assert_eq!(
            list[0],
            "Bearer realm=\"r\", error=\"invalid_token\", error_description=\"The token has expired.\""
        );
    }

    #[test]
    fn bad_key_does_not_blame_a_token() {
        let list = challenges_of(Reason::ApiKeyUnknown, BOTH);
        assert_eq!(list, ["Bearer realm=\"r\"", "ApiKey realm=\"r\""]);
    }

    #[test]
    fn forbidden_has_a_challenge_only_for_claims() {
        assert!(challenges_of(Reason::PathForbidden, BOTH).is_empty());
        assert_eq!(challenges_of(Reason::ClaimForbidden, BOTH).len(), 1);
    }

    #[test]
    fn body_is_json() {
        let denial = denial(Reason::TokenExpired.into(), "r", BOTH);
        let body: serde_json::Value = serde_json::from_str(&denial.body).unwrap();
        assert_eq!(body["error"], "invalid_token");
        assert_eq!(denial.status, 401);
        assert_eq!(denial.details, "token_expired");
    }

    #[test]
    fn operators_are_told_the_rule() {
        let reason = Reason::ClaimForbidden;
        let refusal = Refusal {
            reason,
            rule: Some(3),
        };
        let told = denial(refusal, "r", BOTH);
        assert_eq!(told.details, "claim_forbidden:rules[3]");
        assert_eq!(told.body, denial(reason.into(), "r", BOTH).body);
    }
}
