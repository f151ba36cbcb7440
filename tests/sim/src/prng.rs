//! Seeded randomness: the same seed makes the same choices on every machine.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Prng(u64);

impl Prng {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x7041_7468_546f_7750)
    }

    /// Another sequence of the same seed.
    pub fn split(&self, which: u64) -> Self {
        let mut other = Self(self.0 ^ which.wrapping_mul(0xd134_2543_de82_ef95));
        Self(other.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    /// True in so many of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True in so many of 1,000 cases.
    pub fn rarely(&mut self, permille: usize) -> bool {
        permille > 0 && self.below(1000) < permille
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}
