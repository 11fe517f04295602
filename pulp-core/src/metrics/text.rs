//! The text that Prometheus reads: version 0.0.4 of its exposition format.

use std::fmt::{Display, Write as _};

use super::counter::Distribution;

/// The media type of the text.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind a metric is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
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

/// A label and its value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// The text, as it grows.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a metric: all its samples follow.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.0.push_str(name);
        self.labels(labels, None);
        self.push(format_args!(" {value}\n"));
    }

    /// A metric with one sample, without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The samples of a histogram; `unit` is that of its name, in microseconds.
    pub(super) fn histogram(&mut self, name: &str, labels: &[Label<'_>], all: &Distribution, unit: u64) {
        let scaled = |microseconds: u64| microseconds as f64 / unit as f64;
        let mut sum = 0_u64;
        for (at, count) in all.counts.iter().enumerate() {
            sum += count;
            let bound = all.bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| scaled(*bound).to_string());
            self.push(format_args!("{name}_bucket"));
            self.labels(labels, Some(&bound));
            self.push(format_args!(" {sum}\n"));
        }
        self.push(format_args!("{name}_sum"));
        self.labels(labels, None);
        self.push(format_args!(" {}\n{name}_count", scaled(all.sum)));
        self.labels(labels, None);
        self.push(format_args!(" {sum}\n"));
    }

    fn labels(&mut self, labels: &[Label<'_>], bound: Option<&str>) {
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut before = '{';
        for (name, value) in all {
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
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _ = self.0.write_fmt(arguments);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_the_format_says() {
        let mut text = Text::default();
        text.metric("a_total", Kind::Counter, "What a is.");
        text.sample("a_total", &[("path", "C:\\x\"\n"), ("b", "")], 3);
        text.single("b", Kind::Gauge, "What b is.", 1.5);
        text.metric("c_seconds", Kind::Histogram, "What c is.");
        let all = Distribution { bounds: &[500_000, 1_000_000], counts: vec![1, 0, 2], sum: 7_250_000 };
        text.histogram("c_seconds", &[("x", "y")], &all, 1_000_000);
        assert_eq!(
            text.finish(),
            "# HELP a_total What a is.\n# TYPE a_total counter\na_total{path=\"C:\\\\x\\\"\\n\",b=\"\"} 3\n\
             # HELP b What b is.\n# TYPE b gauge\nb 1.5\n\
             # HELP c_seconds What c is.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{x=\"y\",le=\"0.5\"} 1\nc_seconds_bucket{x=\"y\",le=\"1\"} 1\nc_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\n\
             c_seconds_sum{x=\"y\"} 7.25\nc_seconds_count{x=\"y\"} 3\n"
        );
    }
}
