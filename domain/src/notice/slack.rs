//! Notices as Slack's messages: blocks, and a text for where blocks are not shown. Whatever comes from outside, such as
//! a commit message, is escaped, so that it can neither call people nor pretend to be a link; and it is cut, so that the
//! whole stays within the limits of `spec/events-and-notifications.md`, section 5.2.

use super::{
    Outcome,
    facts::{Approval, Commit, Facts, Failure, Step, span},
};
use crate::{
    execution::{ExecutionStatus, StageStatus},
    trigger::event::rfc3339,
};
use events::Timestamp;
use serde_json::{Value, json};

/// Characters of a header, most: Slack's own.
const HEADER_CHARS_MAX: usize = 150;
/// Characters of a section's text, most: Slack's own.
const SECTION_CHARS_MAX: usize = 3_000;
/// Characters of a field, most; Slack's own are 2,000, which nobody reads.
const FIELD_CHARS_MAX: usize = 400;
/// Characters of the text that stands for the blocks, most.
const TEXT_CHARS_MAX: usize = 300;
/// Characters of a commit's title, most.
const TITLE_CHARS_MAX: usize = 150;
/// Characters of the first failure's reason, most.
const REASON_CHARS_MAX: usize = 700;
/// Characters of the reasons of the others, most.
const OTHER_REASON_CHARS_MAX: usize = 400;
/// Characters of the last lines of output, most.
const LINES_CHARS_MAX: usize = 1_500;
/// Characters of a link's address, most. A longer one is left out rather than cut.
const URL_CHARS_MAX: usize = 400;
/// Failures, and approvals, that one message tells of, most.
const TOLD_MAX: usize = 3;
/// Characters of all texts of a message's blocks: beyond about 13,000 Slack refuses them.
pub const BLOCKS_CHARS_MAX: usize = 12_000;

/// What a message of a run says: the whole notice where there is one message for each, and the root of the thread where
/// there is one for each run.
pub fn message(facts: &Facts) -> Value {
    let (sign, state) = headline(facts);
    let mut blocks = vec![json!({
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": cut(&format!("{sign} {} – {state}", facts.pipeline), HEADER_CHARS_MAX),
            "emoji": true,
        },
    })];
    if !facts.stages.is_empty() {
        blocks.push(section(&strip(&facts.stages)));
    }
    let fields: Vec<Value> = fields(facts).iter().map(|field| text(field)).collect();
    blocks.push(json!({ "type": "section", "fields": fields }));
    for (index, failure) in facts.failures.iter().take(TOLD_MAX).enumerate() {
        blocks.push(section(&failed(failure, index == 0)));
    }
    for approval in facts.approvals.iter().take(TOLD_MAX) {
        blocks.push(section(&asked(approval)));
    }
    let mut context = vec![text(&escaped(&facts.place, FIELD_CHARS_MAX))];
    context.extend(facts.link.as_deref().map(|url| text(&link(url, "Open the execution"))));
    blocks.push(json!({ "type": "context", "elements": context }));
    json!({ "text": summary(facts), "blocks": blocks })
}

/// One line for notifications and for old clients.
pub fn summary(facts: &Facts) -> String {
    let (sign, state) = headline(facts);
    let state = state.to_lowercase();
    let more = match (facts.failures.first(), facts.approvals.first()) {
        (Some(failure), _) => format!(" in {}/{}: {}", failure.stage, failure.what, failure.reason),
        (None, Some(approval)) => format!(" in {}/{}", approval.stage, approval.action),
        (None, None) => facts.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default(),
    };
    escaped(&format!("{sign} {} {state}{more}", facts.pipeline), TEXT_CHARS_MAX)
}

/// The sign of a run and its state in words.
fn headline(facts: &Facts) -> (&'static str, &'static str) {
    match facts.status {
        ExecutionStatus::InProgress if !facts.approvals.is_empty() => ("⏸️", "APPROVAL NEEDED"),
        ExecutionStatus::InProgress => ("▶️", "IN PROGRESS"),
        ExecutionStatus::Stopping => ("⏹️", "STOPPING"),
        ExecutionStatus::Stopped => ("⏹️", "STOPPED"),
        ExecutionStatus::Succeeded if facts.is_rollback => ("↩️", "ROLLED BACK"),
        ExecutionStatus::Succeeded if facts.outcome == Some(Outcome::Fixed) => ("✅", "FIXED"),
        ExecutionStatus::Succeeded => ("✅", "SUCCEEDED"),
        ExecutionStatus::Superseded => ("⏭️", "SUPERSEDED"),
        ExecutionStatus::Failed => ("❌", "FAILED"),
        ExecutionStatus::Cancelled => ("🚫", "CANCELED"),
    }
}

