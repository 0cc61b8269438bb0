//! What somebody may have meant.

/// How alike two names must be, from 0 to 1, to suggest one for the other.
const ALIKE_MIN: f64 = 0.6;

/// The name most like `name`, or none that is like it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    for candidate in known {
        let alike = strsim::normalized_damerau_levenshtein(name, candidate);
        if alike >= ALIKE_MIN && best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let known = || ["workers", "flush-interval", "listen"].into_iter();
        assert_eq!(nearest("wrokers", known()), Some("workers"));
        assert_eq!(nearest("flush-intervall", known()), Some("flush-interval"));
        assert_eq!(nearest("password", known()), None);
    }
}
