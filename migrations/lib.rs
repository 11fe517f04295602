//! The SQL that makes and changes Pulp’s tables.
