//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::allocation::{order, Asked, Order};
use crate::config::{Config, ConfigError};
use crate::counters::{Answer, Counters, Standing, Take};
use crate::host::{self, Expressions, SharedData};
use crate::host_counters::HostCounters;
use crate::plan::{Item, Plan, Verdict};
use crate::refusal::{headers, Refusal};
use crate::saying::{refuse, refuse_quota, say, say_check};
use crate::shadows::Shadows;
use crate::shared::Shared;
use crate::{Allocation, Errand};
use mixer_host::{properties, root};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};
use std::rc::Rc;

#[derive(Default)]
pub struct Root {
    plugin: Option<Rc<Plugin>>,
}

struct Plugin {
    config: Config,
    expressions: Expressions,
    shadows: Shadows,
    /// Whether the host counts, and not this module in shared data.
    host_counts: bool,
}

impl Plugin {
    fn load(text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let expressions = Expressions::create(&config)?;
        Ok(Self {
            shadows: Shadows::define(&config),
            config,
            expressions,
            host_counts: HostCounters::are_there(),
        })
    }

    fn ask(&self, take: &Take) -> Answer {
        match self.host_counts {
            true => HostCounters.ask(take),
            false => Shared::new(&self.config, &SharedData).ask(take),
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Plugin::load(&root::configuration(size)) {
            Ok(plugin) => {
                self.plugin = Some(Rc::new(plugin));
                true
            }
            Err(error) => {
                root::log_error(&format!("quota: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            plugin: self.plugin.clone(),
            headers: Vec::new(),
            waiting: None,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    plugin: Option<Rc<Plugin>>,
    /// For the upstream's response.
    headers: Vec<(&'static str, String)>,
    /// What the host has not answered yet, under its number.
    waiting: Option<(u32, Question)>,
}

/// What the counters are asked for.
enum Question {
    Request(Plan),
    Amount(Asked, Errand),
}

impl Question {
    fn take(&self) -> &Take {
        match self {
            Self::Request(plan) => &plan.take,
            Self::Amount(_, errand) => &errand.take,
        }
    }
}

impl Context for Stream {
    fn on_foreign_function(&mut self, function: u32, size: usize) {
        let of = |waiting: &mut (u32, Question)| waiting.0 == function;
        let Some((_, question)) = self.waiting.take_if(of) else {
            return;
        };
        let (Some(plugin), Answer::Now(standings)) = (
            self.plugin.clone(),
            HostCounters::later(question.take(), size),
        ) else {
            return;
        };
        if self.conclude(&plugin, &question, &standings) == Action::Continue {
            let _ = hostcalls::resume_http_request();
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(plugin) = self.plugin.clone() else {
            return refuse(&Refusal::not_configured());
        };
        let question = match host::operation().as_deref() {
            Some("check" | "report") => return say_check(&plugin.config),
            Some("quota") => {
                let asked = host::asked();
                match order(&plugin.config, &plugin.expressions, &asked) {
                    Order::Settled(allocation) => return tell(&asked, &allocation),
                    Order::Ask(errand) => Question::Amount(asked, errand),
                }
            }
            other => {
                let looks = other == Some("explain");
                Question::Request(Plan::new(&plugin.config, &plugin.expressions, looks))
            }
        };
        self.ask(&plugin, question)
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        for (name, value) in self.headers.drain(..) {
            let _ = hostcalls::add_map_value(MapType::HttpResponseHeaders, name, &value);
        }
        Action::Continue
    }
}

impl Stream {
    fn ask(&mut self, plugin: &Plugin, question: Question) -> Action {
        match plugin.ask(question.take()) {
            Answer::Now(standings) => self.conclude(plugin, &question, &standings),
            Answer::Later(number) => {
                self.waiting = Some((number, question));
                Action::Pause
            }
        }
    }

    fn conclude(
        &mut self,
        plugin: &Plugin,
        question: &Question,
        standings: &[Option<Standing>],
    ) -> Action {
        match question {
            Question::Request(plan) => {
                self.pass_or_refuse(plugin, &plan.conclude(&plugin.config, standings))
            }
            Question::Amount(asked, errand) => {
                if errand.would_refuse(standings) {
                    plugin.shadows.count(&[&asked.quota]);
                }
                tell(asked, &errand.settle(&plugin.config, standings))
            }
        }
    }

    fn pass_or_refuse(&mut self, plugin: &Plugin, verdict: &Verdict) -> Action {
        let with_headers = plugin.config.rate_limit_headers;
        match verdict {
            Verdict::Passed { items, shadows } => {
                if !shadows.is_empty() {
                    plugin.shadows.tell(shadows);
                }
                if with_headers && !items.is_empty() {
                    self.announce(items);
                }
                Action::Continue
            }
            Verdict::Exhausted { item, retry_after } => {
                refuse(&Refusal::exhausted(item, *retry_after, with_headers))
            }
            Verdict::Unavailable(quota) => refuse(&Refusal::unavailable(quota)),
        }
    }

    /// A proxy asks for the response's headers when it has a response, the Mixer service now.
    fn announce(&mut self, items: &[Item]) {
        self.headers = headers(items);
        for (name, value) in &self.headers {
            properties::set(&format!("mixer.response_header.{name}"), value);
        }
    }
}

fn tell(asked: &Asked, allocation: &Allocation) -> Action {
    match allocation {
        Allocation::Granted(grant) => {
            say(grant);
            Action::Continue
        }
        Allocation::Unknown => refuse_quota(&Refusal::unknown(&asked.quota)),
        Allocation::Unavailable => refuse_quota(&Refusal::unavailable(&asked.quota)),
    }
}
