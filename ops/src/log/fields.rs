//! What stands between a line's time and its message: level, thread, process, logger.
//!
//! The level is looked for by itself. Which fields follow it is learned from the head of the file,
//! because one line does not tell a logger from a message's first word: `ERROR worker: lost` is
//! either. A field is taken off the messages if four in five lines have it.

use super::{
    cursor::{Cursor, is_blank},
    level::{Level, WORD_BYTES_MAX},
};

const FIELD_BYTES_MAX: usize = 256;
const FIELDS_BEFORE_LEVEL_MAX: usize = 5;
pub(super) const FIELDS_MAX: usize = 4;
/// Lines from which on a logger may be a plain word.
const LINES_TO_LEARN_MIN: usize = 3;

/// A field after the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `[main]`
    Bracket,
    /// `(main)`
    Parenthesis,
    /// `1234`, `123#456:`
    Number,
    /// `org.example.Main:`, `worker:`
    Colon,
    /// `org.example.Main - `, `main |`
    Dash,
    /// `nova.compute.manager`, which is followed by nothing but a blank
    Dotted,
}

/// The fields after the level that a file's lines have, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    fields: [Option<Field>; FIELDS_MAX],
}

impl Style {
    /// What four in five of `lines` have, each from behind its level.
    pub(super) fn learn(lines: &[&[u8]]) -> Self {
        let mut style = Self::default();
        for place in 0..FIELDS_MAX {
            let mut counts: Vec<(Field, usize)> = Vec::new();
            for line in lines {
                let mut c = Cursor::new(line);
                style.skip(&mut c);
                separators(&mut c);
                let Some(field) = field(&mut c, lines.len() >= LINES_TO_LEARN_MIN) else {
                    continue;
                };
                match counts.iter_mut().find(|(known, _)| *known == field) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((field, 1)),
                }
            }
            let most = counts.into_iter().max_by_key(|(_, count)| *count);
            let Some((field, _)) = most.filter(|(_, count)| count * 5 >= lines.len() * 4) else {
                break;
            };
            style.fields[place] = Some(field);
        }
        style
    }

    /// Moves behind the fields that are there.
    pub(super) fn skip(self, c: &mut Cursor<'_>) {
        for wanted in self.fields.iter().map_while(|field| *field) {
            let mut ahead = *c;
            separators(&mut ahead);
            if skip_field(&mut ahead, wanted) {
                *c = ahead;
            }
        }
    }
}

/// The level at `c` or behind at most a few fields such as `[main]`, `name -` and `1234`. Moves
/// behind it, or only behind separators if there is none.
pub(super) fn level(c: &mut Cursor<'_>) -> Option<Level> {
    separators(c);
    let mut ahead = *c;
    for _ in 0..=FIELDS_BEFORE_LEVEL_MAX {
        if let Some(level) = level_word(&mut ahead) {
            *c = ahead;
            return Some(level);
        }
        if !skip_before_level(&mut ahead) {
            break;
        }
        separators(&mut ahead);
    }
    None
}

/// Reads blanks, and the `-`, `|`, `:`, `,` that stand alone between fields.
pub(super) fn separators(c: &mut Cursor<'_>) {
    c.blanks();
    loop {
        let mark =
            c.rest().iter().take_while(|byte| matches!(byte, b'-' | b'|' | b':' | b',')).count();
        let alone = matches!(mark, 1..=3) && c.peek_at(mark).is_none_or(is_blank);
        if !alone {
            return;
        }
        c.skip(mark);
        c.blanks();
    }
}

/// Reads a level: `ERROR`, `[error]`, `<Error>`, `(ERROR)`, `error:`, `local.ERROR:`, `ERROR/x:`.
fn level_word(c: &mut Cursor<'_>) -> Option<Level> {
    let mut ahead = *c;
    let close = match ahead.peek()? {
        b'[' => Some(b']'),
        b'(' => Some(b')'),
        b'<' => Some(b'>'),
        _ => None,
    };
    if let Some(close) = close {
        ahead.skip(1);
        ahead.blanks();
        let level = Level::of_bytes(word(&mut ahead)?)?;
        ahead.blanks();
        ahead.expect(close)?;
        ahead.eat(b':');
        *c = ahead;
        return Some(level);
    }
    let mut text = word(&mut ahead)?;
    if ahead.peek() == Some(b'.') && text.first()?.is_ascii_lowercase() {
        // Laravel's `production.ERROR:`
        ahead.skip(1);
        text = word(&mut ahead)?;
    }
    let level = Level::of_bytes(text)?;
    let shouted = text.iter().all(u8::is_ascii_uppercase);
    let ends = match ahead.peek() {
        None | Some(b'\t' | b'|') => true,
        // "Error connecting" begins a message, "ERROR connecting" and "Info    CBS" a level
        Some(b' ') => {
            shouted || ahead.peek_at(1).is_some_and(|next| matches!(next, b' ' | b'|' | b'-'))
        }
        Some(b':') => shouted || ahead.peek_at(1).is_none_or(is_blank),
        Some(b']' | b'[' | b'/' | b',' | b'-') => shouted,
        Some(_) => false,
    };
    if !ends {
        return None;
    }
    ahead.eat(b':');
    *c = ahead;
    Some(level)
}

fn word<'a>(c: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let rest = c.rest();
    let length =
        rest.iter().take(2 * WORD_BYTES_MAX).take_while(|b| b.is_ascii_alphabetic()).count();
    c.skip(length);
    (length > 0).then(|| &rest[..length])
}

