//! Who answers a manual approval: a flag, or a person at the terminal.

use anyhow::Context;
use domain::pipeline::PipelineDeclaration;
use events::ActionCategory;
use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write},
};

/// The approvals given by flag.
pub(super) struct Approvals {
    given: BTreeSet<String>,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Approved {
        summary: String,
    },
    Rejected {
        summary: String,
    },
    /// Nobody here can answer.
    Nobody,
}

impl Approvals {
    /// Reads `--approve STAGE/ACTION`; every one must name an approval of the pipeline.
    pub(super) fn parse(given: &[String], definition: &PipelineDeclaration) -> anyhow::Result<Self> {
        let known: BTreeSet<String> = definition
            .actions()
            .filter(|(_, action)| action.action_type_id.category == ActionCategory::Approval)
            .map(|(stage, action)| format!("{}/{}", stage.name, action.name))
            .collect();
        for text in given {
            let listed = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let listed = if listed.is_empty() { "none".to_owned() } else { listed };
            anyhow::ensure!(
                known.contains(text),
                "`--approve {text}` names no manual approval of this pipeline; it has: {listed}"
            );
        }
        Ok(Self { given: given.iter().cloned().collect() })
    }

    /// Asks for an answer, or takes the one that was given.
    pub(super) async fn ask(&self, place: &str, question: Option<&str>) -> anyhow::Result<Answer> {
        if self.given.contains(place) {
            return Ok(Answer::Approved { summary: "approved by flag".into() });
        }
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(Answer::Nobody);
        }
        let (place, question) = (place.to_owned(), question.map(str::to_owned));
        tokio::task::spawn_blocking(move || at_the_terminal(&place, question.as_deref()))
            .await
            .context("the question was broken off")?
    }
}

fn at_the_terminal(place: &str, question: Option<&str>) -> anyhow::Result<Answer> {
    let mut out = anstream::stdout();
    writeln!(out, "\nApproval {place}")?;
    if let Some(question) = question {
        writeln!(out, "  {question}")?;
    }
    loop {
        write!(out, "  approve, reject, or leave waiting? [a/r/w] ")?;
        out.flush()?;
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Ok(Answer::Nobody);
        }
        match line.trim().to_lowercase().as_str() {
            "a" | "approve" | "y" | "yes" => {
                return Ok(Answer::Approved { summary: "approved at the terminal".into() });
            }
            "r" | "reject" | "n" | "no" => {
                return Ok(Answer::Rejected { summary: "rejected at the terminal".into() });
            }
            "w" | "wait" | "" => return Ok(Answer::Nobody),
            _ => {}
        }
    }
}
