//! The span of a request: continued from its headers, told to the upstream, and sent at the end.

use crate::config::{Config, Propagation, Tracing as Settings};
use crate::context::compiled;
use crate::conventions::{known_method, told_as, ORIGINAL_METHOD, QUERY, USUAL};
use crate::exporting::{Exporter, Signal};
use crate::otlp::{self, Attribute};
use crate::trace::{
    b3_multi, b3_single, is_tracestate, parse_b3_multi, parse_b3_single, parse_traceparent,
    traceparent, Ids, Incoming, MultiHeaders, Ratio, SpanContext,
};
use mixer_host::attributes::Kind;
use mixer_host::batch::Batch;
use mixer_host::config::ConfigError;
use mixer_host::request::{now, set_header};
use mixer_host::source::Source;
use mixer_host::value::Value;

/// The headers of every format, and what else tells one request from others.
pub struct Headers {
    batch: Batch,
    formats: Vec<Propagation>,
    request: usize,
    traceparent: usize,
    tracestate: usize,
    b3: usize,
    multi: [usize; 4],
}

/// What the headers of a request tell of its trace.
pub struct Told {
    pub incoming: Option<Incoming>,
    pub tracestate: Vec<u8>,
}

pub struct Tracing {
    ratio: Ratio,
    headers: Headers,
    batch: Batch,
    usual: Vec<(&'static str, usize, Kind)>,
    start: usize,
    duration: usize,
    own: Vec<(String, Source)>,
}

/// A span that is not over.
pub struct Open {
    pub context: SpanContext,
    tracestate: Vec<u8>,
    start: u64,
}

const HEADER_BYTES: u32 = 32 * 1024;
const VALUE_BYTES: u32 = 1025;

const START: &[u8] = b"request\0time";
const DURATION: &[u8] = b"request\0duration";

impl Headers {
    /// Those of some formats, the first ones of which count first.
    pub fn new(formats: &[Propagation]) -> Self {
        let mut batch = Batch::new(HEADER_BYTES);
        let request = batch.add(b"request\0id");
        let mut header = |name: &str| batch.add(format!("request\0headers\0{name}").as_bytes());
        let (traceparent, tracestate, b3) =
            (header("traceparent"), header("tracestate"), header("b3"));
        let multi =
            ["traceid", "spanid", "sampled", "flags"].map(|name| header(&format!("x-b3-{name}")));
        let formats = formats.to_vec();
        Self {
            batch,
            formats,
            request,
            traceparent,
            tracestate,
            b3,
            multi,
        }
    }

    /// Of a configuration: those that it continues, else the usual ones.
    pub fn of(config: &Config) -> Self {
        let usual = [Propagation::W3c, Propagation::B3];
        Self::new(
            config
                .tracing
                .as_ref()
                .map_or(&usual, |tracing| &tracing.formats),
        )
    }

    /// Reads the current request.
    pub fn read(&mut self) -> Told {
        self.batch.read();
        for format in &self.formats {
            let incoming = self.parsed(*format);
            if incoming.is_some() {
                let tracestate = match format {
                    Propagation::W3c => self.tracestate(),
                    Propagation::B3 | Propagation::B3Multi => Vec::new(),
                };
                return Told {
                    incoming,
                    tracestate,
                };
            }
        }
        Told {
            incoming: None,
            tracestate: Vec::new(),
        }
    }

    fn parsed(&self, format: Propagation) -> Option<Incoming> {
        let get = |at: usize| self.batch.get(at);
        if format == Propagation::W3c {
            return parse_traceparent(get(self.traceparent)?);
        }
        // Either way of B3 is read, and the single header counts.
        if let Some(single) = get(self.b3) {
            return parse_b3_single(single);
        }
        let [trace_id, span_id, sampled, flags] = self.multi.map(get);
        parse_b3_multi(MultiHeaders {
            trace_id,
            span_id,
            sampled,
            flags,
        })
    }

    /// The request's id, as it was read last.
    pub fn request_id(&self) -> Option<&[u8]> {
        self.batch.get(self.request).filter(|id| !id.is_empty())
    }

    fn tracestate(&self) -> Vec<u8> {
        let text = self.batch.get(self.tracestate).unwrap_or_default();
        if is_tracestate(text) {
            text.to_vec()
        } else {
            Vec::new()
        }
    }
}

impl Tracing {
    pub fn of(config: &Config) -> Result<Option<Self>, ConfigError> {
        config.tracing.as_ref().map(Self::new).transpose()
    }

