//! HTTP basic authentication (RFC 7617), with passwords known only by their PBKDF2.
//!
//! A password's hash costs milliseconds, so that it can hardly be guessed from the configuration,
//! and a user who is unknown costs the same as a wrong password. So that neither the many requests
//! of one client nor a flood of wrong passwords cost that each time, passwords that were right are
//! remembered, and only so many are hashed in a second.

use crate::reason::Reason;
use crate::source::Source;
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

const MAX_CREDENTIAL_BYTES: usize = 1024;
const MAX_PASSWORD_BYTES: usize = 256;
const MAX_VERIFIED: usize = 1024;

pub struct Basic {
    /// The one header.
    pub sources: Vec<Source>,
    pub users: BTreeMap<String, User>,
    pub max_hashes_per_second: u32,
    /// Second, and how many hashes it had.
    hashes: Cell<(u64, u32)>,
    has_hashed: Cell<bool>,
    verified: RefCell<Verified>,
}

pub struct User {
    pub consumer: String,
    pub password: PasswordHash,
}

/// The PBKDF2 with HMAC-SHA-256 of a password.
pub struct PasswordHash {
    pub iterations: u32,
    pub salt: Vec<u8>,
    pub hash: [u8; 32],
}

impl PasswordHash {
    fn matches(&self, password: &[u8]) -> bool {
        let mut hash = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, self.iterations, &mut hash);
        hash.ct_eq(&self.hash).into()
    }

    /// What a password that is right is remembered by: worth as much as the configuration of this
    /// very user, and nothing elsewhere.
    fn fingerprint(&self, password: &[u8]) -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.hash).ok()?;
        mac.update(password);
        Some(mac.finalize().into_bytes().into())
    }
}

impl Basic {
    pub fn new(
        sources: Vec<Source>,
        users: BTreeMap<String, User>,
        max_hashes_per_second: u32,
    ) -> Self {
        Self {
            sources,
            users,
            max_hashes_per_second,
            hashes: Cell::default(),
            has_hashed: Cell::default(),
            verified: RefCell::default(),
        }
    }

    /// The consumer of the credential, which is what comes after `Basic `.
    pub fn consumer(&self, credential: &[u8], now: impl FnOnce() -> u64) -> Result<&str, Reason> {
        let (name, password) = split(credential).ok_or(Reason::BasicMalformed)?;
        let user = self.users.get(&name);
        let Some(checked) = user.or_else(|| self.stand_in(&name)) else {
            return Err(Reason::BasicUser);
        };
        // Nobody is remembered for a name that is unknown: the time would tell a user's password.
        let fingerprint = user.and_then(|u| u.password.fingerprint(&password));
        let remembered = fingerprint.is_some_and(|f| self.verified.borrow().contains(&f));
        if !remembered {
            self.take_hash(now())?;
            if !checked.password.matches(&password) {
                return Err(user.map_or(Reason::BasicUser, |_| Reason::BasicPassword));
            }
            self.verified.borrow_mut().extend(fingerprint);
        }
        user.map(|u| u.consumer.as_str()).ok_or(Reason::BasicUser)
    }

    /// The user whose password is hashed for a name that nobody has: always the same one, so that
    /// the name's time looks like that of a user's.
    fn stand_in(&self, name: &str) -> Option<&User> {
        let sum = name.bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        self.users.values().nth(sum % self.users.len().max(1))
    }

    fn take_hash(&self, now: u64) -> Result<(), Reason> {
        let (second, count) = self.hashes.get();
        let count = if second == now { count } else { 0 };
        if count >= self.max_hashes_per_second {
            return Err(Reason::BasicBusy);
        }
        self.hashes.set((now, count + 1));
        self.has_hashed.set(true);
        Ok(())
    }

    /// Whether a password was hashed since this was asked before.
    pub fn take_hashed(&self) -> bool {
        self.has_hashed.take()
    }
}

fn split(credential: &[u8]) -> Option<(String, Vec<u8>)> {
    if credential.len() > MAX_CREDENTIAL_BYTES {
        return None;
    }
    let decoded = Base64::decode_vec(std::str::from_utf8(credential).ok()?).ok()?;
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded.get(..at)?.to_vec()).ok()?;
    let password = decoded.get(at + 1..)?.to_vec();
    let sound =
        password.len() <= MAX_PASSWORD_BYTES && !decoded.iter().any(|byte| byte.is_ascii_control());
    sound.then_some((name, password))
}

