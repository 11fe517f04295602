//! The storage of a domain, as its row describes it: which kind, and with which settings.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::crypto::Fernet;
use crate::db::{Db, ExecutorExt, Sql};
use crate::storage::{FindStorage, Found, LocalOptions, LocalStorage, Storage, StorageError};

/// The name of the class that keeps files in a directory.
pub const FILE_SYSTEM: &str = "pulpcore.app.models.storage.FileSystem";
/// The name of the class that keeps them in a bucket.
pub const S3: &str = "storages.backends.s3.S3Storage";

/// One setting of a storage.
struct Setting {
    name: &'static str,
    /// What else it may be called.
    aliases: &'static [&'static str],
    required: bool,
    hidden: bool,
    whole: bool,
    default: Json,
}

const fn text(name: &'static str, aliases: &'static [&'static str]) -> Setting {
    Setting { name, aliases, required: false, hidden: false, whole: false, default: Json::Null }
}

fn settings(class: &str) -> Option<Vec<Setting>> {
    match class {
        FILE_SYSTEM => Some(vec![
            Setting { required: true, ..text("location", &["media_root"]) },
            Setting { default: json!(""), ..text("base_url", &["media_url"]) },
            Setting { whole: true, default: json!(420), ..text("file_permissions_mode", &["file_upload_permissions"]) },
            Setting { whole: true, ..text("directory_permissions_mode", &["file_upload_directory_permissions"]) },
        ]),
        S3 if cfg!(feature = "s3") => Some(vec![
            Setting { required: true, hidden: true, ..text("access_key", &["aws_s3_access_key_id", "aws_access_key_id"]) },
            Setting { hidden: true, ..text("secret_key", &["aws_s3_secret_access_key", "aws_secret_access_key"]) },
            Setting { hidden: true, ..text("security_token", &["aws_session_token", "aws_security_token"]) },
            Setting { required: true, ..text("bucket_name", &["aws_storage_bucket_name"]) },
            Setting { default: json!(""), ..text("location", &["aws_location"]) },
            text("endpoint_url", &["aws_s3_endpoint_url"]),
            text("region_name", &["aws_s3_region_name"]),
            text("addressing_style", &["aws_s3_addressing_style"]),
            text("signature_version", &["aws_s3_signature_version"]),
            text("default_acl", &["aws_default_acl"]),
            text("object_parameters", &["aws_s3_object_parameters"]),
            text("use_ssl", &["aws_s3_use_ssl"]),
            text("verify", &["aws_s3_verify"]),
        ]),
        _ => None,
    }
}

/// Whether storages of this class can be opened.
pub fn is_installed(class: &str) -> bool {
    settings(class).is_some()
}

/// Settings under their own names, with defaults for what is not given; `before` are those of the same class that hold so far.
///
/// # Errors
/// What is wrong, by setting, in the words of Pulp.
pub fn complete(class: &str, given: &Map<String, Json>, before: Option<&Map<String, Json>>) -> Result<Map<String, Json>, Json> {
    let known = settings(class).unwrap_or_default();
    let mut values = before.cloned().unwrap_or_default();
    let mut errors = Map::new();
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        match known.iter().find(|setting| setting.name == lower || setting.aliases.contains(&lower.as_str())) {
            Some(setting) => {
                values.insert(setting.name.to_owned(), value.clone());
            }
            None => {
                errors.insert(name.clone(), json!("Unexpected field"));
            }
        }
    }
    if !errors.is_empty() {
        return Err(Json::Object(errors));
    }
    for setting in &known {
        match values.get(setting.name) {
            None if setting.required => {
                errors.insert(setting.name.to_owned(), json!(["This field is required."]));
            }
            None => {
                values.insert(setting.name.to_owned(), setting.default.clone());
            }
            Some(Json::Null) if setting.required => {
                errors.insert(setting.name.to_owned(), json!(["This field may not be null."]));
            }
            Some(value) if setting.whole && !value.is_null() && value.as_i64().is_none() => {
                errors.insert(setting.name.to_owned(), json!(["A valid integer is required."]));
            }
            Some(value) if setting.required && !value.is_string() => {
                errors.insert(setting.name.to_owned(), json!(["Not a valid string."]));
            }
            Some(_) => {}
        }
    }
    if errors.is_empty() && class == FILE_SYSTEM {
        let location = values.get("location").and_then(Json::as_str).unwrap_or_default();
        let steps_up = std::path::Path::new(location).components().any(|part| matches!(part, std::path::Component::ParentDir));
        if !location.is_empty() && (!location.starts_with('/') || steps_up || location.contains('\0')) {
            errors.insert("location".to_owned(), json!(["Enter an absolute path, or nothing for the directory of the server."]));
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(Json::Object(errors)) }
}

/// Settings as clients see them: secrets only as whether they are set.
pub fn shown(class: &str, values: &Map<String, Json>) -> Json {
    let known = settings(class).unwrap_or_default();
    let hidden: Vec<Json> = known
        .iter()
        .filter(|setting| setting.hidden)
        .map(|setting| json!({"name": setting.name, "is_set": values.get(setting.name).is_some_and(|value| !value.is_null())}))
        .collect();
    let mut all = Map::from_iter([("hidden_fields".to_owned(), Json::Array(hidden))]);
    for setting in known.iter().filter(|setting| !setting.hidden) {
        all.insert(setting.name.to_owned(), values.get(setting.name).cloned().unwrap_or(Json::Null));
    }
    Json::Object(all)
}

/// Opens a storage; none where files go into the default one.
///
/// # Errors
/// If the settings do not lead to a storage.
pub async fn open(class: &str, values: &Map<String, Json>) -> Result<Option<Arc<dyn Storage>>, StorageError> {
    let text = |name: &str| values.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    match class {
        FILE_SYSTEM => match text("location") {
            None => Ok(None),
            Some(root) => Ok(Some(Arc::new(LocalStorage::open(root, LocalOptions::default()).await?))),
        },
        #[cfg(feature = "s3")]
        S3 => {
            use crate::storage::{S3Options, S3Storage};
            let wrong = |what: &str| StorageError::Settings { reason: format!("the settings of a domain's storage: {what}") };
            let bucket = text("bucket_name").ok_or_else(|| wrong("no bucket is named"))?;
            let mut options = S3Options::new(bucket).prefix(text("location").unwrap_or_default().trim_matches('/'));
            options.access_key = text("access_key").map(Into::into);
            options.secret_key = text("secret_key").map(Into::into);
            options.session_token = text("security_token").map(Into::into);
            options.region = text("region_name").map(str::to_owned);
            options.virtual_hosted = text("addressing_style") == Some("virtual");
            if let Some(endpoint) = text("endpoint_url") {
                options = options.endpoint(endpoint.parse().map_err(|_| wrong("endpoint_url is no URL"))?);
            }
            Ok(Some(Arc::new(S3Storage::open(options)?)))
        }
        other => Err(StorageError::Settings { reason: format!("storages of the class {other} cannot be opened by this program") }),
    }
}

/// Encrypts settings for their column.
///
/// # Errors
/// If the machine gives no random bytes.
pub fn seal(keys: &Fernet, values: &Map<String, Json>) -> crate::Result<Json> {
    let text = Json::Object(values.clone()).to_string();
    keys.encrypt(&text).map(Json::String).map_err(|error| crate::Error::Internal(error.to_string()))
}

/// Decrypts them.
///
/// # Errors
/// If they were encrypted with a key that we do not have.
pub fn unseal(keys: &Fernet, column: &Json) -> crate::Result<Map<String, Json>> {
    let wrong = |what: String| crate::Error::Internal(format!("the settings of a domain's storage cannot be read: {what}"));
    match column {
        Json::Object(plain) => Ok(plain.clone()),
        Json::String(sealed) => {
            let text = keys.decrypt_text(sealed).map_err(|error| wrong(error.to_string()))?;
            serde_json::from_str(text.expose()).map_err(|error| wrong(error.to_string()))
        }
        _ => Err(wrong("they are neither text nor object".to_owned())),
    }
}

/// Finds the storages of domains by their rows.
#[derive(Debug)]
pub(crate) struct Backends {
    pub(crate) db: Db,
    pub(crate) keys: Fernet,
}

#[async_trait]
impl FindStorage for Backends {
    async fn find(&self, domain: Uuid, known: Option<&str>) -> Result<Found, StorageError> {
        let sql = Sql::new("select name, storage_class, storage_settings from core_domain where pulp_id = $1").bind(domain);
        let failed = |error: &dyn std::fmt::Display| StorageError::Settings { reason: error.to_string() };
        let row: Option<(String, String, sqlx::types::Json<Json>)> = self.db.optional(sql).await.map_err(|error| failed(&error))?;
        // Files of a domain that has just gone are still where they were.
        let Some((name, class, column)) = row else { return Ok(if known.is_some() { Found::Same } else { Found::Default }) };
        if name == super::Domain::DEFAULT {
            return Ok(Found::Default);
        }
        let settings = format!("{class} {}", column.0);
        if known == Some(settings.as_str()) {
            return Ok(Found::Same);
        }
        let values = unseal(&self.keys, &column.0).map_err(|error| failed(&error))?;
        Ok(match open(&class, &values).await? {
            Some(storage) => Found::Other(settings, storage),
            None => Found::Default,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn settings_are_completed() {
        let values = complete(FILE_SYSTEM, &object(json!({"MEDIA_ROOT": ""})), None).unwrap();
        assert_eq!(
            shown(FILE_SYSTEM, &values),
            json!({"hidden_fields": [], "location": "", "base_url": "", "file_permissions_mode": 420, "directory_permissions_mode": null})
        );
        let changed = complete(FILE_SYSTEM, &object(json!({"location": "/a/"})), Some(&values)).unwrap();
        assert_eq!((&changed["location"], &changed["file_permissions_mode"]), (&json!("/a/"), &json!(420)));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (given, wanted) in [
            (json!({}), json!({"location": ["This field is required."]})),
            (json!({"x": 1}), json!({"x": "Unexpected field"})),
            (json!({"location": "", "file_permissions_mode": "a"}), json!({"file_permissions_mode": ["A valid integer is required."]})),
        ] {
            assert_eq!(complete(FILE_SYSTEM, &object(given), None).unwrap_err(), wanted);
        }
        for path in ["media", "/srv/../etc"] {
            assert!(complete(FILE_SYSTEM, &object(json!({"location": path})), None).is_err(), "{path}");
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn secrets_are_not_shown() {
        let given = object(json!({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_STORAGE_BUCKET_NAME": "c"}));
        let values = complete(S3, &given, None).unwrap();
        let shown = shown(S3, &values);
        assert_eq!(shown["bucket_name"], "c");
        assert_eq!((shown.get("access_key"), shown.get("secret_key")), (None, None));
        assert_eq!(shown["hidden_fields"][1], json!({"name": "secret_key", "is_set": true}));
    }

    #[test]
    fn they_are_stored_encrypted() {
        let keys = Fernet::new(vec![crate::crypto::FernetKey::generate().unwrap()]).unwrap();
        let values = object(json!({"location": "/secret/place"}));
        let sealed = seal(&keys, &values).unwrap();
        assert!(!sealed.to_string().contains("secret"));
        assert_eq!(unseal(&keys, &sealed).unwrap(), values);
    }
}