    fn new(config: &Settings) -> Result<Self, ConfigError> {
        let mut batch = Batch::new(VALUE_BYTES);
        let usual = USUAL
            .into_iter()
            .filter(|(name, _, _)| config.url_query || *name != QUERY)
            .map(|(name, path, kind)| (name, batch.add(path.as_bytes()), kind))
            .collect();
        let (start, duration) = (batch.add(START), batch.add(DURATION));
        let mut own = Vec::with_capacity(config.attributes.len());
        for one in &config.attributes {
            let field = format!("attributes.{}", one.name);
            let made = Source::create(&one.value, &mut batch);
            own.push((one.name.clone(), compiled(made, &config.path, &field)?));
        }
        Ok(Self {
            ratio: Ratio::percent(config.sampling),
            headers: Headers::new(&config.formats),
            batch,
            usual,
            start,
            duration,
            own,
        })
    }

    /// Begins the span of the current request, and tells it to the upstream.
    pub fn begin(&mut self, ids: &mut Ids) -> Open {
        let told = self.headers.read();
        let start = now().unwrap_or(0);
        ids.stir(start, self.headers.request_id().unwrap_or_default());
        let context = SpanContext::of(told.incoming.as_ref(), ids, self.ratio);
        for format in &self.headers.formats {
            self.tell(*format, &context, &told.tracestate);
        }
        Open {
            context,
            tracestate: told.tracestate,
            start,
        }
    }

    fn tell(&self, format: Propagation, context: &SpanContext, tracestate: &[u8]) {
        match format {
            Propagation::W3c => {
                set_header("traceparent", Some(traceparent(context).as_bytes()));
                // One that came stays only with the traceparent that it belongs to.
                let came = self.headers.batch.get(self.headers.tracestate);
                if came.is_some_and(|came| came != tracestate) {
                    let kept = (!tracestate.is_empty()).then_some(tracestate);
                    set_header("tracestate", kept);
                }
            }
            Propagation::B3 => set_header("b3", Some(b3_single(context).as_bytes())),
            Propagation::B3Multi => self.tell_multi(context),
        }
    }

    fn tell_multi(&self, context: &SpanContext) {
        let names = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"];
        for (name, value) in names.iter().zip(b3_multi(context)) {
            set_header(name, Some(value.as_bytes()));
        }
        if let Some(parent) = &context.parent_id {
            set_header("x-b3-parentspanid", Some(hex(parent).as_bytes()));
        }
        if self.headers.batch.get(self.headers.multi[3]).is_some() {
            set_header("x-b3-flags", None);
        }
    }

    /// Sends the span of the current request, which is over.
    pub fn end(&mut self, open: &Open, exporter: &mut Exporter) {
        if !open.context.sampled {
            return;
        }
        self.batch.read();
        let batch = &self.batch;
        let usual = self.usual.iter().filter_map(|(name, at, kind)| {
            let value = Value::decode(*kind, batch.get(*at)?.to_vec())?;
            let empty = matches!(&value, Value::Text(text) if text.is_empty());
            (!empty).then_some((*name, told_as(name, value)))
        });
        let own = self
            .own
            .iter()
            .map(|(name, source)| Some((name.as_str(), source.read(batch)?)));
        let mut attributes: Vec<Attribute> = usual.chain(own.flatten()).collect();
        let method = self.method();
        let known = known_method(method);
        if known.is_none() && !method.is_empty() {
            attributes.push((ORIGINAL_METHOD, Value::Text(method.to_vec())));
        }
        let code = self.number("http.response.status_code").unwrap_or(0);
        let failed = code >= 500 || code == 0;
        if failed {
            let kind = if code == 0 {
                "no_response".to_owned()
            } else {
                code.to_string()
            };
            attributes.push(("error.type", Value::Text(kind.into_bytes())));
        }
        let (start, end) = self.times(open.start);
        exporter.push(Signal::Traces, |records| {
            let name = known.unwrap_or(b"HTTP");
            let trace_state = &open.tracestate;
            let context = &open.context;
            let attributes = &attributes;
            otlp::span(
                records,
                &otlp::Span {
                    context,
                    trace_state,
                    name,
                    start,
                    end,
                    failed,
                    attributes,
                },
            );
        });
    }

    fn method(&self) -> &[u8] {
        self.batch.get(self.usual[0].1).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<u64> {
        let (_, at, _) = self.usual.iter().find(|(own, _, _)| *own == name)?;
        word(self.batch.get(*at)?)
    }

    /// When the request began and ended, in nanoseconds since 1970.
    fn times(&self, seen: u64) -> (u64, u64) {
        let read = |at: usize| {
            self.batch
                .get(at)
                .and_then(word)
                .filter(|number| *number > 0)
        };
        let start = read(self.start).unwrap_or(seen);
        let end = match read(self.duration) {
            Some(length) => start.saturating_add(length),
            None => now().unwrap_or(start).max(start),
        };
        (start, end)
    }
}

fn word(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
