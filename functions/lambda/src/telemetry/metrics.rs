//! Metrics in CloudWatch's embedded format: log lines that the platform counts. Nothing is called for them.

use super::{current, now_ms};
use crate::settings::Detail;
use handlers::measure::{Measure, Unit};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
};

/// Values of one metric in a line, most: the format's own.
const VALUES_MAX: usize = 100;

/// Writes metrics.
pub struct Metrics {
    namespace: String,
    installation: String,
    function: &'static str,
    detail: Detail,
    out: Mutex<Box<dyn Write + Send>>,
}

impl Metrics {
    /// To the standard output.
    pub fn to_stdout(namespace: &str, installation: &str, function: &'static str, detail: Detail) -> Self {
        Self {
            namespace: namespace.to_owned(),
            installation: installation.to_owned(),
            function,
            detail,
            out: Mutex::new(Box::new(std::io::stdout())),
        }
    }

    /// Writes what was measured.
    pub fn write(&self, measures: &[Measure]) {
        let invocation = current().unwrap_or_default();
        for mut line in self.lines(measures, now_ms()) {
            line.insert("requestId".to_owned(), invocation.request_id.clone().into());
            if let Some(trace) = &invocation.trace_id {
                line.insert("traceId".to_owned(), trace.clone().into());
            }
            let mut text = Value::Object(line).to_string();
            text.push('\n');
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody is left to be told that the output is closed.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// One line for each pipeline and stage that something was measured of.
    fn lines(&self, measures: &[Measure], now: i64) -> Vec<Map<String, Value>> {
        let mut places: BTreeMap<(Option<&str>, Option<&str>), Vec<&Measure>> = BTreeMap::new();
        for measure in measures {
            places.entry((measure.pipeline.as_deref(), measure.stage.as_deref())).or_default().push(measure);
        }
        places.into_iter().map(|((pipeline, stage), own)| self.line(pipeline, stage, &own, now)).collect()
    }

    fn line(
        &self,
        pipeline: Option<&str>,
        stage: Option<&str>,
        measures: &[&Measure],
        now: i64,
    ) -> Map<String, Value> {
        let mut line = Map::new();
        let mut dimensions = vec![json!(["Installation"])];
        line.insert("Installation".to_owned(), self.installation.clone().into());
        line.insert("Function".to_owned(), self.function.into());
        // Named in any case, so that a query over the lines finds it.
        if let Some(pipeline) = pipeline {
            line.insert("Pipeline".to_owned(), pipeline.into());
            if self.detail >= Detail::Pipeline {
                dimensions.push(json!(["Installation", "Pipeline"]));
            }
        }
        if let Some(stage) = stage {
            line.insert("Stage".to_owned(), stage.into());
            if self.detail >= Detail::Stage {
                dimensions.push(json!(["Installation", "Pipeline", "Stage"]));
            }
        }
        let mut named: BTreeMap<&str, (Unit, Vec<f64>)> = BTreeMap::new();
        for measure in measures {
            let (unit, values) = named.entry(measure.name).or_insert((measure.unit, Vec::new()));
            let is_full = values.len() >= VALUES_MAX;
            match (unit, values.first_mut()) {
                (Unit::Count, Some(sum)) => *sum += measure.value,
                (Unit::Milliseconds, _) if is_full => {}
                (Unit::Count | Unit::Milliseconds, _) => values.push(measure.value),
            }
        }
        let metrics: Vec<Value> =
            named.iter().map(|(name, (unit, _))| json!({ "Name": name, "Unit": unit.as_str() })).collect();
        for (name, (_, values)) in named {
            let value =
                if let [one] = values[..] { number(one) } else { values.into_iter().map(number).collect() };
            line.insert(name.to_owned(), value);
        }
        let directive = json!({ "Namespace": self.namespace, "Dimensions": dimensions, "Metrics": metrics });
        line.insert("_aws".to_owned(), json!({ "Timestamp": now, "CloudWatchMetrics": [directive] }));
        line
    }
}

/// Whole numbers without a point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(detail: Detail, measures: &[Measure]) -> Vec<String> {
        let metrics = Metrics::to_stdout("Towpath", "shop-ci", "relay", detail);
        let lines = metrics.lines(measures, 1_700_000_000_000);
        lines.into_iter().map(|line| Value::Object(line).to_string()).collect()
    }

    #[test]
    fn counts_are_summed_and_durations_kept_one_line_for_each_place() {
        let measures = [
            Measure::count("PoisonRecords", 1),
            Measure::count("PoisonRecords", 2),
            Measure { stage: Some("Deploy".into()), ..Measure::lasted("StageTime", 1500) }.of("shop"),
            Measure { stage: Some("Deploy".into()), ..Measure::lasted("StageTime", 2500) }.of("shop"),
        ];
        let head = r#""Function":"relay","Installation":"shop-ci""#;
        assert_eq!(
            lines(Detail::Stage, &measures),
            [
                format!(
                    r#"{{{head},"PoisonRecords":3,"_aws":{{"CloudWatchMetrics":[{{"Dimensions":[["Installation"]],"Metrics":[{{"Name":"PoisonRecords","Unit":"Count"}}],"Namespace":"Towpath"}}],"Timestamp":1700000000000}}}}"#
                ),
                format!(
                    r#"{{{head},"Pipeline":"shop","Stage":"Deploy","StageTime":[1500,2500],"_aws":{{"CloudWatchMetrics":[{{"Dimensions":[["Installation"],["Installation","Pipeline"],["Installation","Pipeline","Stage"]],"Metrics":[{{"Name":"StageTime","Unit":"Milliseconds"}}],"Namespace":"Towpath"}}],"Timestamp":1700000000000}}}}"#
                ),
            ]
        );
    }

    #[test]
    fn a_pipeline_is_no_metric_of_its_own_unless_asked_for() {
        let lines = lines(Detail::Installation, &[Measure::count("ExecutionsFailed", 1).of("shop")]);
        assert!(lines[0].contains(r#""Dimensions":[["Installation"]]"#), "{}", lines[0]);
        assert!(lines[0].contains(r#""Pipeline":"shop""#), "{}", lines[0]);
    }
}
