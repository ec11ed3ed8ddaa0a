//! How much one principal may have of what all share, where it stays with whoever has it. Counts
//! nothing, and takes nothing from anybody.

/// A quota that shrinks with what is left for all: it is half of itself when half is left. So ten
/// principals that may have a tenth each can't have everything: each of them finds less than the
/// one before, and there is room for whoever comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    each: u64,
    all: u64,
}

impl Quota {
    /// A principal may have `each`, of the `all` that everybody may have together.
    #[must_use]
    pub const fn new(each: u64, all: u64) -> Self {
        Self { each: if each < all { each } else { all }, all }
    }

    /// Whether a principal that has `mine` may have more, while everybody together has `taken`.
    /// Whoever has nothing may, as long as anything is left.
    #[must_use]
    pub const fn admits(self, mine: u64, taken: u64) -> bool {
        let left = self.all.saturating_sub(taken);
        let (mine, each) = (mine as u128, self.each as u128);
        left > 0 && (mine == 0 || mine * (self.all as u128) < each * (left as u128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Quota = Quota::new(1_000, 10_000);

    /// Everybody takes what they may, in turn, until nobody may take more; what each has then.
    fn all_take(quota: Quota, principals: usize) -> Vec<u64> {
        let mut have = vec![0; principals];
        while let Some(at) = (0..principals)
            .filter(|at| quota.admits(have[*at], have.iter().sum()))
            .min_by_key(|at| have[*at])
        {
            have[at] += 1;
        }
        have
    }

    #[test]
    fn few_have_nearly_what_they_may() {
        assert!(all_take(TENTH, 1)[0] > 900);
        let beyond = Quota::new(2, 1_000_000);
        assert!(beyond.admits(1, 1) && !beyond.admits(2, 2), "a small quota is kept exactly");
    }

    /// One after the other takes all that it may, which is the worst that they can do.
    #[test]
    fn a_newcomer_finds_room_after_many_who_took_all_that_they_might() {
        let mut taken = 0;
        for before in 0..50 {
            let mut mine = 0;
            while TENTH.admits(mine, taken) {
                (mine, taken) = (mine + 1, taken + 1);
            }
            assert!(mine > 5, "{mine} are left for a newcomer after {before} others");
        }
    }

    #[test]
    fn those_who_take_in_turn_have_the_same() {
        let have = all_take(TENTH, 100);
        assert!(have.iter().all(|mine| (90..=91).contains(mine)), "{have:?}");
    }

    #[test]
    fn there_is_no_more_than_all() {
        let quota = Quota::new(10, 3);
        assert!(quota.admits(0, 2) && !quota.admits(0, 3) && !quota.admits(1, 3));
        assert!(!Quota::new(1, 0).admits(0, 0));
        let most = Quota::new(u64::MAX, u64::MAX);
        assert!(most.admits(1, 1) && !most.admits(u64::MAX, u64::MAX));
    }
}
