//! What a command led to, held against what a test expects.

use crate::Rejection;

/// What a command led to: the lines of its events and of everything it caused at once, or a refusal.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "an outcome that nobody looks at tests nothing"]
pub struct Outcome {
    /// The command's name.
    pub command: &'static str,
    /// What happened.
    pub result: Result<Vec<String>, Rejection>,
}

impl Outcome {
    /// Exactly these events happened, in this order.
    #[track_caller]
    pub fn then(&self, expected: &[&str]) {
        let lines = self.events();
        assert!(
            lines.iter().map(String::as_str).eq(expected.iter().copied()),
            "`{}` led to other events than expected\n{}",
            self.command,
            side_by_side(lines, expected)
        );
    }

    /// Nothing happened.
    #[track_caller]
    pub fn then_nothing(&self) {
        self.then(&[]);
    }

    /// It was accepted; what happened is looked at elsewhere.
    #[track_caller]
    pub fn accepted(&self) {
        let _ = self.events();
    }

    /// It was refused; the text is the refusal's variant, or the beginning of how it is written out.
    #[track_caller]
    pub fn then_refused(&self, expected: &str) {
        match &self.result {
            Ok(lines) => {
                panic!("`{}` was accepted; expected the refusal {expected}:\n{lines:#?}", self.command)
            }
            Err(rejection) => {
                let spelled = format!("{rejection:?}");
                assert!(spelled.starts_with(expected), "refused with {spelled}\n    expected {expected}");
            }
        }
    }

    /// It was refused exactly so.
    #[track_caller]
    pub fn then_refused_with(&self, expected: &Rejection) {
        match &self.result {
            Ok(lines) => panic!("`{}` was accepted; expected {expected:?}:\n{lines:#?}", self.command),
            Err(rejection) => assert_eq!(rejection, expected, "`{}`", self.command),
        }
    }

    #[track_caller]
    fn events(&self) -> &[String] {
        match &self.result {
            Ok(lines) => lines,
            Err(rejection) => panic!("`{}` was refused: {rejection} ({rejection:?})", self.command),
        }
    }
}

fn side_by_side(actual: &[String], expected: &[&str]) -> String {
    let rows = actual.len().max(expected.len());
    let row = |index: usize| {
        let actual = actual.get(index).map_or("", String::as_str);
        let expected = expected.get(index).copied().unwrap_or_default();
        let mark = if actual == expected { ' ' } else { '!' };
        format!("{mark} {actual:<48} | {expected}\n")
    };
    let heading = format!("  {:<48} | expected\n", "happened");
    std::iter::once(heading).chain((0..rows).map(row)).collect()
}
