//! Where a line says how grave it is.

use super::{FIELD_BYTES_MAX, is_dotted, is_name, separators};
use crate::log::{
    cursor::{Cursor, is_blank},
    level::{Level, WORD_BYTES_MAX},
};

const FIELDS_BEFORE_LEVEL_MAX: usize = 5;

/// The level at `c` or behind at most a few fields such as `[main]`, `name -` and `1234`. Moves
/// behind it, or only behind separators if there is none.
pub(in crate::log) fn level(c: &mut Cursor<'_>) -> Option<Level> {
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
        Some(b'\t' | b'|') => true,
        // "Error connecting" begins a message, "ERROR connecting" and "Info    CBS" a level
        Some(b' ') => {
            shouted || ahead.peek_at(1).is_some_and(|next| matches!(next, b' ' | b'|' | b'-'))
        }
        Some(b':') => shouted || ahead.peek_at(1).is_none_or(is_blank),
        // a line that is but the word "fine" is a message
        None | Some(b']' | b'[' | b'/' | b',' | b'-') => shouted,
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
        Some(b'0'..=b'9') if c.peek_at(c.digits_ahead()).is_some_and(is_blank) => {
            c.skip(c.digits_ahead());
            true
        }
        Some(_) => {
            let mut ahead = *c;
            let Some(token) = ahead.token(FIELD_BYTES_MAX) else { return false };
            let dotted = is_name(token) && is_dotted(token);
            let mut behind = ahead;
            separators(&mut behind);
            let set_off = is_name(token) && behind.at() > ahead.at() + 1;
            if dotted || set_off {
                *c = ahead;
            }
            dotted || set_off
        }
        None => false,
    }
}
