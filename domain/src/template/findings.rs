//! What an evaluation found besides values: what is wrong, and what cannot be known here.

/// Places kept for one unknown, most.
const PLACES_MAX: usize = 100;
/// Problems kept, most.
const PROBLEMS_MAX: usize = 100;
/// Unknowns kept, most.
const UNKNOWN_MAX: usize = 200;

/// Something in the template that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, counted from 0: `Resources.Pipeline.Properties.Stages[2].Name`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Something that only AWS, or the user, knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The name under which it can be given: `ImportValue:net-VpcId`, `GetAtt:Fn.Arn`, `Branch`.
    pub key: String,
    /// What it is, in words.
    pub what: String,
    /// Where it is needed, each place once; of more than a hundred the first.
    pub places: Vec<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What cannot be known here.
    pub unknown: Vec<Unknown>,
    /// What a person may want to know: a path and a sentence.
    pub notes: Vec<(String, String)>,
}

impl Findings {
    /// True when nothing stands in the way of using the values.
    pub fn is_clear(&self) -> bool {
        self.problems.is_empty() && self.unknown.is_empty()
    }

    /// Adds what another evaluation found.
    pub fn extend(&mut self, other: Findings) {
        for problem in other.problems {
            self.problem(problem.path, problem.message, problem.hint);
        }
        for unknown in other.unknown {
            for place in unknown.places {
                self.unknown(&unknown.key, &unknown.what, place);
            }
        }
        self.notes.extend(other.notes);
    }

    pub(crate) fn problem(&mut self, path: String, message: String, hint: Option<String>) {
        let problem = Problem { path, message, hint };
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(crate) fn unknown(&mut self, key: &str, what: &str, place: String) {
        if let Some(known) = self.unknown.iter_mut().find(|known| known.key == key) {
            if known.places.len() < PLACES_MAX && !known.places.contains(&place) {
                known.places.push(place);
            }
        } else if self.unknown.len() < UNKNOWN_MAX {
            let places = vec![place];
            self.unknown.push(Unknown { key: key.to_owned(), what: what.to_owned(), places });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_problems_are_kept_and_none_twice() {
        let mut findings = Findings::default();
        for number in 0..PROBLEMS_MAX {
            findings.problem(format!("P{number}"), "m".into(), None);
            findings.problem("P0".into(), "m".into(), None);
        }
        assert_eq!(findings.problems.len(), 100);
        findings.problem("more".into(), "m".into(), None);
        assert_eq!(findings.problems.len(), 100);
        let mut same = Findings::default();
        same.problem("P".into(), "m".into(), None);
        same.problem("P".into(), "m".into(), Some("h".into()));
        assert_eq!(same.problems.len(), 2, "with a hint it is another one");
    }

    #[test]
    fn two_hundred_unknowns_are_kept_with_a_hundred_places_each_and_none_twice() {
        let mut findings = Findings::default();
        for number in 0..=PLACES_MAX {
            findings.unknown("A", "what", format!("P{number}"));
            findings.unknown("A", "what", "P0".into());
        }
        let places = (0..100).map(|number| format!("P{number}")).collect();
        let known = Unknown { key: "A".into(), what: "what".into(), places };
        assert_eq!(findings.unknown, [known]);
        let mut both = Findings::default();
        both.unknown("A", "what", "P0".into());
        for _ in 0..2 {
            both.extend(findings.clone());
            assert_eq!(both.unknown, findings.unknown, "however often the same is found");
        }
        for number in 1..=UNKNOWN_MAX {
            findings.unknown(&format!("B{number}"), "what", "P".into());
        }
        assert_eq!(findings.unknown.len(), 200);
        findings.unknown("B1", "what", "Q".into());
        assert_eq!(findings.unknown[1].places, ["P", "Q"], "what is known still grows");
    }

    #[test]
    fn either_kind_of_finding_stands_in_the_way_and_a_note_does_not() {
        let mut problem = Findings::default();
        problem.problem("P".into(), "m".into(), Some("h".into()));
        let mut unknown = Findings::default();
        unknown.unknown("A", "what", "P".into());
        let note = Findings { notes: vec![("P".into(), "n".into())], ..Findings::default() };
        assert_eq!([&problem, &unknown, &note].map(Findings::is_clear), [false, false, true]);
        let mut all = Findings::default();
        for each in [&problem, &unknown, &note, &unknown] {
            all.extend(each.clone());
        }
        assert_eq!(all, Findings { problems: problem.problems, unknown: unknown.unknown, notes: note.notes });
    }
}