fn stage_sign(status: Option<StageStatus>, waits: bool) -> &'static str {
    match status {
        None => "⬜",
        Some(StageStatus::InProgress) if waits => "⏸️",
        Some(StageStatus::InProgress) => "⏳",
        Some(StageStatus::Stopping | StageStatus::Stopped) => "⏹️",
        Some(StageStatus::Succeeded) => "✅",
        Some(StageStatus::Failed) => "❌",
        Some(StageStatus::Cancelled) => "🚫",
        Some(StageStatus::Skipped) => "⏭️",
    }
}

/// Every stage with its sign. Where they are too many, those around the one reached last.
fn strip(steps: &[Step]) -> String {
    let told: Vec<String> =
        steps.iter().map(|step| format!("{} {}", stage_sign(step.status, step.waits), step.stage)).collect();
    let reached = steps.iter().rposition(|step| step.status.is_some()).unwrap_or(0);
    let room = SECTION_CHARS_MAX - 20;
    let (mut from, mut to, mut used) = (reached, reached + 1, told[reached].chars().count());
    loop {
        let before = from.checked_sub(1).map(|index| (true, told[index].chars().count() + 3));
        let after = told.get(to).map(|next| (false, next.chars().count() + 3));
        let next = [before, after].into_iter().flatten().find(|(_, chars)| used + chars <= room);
        let Some((is_before, chars)) = next else { break };
        used += chars;
        if is_before { from -= 1 } else { to += 1 }
    }
    let start = (from > 0).then(|| "…".to_owned());
    let end = (to < told.len()).then(|| "…".to_owned());
    let shown = start.into_iter().chain(told[from..to].iter().cloned()).chain(end);
    shown.collect::<Vec<_>>().join("   ")
}

fn fields(facts: &Facts) -> Vec<String> {
    let mut fields = Vec::new();
    let mut say = |name: &str, value: String| fields.push(format!("*{name}*\n{value}"));
    for commit in &facts.commits {
        say("Revision", revision(commit));
    }
    let by: Vec<&str> = facts.commits.iter().filter_map(|commit| commit.author.as_deref()).collect();
    if let Some(author) = by.first() {
        say("Author", escaped(author, FIELD_CHARS_MAX / 2));
    }
    say("Started by", escaped(&facts.trigger, FIELD_CHARS_MAX / 2));
    say("Started", date(facts.started));
    if let Some(ended) = facts.ended {
        say("Duration", span(facts.started, ended));
    }
    let rollback = if facts.is_rollback { ", rollback" } else { "" };
    say("Execution", format!("{} (version {}{rollback})", facts.execution, facts.version));
    if let Some(cause) = &facts.cause {
        say("Why", escaped(cause, FIELD_CHARS_MAX / 2));
    }
    fields
}

fn revision(commit: &Commit) -> String {
    let id = escaped(&commit.id, 60);
    let id = commit.url.as_deref().map_or(id.clone(), |url| link(url, &commit.id));
    let title = commit.title.as_deref().map(|title| format!(" {}", escaped(title, TITLE_CHARS_MAX)));
    let branch = commit.branch.as_deref().map(|branch| format!(" ({})", escaped(branch, 60)));
    format!("{id}{}{}", title.unwrap_or_default(), branch.unwrap_or_default())
}

fn failed(failure: &Failure, at_length: bool) -> String {
    let code = failure.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    let mut told = format!("*{}/{}* failed{code}", failure.stage, failure.what);
    if let Some(url) = &failure.url {
        told.push_str(" · ");
        told.push_str(&link(url, "Details"));
    }
    let most = if at_length { REASON_CHARS_MAX } else { OTHER_REASON_CHARS_MAX };
    if !failure.reason.is_empty() {
        told.push_str(&format!("\n{}", fenced(&failure.reason, most)));
    }
    if at_length && !failure.lines.is_empty() {
        told.push_str(&format!("\n{}", fenced(&tail(&failure.lines), LINES_CHARS_MAX)));
    }
    cut(&told, SECTION_CHARS_MAX)
}

/// The last lines that have room.
fn tail(lines: &[String]) -> String {
    let mut room = LINES_CHARS_MAX;
    let fits = |line: &&String| {
        let chars = escaped(line, usize::MAX).chars().count() + 1;
        let fits = chars <= room;
        room = room.saturating_sub(chars);
        fits
    };
    let mut kept: Vec<&str> = lines.iter().rev().take_while(fits).map(String::as_str).collect();
    kept.reverse();
    if kept.is_empty() {
        return lines.last().cloned().unwrap_or_default();
    }
    kept.join("\n")
}

fn asked(approval: &Approval) -> String {
    let mut told = format!(
        "⏸️ *{}/{}* waits for an approval until {}",
        approval.stage,
        approval.action,
        date(approval.until)
    );
    if let Some(comment) = &approval.comment {
        told.push_str(&format!("\n{}", escaped(comment, REASON_CHARS_MAX)));
    }
    if let Some(url) = &approval.url {
        told.push_str(&format!("\n{}", link(url, "To be reviewed")));
    }
    told
}

