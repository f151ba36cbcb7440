//! Accounts written into the definition, where it could be told of them.

use super::texts::{Text, texts};
use super::{Family, Findings, Rule, Severity};
use crate::pipeline::PipelineDeclaration;
use std::collections::BTreeSet;

pub(super) const FAMILY: Family = Family { rules: &[&FOREIGN_ARN, &HARDCODED_ACCOUNT_ID], check };

static FOREIGN_ARN: Rule = Rule {
    id: "hardcoded-arn",
    severity: Severity::Warning,
    what: "an ARN of another account that the action has no role in",
    why: "The pipeline's role reaches across accounts only where the other account lets it, which nothing here \
          shows. More often the ARN was left over from a copy of another pipeline.",
    mend: "Name the resource of this account, give the action a `roleArn` in that account, or hand the ARN in as a \
           pipeline variable.",
};

static HARDCODED_ACCOUNT_ID: Rule = Rule {
    id: "hardcoded-account-id",
    severity: Severity::Note,
    what: "an account's number in a setting, outside of an ARN",
    why: "The definition cannot be used for another account without searching it for numbers, and a copy that was \
          forgotten works on the wrong account.",
    mend: "Hand it in as a pipeline variable, `#{variables.ACCOUNT}`, or let a template fill it in.",
};

/// The digits of an account's number.
const ACCOUNT_DIGITS: usize = 12;

/// The account an ARN belongs to; empty for a text that is none.
pub(super) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    let own = account_of(declaration.role_arn.as_str());
    let texts = texts(declaration);
    let mut known: BTreeSet<&str> = BTreeSet::from([own]);
    known.extend(
        declaration
            .actions()
            .filter_map(|(_, action)| action.role_arn.as_ref())
            .map(|role| account_of(role.as_str())),
    );
    for text in &texts {
        check_arns(text, own, found);
        check_numbers(text, &known, found);
    }
}

fn check_arns(text: &Text<'_>, own: &str, found: &mut Findings) {
    let role = text.site.place().and_then(|place| place.action.role_arn.as_ref());
    let lent = role.map(|role| account_of(role.as_str()));
    let foreign = arns(text.value)
        .map(account_of)
        .find(|account| is_account(account) && *account != own && Some(*account) != lent);
    if let Some(account) = foreign {
        found.add(
            &FOREIGN_ARN,
            &text.path,
            format!("this names a resource of account {account}; the pipeline belongs to account {own}."),
        );
    }
}

/// The texts that begin an ARN, each to its end: white space, a quote, or the text's end.
fn arns(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("arn:aws").map(|(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|letter: char| letter.is_whitespace() || "\"',".contains(letter));
        &rest[..end.unwrap_or(rest.len())]
    })
}

fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_numbers(text: &Text<'_>, known: &BTreeSet<&str>, found: &mut Findings) {
    if !text.site.takes_variables() {
        return;
    }
    let bare = numbers(text.value).find(|(number, start)| {
        let after = &text.value[start + number.len()..];
        // Twelve digits may also be a time or an order's number: only accounts that are known to be some.
        (known.contains(number) || after.starts_with(".dkr.ecr.")) && !in_arn(text.value, *start)
    });
    if let Some((number, _)) = bare {
        found.add(
            &HARDCODED_ACCOUNT_ID,
            &text.path,
            format!("the account {number} is written into this text."),
        );
    }
}

/// Each run of exactly twelve digits that is no part of a longer word, with its place.
fn numbers(text: &str) -> impl Iterator<Item = (&str, usize)> {
    (0..text.len()).filter_map(|start| {
        let word = text.get(start..start + ACCOUNT_DIGITS).filter(|word| is_account(word))?;
        let before = text[..start].ends_with(char::is_alphanumeric);
        let after = text[start + ACCOUNT_DIGITS..].starts_with(char::is_alphanumeric);
        (!before && !after).then_some((word, start))
    })
}

fn in_arn(text: &str, place: usize) -> bool {
    text.match_indices("arn:aws").any(|(start, _)| {
        let end = arns(&text[start..]).next().map_or(0, str::len);
        (start..start + end).contains(&place)
    })
}
