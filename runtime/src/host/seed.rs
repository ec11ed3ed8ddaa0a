//! Where a core's random numbers come from. Draws none itself: the core does, from the seed.

/// What a core's random numbers begin with: unguessable, from the operating system, unless a test
/// has given one.
///
/// # Panics
/// When the operating system has no random numbers: nothing safe can be done without.
pub(crate) fn seed(given: Option<u64>) -> [u8; 32] {
    let mut seed = [0; 32];
    match given {
        Some(given) => seed[..8].copy_from_slice(&given.to_le_bytes()),
        None => getrandom::fill(&mut seed).expect("the operating system gives random numbers"),
    }
    seed
}
