//! Metrics in the words of OpenTelemetry.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric as Described, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::metrics::snapshot::{Kind, Metric, Sample, Value};

/// The time that sums are of, in nanoseconds since 1970: from the start of the process to now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The message that a collector takes.
pub(super) fn message(metrics: &[Metric], resource: &[(String, String)], span: Span) -> Vec<u8> {
    let attributes = resource.iter().map(|(name, value)| attribute(name, value)).collect();
    let scope = InstrumentationScope { name: "pulp".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() };
    let metrics = metrics.iter().map(|metric| described(metric, span)).collect();
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Default::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }],
            schema_url: String::new(),
        }],
    };
    request.encode_to_vec()
}

/// Units that names end with, and how OpenTelemetry writes them; [collectors](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/)
/// put them back into the names when they speak with Prometheus.
const UNITS: [(&str, &str); 3] = [("_milliseconds", "ms"), ("_seconds", "s"), ("_bytes", "By")];

/// Names that Pulp writes with dots.
const DOTTED: [(&str, &str); 2] =
    [("api_request_duration", "api.request_duration"), ("content_request_duration", "content.request_duration")];

fn described(metric: &Metric, span: Span) -> Described {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let (name, unit) = UNITS.iter().find_map(|(suffix, unit)| Some((name.strip_suffix(suffix)?, *unit))).unwrap_or((name, ""));
    let name = DOTTED.iter().find(|(plain, _)| *plain == name).map_or(name, |(_, dotted)| dotted);
    let temporality = AggregationTemporality::Cumulative.into();
    let numbers = || metric.samples.iter().filter_map(|sample| number(sample, span)).collect();
    let data = match metric.kind {
        Kind::Counter => metric::Data::Sum(Sum { data_points: numbers(), aggregation_temporality: temporality, is_monotonic: true }),
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => {
            let data_points = metric.samples.iter().filter_map(|sample| distribution(sample, span)).collect();
            metric::Data::Histogram(Histogram { data_points, aggregation_temporality: temporality })
        }
    };
    Described { name: name.to_owned(), description: metric.help.to_owned(), unit: unit.to_owned(), data: Some(data), ..Default::default() }
}

fn number(sample: &Sample, span: Span) -> Option<NumberDataPoint> {
    let value = match &sample.value {
        Value::Integer(value) => number_data_point::Value::AsInt(i64::try_from(*value).unwrap_or(i64::MAX)),
        Value::Real(value) => number_data_point::Value::AsDouble(*value),
        Value::Buckets(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: span.from,
        time_unix_nano: span.to,
        value: Some(value),
        ..Default::default()
    })
}

fn distribution(sample: &Sample, span: Span) -> Option<HistogramDataPoint> {
    let Value::Buckets(all) = &sample.value else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: span.from,
        time_unix_nano: span.to,
        count: all.counts.iter().sum(),
        sum: Some(all.sum),
        bucket_counts: all.counts.clone(),
        explicit_bounds: all.bounds.clone(),
        ..Default::default()
    })
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    sample.labels.iter().map(|(name, value)| attribute(&name.replacen("http_", "http.", 1), value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::snapshot::Buckets;

    #[test]
    fn what_is_measured_is_what_the_collector_reads() {
        let sample = |label: &'static str, value: Value| vec![Sample { labels: vec![(label, "x".to_owned())], value }];
        let buckets = Buckets { bounds: vec![0.5, 1.0], counts: vec![1, 0, 2], sum: 7.25 };
        let metrics = [
            Metric {
                name: "api_request_duration_milliseconds",
                kind: Kind::Histogram,
                help: "A.",
                samples: sample("http_method", Value::Buckets(buckets)),
            },
            Metric { name: "pulp_content_bytes_total", kind: Kind::Counter, help: "B.", samples: sample("for", Value::Integer(7)) },
            Metric {
                name: "tasks_longest_unblocked_time_seconds",
                kind: Kind::Gauge,
                help: "C.",
                samples: sample("for", Value::Real(1.5)),
            },
        ];
        let bytes = message(&metrics, &[("service.name".to_owned(), "pulp".to_owned())], Span { from: 1, to: 2 });
        let read = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
        let [of_resource] = &*read.resource_metrics else { panic!() };
        assert_eq!(of_resource.resource.as_ref().unwrap().attributes, [attribute("service.name", "pulp")]);
        let [of_scope] = &*of_resource.scope_metrics else { panic!() };
        let names: Vec<(&str, &str)> = of_scope.metrics.iter().map(|metric| (&*metric.name, &*metric.unit)).collect();
        assert_eq!(names, [("api.request_duration", "ms"), ("pulp_content", "By"), ("tasks_longest_unblocked_time", "s")]);
        let Some(metric::Data::Histogram(histogram)) = &of_scope.metrics[0].data else { panic!() };
        let point = &histogram.data_points[0];
        assert_eq!(
            (point.count, point.sum, &*point.bucket_counts, &*point.explicit_bounds),
            (3, Some(7.25), &[1, 0, 2][..], &[0.5, 1.0][..])
        );
        assert_eq!(point.attributes, [attribute("http.method", "x")]);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
        let Some(metric::Data::Sum(sum)) = &of_scope.metrics[1].data else { panic!() };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(7)));
        let Some(metric::Data::Gauge(gauge)) = &of_scope.metrics[2].data else { panic!() };
        assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(1.5)));
    }
}
