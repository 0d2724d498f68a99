use super::{sum, Format, Found, Paths, Reader, FIELDS, SLOTS};
use serde_json::{json, Value};

const INPUT: usize = 0;
const OUTPUT: usize = 1;
const TOTAL: usize = 2;

fn paths() -> Paths {
    let texts: Vec<Vec<String>> = FIELDS
        .iter()
        .map(|(_, paths)| paths.iter().map(|&path| path.to_owned()).collect())
        .collect();
    Paths::new(texts.iter().map(Vec::as_slice))
}

fn read<'a>(
    format: Format,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Found, &'static str> {
    let paths = paths();
    let mut reader = Reader::new(format);
    for piece in pieces {
        reader.feed(&paths, piece);
    }
    reader.finish(&paths)
}

/// What comes of a body; the same wherever it is cut in two or three, and byte by byte.
fn everywhere(format: Format, body: &str) -> Result<Found, &'static str> {
    let body = body.as_bytes();
    let whole = read(format, [body]);
    assert_eq!(read(format, body.chunks(1)), whole, "byte by byte");
    for first in 0..=body.len() {
        let (one, rest) = body.split_at(first);
        assert_eq!(read(format, [one, rest]), whole, "cut at {first}");
        for second in (0..=rest.len()).step_by(7) {
            let (two, three) = rest.split_at(second);
            let found = read(format, [one, two, three]);
            assert_eq!(found, whole, "cut at {first} and {second} after it");
        }
    }
    whole
}

fn told(found: Found) -> [Option<u64>; 3] {
    [found[INPUT], found[OUTPUT], found[TOTAL]]
}

fn of_json(body: &Value) -> [Option<u64>; 3] {
    told(everywhere(Format::Json, &body.to_string()).unwrap())
}

