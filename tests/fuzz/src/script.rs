//! Scripts: what a hostile peer does, one step per line, readable and easy to mutate. It reads
//! lines, numbers, repetition and placeholders; each target says what a step means.

/// Steps of one execution, repetitions counted: enough to fill every limit of the small
/// configurations.
const STEPS: usize = 120;

/// Bytes of one message after its placeholders were filled in.
const MESSAGE_BYTES: usize = 8192;

/// Runs each line of `input`. `*k,n` runs the last `k` lines again, `n` times.
pub(crate) fn run(input: &[u8], mut step: impl FnMut(&[u8])) {
    let mut left = STEPS;
    let mut done: Vec<&[u8]> = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        if let Some(repeat) = line.strip_prefix(b"*") {
            let (lines, times) = pair(repeat);
            let last = &done[done.len().saturating_sub(small(lines))..];
            // Nothing can be repeated without end, and takes no step.
            let times = small(times).min(STEPS);
            for line in std::iter::repeat_n(last, times).flatten().take(left) {
                left -= 1;
                step(line);
            }
        } else if left > 0 {
            left -= 1;
            done.push(line);
            step(line);
        }
    }
}

/// The number that a text begins with; 0 if none.
pub(crate) fn number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |value: u64, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    })
}

/// Two numbers with a comma between them.
pub(crate) fn pair(text: &[u8]) -> (u64, u64) {
    let at = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    (number(&text[..at]), number(text.get(at + 1..).unwrap_or_default()))
}

/// As an index or a count.
pub(crate) fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Replaces `$x` by what `value` appends for `x`. What it appends may hold placeholders again,
/// once.
pub(crate) fn filled(text: &[u8], mut value: impl FnMut(u8, &mut Vec<u8>)) -> Vec<u8> {
    let mut whole = once(text, &mut value);
    if whole.contains(&b'$') {
        whole = once(&whole, &mut value);
    }
    whole.truncate(MESSAGE_BYTES);
    whole
}

fn once(text: &[u8], value: &mut impl FnMut(u8, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match (byte, rest.as_slice().first()) {
            (b'$', Some(name)) => {
                rest.next();
                value(*name, &mut out);
            }
            _ => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_nothing_for_ever_comes_to_an_end() {
        let mut steps = 0;
        run(b"a\nb\n*0,18446744073709551615\nc\n*2,2", |_| steps += 1);
        assert_eq!(steps, 7);
    }
}
