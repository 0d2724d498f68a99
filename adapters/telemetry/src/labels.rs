//! Labels within the name of a metric: `source=.=web;.;code=.=200;.;requests_total`.
//!
//! It is how Istio's proxies write them, so that their rules for tags read them.

use std::fmt::Write;

/// The longest name that the hosts take.
const NAME_BYTES: usize = 4096;

/// The name of a metric with labels; None where it would be too long.
pub fn metric_name(labels: &[(&str, &[u8])], name: &str) -> Option<String> {
    let mut text = String::with_capacity(256);
    for (label, value) in labels {
        text.push_str(label);
        text.push_str("=.=");
        escape(&mut text, value);
        text.push_str(";.;");
    }
    text.push_str(name);
    (text.len() <= NAME_BYTES).then_some(text)
}

/// What would end the value, and what is no text, as `%` and two hexadecimal digits.
fn escape(text: &mut String, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for one in chunk.valid().chars() {
            match one {
                '%' | ';' | '\0'..='\x1f' | '\x7f' => percent(text, one as u8),
                _ => text.push(one),
            }
        }
        for byte in chunk.invalid() {
            percent(text, *byte);
        }
    }
    // Envoy drops a dot at the end of a tag.
    if value.ends_with(b".") {
        text.pop();
        percent(text, b'.');
    }
}

fn percent(text: &mut String, byte: u8) {
    let _ = write!(text, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use super::metric_name;

    #[test]
    fn names() {
        for (labels, name) in [
            (&[][..], "n"),
            (&[("a", &b"x"[..]), ("b", b"")], "a=.=x;.;b=.=;.;n"),
            (
                &[("a", b";.;100% \n\x7f\xff\xc3")],
                "a=.=%3B.%3B100%25 %0A%7F%FF%C3;.;n",
            ),
            (
                &[("a", &b"."[..]), ("b", b"x.y..")],
                "a=.=%2E;.;b=.=x.y.%2E;.;n",
            ),
            (&[("a", "\u{fc}=.=".as_bytes())], "a=.=\u{fc}=.=;.;n"),
        ] {
            assert_eq!(metric_name(labels, "n").as_deref(), Some(name));
        }
    }

    #[test]
    fn a_name_is_not_too_long() {
        let value = [b'x'; 4096 - 8];
        assert!(metric_name(&[("a", &value)], "n").is_some());
        assert!(metric_name(&[("ab", &value)], "n").is_none());
    }
}
