//! Attribute paths in the text of a CEL expression: `source.port`, `request.headers["x-user"]`.
//!
//! A path that is a whole expression is read by one host call instead of by an evaluation, and
//! the paths within an expression tell why it could not be evaluated.

/// The parts of a path, such as `["request", "headers", "x-user"]`.
pub type Path = Vec<String>;

/// The path that the whole text is; None where it is anything else.
pub fn whole(text: &str) -> Option<Path> {
    let tokens = tokens(text);
    let (path, end) = path_at(&tokens, 0)?;
    (end == tokens.len()).then_some(path)
}

/// The text that a whole expression is, such as `"source"`; None where it is anything else.
pub fn literal(text: &str) -> Option<String> {
    match <[Token; 1]>::try_from(tokens(text)) {
        Ok([Token::Text(content)]) => Some(content),
        _ => None,
    }
}

/// The paths that an expression reads without asking first whether they are there.
///
/// Those that it does ask about, with `has(a.b)` or `"b" in a`, are left out.
pub fn read_unasked(text: &str) -> Vec<Path> {
    let tokens = tokens(text);
    let (mut read, mut asked) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let Some((mut path, end)) = path_at(&tokens, at) else {
            at += 1;
            continue;
        };
        match &tokens[..at] {
            [.., Token::Ident(has), Token::Open] if has == "has" => asked.push(path),
            [.., Token::Text(key), Token::Ident(is_in)] if is_in == "in" => {
                path.push(key.clone());
                asked.push(path);
            }
            _ => read.push(path),
        }
        at = end;
    }
    read.retain(|path| !asked.contains(path));
    read
}

#[derive(Debug)]
enum Token {
    Ident(String),
    Text(String),
    Index(String),
    Dot,
    Open,
    Left,
    Right,
    Other,
}

/// A path that begins at a token, and where it ends. A method's name is none of it.
fn path_at(tokens: &[Token], start: usize) -> Option<(Path, usize)> {
    let Some(Token::Ident(first)) = tokens.get(start) else {
        return None;
    };
    let follows_dot = start > 0 && matches!(tokens[start - 1], Token::Dot);
    if first == "in" || follows_dot || matches!(tokens.get(start + 1), Some(Token::Open)) {
        return None;
    }
    let (mut path, mut at) = (vec![first.clone()], start + 1);
    loop {
        match &tokens[at..] {
            [Token::Dot, Token::Ident(_), Token::Open, ..] => return Some((path, at)),
            [Token::Dot, Token::Ident(name), ..] => {
                path.push(name.clone());
                at += 2;
            }
            [Token::Left, Token::Text(key) | Token::Index(key), Token::Right, ..] => {
                path.push(key.clone());
                at += 3;
            }
            _ => return Some((path, at)),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, size) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '/' if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' => quoted(rest, first),
            '.' => (Some(Token::Dot), 1),
            '(' => (Some(Token::Open), 1),
            '[' => (Some(Token::Left), 1),
            ']' => (Some(Token::Right), 1),
            _ if is_word(first) => word(rest),
            _ => (Some(Token::Other), first.len_utf8()),
        };
        found.extend(token);
        rest = &rest[size..];
    }
    found
}

fn is_word(one: char) -> bool {
    one.is_ascii_alphanumeric() || one == '_'
}

/// A name or a number; with a quote after it, what precedes a raw text or bytes.
fn word(rest: &str) -> (Option<Token>, usize) {
    let size = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let (name, after) = rest.split_at(size);
    let prefix = size <= 2 && name.chars().all(|c| "rRbB".contains(c));
    if let (true, Some(quote @ ('"' | '\''))) = (prefix, after.chars().next()) {
        let (_, quoted) = quoted(after, quote);
        return (Some(Token::Other), size + quoted);
    }
    let token = match name.as_bytes()[0] {
        b'0'..=b'9' if name.bytes().all(|b| b.is_ascii_digit()) => Token::Index(name.to_owned()),
        b'0'..=b'9' => Token::Other,
        _ => Token::Ident(name.to_owned()),
    };
    (Some(token), size)
}

/// A text; one with escapes or three quotes is not read, so that its path ends before it.
fn quoted(rest: &str, quote: char) -> (Option<Token>, usize) {
    let three = format!("{quote}{quote}{quote}");
    let mark = if rest.starts_with(&three) {
        &three
    } else {
        &three[..1]
    };
    let mut escaped = false;
    for (at, one) in rest.char_indices().skip(mark.len()) {
        if !escaped && rest[at..].starts_with(mark) {
            let content = &rest[mark.len()..at];
            let plain = mark.len() == 1 && !content.contains('\\');
            let token = if plain {
                Token::Text(content.to_owned())
            } else {
                Token::Other
            };
            return (Some(token), at + mark.len());
        }
        escaped = one == '\\' && !escaped;
    }
    (Some(Token::Other), rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &[&str]) -> Path {
        path.iter().map(|&part| part.to_owned()).collect()
    }

    #[test]
    fn a_whole_path() {
        for (text, path) in [
            ("source.port", &["source", "port"][..]),
            (
                " request . headers[ \"x-a\" ] // why",
                &["request", "headers", "x-a"],
            ),
            (
                "mixer.attribute['source.labels']['app']",
                &["mixer", "attribute", "source.labels", "app"],
            ),
            ("xds.list[0].name", &["xds", "list", "0", "name"]),
            ("plugin_name", &["plugin_name"]),
        ] {
            assert_eq!(whole(text), Some(parts(path)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_path() {
        for text in [
            "",
            "1",
            "'text'",
            "a.b == c",
            "a.b()",
            "f(a)",
            "a[b]",
            "a[\"\\x41\"]",
            "a[r'b']",
            "a['''b''']",
            "-a",
            "a.",
            ".a",
            "a b",
            "a[1u]",
            "[a]",
            "'open",
            "\u{fc}.a",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn literals() {
        assert_eq!(literal(" 'a b' ").as_deref(), Some("a b"));
        assert_eq!(literal("\"\"").as_deref(), Some(""));
        for text in [
            "",
            "a",
            "r'a'",
            "'a' + 'b'",
            "'\\n'",
            "'a'.size()",
            "'''a'''",
        ] {
            assert_eq!(literal(text), None, "{text}");
        }
    }

    #[test]
    fn paths_within_an_expression() {
        let text = r#"request.headers["x-a"].startsWith("source.port") && int(request.size) > 1"#;
        let found = [
            parts(&["request", "headers", "x-a"]),
            parts(&["request", "size"]),
        ];
        assert_eq!(read_unasked(text), found);
    }

    #[test]
    fn what_is_asked_for_is_left_out() {
        for text in [
            "has(request.headers.x) && request.headers.x == '1'",
            "'x' in request.headers && request.headers['x'] == '1'",
        ] {
            assert_eq!(read_unasked(text), [] as [Path; 0], "{text}");
        }
        let both = "has(request.headers.x) || source.port == 1";
        assert_eq!(read_unasked(both), [parts(&["source", "port"])]);
    }
}