/// The newest passwords that were right.
#[derive(Default)]
struct Verified {
    entries: Vec<[u8; 32]>,
    next: usize,
}

impl Verified {
    fn contains(&self, fingerprint: &[u8; 32]) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.ct_eq(fingerprint).into())
    }

    fn extend(&mut self, fingerprint: Option<[u8; 32]>) {
        let Some(fingerprint) = fingerprint else {
            return;
        };
        match self.entries.get_mut(self.next) {
            Some(oldest) => *oldest = fingerprint,
            None => self.entries.push(fingerprint),
        }
        self.next = (self.next + 1) % MAX_VERIFIED;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(password: &str, iterations: u32) -> User {
        let mut hash = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), b"salt", iterations, &mut hash);
        let salt = b"salt".to_vec();
        let password = PasswordHash {
            iterations,
            salt,
            hash,
        };
        User {
            consumer: format!("of-{iterations}"),
            password,
        }
    }

    fn basic(max: u32) -> Basic {
        let users = [("alice", user("pw:1", 2)), ("b\u{f6}b", user("", 3))];
        let users = users.map(|(name, user)| (name.to_owned(), user)).into();
        Basic::new(Vec::new(), users, max)
    }

    fn ask(basic: &Basic, text: &[u8]) -> Result<String, Reason> {
        let credential = Base64::encode_string(text);
        basic
            .consumer(credential.as_bytes(), || 7)
            .map(str::to_owned)
    }

    #[test]
    fn who_is_let_in_and_who_is_not() {
        let basic = basic(100);
        assert_eq!(ask(&basic, b"alice:pw:1").as_deref(), Ok("of-2"));
        assert_eq!(ask(&basic, "b\u{f6}b:".as_bytes()).as_deref(), Ok("of-3"));
        for (text, reason) in [
            (&b"alice:pw:2"[..], Reason::BasicPassword),
            (b"alice:", Reason::BasicPassword),
            (b"ALICE:pw:1", Reason::BasicUser),
            (b"carol:pw:1", Reason::BasicUser),
            (b":pw:1", Reason::BasicUser),
            (b"alice", Reason::BasicMalformed),
            (b"", Reason::BasicMalformed),
            (b"\xff\xfe:x", Reason::BasicMalformed),
            (b"alice:pw:1\0", Reason::BasicMalformed),
            (b"alice:pw:1\n", Reason::BasicMalformed),
        ] {
            assert_eq!(ask(&basic, text), Err(reason), "{text:?}");
        }
        for bad in [
            &b"YWxpY2U6cHc6MQ="[..],
            b"YWxpY2U6cHc6MR==",
            b"\xff",
            &[b'A'; 1028],
        ] {
            assert_eq!(
                basic.consumer(bad, || 7).err(),
                Some(Reason::BasicMalformed)
            );
        }
    }

    #[test]
    fn nobody_has_the_password_of_a_stand_in() {
        let basic = basic(1000);
        for name in 0..100 {
            for password in ["pw:1", ""] {
                let text = format!("n{name}:{password}");
                // Also where a user with that password is remembered.
                assert_eq!(ask(&basic, text.as_bytes()), Err(Reason::BasicUser));
                assert!(ask(&basic, b"alice:pw:1").is_ok());
            }
        }
    }

    #[test]
    fn who_is_unknown_costs_a_hash_too() {
        for text in [&b"alice:x"[..], b"carol:x"] {
            let basic = basic(1);
            assert_ne!(ask(&basic, text), Err(Reason::BasicBusy));
            assert_eq!(ask(&basic, text), Err(Reason::BasicBusy));
        }
    }

    #[test]
    fn who_was_right_costs_none_and_a_second_has_so_many() {
        let basic = basic(1);
        for _ in 0..3 {
            assert!(ask(&basic, b"alice:pw:1").is_ok());
        }
        assert_eq!(ask(&basic, b"alice:pw:2"), Err(Reason::BasicBusy));
        let credential = Base64::encode_string(b"alice:pw:2");
        for now in [8, 6] {
            let later = basic.consumer(credential.as_bytes(), || now);
            assert_eq!(later, Err(Reason::BasicPassword));
        }
    }

    #[test]
    fn so_many_are_remembered() {
        let mut verified = Verified::default();
        for number in 0..MAX_VERIFIED + 1 {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&(number as u64).to_le_bytes());
            verified.extend(Some(fingerprint));
        }
        assert_eq!(verified.entries.len(), MAX_VERIFIED);
        assert!(!verified.contains(&[0; 32]));
    }
}
