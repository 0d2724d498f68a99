//! Asking other services by HTTP callouts, and going on with those who waited for the answer.
//!
//! The SDK tells an answer to the context that asked, and to nobody where that one is gone. An
//! answer here is for all who wait for it, so it is always the root that asks.

use crate::basic::Basic;
use crate::config::Config;
use crate::context::Plugin;
use crate::decide::decide;
use crate::host::{self, HostRequest};
use crate::introspection::MAX_ANSWER_BYTES;
use crate::jwks_remote::MAX_JWKS_BYTES;
use crate::reason::Reason;
use crate::remote::{Answer, Call, HttpUri, Wanted};
use crate::waiting::Waiting;
use mixer_host::{request, root};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one callback decides at most: a decision may check signatures for milliseconds, and a host
/// bounds the time of a callback. The others have their turn in the next one, and so have those
/// after one whose password was hashed.
const MAX_TURNS: usize = 16;

const TICK: Duration = Duration::from_secs(1);
const AT_ONCE: Duration = Duration::from_millis(1);

extern "C" {
    /// The SDK's own export: inside it, the root is the context that asks.
    fn proxy_on_queue_ready(context: u32, queue: u32);
}

pub struct Remote {
    root: u32,
    /// Whether a clock is needed that goes on without requests.
    has_key_sets: bool,
    tick: Cell<Duration>,
    calls: RefCell<BTreeMap<u32, Wanted>>,
    waiting: RefCell<Waiting>,
}

impl Remote {
    pub fn new(root: u32, config: &Config) -> Self {
        let has_key_sets = config.jwt.iter().any(|jwt| jwt.remote().next().is_some());
        let remote = Self {
            root,
            has_key_sets,
            tick: Cell::new(Duration::ZERO),
            calls: RefCell::default(),
            waiting: RefCell::default(),
        };
        remote.set_tick();
        remote
    }

    /// Whether a request waits.
    pub fn holds(&self, context: u32) -> bool {
        self.waiting.borrow().contains(context)
    }

    fn set_tick(&self) {
        let period = match (self.waiting.borrow().is_ready(), self.has_key_sets) {
            (true, _) => AT_ONCE,
            (false, true) => TICK,
            (false, false) => Duration::ZERO,
        };
        if self.tick.replace(period) != period {
            let _ = hostcalls::set_tick_period(period);
        }
    }
}

impl Plugin {
    /// Has a request wait, which is to pause then. False where what it wants was not sent; who asks
    /// is to say so by `leave` once it has looked at what came of that.
    pub fn wait(&self, context: u32, wanted: Wanted) -> bool {
        if !self.remote.waiting.borrow_mut().add(context, wanted, 0) {
            return false;
        }
        // SAFETY: no memory is handed over, and the dispatcher keeps roots apart from streams.
        unsafe { proxy_on_queue_ready(self.remote.root, 0) };
        self.is_under_way(wanted)
    }

    /// A request is gone, or waits no longer; an answer that nobody else waits for goes with it.
    pub fn leave(&self, context: u32) {
        let left = self.remote.waiting.borrow_mut().remove(context);
        if let Some(wanted) = left {
            self.forget_answer(wanted);
        }
    }

    fn is_under_way(&self, wanted: Wanted) -> bool {
        self.remote.calls.borrow().values().any(|w| *w == wanted)
    }

    pub fn on_tick(&self) {
        self.send();
        self.take_turns();
    }

    /// Sends what is wanted by now. In the root only.
    pub fn send(&self) {
        let now = now();
        while let Some(call) = self.next_call(now) {
            let Some(uri) = self.uri(call.wanted) else {
                return;
            };
            match dispatch(uri, &call) {
                Some(token) => {
                    self.remote.calls.borrow_mut().insert(token, call.wanted);
                }
                None => self.complete(call.wanted, None, now),
            }
        }
    }

    fn next_call(&self, now: u64) -> Option<Call> {
        let config = &self.config;
        let key_set = config.jwt.as_ref().and_then(|jwt| jwt.take_call(now));
        key_set.or_else(|| config.introspection.as_ref()?.take_call())
    }

    fn uri(&self, wanted: Wanted) -> Option<&HttpUri> {
        match wanted {
            Wanted::KeySet(index) => {
                let mut remote = self.config.jwt.as_ref()?.remote();
                Some(&remote.find(|(i, _)| *i == index)?.1.uri)
            }
            Wanted::Introspection(_) => Some(&self.config.introspection.as_ref()?.settings.uri),
        }
    }

