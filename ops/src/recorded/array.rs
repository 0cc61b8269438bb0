//! The elements of a JSON array, told apart without reading them.

/// Finds elements: walks over an array's text and knows where it is. It does not judge; what is
/// between two commas is an element, whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Walk {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
}

impl Walk {
    /// Takes one byte in, and says whether an element ends before it.
    fn ends_before(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b']' if self.depth == 0 => return true,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' => return self.depth == 0,
            _ => {}
        }
        false
    }
}

/// Elements of `bytes`, which begin with an array's opening bracket, between two elements, or at
/// one; each with its offset. An element that is not ended by a comma or the array's closing bracket
/// is left out, unless it is a whole object or list.
pub fn elements(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at = start(bytes, at)?;
        let begin = at;
        let end = end(bytes, begin)?;
        at = end;
        Some((begin, &bytes[begin..end]))
    })
}

/// Where the first element begins that does so at `from` or later; `bytes` are as in [`elements`].
pub fn first_start(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = 0;
    loop {
        at = start(bytes, at)?;
        if at >= from {
            return Some(at);
        }
        at = end(bytes, at)?;
    }
}

/// Where the last element that is whole ends.
pub fn last_end(bytes: &[u8]) -> Option<usize> {
    elements(bytes).last().map(|(at, element)| at + element.len())
}

/// The next byte that belongs to an element. An array that is closed may be followed by another.
fn start(bytes: &[u8], from: usize) -> Option<usize> {
    let between = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b']');
    let mut at = from;
    loop {
        at += bytes[at..].iter().position(|byte| !between(byte))?;
        // a bracket that opens the array itself, and not a list in it
        let opens = bytes[at] == b'[' && (at == 0 || closed(&bytes[..at]));
        if !opens {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether nothing but white space is before, or the array before is closed.
fn closed(before: &[u8]) -> bool {
    let last = before.iter().rfind(|byte| !byte.is_ascii_whitespace());
    last.is_none_or(|byte| *byte == b']')
}

/// Where the element that begins at `begin` ends.
fn end(bytes: &[u8], begin: usize) -> Option<usize> {
    let mut walk = Walk::default();
    for (at, byte) in bytes.iter().enumerate().skip(begin) {
        if walk.ends_before(*byte) {
            let trimmed = bytes[begin..at].trim_ascii_end().len();
            return Some(begin + trimmed);
        }
        if matches!(byte, b'}' | b']') && walk == Walk::default() {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let element =
            |(at, element): (usize, &[u8])| (at, String::from_utf8(element.to_vec()).unwrap());
        elements(text.as_bytes()).map(element).collect()
    }

    #[test]
    fn elements_are_told_apart() {
        let own = |at: usize, text: &str| (at, text.to_owned());
        let text = r#" [{"a":"],\"}"} , 17 ,[1,{"b":2}],"x,y"]"#;
        assert_eq!(
            found(text),
            [
                own(2, r#"{"a":"],\"}"}"#),
                own(18, "17"),
                own(22, r#"[1,{"b":2}]"#),
                own(34, r#""x,y""#)
            ]
        );
        assert_eq!(found("[]"), []);
        assert_eq!(found(""), []);
        assert_eq!(found("[{}]\n[{}]\n").len(), 2);
    }

    #[test]
    fn what_is_not_whole_is_left_out() {
        assert_eq!(found(r#"[{"a":1},{"b":"#).len(), 1);
        assert_eq!(found(r#"[{"a":1}"#).len(), 1);
        assert_eq!(last_end(br#"[{"a":1},{"b":"#), Some(8));
        assert_eq!(last_end(b"[1"), None);
    }

    #[test]
    fn an_element_may_be_where_the_bytes_begin() {
        let text = br#"{"a":1},{"b":2} ,{"c":3}]"#;
        assert_eq!(first_start(text, 0), Some(0));
        assert_eq!(first_start(text, 1), Some(8));
        assert_eq!(first_start(text, 9), Some(17));
        assert_eq!(first_start(text, 18), None);
        assert_eq!(elements(&text[8..]).count(), 2);
    }
}
