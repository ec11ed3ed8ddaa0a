//! Letter cases: serde's `rename_all` rules, and the names that generated items get. It knows no
//! syntax.

use std::str::FromStr;

/// A rule of `#[serde(rename_all = "..")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenameRule {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

/// The rules by serde's name.
pub(crate) const RULES: &[(&str, RenameRule)] = &[
    ("lowercase", RenameRule::Lower),
    ("UPPERCASE", RenameRule::Upper),
    ("PascalCase", RenameRule::Pascal),
    ("camelCase", RenameRule::Camel),
    ("snake_case", RenameRule::Snake),
    ("SCREAMING_SNAKE_CASE", RenameRule::ScreamingSnake),
    ("kebab-case", RenameRule::Kebab),
    ("SCREAMING-KEBAB-CASE", RenameRule::ScreamingKebab),
];

impl FromStr for RenameRule {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        RULES.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule).ok_or(())
    }
}

impl RenameRule {
    /// The wire name of a variant.
    pub(crate) fn variant(self, name: &str) -> String {
        match self {
            Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => lower_first(name),
            Self::Snake => serde_snake(name),
            Self::ScreamingSnake => serde_snake(name).to_ascii_uppercase(),
            Self::Kebab => serde_snake(name).replace('_', "-"),
            Self::ScreamingKebab => serde_snake(name).to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// The wire name of a field.
    pub(crate) fn field(self, name: &str) -> String {
        match self {
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => upper_camel(name),
            Self::Camel => lower_first(&upper_camel(name)),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

/// serde's rule: every capital starts a word.
fn serde_snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, ch) in name.char_indices() {
        if at > 0 && ch.is_uppercase() {
            snake.push('_');
        }
        snake.push(ch.to_ascii_lowercase());
    }
    snake
}

/// `MarkRead` → `mark_read`, and unlike serde's rule `HTTPPing` → `http_ping`: for names that
/// people type.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, ch) in chars.iter().enumerate() {
        let after_lower = at > 0 && !chars[at - 1].is_uppercase() && chars[at - 1] != '_';
        let before_lower = at > 0
            && chars[at - 1] != '_'
            && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if ch.is_uppercase() && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.extend(ch.to_lowercase());
    }
    snake
}

/// `order-book` → `OrderBook`.
pub(crate) fn upper_camel(name: &str) -> String {
    let mut camel = String::new();
    let mut capital = true;
    for ch in name.chars() {
        if matches!(ch, '_' | '-' | '.') {
            capital = true;
        } else if std::mem::take(&mut capital) {
            camel.push(ch.to_ascii_uppercase());
        } else {
            camel.push(ch);
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_renamed_as_serde_does() {
        let renamed: Vec<String> =
            RULES.iter().map(|(_, rule)| rule.variant("VeryTasty")).collect();
        let expected = [
            "verytasty",
            "VERYTASTY",
            "VeryTasty",
            "veryTasty",
            "very_tasty",
            "VERY_TASTY",
            "very-tasty",
            "VERY-TASTY",
        ];
        assert_eq!(renamed, expected);
    }

    #[test]
    fn fields_are_renamed_as_serde_does() {
        let renamed: Vec<String> = RULES.iter().map(|(_, rule)| rule.field("very_tasty")).collect();
        let expected = [
            "very_tasty",
            "VERY_TASTY",
            "VeryTasty",
            "veryTasty",
            "very_tasty",
            "VERY_TASTY",
            "very-tasty",
            "VERY-TASTY",
        ];
        assert_eq!(renamed, expected);
    }

    #[test]
    fn methods_keep_acronyms_together() {
        assert_eq!(snake("MarkRead"), "mark_read");
        assert_eq!(snake("HTTPPing"), "http_ping");
        assert_eq!(snake("V2"), "v2");
        assert_eq!(upper_camel("order-book.v2"), "OrderBookV2");
    }
}
