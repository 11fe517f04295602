//! What came out, as a table.

/// The middle one, with the least and the greatest.
pub fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get(((values.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(f64::NAN);
    (at(0.5), at(0.0), at(1.0))
}

pub fn shown((middle, least, greatest): (f64, f64, f64)) -> String {
    format!("{middle:.2} [{least:.2}–{greatest:.2}]")
}

pub fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}