#[test]
fn whole_responses() {
    let openai = json!({
        "id": "c", "choices": [{"message": {"content": "\"usage\": {\"prompt_tokens\": 9}"}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46,
                  "prompt_tokens_details": {"cached_tokens": 5}}
    });
    assert_eq!(of_json(&openai), [Some(12), Some(34), Some(46)]);
    let responses = json!({"usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}});
    assert_eq!(of_json(&responses), [Some(1), Some(2), Some(3)]);
    let embeddings = json!({"data": [{"embedding": [0.1, -2e-3]}],
                            "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    assert_eq!(of_json(&embeddings), [Some(8), None, Some(8)]);
    let anthropic = json!({"content": [{"text": "{\"usage\":"}], "stop_sequence": null,
                           "usage": {"input_tokens": 10, "output_tokens": 20}});
    assert_eq!(of_json(&anthropic), [Some(10), Some(20), None]);
    let gemini = json!({"candidates": [], "usageMetadata": {
        "promptTokenCount": 4, "candidatesTokenCount": 5, "totalTokenCount": 9}});
    assert_eq!(of_json(&gemini), [Some(4), Some(5), Some(9)]);
    let stream = json!([{"usageMetadata": {"promptTokenCount": 4}},
                        {"usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 7}}]);
    assert_eq!(of_json(&stream), [Some(4), None, Some(7)]);
}

#[test]
fn only_the_paths_count() {
    let found = of_json(&json!({
        "prompt_tokens": 1, "x": {"usage": {"prompt_tokens": 2}}, "usag": {"prompt_tokens": 3},
        "choices": [{"usage": {"prompt_tokens": 4}}, [[{"usage": {"prompt_tokens": 5}}]]],
        "usage": {"x": {"prompt_tokens": 6}, "y": [{"prompt_tokens": 7}], "prompt_tokens": null,
                  "completion_tokens": 8},
        "usage.prompt_tokens": 9
    }));
    assert_eq!(found, [None, Some(8), None]);
    let escaped = r#"{"us\u0061ge":{"prompt_tokens":1},"usage\"":{"prompt_tokens":2},
                      "usage":{"prompt_tokens\\":3,"total_tokens":4}}"#;
    let found = told(everywhere(Format::Json, escaped).unwrap());
    assert_eq!(found, [None, None, Some(4)]);
}

const OPENAI: &str =
    "\u{feff}data: {\"choices\":[{\"delta\":{\"content\":\"a\\n\"}}],\"usage\":null}\n\n\
    : ping\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":11,\
    \"total_tokens\":18}}\n\ndata: [DONE]\n\n";
const ANTHROPIC: &str = "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":\
    {\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\r\n\r\nevent: ping\r\n\
    data: {\"type\": \"ping\"}\r\n\r\nevent: message_delta\r\ndata: {\"type\":\"message_delta\",\
    \"usage\":{\"output_tokens\":15}}\r\n\r\nevent: message_stop\r\n\
    data: {\"type\":\"message_stop\"}\r\n\r\n";

#[test]
fn streams() {
    let sse = |body: &str| everywhere(Format::Sse, body).map(told);
    assert_eq!(sse(OPENAI), Ok([Some(7), Some(11), Some(18)]));
    assert_eq!(sse(ANTHROPIC), Ok([Some(25), Some(15), None]));
    assert_eq!(
        sse(&ANTHROPIC.replace("\r\n", "\r")),
        Ok([Some(25), Some(15), None])
    );
    let lines = "data: {\"usage\":\ndata:{\"prompt_tokens\":3}\ndata\ndata: }\n\n";
    for end in ["\n", "\r\n", "\r"] {
        let found = sse(&lines.replace('\n', end));
        assert_eq!(found, Ok([Some(3), None, None]), "{end:?}");
    }
    let responses =
        "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":1,\
                     \"output_tokens\":2,\"total_tokens\":3}}}";
    assert_eq!(sse(responses), Ok([Some(1), Some(2), Some(3)]));
}

#[test]
fn what_is_no_event_with_usage() {
    let usage = "{\"usage\":{\"prompt_tokens\":3}}";
    for body in [
        String::new(),
        format!("datax: {usage}\n\n"),
        format!(" data: {usage}\n\n"),
        format!("event: data: {usage}\n\n"),
        format!(": data: {usage}\n\n"),
        format!("data: x{usage}\n\n"),
        format!("data: {usage}}}\n\n"),
        format!("data: {usage}\ndata: {usage}\n\n"),
        "data: {\"usage\":{\"prompt_tokens\":3}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ] {
        let error = everywhere(Format::Sse, &body).unwrap_err();
        assert_eq!(error, "the response tells no usage", "{body}");
    }
}

#[test]
fn numbers_that_do_not_count() {
    for number in [
        "-1",
        "1.5",
        "1e3",
        "1000000001",
        "99999999999999999999",
        "01",
        "\"7\"",
        "true",
        "[7]",
        "{}",
        "-0",
    ] {
        let body = format!("{{\"usage\":{{\"prompt_tokens\":{number},\"total_tokens\":1}}}}");
        let error = everywhere(Format::Json, &body).unwrap_err();
        assert!(
            error.starts_with("a number of the usage is no whole number"),
            "{number}: {error}"
        );
        let error = read(Format::Sse, [format!("data: {body}\n\n").as_bytes()]).unwrap_err();
        assert!(
            error.starts_with("a number of the usage"),
            "{number}: {error}"
        );
    }
    let most = "{\"usage\":{\"prompt_tokens\":1000000000,\"total_tokens\":0}}";
    assert_eq!(
        everywhere(Format::Json, most).map(told),
        Ok([Some(1_000_000_000), None, Some(0)])
    );
}

#[test]
fn what_is_no_whole_document() {
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    for body in [
        "",
        " ",
        "{",
        "{\"usage\":{\"prompt_tokens\":1}",
        "{\"usage\":{\"prompt_tokens\":1}}}",
        "{\"usage\":{\"prompt_tokens\":1}} x",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "[1}",
        "{\"a\":1]",
        "nul",
        "nulls",
        "\"open",
        "{\"a\"}",
        "[,1]",
        "<html>",
        "[1 2]",
        "]",
        &deep,
    ] {
        let error = everywhere(Format::Json, body).unwrap_err();
        assert_eq!(
            error, "the response is no JSON, or not all of it came",
            "{body}"
        );
    }
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let body = format!("{{\"deep\":{deep},\"usage\":{{\"prompt_tokens\":1}}}}");
    assert_eq!(
        everywhere(Format::Json, &body).map(told),
        Ok([Some(1), None, None])
    );
}

/// Documents made by chance: what serde_json finds at the paths is found, and cut anywhere.
#[test]
fn documents_made_by_chance() {
    let mut chance = Chance(7);
    for _ in 0..400 {
        let document = chance.object(4);
        let text = document.to_string();
        let usage = |name: &str| document.get("usage").and_then(|one| one.get(name));
        // What is there twice over counts once: the generator makes each name once.
        let expected = [
            ("prompt_tokens", INPUT),
            ("completion_tokens", OUTPUT),
            ("total_tokens", TOTAL),
        ]
        .map(|(name, _)| usage(name).and_then(Value::as_u64));
        let cut = chance.below(text.len() as u64 + 1) as usize;
        let (one, two) = text.as_bytes().split_at(cut);
        match read(Format::Json, [one, two]) {
            Ok(found) => assert_eq!(told(found), expected, "{text}"),
            Err(why) => assert!(
                expected == [None; 3] && why.contains("no usage"),
                "{text}: {why}"
            ),
        }
        // A document with a hole in it makes no panic, and none that serde_json does not take is
        // one with other numbers.
        let mut broken = text.clone().into_bytes();
        broken.remove(chance.below(broken.len() as u64) as usize);
        let found = read(Format::Json, [broken.as_slice()]);
        if serde_json::from_slice::<Value>(&broken).is_ok() {
            assert_ne!(
                found,
                Err("the response is no JSON, or not all of it came"),
                "{text}"
            );
        }
    }
}

/// A small generator of numbers, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn object(&mut self, depth: u32) -> Value {
        const NAMES: [&str; 6] = [
            "usage",
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "a\"b",
            "",
        ];
        let mut members = serde_json::Map::new();
        for name in NAMES {
            if self.below(2) == 0 {
                let value = match name {
                    "prompt_tokens" | "completion_tokens" | "total_tokens" => {
                        Value::from(self.below(5000))
                    }
                    "usage" => self.object(depth.saturating_sub(1)),
                    _ => self.value(depth),
                };
                members.insert(name.to_owned(), value);
            }
        }
        Value::Object(members)
    }

    fn value(&mut self, depth: u32) -> Value {
        if depth == 0 {
            return Value::Null;
        }
        match self.below(7) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::from(-0.5),
            3 => Value::from("{\"usage\":{\"prompt_tokens\":1}}\\\u{fc}\n"),
            4 => Value::Array((0..self.below(3)).map(|_| self.value(depth - 1)).collect()),
            _ => self.object(depth - 1),
        }
    }
}

#[test]
fn formats() {
    let of = |kind: &str, encoding: Option<&[u8]>| Format::of(Some(kind.as_bytes()), encoding);
    assert_eq!(
        of("text/event-stream; charset=utf-8", None),
        Ok(Format::Sse)
    );
    assert_eq!(of("Application/JSON", Some(b"identity")), Ok(Format::Json));
    assert_eq!(of("application/problem+json", Some(b"")), Ok(Format::Json));
    assert_eq!(
        of("application/json", Some(b"gzip")),
        Err("the response is compressed")
    );
    for other in ["text/html", "", "application/jsonx", "application/x-ndjson"] {
        assert!(of(other, None).is_err(), "{other}");
    }
    assert!(Format::of(None, None).is_err());
}

#[test]
fn sums() {
    let mut found: Found = [None; SLOTS];
    assert_eq!(sum(&found), None);
    found[5] = Some(100);
    assert_eq!(sum(&found), None);
    found[INPUT] = Some(10);
    found[OUTPUT] = Some(1);
    found[3] = Some(7); // a part of the input
    assert_eq!(sum(&found), Some(111));
}

/// What is kept of an endless response does not grow with it.
#[test]
fn an_endless_stream() {
    let paths = paths();
    let mut reader = Reader::new(Format::Sse);
    reader.feed(
        &paths,
        b"data: {\"usage\":{\"prompt_tokens\":1}}\n\ndata: {\"x\":\"",
    );
    for _ in 0..1000 {
        reader.feed(&paths, &[b'a'; 10_000]);
    }
    for _ in 0..1000 {
        reader.feed(
            &paths,
            b"\"}\n\ndata: {\"usage\":{\"prompt_tokens\":2}}\n\ndata: {\"x\":\"",
        );
    }
    assert_eq!(reader.finish(&paths).map(told), Ok([Some(2), None, None]));
}
