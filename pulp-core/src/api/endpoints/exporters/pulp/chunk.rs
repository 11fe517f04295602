//! Sizes of chunks: `100MB`.

/// The largest chunk, in bytes: a terabyte.
const MOST: i128 = 1 << 40;

/// Reads a size; the error is the message for the client.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("chunk_size '{text}' is not valid (valid units are B/KB/MB/GB/TB)");
    let upper = text.trim().to_ascii_uppercase();
    let units: [(&str, u32); 5] = [("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40), ("B", 0)];
    let (number, power) = units.iter().find_map(|(unit, power)| Some((upper.strip_suffix(unit)?.trim(), *power))).ok_or_else(invalid)?;
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-')) || number.len() > 20 {
        return Err(invalid());
    }
    let number: f64 = number.parse().map_err(|_| invalid())?;
    // What is cut off here is less than a byte.
    let bytes = (number * f64::from(2_u32).powi(i32::try_from(power).unwrap_or_default())) as i128;
    match bytes {
        ..=0 => Err(format!("Chunk size {bytes} is not greater than zero!")),
        1..=MOST => u64::try_from(bytes).map_err(|_| invalid()),
        _ => Err(format!("Chunk size in bytes {bytes} is greater than max-chunk-size {MOST}!")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(size("250B"), Ok(250));
        assert_eq!(size("5 kb"), Ok(5 << 10));
        assert_eq!(size("1.5KB"), Ok(1536));
        assert_eq!(size("1TB"), Ok(1 << 40));
        assert_eq!(size("0KB").unwrap_err(), "Chunk size 0 is not greater than zero!");
        assert_eq!(size("-1KB").unwrap_err(), "Chunk size -1024 is not greater than zero!");
        assert_eq!(size("100TB").unwrap_err(), "Chunk size in bytes 109951162777600 is greater than max-chunk-size 1099511627776!");
        for bad in ["5", "abc", "5M", "5kib", "B", "1e3B", "NANB", "1.2.3B"] {
            assert_eq!(size(bad).unwrap_err(), format!("chunk_size '{bad}' is not valid (valid units are B/KB/MB/GB/TB)"));
        }
    }
}
