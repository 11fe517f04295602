//! The text that Prometheus reads: version 0.0.4 of its exposition format.

use std::fmt::Write as _;

use super::snapshot::{Kind, Metric, Sample, Value};

/// The media type of the text.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics as text.
#[must_use]
pub fn text(metrics: &[Metric]) -> String {
    let mut text = Text::default();
    for metric in metrics {
        let (name, help) = (metric.name, metric.help);
        text.push(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", metric.kind.as_str()));
        for sample in &metric.samples {
            text.sample(name, sample);
        }
    }
    text.0
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The text, as it grows.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn sample(&mut self, name: &str, sample: &Sample) {
        match &sample.value {
            Value::Integer(value) => self.line(name, sample, None, format_args!("{value}")),
            Value::Real(value) => self.line(name, sample, None, format_args!("{value}")),
            Value::Buckets(all) => {
                let mut sum = 0_u64;
                for (at, count) in all.counts.iter().enumerate() {
                    sum += count;
                    let bound = all.bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
                    self.line(&format!("{name}_bucket"), sample, Some(&bound), format_args!("{sum}"));
                }
                self.line(&format!("{name}_sum"), sample, None, format_args!("{}", all.sum));
                self.line(&format!("{name}_count"), sample, None, format_args!("{sum}"));
            }
        }
    }

    fn line(&mut self, name: &str, sample: &Sample, bound: Option<&str>, value: std::fmt::Arguments<'_>) {
        self.0.push_str(name);
        let labels = sample.labels.iter().map(|(name, value)| (*name, value.as_str()));
        let mut before = '{';
        for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
            self.0.push(before);
            before = ',';
            self.0.push_str(name);
            self.0.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        if before == ',' {
            self.0.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _ = self.0.write_fmt(arguments);
    }
}

#[cfg(test)]
mod tests {
    use super::super::counter::Distribution;
    use super::super::snapshot::Snapshot;
    use super::*;

    #[test]
    fn reads_as_the_format_says() {
        let mut all = Snapshot::default();
        all.metric("a_total", Kind::Counter, "What a is.");
        all.sample(&[("path", "C:\\x\"\n"), ("b", "")], 3_u64);
        all.single("b", Kind::Gauge, "What b is.", 1.5);
        all.metric("c_seconds", Kind::Histogram, "What c is.");
        let distribution = Distribution { bounds: &[500_000, 1_000_000], counts: vec![1, 0, 2], sum: 7_250_000 };
        all.histogram(&[("x", "y")], &distribution, 1_000_000);
        assert_eq!(
            text(&all.finish()),
            "# HELP a_total What a is.\n# TYPE a_total counter\na_total{path=\"C:\\\\x\\\"\\n\",b=\"\"} 3\n\
             # HELP b What b is.\n# TYPE b gauge\nb 1.5\n\
             # HELP c_seconds What c is.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{x=\"y\",le=\"0.5\"} 1\nc_seconds_bucket{x=\"y\",le=\"1\"} 1\nc_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\n\
             c_seconds_sum{x=\"y\"} 7.25\nc_seconds_count{x=\"y\"} 3\n"
        );
    }
}
