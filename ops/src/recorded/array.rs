//! The elements of a JSON array, told apart without reading them.

use memchr::memchr2;

use super::form::mark_len;

/// Walks over the elements of an array's text, each with its offset. It does not judge: what is
/// between two commas is an element, whatever it is.
///
/// Where an element starts, nothing that was before it matters, so that a log may be cut there and
/// gone on with. After an array there may be another.
pub struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether an opening bracket would be an element's.
    is_inside: bool,
}

impl<'a> Elements<'a> {
    /// Elements of `bytes`, which begin where the log does, or else where an element starts or ends.
    pub fn new(bytes: &'a [u8], is_beginning: bool) -> Self {
        Self { bytes, at: mark_len(bytes, is_beginning), is_inside: !is_beginning }
    }

    /// Where the next element starts, whole or not.
    pub fn start(&mut self) -> Option<usize> {
        loop {
            match self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' | b',' => {}
                b']' => self.is_inside = false,
                b'[' if !self.is_inside => self.is_inside = true,
                _ => {
                    self.is_inside = true;
                    return Some(self.at);
                }
            }
            self.at += 1;
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (usize, &'a [u8]);

    /// The next element that is whole: an object or a list that is closed, or else what a comma or
    /// the array's closing bracket ends.
    fn next(&mut self) -> Option<Self::Item> {
        let start = self.start()?;
        let end = end(self.bytes, start)?;
        self.at = end;
        Some((start, &self.bytes[start..end]))
    }
}

/// Where the first element starts that does so at `from` or later; `bytes` are as in
/// [`Elements::new`].
pub fn first_start(bytes: &[u8], is_beginning: bool, from: usize) -> Option<usize> {
    let mut elements = Elements::new(bytes, is_beginning);
    loop {
        let start = elements.start()?;
        if start >= from {
            return Some(start);
        }
        elements.next()?;
    }
}

/// Where the last element that is whole ends.
pub fn last_end(bytes: &[u8], is_beginning: bool) -> Option<usize> {
    Elements::new(bytes, is_beginning).last().map(|(at, element)| at + element.len())
}

/// Where the element that starts at `start` ends.
fn end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_u32);
    loop {
        match bytes.get(at)? {
            b'"' => at = closing_quote(bytes, at + 1)?,
            b'{' | b'[' => depth += 1,
            b',' | b']' if depth == 0 => {
                return Some(start + bytes[start..at].trim_ascii_end().len());
            }
            b'}' | b']' if depth <= 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

/// Where the quote is that ends the string whose text starts at `at`.
fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn elements(bytes: &[u8]) -> Vec<(usize, &[u8])> {
        Elements::new(bytes, true).collect()
    }

    fn found(text: &str) -> Vec<(usize, &str)> {
        let found = elements(text.as_bytes()).into_iter();
        found.map(|(at, element)| (at, str::from_utf8(element).unwrap())).collect()
    }

    #[test]
    fn elements_are_told_apart() {
        let text = r#" [{"a":"],\"}"} , 17 ,[1,{"b":2}],"x,y"]"#;
        let expected =
            [(2, r#"{"a":"],\"}"}"#), (18, "17"), (22, r#"[1,{"b":2}]"#), (34, r#""x,y""#)];
        assert_eq!(found(text), expected);
        assert_eq!(found("[]"), []);
        assert_eq!(found(""), []);
        assert_eq!(found("[{}]\n[{}]\n"), [(1, "{}"), (6, "{}")]);
        assert_eq!(found("\u{feff}[[1],2]"), [(4, "[1]"), (8, "2")]);
    }

    #[test]
    fn what_is_not_whole_is_left_out() {
        assert_eq!(found(r#"[{"a":1},{"b":"#).len(), 1);
        assert_eq!(found(r#"[{"a":1}"#).len(), 1);
        assert_eq!(last_end(br#"[{"a":1},{"b":"#, true), Some(8));
        assert_eq!(last_end(b"[1", true), None);
        assert_eq!(last_end(b"[\"\\", true), None);
    }

    #[test]
    fn an_element_may_be_where_the_bytes_begin() {
        let text = br#"[1],{"b":2} ,{"c":3}]"#;
        assert_eq!(first_start(text, false, 0), Some(0));
        assert_eq!(first_start(text, false, 1), Some(4));
        assert_eq!(first_start(text, false, 5), Some(13));
        assert_eq!(first_start(text, false, 14), None);
        assert_eq!(Elements::new(&text[4..], false).count(), 2);
        assert_eq!(first_start(text, true, 0), Some(1));
    }

    /// Cuts where the first element starts that does so `steps` later, again and again.
    fn cut<'a>(bytes: &'a [u8], steps: &[usize]) -> Vec<(usize, &'a [u8])> {
        let (mut found, mut at) = (Vec::new(), 0);
        for step in steps {
            let rest = &bytes[at..];
            let Some(stop) = first_start(rest, at == 0, *step) else { break };
            found.extend(Elements::new(&rest[..stop], at == 0).map(|(n, e)| (at + n, e)));
            at += stop;
        }
        found.extend(Elements::new(&bytes[at..], at == 0).map(|(n, e)| (at + n, e)));
        found
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[\\[\\]{}\",:\\\\é😀\n a]{0,12}", any::<String>()];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let key = "[\\[\\]{}\",é]{0,4}";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..5)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    /// An array with whatever JSON allows between its elements.
    fn array() -> impl Strategy<Value = (Vec<String>, String)> {
        let blank = prop::sample::select(vec!["", " ", "\n", "\r\n\t"]);
        let element = (value(), any::<bool>(), blank.clone(), blank.clone());
        (prop::collection::vec(element, 0..12), blank.clone(), blank).prop_map(
            |(elements, before, after)| {
                let mut texts = Vec::new();
                let mut items = Vec::new();
                for (value, is_pretty, left, right) in elements {
                    let pretty = serde_json::to_string_pretty(&value).unwrap();
                    let text = if is_pretty { pretty } else { value.to_string() };
                    items.push(format!("{left}{text}{right}"));
                    texts.push(text);
                }
                (texts, format!("{before}[{}]{after}", items.join(",")))
            },
        )
    }

    proptest! {
        #[test]
        fn every_element_comes_out_wherever_arrays_are_cut(
            (first, one) in array(), (second, other) in array(),
            steps in prop::collection::vec(1_usize..80, 0..40)
        ) {
            let bytes = format!("{one}{other}");
            let found = cut(bytes.as_bytes(), &steps);
            let texts: Vec<&str> =
                found.iter().map(|(_, element)| str::from_utf8(element).unwrap()).collect();
            prop_assert_eq!(texts, first.iter().chain(&second).collect::<Vec<_>>());
            prop_assert_eq!(found, elements(bytes.as_bytes()));
        }

        #[test]
        fn what_is_no_array_is_cut_alike_too(
            text in "[\\[\\]{}\",:\\\\ a1\n]{0,80}", steps in prop::collection::vec(1_usize..20, 0..40)
        ) {
            let found = cut(text.as_bytes(), &steps);
            prop_assert_eq!(found, elements(text.as_bytes()));
        }

        #[test]
        fn what_has_come_so_far_is_the_beginning_of_the_whole((_, text) in array(), end in 0_usize..400) {
            let bytes = text.as_bytes();
            let so_far = &bytes[..end.min(bytes.len())];
            let found = elements(so_far);
            let whole = elements(bytes);
            prop_assert_eq!(&found[..], &whole[..found.len()]);
            let rest = last_end(so_far, true).map_or(0, |end| end);
            let rest = Elements::new(&bytes[rest..], rest == 0).map(|(_, element)| element);
            prop_assert!(rest.eq(whole[found.len()..].iter().map(|(_, element)| *element)));
        }
    }
}
