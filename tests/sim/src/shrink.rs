//! A failing seed made small: fewer steps and fewer kinds of trouble, as long as the same law is broken.

use crate::{
    Lived,
    plan::{Plan, TROUBLES, Trimmed},
    told,
};

/// The smallest story of a failing seed that was found, with what was left out of it. It does not fail: the whole.
pub fn shrunk(seed: u64) -> (Trimmed, Lived) {
    let mut best = told(seed, &Trimmed::default());
    let mut trimmed = Trimmed::default();
    let Err(words) = &best.outcome else { return (trimmed, best) };
    let law = law(words).to_owned();
    let mut attempt = |candidate: Trimmed, trimmed: &mut Trimmed| {
        let lived = told(seed, &candidate);
        let same = lived.outcome.as_ref().err().is_some_and(|words| self::law(words) == law);
        if same {
            (*trimmed, best) = (candidate, lived);
        }
        same
    };
    for trouble in TROUBLES {
        let mut without = trimmed.without.clone();
        without.push(trouble);
        attempt(Trimmed { without, ..trimmed.clone() }, &mut trimmed);
    }
    let (mut fails, mut passes) = (Plan::new(seed, &trimmed).steps, 0);
    while passes + 1 < fails {
        let middle = usize::midpoint(passes, fails);
        if attempt(Trimmed { steps: Some(middle), ..trimmed.clone() }, &mut trimmed) {
            fails = middle;
        } else {
            passes = middle;
        }
    }
    attempt(Trimmed { steps: Some(0), ..trimmed.clone() }, &mut trimmed);
    (trimmed, best)
}

/// Which law it is, without what broke it.
fn law(words: &str) -> &str {
    words.split(':').next().unwrap_or(words)
}
