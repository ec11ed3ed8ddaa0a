//! "Did you mean": the nearest of a few known words, and how a list of them reads. Which words are
//! known is for `symbol`.

/// ``(did you mean `x`?)`` with a leading space, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = known.into_iter().map(|candidate| (distance(word, candidate), candidate)).min();
    match nearest {
        Some((distance, candidate)) if distance <= candidate.len().max(3) / 3 => {
            format!(" (did you mean `{candidate}`?)")
        }
        _ => String::new(),
    }
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_recognised_and_another_word_is_not() {
        assert_eq!(did_you_mean("requst", ["request", "command"]), " (did you mean `request`?)");
        assert_eq!(
            did_you_mean("Conversaton", ["Conversation"]),
            " (did you mean `Conversation`?)"
        );
        assert_eq!(did_you_mean("banana", ["request", "command"]), "");
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(["a"]), "`a`");
    }
}
