//! Conditions: true, false, or resting on something that is not known here.

use super::{
    evaluate::{At, Evaluator, Found},
    scalar,
};
use serde_json::Value;

impl Evaluator<'_> {
    /// A condition by name.
    pub(super) fn condition(&mut self, name: &str, at: &At<'_>) -> Option<bool> {
        if let Some(known) = self.conditions.get(name) {
            return Some(*known);
        }
        let Some(rule) = self.template.section("Conditions").and_then(|all| all.get(name)) else {
            self.problem(at, format!("there is no condition `{name}` under `Conditions`"));
            return None;
        };
        let root = At::Root("Conditions");
        let found =
            self.once(&format!("condition {name}"), at, |this| match this.rule(rule, &root.key(name)) {
                Some(yes) => Found::Value(yes.into()),
                None => Found::Unknown,
            });
        let Found::Value(Value::Bool(yes)) = found else { return None };
        self.conditions.insert(name.to_owned(), yes);
        Some(yes)
    }

    fn rule(&mut self, rule: &Value, at: &At<'_>) -> Option<bool> {
        let only =
            rule.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
        let Some((name, argument)) = only else {
            self.problem(
                at,
                "one of `Fn::Equals`, `Fn::And`, `Fn::Or`, `Fn::Not`, `Condition` is expected".into(),
            );
            return None;
        };
        if !self.enter(at) {
            return None;
        }
        let at = &at.key(name);
        let yes = match name.as_str() {
            "Condition" => match argument.as_str() {
                Some(name) => self.condition(name, at),
                None => {
                    self.problem(at, "the name of a condition is expected".to_owned());
                    None
                }
            },
            "Fn::Equals" => self.equals(argument, at),
            "Fn::Not" => match self.arguments(argument, 1..=1, "a list of one condition", at) {
                Some([rule]) => self.rule(rule, &at.index(0)).map(|yes| !yes),
                _ => None,
            },
            "Fn::And" => self.several(argument, at, false),
            "Fn::Or" => self.several(argument, at, true),
            other => {
                self.problem(at, format!("`{other}` is not a condition"));
                None
            }
        };
        self.leave();
        yes
    }

    fn equals(&mut self, argument: &Value, at: &At<'_>) -> Option<bool> {
        let [one, other] = self.arguments(argument, 2..=2, "a list of two values", at)? else { return None };
        let (one, other) = (self.value(one, &at.index(0)), self.value(other, &at.index(1)));
        match (one, other) {
            (Found::Value(one), Found::Value(other)) => {
                let same = match (scalar(&one), scalar(&other)) {
                    (Some(one), Some(other)) => one == other,
                    _ => one == other,
                };
                Some(same)
            }
            (Found::Unknown, _) | (_, Found::Unknown) => None,
            (one, other) => Some(one == other),
        }
    }

    /// `Fn::And` and `Fn::Or`: the value that decides it alone makes the others not matter, even unknown ones.
    fn several(&mut self, argument: &Value, at: &At<'_>, decisive: bool) -> Option<bool> {
        let rules = self.arguments(argument, 2..=10, "a list of 2 to 10 conditions", at)?;
        let before = std::mem::take(&mut self.findings);
        let each: Vec<Option<bool>> =
            rules.iter().enumerate().map(|(index, rule)| self.rule(rule, &at.index(index))).collect();
        let mut during = std::mem::replace(&mut self.findings, before);
        let decided = each.contains(&Some(decisive));
        if decided {
            during.unknown.clear();
        }
        self.findings.extend(during);
        match decided {
            true => Some(decisive),
            false => each.iter().all(Option::is_some).then_some(!decisive),
        }
    }
}
