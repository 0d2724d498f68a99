"""``sign`` and ``verify_signature``: RSA (PKCS #1 v1.5) and ECDSA."""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.messages import (
    SignArguments,
    SignResult,
    VerifySignatureArguments,
    VerifySignatureResult,
    parse,
)

MAX_KEY_BYTES = 4096
"""Of a key, as DER or PEM: an RSA key of 4096 bits fits."""

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - what to sign with is the module's choice
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}

_PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


# Whether its factors are primes takes longer than signing does. Envoy does not look either, and a
# module that hands over a bad key gets a bad signature.
_UNCHECKED = {"unsafe_skip_rsa_key_validation": True}
_SHORT_HEADER = 2
_SEQUENCE = b"\x30"
_PUBLIC = "-----BEGIN PUBLIC KEY-----"
_NO_KEY = "Invalid key type: private key required for signing operation."
_OTHER_KEY = "Invalid private key: key data is corrupted or malformed."


def _hash(name: str) -> hashes.HashAlgorithm | None:
    return _HASHES.get(name.lower())


def _element(data: bytes) -> tuple[bytes, bytes]:
    """The first element of DER and what is in it; what follows it is ignored, as in Envoy.

    Raises:
        ValueError: There is none.
    """
    if len(data) < _SHORT_HEADER:
        raise ValueError("no DER")
    long = data[1] & 0x7F if data[1] & 0x80 else 0
    start = _SHORT_HEADER + long
    size = int.from_bytes(data[_SHORT_HEADER:start]) if long else data[1]
    return data[: start + size], data[start : start + size]


def _has_sequence(content: bytes) -> bool:
    return content[:1] == _SEQUENCE


def _public_key(der: bytes, pem: str) -> object:
    """A key, or None; Envoy takes a SubjectPublicKeyInfo only."""
    try:
        if pem:
            return load_pem_public_key(pem.encode()) if _PUBLIC in pem else None
        whole, content = _element(der)
        return load_der_public_key(whole) if _has_sequence(content) else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _private_key(der: bytes, pem: str) -> object:
    """A key, or None; as DER Envoy takes PKCS #8 only."""
    try:
        if pem:
            return load_pem_private_key(pem.encode(), None, **_UNCHECKED)
        whole, content = _element(der)
        version, _ = _element(content)
        is_pkcs8 = _has_sequence(content[len(version) :])
        return load_der_private_key(whole, None, **_UNCHECKED) if is_pkcs8 else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _is_one_key(der: bytes, pem: str) -> bool:
    return bool(der) is not bool(pem) and len(der) + len(pem) <= MAX_KEY_BYTES


def verify_signature(_context: Context, arguments: bytes) -> bytes | Status:
    """Whether a signature is that of a text, and why not."""
    message = parse(VerifySignatureArguments, arguments)
    if message is None or not _is_one_key(message.public_key, message.public_key_pem):
        return Status.BAD_ARGUMENT
    error = _why_not(message)
    result = VerifySignatureResult(result=not error, error=error)
    return bytes(result.SerializeToString())


def _why_not(message: VerifySignatureArguments) -> str:
    algorithm = _hash(message.hash_function)
    if algorithm is None:
        return f"{message.hash_function} is not supported."
    key = _public_key(message.public_key, message.public_key_pem)
    if not isinstance(key, _PublicKey):
        return "Failed to initialize digest verify."
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(message.signature, message.text, padding.PKCS1v15(), algorithm)
        else:
            key.verify(message.signature, message.text, ec.ECDSA(algorithm))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return "Failed to verify digest. Error code: 0"
    return ""


def sign(_context: Context, arguments: bytes) -> bytes | Status:
    """The signature of a text, or why there is none."""
    message = parse(SignArguments, arguments)
    if message is None or not _is_one_key(message.private_key, message.private_key_pem):
        return Status.BAD_ARGUMENT
    algorithm = _hash(message.hash_function)
    if algorithm is None:
        result = SignResult(error=f"{message.hash_function} is not supported.")
    else:
        result = _signed(message, algorithm)
    return bytes(result.SerializeToString())


def _signed(message: SignArguments, algorithm: hashes.HashAlgorithm) -> SignResult:
    key = _private_key(message.private_key, message.private_key_pem)
    if key is None:
        return SignResult(error=_NO_KEY)
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(message.text, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            signature = key.sign(message.text, ec.ECDSA(algorithm))
        else:
            return SignResult(error=_OTHER_KEY)
    except (ValueError, UnsupportedAlgorithm):
        return SignResult(error="Failed to sign digest.")
    return SignResult(result=True, signature=signature)
