//! Why a request is refused: one code for operators, one terse answer for the client.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotConfigured,
    PathInvalid,
    CredentialMissing,
    ApiKeyMissing,
    ApiKeyUnknown,
    TokenMissing,
    TokenTooLarge,
    /// It cannot be read, so that its issuer is not known either.
    TokenMalformed,
    /// Its issuer is a provider, and a part of it is not what it has to be.
    TokenUnsound,
    TokenAlgorithm,
    TokenCritical,
    TokenIssuer,
    TokenKey,
    TokenSignature,
    TokenExpired,
    TokenExpiryMissing,
    TokenNotYetValid,
    TokenIssuedInFuture,
    TokenAudience,
    TokenConsumer,
    TokenInactive,
    JwksUnavailable,
    IntrospectionUnavailable,
    IntrospectionOverloaded,
    BasicMissing,
    BasicMalformed,
    BasicUser,
    BasicPassword,
    BasicBusy,
    SignatureMissing,
    SignatureMalformed,
    SignatureAlgorithm,
    SignatureKey,
    SignatureComponents,
    SignatureCreatedInFuture,
    SignatureExpired,
    SignatureWrong,
    SignatureDigest,
    SignatureReplayed,
    NonceStore,
    BodyTooLarge,
    CertificateMissing,
    CertificateIdentity,
    CertificateUnknown,
    AddressUnknown,
    AddressDenied,
    AddressNotAllowed,
    MatchBroken,
    PathForbidden,
    ConsumerForbidden,
    ClaimForbidden,
    ConditionForbidden,
    ConditionBroken,
    DefaultForbidden,
}

/// The kind of credential that a refusal is about; it picks the challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    None,
    Any,
    ApiKey,
    Basic,
    Signature,
    Token,
}

/// Everything that the answer is made of.
pub struct Description {
    /// For operators: shown in response code details and decision logs.
    pub code: &'static str,
    pub status: u32,
    /// For the client. Deliberately less precise than the code.
    pub error: &'static str,
    pub message: &'static str,
    pub subject: Subject,
}

impl Reason {
    pub fn describe(self) -> Description {
        let (code, status, error, message, subject) = match self {
            Self::NotConfigured => (
                "not_configured",
                500,
                "internal_error",
                "Authorization is not configured.",
                Subject::None,
            ),
            Self::PathInvalid => bad_request("path_invalid", "The path is not acceptable."),
            Self::CredentialMissing => missing("credential_missing", Subject::Any),
            Self::ApiKeyMissing => missing("api_key_missing", Subject::ApiKey),
            Self::ApiKeyUnknown => (
                "api_key_unknown",
                401,
                "invalid_api_key",
                "The API key is not valid.",
                Subject::ApiKey,
            ),
            Self::TokenMissing => missing("token_missing", Subject::Token),
            Self::TokenTooLarge => token("token_too_large", "The token is too large."),
            Self::TokenMalformed | Self::TokenUnsound => {
                token("token_malformed", "The token is malformed.")
            }
            Self::TokenAlgorithm => {
                token("token_algorithm", "The token's algorithm is not accepted.")
            }
            Self::TokenCritical => token(
                "token_critical",
                "The token needs an extension that is not supported.",
            ),
            Self::TokenIssuer => token("token_issuer", "The token's issuer is not accepted."),
            Self::TokenKey => token("token_key", "The token's key is not known."),
            Self::TokenSignature => token("token_signature", "The token's signature is not valid."),
            Self::TokenExpired => token("token_expired", "The token has expired."),
            Self::TokenExpiryMissing => {
                token("token_expiry_missing", "The token has no expiry time.")
            }
            Self::TokenNotYetValid => token("token_not_yet_valid", "The token is not valid yet."),
            Self::TokenIssuedInFuture => token(
                "token_issued_in_future",
                "The token was issued in the future.",
            ),
            Self::TokenAudience => token("token_audience", "The token is for another audience."),
            Self::TokenConsumer => token("token_consumer", "The token names no usable consumer."),
            Self::TokenInactive => token("token_inactive", "The token is not active."),
            Self::JwksUnavailable => unavailable("jwks_unavailable"),
            Self::IntrospectionUnavailable => unavailable("introspection_unavailable"),
            Self::IntrospectionOverloaded => unavailable("introspection_overloaded"),
            Self::BasicMissing => missing("basic_missing", Subject::Basic),
            Self::BasicMalformed => basic("basic_malformed"),
            Self::BasicUser => basic("basic_user_unknown"),
            Self::BasicPassword => basic("basic_password_wrong"),
            Self::BasicBusy => unavailable("basic_busy"),
            Self::SignatureMissing => missing("signature_missing", Subject::Signature),
            Self::SignatureMalformed => signature("signature_malformed"),
            Self::SignatureAlgorithm => signature("signature_algorithm"),
            Self::SignatureKey => signature("signature_key_unknown"),
            Self::SignatureComponents => signature("signature_components"),
            Self::SignatureCreatedInFuture => signature("signature_created_in_future"),
            Self::SignatureExpired => signature("signature_expired"),
            Self::SignatureWrong => signature("signature_wrong"),
            Self::SignatureDigest => signature("signature_content_digest"),
            Self::SignatureReplayed => signature("signature_replayed"),
            Self::NonceStore => unavailable("signature_nonce_store"),
            Self::BodyTooLarge => (
                "signature_body_too_large",
                413,
                "body_too_large",
                "The body is too large.",
                Subject::None,
            ),
            Self::CertificateMissing => forbidden("certificate_missing"),
            Self::CertificateIdentity => forbidden("certificate_identity"),
            Self::CertificateUnknown => forbidden("certificate_unknown"),
            Self::AddressUnknown => forbidden("address_unknown"),
            Self::AddressDenied => forbidden("address_denied"),
            Self::AddressNotAllowed => forbidden("address_not_allowed"),
            Self::MatchBroken => forbidden("match_not_evaluated"),
            Self::PathForbidden => forbidden("path_forbidden"),
            Self::ConsumerForbidden => forbidden("consumer_forbidden"),
            Self::ClaimForbidden => (
                "claim_forbidden",
                403,
                "insufficient_scope",
                "The credential does not allow this.",
                Subject::Token,
            ),
            Self::ConditionForbidden => forbidden("condition_forbidden"),
            Self::ConditionBroken => forbidden("condition_not_evaluated"),
            Self::DefaultForbidden => forbidden("default_forbidden"),
        };
        Description {
            code,
            status,
            error,
            message,
            subject,
        }
    }
}

type Parts = (&'static str, u32, &'static str, &'static str, Subject);

fn missing(code: &'static str, subject: Subject) -> Parts {
    let message = "Authentication is required.";
    (code, 401, "unauthorized", message, subject)
}

fn token(code: &'static str, message: &'static str) -> Parts {
    (code, 401, "invalid_token", message, Subject::Token)
}

fn basic(code: &'static str) -> Parts {
    let message = "The user or the password is not valid.";
    (code, 401, "invalid_credentials", message, Subject::Basic)
}

fn signature(code: &'static str) -> Parts {
    let message = "The signature is not valid.";
    (code, 401, "invalid_signature", message, Subject::Signature)
}

fn forbidden(code: &'static str) -> Parts {
    let message = "Access is not allowed.";
    (code, 403, "forbidden", message, Subject::None)
}

fn unavailable(code: &'static str) -> Parts {
    let message = "Authorization is not possible at the moment.";
    (code, 503, "temporarily_unavailable", message, Subject::None)
}

fn bad_request(code: &'static str, message: &'static str) -> Parts {
    (code, 400, "bad_request", message, Subject::None)
}
