//! Where metrics are pushed to, as the environment says.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::download::DownloadError;

/// Why metrics are not pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// A variable of the environment has no sense. Values are not shown: they may be secret.
    #[error("{variable}: {reason}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// There can be no HTTP client.
    #[error("there can be no client of a collector")]
    Client(#[source] DownloadError),
    /// The collector cannot be reached.
    #[error("the collector cannot be reached: {0}")]
    Push(#[source] DownloadError),
    /// The collector does not take them.
    #[error("the collector answered {status}: {said}")]
    Refused {
        /// How it answered.
        status: StatusCode,
        /// What it said, as far as that can be read.
        said: String,
    },
}

/// Where metrics are pushed to, how often, and as whose.
#[derive(Clone)]
pub struct OtlpOptions {
    pub(super) endpoint: Url,
    /// Secret, mostly.
    pub(super) headers: HeaderMap,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) resource: Vec<(String, String)>,
}

impl std::fmt::Debug for OtlpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let endpoint = crate::download::RedactedUrl::new(&self.endpoint);
        f.debug_struct("OtlpOptions").field("endpoint", &endpoint).field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// Variables of the general kind, and of the kind for metrics alone, which goes first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The only one that is spoken.
const PROTOCOL: &str = "http/protobuf";

impl OtlpOptions {
    /// Reads the variables of the environment, by `variable`; an empty one counts as none.
    ///
    /// | variable | default |
    /// |---|---|
    /// | `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, taken as it is, or `OTEL_EXPORTER_OTLP_ENDPOINT`, to which `/v1/metrics` is added | `http://localhost:4318` |
    /// | `OTEL_EXPORTER_OTLP_METRICS_HEADERS` or `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,…`, percent-encoded | none |
    /// | `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL` or `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, the only one there is |
    /// | `OTEL_EXPORTER_OTLP_METRICS_TIMEOUT` or `OTEL_EXPORTER_OTLP_TIMEOUT`: milliseconds | 10,000 |
    /// | `OTEL_METRIC_EXPORT_INTERVAL`: milliseconds | 60,000 |
    /// | `OTEL_RESOURCE_ATTRIBUTES`: `name=value,…`, percent-encoded; `OTEL_SERVICE_NAME` | `service.name=pulp` |
    ///
    /// # Errors
    /// [`OtlpError::Variable`], which names the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, OtlpError> {
        let given = |name: &'static str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, given(name)?)));
        if let Some((name, protocol)) = first(PROTOCOLS)
            && protocol != PROTOCOL
        {
            return Err(wrong(name, format!("`{protocol}` is not spoken: {PROTOCOL} is")));
        }
        let (name, endpoint) = first(ENDPOINTS).unwrap_or((ENDPOINTS[1], "http://localhost:4318".to_owned()));
        let mut endpoint = Url::parse(&endpoint).map_err(|error| wrong(name, format!("is no URL: {error}")))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(wrong(name, "must begin with http:// or https://".to_owned()));
        }
        if name == ENDPOINTS[1] {
            let path = format!("{}/v1/metrics", endpoint.path().trim_end_matches('/'));
            endpoint.set_path(&path);
        }
        let mut headers = HeaderMap::new();
        if let Some((name, pairs)) = first(HEADERS) {
            for (at, (key, value)) in pairs_of(name, &pairs)?.into_iter().enumerate() {
                let no_header = || wrong(name, format!("entry {} is no header", at + 1));
                let mut value = HeaderValue::from_str(&value).map_err(|_| no_header())?;
                value.set_sensitive(true);
                headers.append(HeaderName::from_bytes(key.as_bytes()).map_err(|_| no_header())?, value);
            }
        }
        let milliseconds = |found: Option<(&'static str, String)>, default: u64| match found {
            None => Ok(Duration::from_millis(default)),
            Some((name, text)) => match text.parse::<u64>() {
                Ok(number @ 1..=86_400_000) => Ok(Duration::from_millis(number)),
                _ => Err(wrong(name, format!("`{text}` is not a number of milliseconds from 1 to 86400000"))),
            },
        };
        let timeout = milliseconds(first(TIMEOUTS), 10_000)?;
        let interval = milliseconds(given(INTERVAL).map(|text| (INTERVAL, text)), 60_000)?;
        let mut resource = given(RESOURCE).map_or_else(|| Ok(Vec::new()), |pairs| pairs_of(RESOURCE, &pairs))?;
        let named = |resource: &[(String, String)], name: &str| resource.iter().any(|(key, _)| key == name);
        if let Some(service) = given(SERVICE) {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".to_owned(), service));
        } else if !named(&resource, "service.name") {
            resource.push(("service.name".to_owned(), "pulp".to_owned()));
        }
        for (key, value) in [
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            // Which of several processes: their numbers are not those of one.
            ("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ] {
            if !named(&resource, key) {
                resource.push((key.to_owned(), value));
            }
        }
        Ok(Self { endpoint, headers, interval, timeout, resource })
    }
}

