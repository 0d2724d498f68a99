//! Signatures: the examples of RFC 7515 and RFC 8037, and RSA blocks that a
//! lenient verifier would take.

use crate::jwk::{Algorithm, Jwk, Key};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{json, Value};

fn jwk(value: &Value) -> Jwk {
    let text = |name: &str| value.get(name).map(|v| v.as_str().unwrap().to_owned());
    let ops = value
        .get("key_ops")
        .map(|v| serde_json::from_value(v.clone()).unwrap());
    Jwk {
        kty: text("kty").unwrap_or_default(),
        kid: text("kid"),
        alg: text("alg"),
        usage: text("use"),
        key_ops: ops,
        crv: text("crv"),
        k: text("k"),
        n: text("n"),
        e: text("e"),
        x: text("x"),
        y: text("y"),
        is_private: value.get("d").is_some(),
    }
}

fn key(value: Value) -> Key {
    jwk(&value).into_key().map_err(|e| e.1).unwrap().unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

/// The signature holds; with any one bit of it or of the message changed it does not.
fn check(key: &Key, message: &str, signature: &str) {
    let signature = bytes(signature);
    assert!(key.verifies(message.as_bytes(), &signature));
    assert!(!key.verifies(format!("{message}x").as_bytes(), &signature));
    for i in (0..signature.len()).step_by(7) {
        let mut changed = signature.clone();
        changed[i] ^= 1 << (i % 8);
        assert!(!key.verifies(message.as_bytes(), &changed), "byte {i}");
    }
    assert!(!key.verifies(message.as_bytes(), &signature[1..]));
    assert!(!key.verifies(message.as_bytes(), &[]));
}

const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_a1_hs256() {
    let key = key(json!({"kty": "oct", "k":
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}));
    let message = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}");
    check(
        &key,
        &message,
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    );
}

#[test]
fn rfc_7515_a2_rs256() {
    let key = key(json!({"kty": "RSA", "e": "AQAB", "n":
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}));
    let message = format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}");
    check(&key, &message,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
}

#[test]
fn rfc_7515_a3_es256() {
    let key = key(json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}));
    let message = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}");
    check(
        &key,
        &message,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert!(!key.verifies(message.as_bytes(), &[0; 64]));
}

#[test]
fn rfc_8037_a4_eddsa() {
    let key = key(json!({"kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}));
    check(
        &key,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
}

#[test]
fn rsa_blocks_of_every_size_and_no_lenient_one() {
    let vectors: Value = serde_json::from_str(include_str!("../testdata/rsa.json")).unwrap();
    for bits in ["2048", "2056", "3072"] {
        let vector = &vectors[bits];
        let key = key(json!({"kty": "RSA", "n": vector["n"], "e": "AQAB"}));
        check(&key, "message", vector["valid"].as_str().unwrap());
    }
    let vector = &vectors["2048"];
    let key = key(json!({"kty": "RSA", "n": vector["n"], "e": "AQAB"}));
    for (name, signature) in vector["refused"].as_object().unwrap() {
        let signature = bytes(signature.as_str().unwrap());
        assert!(!key.verifies(b"message", &signature), "{name}");
    }
}

#[test]
fn keys_for_other_purposes_are_passed_over() {
    let k = Base64UrlUnpadded::encode_string(&[7; 32]);
    for other in [
        json!({"kty": "oct", "k": k, "use": "enc"}),
        json!({"kty": "oct", "k": k, "alg": "HS512"}),
        json!({"kty": "oct", "k": k, "alg": "RS256"}),
        json!({"kty": "oct", "k": k, "key_ops": ["encrypt"]}),
        json!({"kty": "EC", "crv": "P-384"}),
        json!({"kty": "OKP", "crv": "X25519"}),
        json!({"kty": "RSA", "alg": "RSA-OAEP"}),
        json!({}),
    ] {
        assert!(matches!(jwk(&other).into_key(), Ok(None)), "{other}");
    }
    let both = json!({"kty": "oct", "k": k, "use": "sig", "key_ops": ["sign", "verify"]});
    assert_eq!(key(both).algorithm, Algorithm::HS256);
}

#[test]
fn unfit_keys_are_refused() {
    let vectors: Value = serde_json::from_str(include_str!("../testdata/rsa.json")).unwrap();
    let n = bytes(vectors["2048"]["n"].as_str().unwrap());
    let encode = Base64UrlUnpadded::encode_string;
    let (mut even, mut short) = (n.clone(), n.clone());
    *even.last_mut().unwrap() &= 0xfe;
    short[0] &= 0x7f;
    let zero = encode(&[0; 32]);
    for (bad, member) in [
        (json!({"kty": "RSA", "e": "AQAB"}), "n"),
        (json!({"kty": "RSA", "e": "AQAB", "n": "="}), "n"),
        (json!({"kty": "RSA", "e": "AQAB", "n": encode(&short)}), "n"),
        (json!({"kty": "RSA", "e": "AQAB", "n": encode(&even)}), "n"),
        (
            json!({"kty": "RSA", "e": "AQAB", "n": encode(&[0xff; 513])}),
            "n",
        ),
        (json!({"kty": "RSA", "e": "AQ", "n": encode(&n)}), "e"),
        (json!({"kty": "RSA", "e": "", "n": encode(&n)}), "e"),
        (
            json!({"kty": "RSA", "e": encode(&[9; 9]), "n": encode(&n)}),
            "e",
        ),
        (
            json!({"kty": "RSA", "e": "AQAB", "n": encode(&n), "d": "AQ"}),
            "d",
        ),
        (json!({"kty": "oct", "k": encode(&[1; 31])}), "k"),
        (
            json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero}),
            "x",
        ),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": zero}),
            "x",
        ),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "x"),
    ] {
        let error = jwk(&bad).into_key().map(|_| ()).unwrap_err();
        assert_eq!(error.0, member, "{bad}: {}", error.1);
    }
}