/// Reads a field that may stand before a level; a plain word only if a dash or bar follows it.
fn skip_before_level(c: &mut Cursor<'_>) -> bool {
    match c.peek() {
        Some(b'[') => c.group(b'[', b']', FIELD_BYTES_MAX).is_some(),
        Some(b'(') => c.group(b'(', b')', FIELD_BYTES_MAX).is_some(),
        Some(_) => {
            let mut ahead = *c;
            let Some(token) = ahead.token(FIELD_BYTES_MAX) else { return false };
            let number = token.iter().all(u8::is_ascii_digit);
            let dotted = is_name(token) && is_dotted(token);
            let mut behind = ahead;
            separators(&mut behind);
            let set_off = is_name(token) && behind.at() > ahead.at() + 1;
            if number || dotted || set_off {
                *c = ahead;
            }
            number || dotted || set_off
        }
        None => false,
    }
}

/// Reads the field that stands here, if it is one.
fn field(c: &mut Cursor<'_>, plain_words: bool) -> Option<Field> {
    let kinds = [
        Field::Bracket,
        Field::Parenthesis,
        Field::Number,
        Field::Dash,
        Field::Colon,
        Field::Dotted,
    ];
    let mut ahead = *c;
    let found = kinds.into_iter().find(|kind| skip_field(&mut ahead, *kind))?;
    let token = &c.rest()[..ahead.at() - c.at()];
    let name = token.split(|byte| is_blank(*byte)).next().unwrap_or_default();
    let first = name.split(|byte| *byte == b':').next().unwrap_or_default();
    let known = is_dotted(name)
        || matches!(first, b"root" | b"main" | b"__main__")
        || (found == Field::Dash && first.len() < name.len());
    let sure = !matches!(found, Field::Colon | Field::Dash) || plain_words || known;
    sure.then(|| {
        *c = ahead;
        found
    })
}

/// Moves behind a field of this kind; `false`, and not moved, if another stands here.
fn skip_field(c: &mut Cursor<'_>, kind: Field) -> bool {
    let mut ahead = *c;
    let there = match kind {
        Field::Bracket => ahead.group(b'[', b']', FIELD_BYTES_MAX).is_some(),
        Field::Parenthesis => ahead.group(b'(', b')', FIELD_BYTES_MAX).is_some(),
        Field::Number => skip_number(&mut ahead).is_some(),
        Field::Colon => skip_colon(&mut ahead).is_some(),
        Field::Dash => skip_dash(&mut ahead).is_some(),
        Field::Dotted => ahead.token(FIELD_BYTES_MAX).is_some_and(|token| {
            is_name(token) && is_dotted(token) && !token.ends_with(b":") && !names_error(token)
        }),
    };
    if there {
        *c = ahead;
    }
    there
}

/// `1234 ---`, and nginx's `123#456: *789`.
fn skip_number(c: &mut Cursor<'_>) -> Option<()> {
    let process = c.digits_ahead();
    c.skip(process);
    if c.eat(b'#') {
        let thread = c.digits_ahead();
        c.skip(thread);
        c.expect(b':')?;
        let mut ahead = *c;
        ahead.blanks();
        if ahead.eat(b'*') {
            let connection = ahead.digits_ahead();
            ahead.skip(connection);
            *c = ahead;
        }
        return Some(());
    }
    (process > 0 && c.rest().starts_with(b" ---")).then_some(())
}

/// A name and its colon, also with blanks between them, as Spring aligns them.
fn skip_colon(c: &mut Cursor<'_>) -> Option<()> {
    let rest = c.rest();
    let window = &rest[..rest.len().min(FIELD_BYTES_MAX)];
    let mut end = window.iter().position(|byte| is_blank(*byte)).unwrap_or(window.len());
    if let Some(tight) = tight_colon(&window[..end]) {
        end = tight;
    } else if end > 1 && window[end - 1] == b':' {
        end -= 1;
    } else {
        let padding = window[end..].iter().take_while(|byte| is_blank(**byte)).count();
        if padding == 0 || window.get(end + padding) != Some(&b':') {
            return None;
        }
        let name = &window[..end];
        c.skip(end + padding + 1);
        return (is_name(name) && !names_error(name)).then_some(());
    }
    let name = &window[..end];
    c.skip(end + 1);
    (is_name(name) && !names_error(name)).then_some(())
}

/// Where the logger ends of Python's `ERROR:root:message`, which is neither `a::b:` nor `file:12:`.
fn tight_colon(token: &[u8]) -> Option<usize> {
    let colon = token.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let next = token.get(colon + 1)?;
    (!matches!(next, b':' | b'/' | b'0'..=b'9') && !token[..colon].contains(&b'[')).then_some(colon)
}

fn skip_dash(c: &mut Cursor<'_>) -> Option<()> {
    let name = c.token(FIELD_BYTES_MAX).filter(|name| is_name(name))?;
    let before = c.at();
    separators(c);
    (c.at() > before + 1 && !names_error(name)).then_some(())
}

/// Whether a token is made as loggers, modules and files are named.
fn is_name(token: &[u8]) -> bool {
    let in_name = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'.' | b'_' | b'$' | b'-' | b'/' | b'@' | b':' | b'#' | b'<' | b'>' | b'[' | b']'
            )
    };
    token.iter().any(u8::is_ascii_alphabetic) && token.iter().all(in_name)
}

/// Whether a name has parts, as `a.b`, `a::b` or `A$B`.
fn is_dotted(token: &[u8]) -> bool {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().any(|byte| matches!(byte, b'.' | b'$')) || inner.windows(2).any(|two| two == b"::")
}

/// Whether a name is that of an error, which belongs to the message.
pub(super) fn names_error(name: &[u8]) -> bool {
    [&b"Exception"[..], b"Error", b"Throwable"].iter().any(|end| name.ends_with(end))
}
