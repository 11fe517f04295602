//! The bundled content types, each behind a feature. They use the [prelude](crate::prelude) only, as a third party’s would.

#[cfg(feature = "certguard")]
pub mod certguard;
#[cfg(feature = "file")]
pub mod file;
pub mod openpgp;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// Types that are core’s own, and lie here for their size.
    const OF_CORE: [&str; 1] = ["openpgp"];

    /// All source files below a directory.
    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// What a line of code takes from the crate, but for the prelude.
    fn reaches_around(line: &str) -> bool {
        let code = line.split("//").next().unwrap_or_default();
        code.match_indices("crate::").any(|(at, _)| {
            let rest = &code[at + "crate::".len()..];
            !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') && !rest.starts_with("prelude::")
        })
    }

    #[test]
    fn bundled_content_types_use_the_prelude_only() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugins");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            let of_core = OF_CORE.iter().any(|name| path.ends_with(name));
            if path.is_dir() && !of_core {
                sources(&path, &mut files);
            }
        }
        assert!(!files.is_empty());
        let mut around = Vec::new();
        for file in &files {
            for (number, line) in std::fs::read_to_string(file).unwrap().lines().enumerate() {
                if reaches_around(line) {
                    around.push(format!("{}:{}: {}", file.strip_prefix(&here).unwrap().display(), number + 1, line.trim()));
                }
            }
        }
        assert!(around.is_empty(), "what a third party could not use either:\n{}", around.join("\n"));
    }

    #[test]
    fn reaching_around_is_seen() {
        assert!(reaches_around("use crate::db::Sql;") && reaches_around("    let x: crate::Pulp = y;"));
        assert!(!reaches_around("use crate::prelude::*;") && !reaches_around("/// See [`Pulp`](crate::Pulp)."));
        assert!(!reaches_around("use other_crate::thing;"));
    }
}