fn wrong(variable: &'static str, reason: String) -> OtlpError {
    OtlpError::Variable { variable, reason }
}

/// `name=value,…`, percent-encoded.
fn pairs_of(variable: &'static str, text: &str) -> Result<Vec<(String, String)>, OtlpError> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().map(|text| text.into_owned());
    text.split(',')
        .enumerate()
        .filter(|(_, pair)| !pair.trim().is_empty())
        .map(|(at, pair)| {
            let no_pair = || wrong(variable, format!("entry {} is not name=value, percent-encoded", at + 1));
            let (name, value) = pair.split_once('=').ok_or_else(no_pair)?;
            match (decoded(name), decoded(value)) {
                (Ok(name), Ok(value)) if !name.is_empty() => Ok((name, value)),
                _ => Err(no_pair()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<OtlpOptions, OtlpError> {
        OtlpOptions::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let options = read(&[(ENDPOINTS[1], "")]).unwrap();
        assert_eq!(options.endpoint.as_str(), "http://localhost:4318/v1/metrics");
        assert_eq!((options.timeout, options.interval), (Duration::from_secs(10), Duration::from_secs(60)));
        assert_eq!(options.resource[0], ("service.name".to_owned(), "pulp".to_owned()));
        assert!(options.headers.is_empty());
    }

    #[test]
    fn what_is_for_metrics_goes_first() {
        let general = (ENDPOINTS[1], "https://collector.example.org/otlp/");
        assert_eq!(read(&[general]).unwrap().endpoint.as_str(), "https://collector.example.org/otlp/v1/metrics");
        let own = (ENDPOINTS[0], "https://collector.example.org/own");
        assert_eq!(read(&[general, own]).unwrap().endpoint.as_str(), "https://collector.example.org/own");
    }

    #[test]
    fn headers_and_attributes_are_lists() {
        let options = read(&[
            (HEADERS[1], "authorization=Bearer%20s3cr3t, x-team = a"),
            (RESOURCE, "service.name=other,deployment.environment=a%2Cb"),
            (SERVICE, "mirror"),
            (INTERVAL, "5000"),
        ])
        .unwrap();
        assert_eq!(options.headers["authorization"], "Bearer s3cr3t");
        assert_eq!(options.headers["x-team"], "a");
        let attributes: Vec<&str> = options.resource.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(attributes, ["deployment.environment", "service.name", "service.version", "service.instance.id"]);
        assert_eq!((&*options.resource[0].1, &*options.resource[1].1), ("a,b", "mirror"));
        assert_eq!(options.interval, Duration::from_secs(5));
        assert!(!format!("{options:?}").contains("s3cr3t"));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        for (name, value) in [
            (ENDPOINTS[0], "collector"),
            (ENDPOINTS[1], "ftp://s3cr3t@collector.example.org"),
            (HEADERS[1], "s3cr3t"),
            (HEADERS[0], "a=s3cr3t%0A"),
            (PROTOCOLS[1], "grpc"),
            (INTERVAL, "0"),
            (TIMEOUTS[0], "10s"),
            (RESOURCE, "=x"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: ")) && !error.contains("s3cr3t"), "{error}");
        }
    }
}
