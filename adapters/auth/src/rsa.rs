//! RSASSA-PKCS1-v1_5 verification (RFC 8017, section 8.2.2) with SHA-256.
//!
//! Verification needs one public power modulo n and one comparison. The whole
//! expected block is built and compared, never parsed, so there is no padding
//! to be lenient about. Everything here is public; timing tells nothing.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize};
use sha2::{Digest, Sha256};

const MIN_BITS: u32 = 2048;
/// Bounds the work that one token can cause.
const MAX_BITS: u32 = 4096;
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// DER of DigestInfo for SHA-256 up to the hash (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

pub struct PublicKey {
    modulus: BoxedUint,
    montgomery: BoxedMontyParams,
    exponent: u64,
    /// The modulus' length in bytes, which is also the signature's.
    size: usize,
}

impl PublicKey {
    /// From big-endian numbers. The error names the member of the JWK.
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, (&'static str, &'static str)> {
        let n = significant(n);
        let bits = bit_length(n);
        if bits < MIN_BITS {
            return Err(("n", "is too short: RS256 needs 2048 bits or more"));
        }
        if bits > MAX_BITS {
            return Err(("n", "is too long: RS256 takes 4096 bits or less"));
        }
        let modulus = BoxedUint::from_be_slice_vartime(n);
        let odd = Odd::new(modulus.clone()).into_option();
        let odd = odd.ok_or(("n", "is not an RSA modulus: it is even"))?;
        Ok(Self {
            modulus,
            montgomery: BoxedMontyParams::new_vartime(odd),
            exponent: exponent(e).ok_or(("e", "must be odd, from 3 to 2^33 - 1"))?,
            size: n.len(),
        })
    }

    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.size {
            return false;
        }
        let number = BoxedUint::from_be_slice_vartime(signature);
        if number >= self.modulus {
            return false;
        }
        let precision = self.modulus.bits_precision();
        let block = self.power(number.resize(precision)).to_be_bytes();
        // The number is as long as its limbs; a shorter modulus leaves zeros in front.
        significant(&block) == significant(&self.expected(message))
    }

    /// number ^ exponent mod modulus, by squaring from the highest bit down.
    fn power(&self, number: BoxedUint) -> BoxedUint {
        let base = BoxedMontyForm::new(number, &self.montgomery);
        let mut result = base.clone();
        for bit in (0..self.exponent.ilog2()).rev() {
            result = result.square();
            if self.exponent >> bit & 1 == 1 {
                result = result.mul(&base);
            }
        }
        result.retrieve()
    }

    /// 00 01 FF ... FF 00 DigestInfo hash, as long as the modulus.
    fn expected(&self, message: &[u8]) -> Vec<u8> {
        let hash = Sha256::digest(message);
        let tail = 1 + DIGEST_INFO.len() + hash.len();
        let mut block = vec![0x00, 0x01];
        block.resize(self.size.saturating_sub(tail), 0xff);
        block.push(0x00);
        block.extend(DIGEST_INFO);
        block.extend(hash);
        block
    }
}

fn exponent(bytes: &[u8]) -> Option<u64> {
    let bytes = significant(bytes);
    if bytes.len() > 8 {
        return None;
    }
    let value = bytes
        .iter()
        .fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    let sound = (3..=MAX_EXPONENT).contains(&value) && value % 2 == 1;
    sound.then_some(value)
}

fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn bit_length(significant: &[u8]) -> u32 {
    let first = significant.first().map_or(0, |b| b.leading_zeros());
    let bits = significant.len().saturating_mul(8);
    u32::try_from(bits)
        .unwrap_or(u32::MAX)
        .saturating_sub(first)
}