    /// A callout has ended. In the root only.
    pub fn on_answer(&self, token: u32, headers: usize, size: usize) {
        let Some(wanted) = self.remote.calls.borrow_mut().remove(&token) else {
            return;
        };
        let max = match wanted {
            Wanted::KeySet(_) => MAX_JWKS_BYTES,
            Wanted::Introspection(_) => MAX_ANSWER_BYTES,
        };
        let answer = (headers > 0).then(|| answer(size.min(max + 1)));
        self.complete(wanted, answer.flatten(), now());
        self.send();
        self.take_turns();
    }

    fn complete(&self, wanted: Wanted, answer: Option<Answer>, now: u64) {
        let config = &self.config;
        let ended = match wanted {
            Wanted::KeySet(index) => {
                let mut remote = config.jwt.iter().flat_map(|jwt| jwt.remote());
                let found = remote.find(|(i, _)| *i == index);
                found.map(|(_, remote)| remote.complete(answer, now))
            }
            Wanted::Introspection(name) => {
                let introspection = config.introspection.as_ref();
                introspection.map(|i| i.complete(name, answer, now))
            }
        };
        if let (Some(Err(error)), Some(uri)) = (ended, self.uri(wanted)) {
            // A query may hold a secret.
            let path = uri.path.split('?').next().unwrap_or_default();
            let cluster = &uri.cluster;
            root::log_warning(&format!("auth: {path} of the cluster {cluster}: {error}"));
        }
        self.remote.waiting.borrow_mut().complete(wanted);
        self.forget_answer(wanted);
    }

    /// Once nobody waits for it any more.
    fn forget_answer(&self, wanted: Wanted) {
        if let (Wanted::Introspection(name), Some(introspection)) =
            (wanted, &self.config.introspection)
        {
            if !self.remote.waiting.borrow().is_wanted(wanted) {
                introspection.forget(&name);
            }
        }
    }

    /// Decides for those who waited, as many as one callback may.
    fn take_turns(&self) {
        for _ in 0..MAX_TURNS {
            let next = self.remote.waiting.borrow_mut().next();
            let Some((context, wanted, waited)) = next else {
                break;
            };
            if hostcalls::set_effective_context(context).is_ok() {
                self.go_on(context, waited);
            }
            self.forget_answer(wanted);
            if self.config.basic.as_ref().is_some_and(Basic::take_hashed) {
                break;
            }
        }
        self.remote.set_tick();
    }

    fn go_on(&self, context: u32, waited: u8) {
        let request = HostRequest::new(&self.conditions, true);
        let mut outcome = decide(&self.config, &request);
        if let Some(wanted) = request.awaits.take() {
            if self
                .remote
                .waiting
                .borrow_mut()
                .add(context, wanted, waited)
            {
                self.send();
                if self.is_under_way(wanted) {
                    return;
                }
            }
            outcome = decide(&self.config, &request);
            self.leave(context);
        }
        if request.expected.take().is_some() {
            // A signature that holds only by now: its body may have gone by unseen.
            outcome = Err(Reason::SignatureDigest.into());
        }
        match outcome {
            Ok(changes) => {
                host::apply(&changes);
                let _ = hostcalls::resume_http_request();
            }
            Err(refusal) => {
                self.refuse(refusal);
            }
        }
    }
}

fn now() -> u64 {
    request::now().map_or(0, |nanoseconds| nanoseconds / 1_000_000_000)
}

fn dispatch(uri: &HttpUri, call: &Call) -> Option<u32> {
    let mut headers = vec![
        (":method", call.method),
        (":scheme", uri.scheme),
        (":authority", uri.authority.as_str()),
        (":path", uri.path.as_str()),
    ];
    headers.extend(call.headers.iter().map(|(n, v)| (*n, v.as_str())));
    let timeout = Duration::from_millis(uri.timeout_ms.into());
    hostcalls::dispatch_http_call(
        &uri.cluster,
        headers,
        call.body.as_deref(),
        Vec::new(),
        timeout,
    )
    .ok()
}

fn answer(size: usize) -> Option<Answer> {
    let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status");
    let status = status.ok().flatten()?;
    let status = std::str::from_utf8(&status).ok()?.parse().ok()?;
    let body = match size {
        0 => None,
        _ => hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok()?,
    };
    let body = body.unwrap_or_default();
    Some(Answer { status, body })
}
