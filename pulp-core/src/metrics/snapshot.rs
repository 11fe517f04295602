//! All metrics at a moment, in no format yet.

use super::counter::Distribution;

/// What kind a metric is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows, from the start of the process.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// How many took how long, from the start of the process.
    Histogram,
}

/// A metric: what it measures, and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, as Prometheus has it: a counter’s ends with `_total`, and before that there may be a unit (`_seconds`).
    pub name: &'static str,
    /// Its kind; all samples are of it.
    pub kind: Kind,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// One for each set of labels that occurred.
    pub samples: Vec<Sample>,
}

/// A number, or distribution, with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values, in a fixed order.
    pub labels: Vec<(&'static str, String)>,
    /// What was measured.
    pub value: Value,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Integer(u64),
    /// Of a gauge.
    Real(f64),
    /// Of a histogram.
    Buckets(Buckets),
}

/// A distribution, in the unit of the metric’s name.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    /// Upper bounds, which belong to what is below them, in rising order.
    pub bounds: Vec<f64>,
    /// How many there were up to each bound and above the one before; the last is of those above all bounds.
    pub counts: Vec<u64>,
    /// All values added up.
    pub sum: f64,
}

impl From<u8> for Value {
    fn from(value: u8) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

/// What the database counts; never negative.
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(u64::try_from(value).unwrap_or(0))
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Integer(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// A label and its value.
pub(super) type Label<'a> = (&'static str, &'a str);

/// All metrics, as they are read.
#[derive(Debug, Default)]
pub(super) struct Snapshot(Vec<Metric>);

impl Snapshot {
    /// Begins a metric: all its samples follow.
    pub(super) fn metric(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.0.push(Metric { name, kind, help, samples: Vec::new() });
    }

    /// A sample of the metric that was begun last.
    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl Into<Value>) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if let Some(metric) = self.0.last_mut() {
            metric.samples.push(Sample { labels, value: value.into() });
        }
    }

    /// A metric with one sample, without labels.
    pub(super) fn single(&mut self, name: &'static str, kind: Kind, help: &'static str, value: impl Into<Value>) {
        self.metric(name, kind, help);
        self.sample(&[], value);
    }

    /// A sample of a histogram; `unit` is that of its name, in microseconds.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], all: &Distribution, unit: u64) {
        let scaled = |microseconds: u64| microseconds as f64 / unit as f64;
        let bounds = all.bounds.iter().copied().map(scaled).collect();
        self.sample(labels, Buckets { bounds, counts: all.counts.clone(), sum: scaled(all.sum) });
    }

    pub(super) fn finish(self) -> Vec<Metric> {
        self.0
    }
}

impl From<Buckets> for Value {
    fn from(value: Buckets) -> Self {
        Self::Buckets(value)
    }
}
