//! Parameters of a query.

/// Parameters of a query, in the order they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the parameter if there is a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    /// Adds the parameter with the values, joined by commas, if there are any.
    pub(crate) fn with_all(mut self, name: &str, values: &[impl ToString]) -> Self {
        if !values.is_empty() {
            let joined = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            self.0.push((name.to_owned(), joined));
        }
        self
    }

    /// Adds all parameters of another query.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether there is such a parameter.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The parameters, in the order they were added.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
