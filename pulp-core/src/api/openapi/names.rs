//! Names that follow from other names.

use crate::CORE;
use crate::resource::Resource;

/// The component that a resource belongs to: the first half of its schema’s name, or core.
pub(super) fn component(resource: &Resource) -> &'static str {
    resource.schema.split_once('.').map_or(CORE.label, |(label, _)| label)
}

/// The tag of an end point: `Repositories: File Versions` of `repositories/file/file/{id}/versions/`, for the component’s
/// name is left out.
pub(super) fn tag(path: &str) -> String {
    let segments: Vec<String> = path.split('/').filter(|segment| !segment.is_empty() && !segment.starts_with('{')).map(title).collect();
    match segments.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] => format!("{first}: {second}"),
        [first, _, rest @ ..] => format!("{first}: {}", rest.join(" ")),
    }
}

/// A capital after everything that is no letter: `Import-Check`.
fn title(text: &str) -> String {
    let mut after_letter = false;
    text.chars()
        .map(|c| {
            let shown = if after_letter { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            after_letter = c.is_ascii_alphabetic();
            shown
        })
        .collect()
}

/// What people call an object: `file git remote` of `file.FileGitRemote`, `open pgp keyring` of `OpenPGPKeyring`.
pub(super) fn noun(schema: &str) -> String {
    let name: Vec<char> = schema.rsplit('.').next().unwrap_or(schema).chars().collect();
    let mut text = String::new();
    for (at, c) in name.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| name.get(at));
        let starts = c.is_ascii_uppercase()
            && before.is_some_and(|before| !before.is_ascii_uppercase() || name.get(at + 1).is_some_and(char::is_ascii_lowercase));
        if starts {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// Several of them.
pub(super) fn plural(noun: &str) -> String {
    if noun.ends_with("content") {
        return format!("{noun} units");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

/// With its article.
pub(super) fn one(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o']) || noun.starts_with("up") { "an" } else { "a" };
    let unit = if noun.ends_with("content") { " unit" } else { "" };
    format!("{article} {noun}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_paths() {
        for (path, expected) in [
            ("tasks/", "Tasks"),
            ("task-groups/{id}/", "Task-Groups"),
            ("repositories/reclaim_space/", "Repositories: Reclaim_Space"),
            ("repositories/file/file/{id}/", "Repositories: File"),
            ("repositories/file/file/{id}/versions/{number}/", "Repositories: File Versions"),
            ("contentguards/certguard/x509/", "Contentguards: X509"),
            ("importers/core/pulp/import-check/", "Importers: Pulp Import-Check"),
        ] {
            assert_eq!(tag(path), expected);
        }
    }

    #[test]
    fn nouns_follow_schemas() {
        assert_eq!(noun("file.FileGitRemote"), "file git remote");
        assert_eq!(noun("OpenPGPKeyring"), "open pgp keyring");
        assert_eq!(noun("RBACContentGuard"), "rbac content guard");
        assert_eq!(plural("file repository"), "file repositories");
        assert_eq!(plural("task"), "tasks");
        assert_eq!(one("upload"), "an upload");
        assert_eq!(one("user"), "a user");
        assert_eq!(one("file content"), "a file content unit");
    }
}