/// What is told in the thread of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail<'a> {
    /// A stage came to an end.
    Stage {
        /// Which.
        stage: &'a str,
        /// How.
        status: StageStatus,
        /// After how long.
        took: String,
    },
    /// It failed.
    Failed(&'a [Failure]),
    /// It was tried again.
    Resumed {
        /// From which stage on.
        stage: &'a str,
    },
    /// It waits for an approval.
    Asked(&'a Approval),
    /// An approval was answered.
    Answered {
        /// Stage and action.
        place: String,
        /// Yes, or no.
        approved: bool,
        /// By whom.
        by: &'a str,
        /// With which words.
        comment: Option<&'a str>,
    },
    /// It ended in another way.
    Ended(&'a Facts),
}

/// A detail as a message for a thread.
pub fn detail(detail: &Detail<'_>) -> Value {
    let told: Vec<String> = match detail {
        Detail::Stage { stage, status, took } => {
            let sign = stage_sign(Some(*status), false);
            vec![format!("{sign} *{}* {} after {took}", escaped(stage, 100), words(*status))]
        }
        Detail::Failed([]) => vec!["❌ The execution failed".to_owned()],
        Detail::Failed(failures) => failures
            .iter()
            .take(TOLD_MAX)
            .enumerate()
            .map(|(index, failure)| format!("❌ {}", failed(failure, index == 0)))
            .collect(),
        Detail::Resumed { stage } => vec![format!("🔁 *{}* is tried again", escaped(stage, 100))],
        Detail::Asked(approval) => vec![asked(approval)],
        Detail::Answered { place, approved, by, comment } => {
            let (sign, answer) = if *approved { ("👍", "approved") } else { ("👎", "rejected") };
            let comment = comment.map(|comment| format!(": {}", escaped(comment, REASON_CHARS_MAX)));
            let place = escaped(place, 250);
            vec![format!(
                "{sign} *{place}* was {answer} by {}{}",
                escaped(by, 100),
                comment.unwrap_or_default()
            )]
        }
        Detail::Ended(facts) => vec![summary(facts)],
    };
    let told: Vec<String> = told.iter().map(|told| cut(told, SECTION_CHARS_MAX)).collect();
    let blocks: Vec<Value> = told.iter().map(|told| section(told)).collect();
    let first = told.first().map(|told| told.lines().next().unwrap_or_default()).unwrap_or_default();
    json!({ "text": cut(first, TEXT_CHARS_MAX), "blocks": blocks })
}

fn words(status: StageStatus) -> &'static str {
    match status {
        StageStatus::InProgress => "goes on",
        StageStatus::Stopping => "is stopping",
        StageStatus::Stopped => "stopped",
        StageStatus::Succeeded => "succeeded",
        StageStatus::Failed => "failed",
        StageStatus::Cancelled => "was canceled",
        StageStatus::Skipped => "was skipped",
    }
}

fn section(told: &str) -> Value {
    json!({ "type": "section", "text": text(told) })
}

fn text(told: &str) -> Value {
    json!({ "type": "mrkdwn", "text": told })
}

/// A moment, shown in each reader's own time.
fn date(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1000);
    format!("<!date^{seconds}^{{date_short_pretty}} {{time}}|{}>", rfc3339(at))
}

/// A link, or only its text where the address is not one of the Web.
fn link(url: &str, shown: &str) -> String {
    let shown = escaped(shown, 100);
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let address: String = url
        .chars()
        .map(|c| match c {
            '<' => "%3C".to_owned(),
            '>' => "%3E".to_owned(),
            '|' => "%7C".to_owned(),
            '&' => "&amp;".to_owned(),
            c if c.is_whitespace() || c.is_control() => "%20".to_owned(),
            c => c.to_string(),
        })
        .collect();
    if is_web && address.chars().count() <= URL_CHARS_MAX { format!("<{address}|{shown}>") } else { shown }
}

/// A text between fences, which it cannot leave.
fn fenced(told: &str, most: usize) -> String {
    format!("```{}```", escaped(&told.replace("```", "'''"), most))
}

/// A text as Slack shows it letter by letter, at most so many characters of it as sent; cut at a character of the
/// original.
pub fn escaped(told: &str, most: usize) -> String {
    let mut shown = String::with_capacity(told.len().min(most));
    let mut count = 0;
    for c in told.chars() {
        let (piece, chars) = match c {
            '&' => ("&amp;", 5),
            '<' => ("&lt;", 4),
            '>' => ("&gt;", 4),
            _ => ("", 1),
        };
        if count + chars >= most {
            shown.push('…');
            return shown;
        }
        count += chars;
        match piece {
            "" => shown.push(c),
            piece => shown.push_str(piece),
        }
    }
    shown
}

fn cut(told: &str, most: usize) -> String {
    if told.chars().count() <= most {
        return told.to_owned();
    }
    told.chars().take(most - 1).chain(['…']).collect()
}
