//! Durations and sizes: strings with a unit, so that no number stands alone. What they bound is for
//! `model`.

use syn::{Lit, LitStr};

const DURATION: &str = "expected a duration such as \"500ms\", \"5s\" or \"10m\"";
const SIZE: &str = "expected a size such as \"512B\", \"16KiB\" or \"1MiB\"";
const KEPT: &str = "expected a time such as \"10m\", \"24h\" or \"7d\"";
const DAY_MS: u64 = 24 * 3_600_000;
const YEAR_MS: u64 = 365 * DAY_MS;
const MAX_SIZE: u64 = 1 << 30;

/// Milliseconds of `"500ms"`, `"5s"`, `"10m"`, `"2h"`; more than none, at most a day.
pub(crate) fn duration_ms(lit: &Lit) -> syn::Result<u64> {
    let (text, number, unit) = split(lit, DURATION)?;
    let factor = factor(unit).ok_or_else(|| wrong(lit, DURATION, &text))?;
    match number.checked_mul(factor) {
        Some(ms @ 1..=DAY_MS) => Ok(ms),
        _ => Err(syn::Error::new(lit.span(), "a duration is at least \"1ms\" and at most \"24h\"")),
    }
}

/// Milliseconds for which something is kept: the same, and `"7d"`, up to a year.
pub(crate) fn kept_ms(lit: &Lit) -> syn::Result<u64> {
    let (text, number, unit) = split(lit, KEPT)?;
    let factor = if unit == "d" { Some(DAY_MS) } else { factor(unit) };
    let factor = factor.ok_or_else(|| wrong(lit, KEPT, &text))?;
    match number.checked_mul(factor) {
        Some(ms @ 1..=YEAR_MS) => Ok(ms),
        _ => {
            Err(syn::Error::new(lit.span(), "it is kept for at least \"1ms\" and at most \"365d\""))
        }
    }
}

fn factor(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    }
}

/// Bytes of `"512B"`, `"16KiB"`, `"1MiB"`; more than none, at most 1 GiB.
pub(crate) fn size_bytes(lit: &Lit) -> syn::Result<u32> {
    let (text, number, unit) = split(lit, SIZE)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(wrong(lit, SIZE, &text)),
    };
    match number.checked_mul(factor) {
        Some(bytes @ 1..=MAX_SIZE) => Ok(u32::try_from(bytes).expect("at most 1 GiB")),
        _ => Err(syn::Error::new(lit.span(), "a size is at least \"1B\" and at most \"1024MiB\"")),
    }
}

fn split(lit: &Lit, expected: &str) -> syn::Result<(String, u64, &'static str)> {
    let text = match lit {
        Lit::Str(text) => LitStr::value(text),
        other => {
            let found = quote::quote!(#other).to_string();
            return Err(syn::Error::new(other.span(), format!("{expected}, found `{found}`")));
        }
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().map_err(|_| wrong(lit, expected, &text))?;
    let unit = ["ms", "s", "m", "h", "d", "B", "KiB", "MiB"]
        .into_iter()
        .find(|unit| *unit == text[digits..].trim_start());
    let unit = unit.ok_or_else(|| wrong(lit, expected, &text))?;
    Ok((text, number, unit))
}

fn wrong(lit: &Lit, expected: &str, found: &str) -> syn::Error {
    syn::Error::new(lit.span(), format!("{expected}, found \"{found}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn units_are_read() {
        assert_eq!(duration_ms(&parse_quote!("500ms")).unwrap(), 500);
        assert_eq!(duration_ms(&parse_quote!("10 m")).unwrap(), 600_000);
        assert_eq!(kept_ms(&parse_quote!("24h")).unwrap(), DAY_MS);
        assert_eq!(kept_ms(&parse_quote!("7d")).unwrap(), 7 * DAY_MS);
        assert_eq!(size_bytes(&parse_quote!("16KiB")).unwrap(), 16_384);
    }

    #[test]
    fn what_has_no_unit_or_the_wrong_one_is_refused() {
        for lit in [
            parse_quote!("5"),
            parse_quote!(5),
            parse_quote!("5KiB"),
            parse_quote!("0s"),
            parse_quote!("s"),
        ] {
            assert!(duration_ms(&lit).is_err());
        }
        for lit in [parse_quote!("7"), parse_quote!("0d"), parse_quote!("400d"), parse_quote!(7)] {
            assert!(kept_ms(&lit).is_err());
        }
        for lit in [parse_quote!("16KB"), parse_quote!("5s"), parse_quote!("4096MiB")] {
            assert!(size_bytes(&lit).is_err());
        }
    }
}
