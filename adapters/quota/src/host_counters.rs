//! Counting in the host, by its foreign function: one call for all limits of a request.

use crate::counters::{Account, Answer, Charge, Counters, Take};
use crate::limit::{Limit, Records};
use crate::wire;
use mixer_host::foreign::{call, CallError};
use proxy_wasm::hostcalls;
use proxy_wasm::types::BufferType;

const FUNCTION: &str = "mixer_quota_take";
/// A window, in nanoseconds.
const PROBED: u64 = 1_000_000_000;

pub struct HostCounters;

impl HostCounters {
    /// Whether the host counts: one that does not does not know the function. To be called when
    /// the plugin is configured.
    pub fn are_there() -> bool {
        let look = Charge {
            account: Account::under("", &[], Limit::fixed(1, PROBED), &Records::new("", 1)),
            cost: 0,
            shadow: false,
        };
        let take = Take {
            charges: vec![look],
            best_effort: false,
            id: None,
            remembered_for: 0,
        };
        !matches!(
            call(FUNCTION, &wire::encode(&take)),
            Err(CallError::Unknown)
        )
    }

    /// The answer that the host has ready in its buffer.
    pub fn later(take: &Take, size: usize) -> Answer {
        let bytes = hostcalls::get_buffer(BufferType::CallData, 0, size);
        match answer(take, bytes.ok().flatten()) {
            Answer::Later(_) => unreached(take),
            now => now,
        }
    }
}

impl Counters for HostCounters {
    fn take(&self, take: &Take) -> Answer {
        answer(take, call(FUNCTION, &wire::encode(take)).ok())
    }
}

fn answer(take: &Take, bytes: Option<Vec<u8>>) -> Answer {
    match bytes.and_then(|bytes| wire::decode(&bytes)) {
        Some(reply) if reply.pending != 0 => Answer::Later(reply.pending),
        Some(reply) if reply.standings.len() == take.charges.len() => {
            Answer::Now(reply.standings.into_iter().map(Some).collect())
        }
        _ => unreached(take),
    }
}

fn unreached(take: &Take) -> Answer {
    Answer::Now(vec![None; take.charges.len()])
}
