//! ASCII armor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::OpenPgpError;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The bytes in the first armored public key of a text.
///
/// # Errors
/// [`OpenPgpError::Armor`] if there is none, or it is damaged.
pub fn dearmor(text: &str) -> Result<Vec<u8>, OpenPgpError> {
    let (_, rest) = text.split_once(BEGIN).ok_or(OpenPgpError::Armor("it has no beginning"))?;
    let (block, _) = rest.split_once(END).ok_or(OpenPgpError::Armor("it has no end"))?;
    let mut lines = block.lines().map(str::trim).skip(1);
    let mut body = String::with_capacity(block.len());
    // Headers end with an empty line; without headers it may lack.
    let mut headers = true;
    let mut checksum = None;
    for line in &mut lines {
        if headers && (line.is_empty() || line.contains(": ")) {
            headers = !line.is_empty();
            continue;
        }
        headers = false;
        match line.strip_prefix('=') {
            Some(sum) if sum.len() == 4 => checksum = BASE64.decode(sum).ok(),
            _ => body.push_str(line),
        }
    }
    let bytes = BASE64.decode(body).map_err(|_| OpenPgpError::Armor("it is no base64"))?;
    match checksum {
        Some(sum) if sum != crc24(&bytes).to_be_bytes()[1..] => Err(OpenPgpError::Armor("its checksum is wrong")),
        _ => Ok(bytes),
    }
}

/// Bytes as an armored public key, with its checksum, which older programs want.
pub fn enarmor(bytes: &[u8]) -> String {
    let encoded = BASE64.encode(bytes);
    let mut text = format!("{BEGIN}\n\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push('=');
    text.push_str(&BASE64.encode(&crc24(bytes).to_be_bytes()[1..]));
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

/// RFC 9580, 6.1.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00b7_04ce_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armor_goes_there_and_back() {
        let bytes: Vec<u8> = (0..200).collect();
        let text = enarmor(&bytes);
        assert_eq!(dearmor(&text).unwrap(), bytes);
        assert_eq!(dearmor(&text.replace("-----\n\n", "-----\nComment: x\nVersion: y\n\n")).unwrap(), bytes);
        assert_eq!(dearmor(&format!("before\r\n{}after", text.replace('\n', "\r\n"))).unwrap(), bytes);
        assert!(dearmor(&text.replace("AAEC", "AAED")).is_err());
        assert_eq!(crc24(b""), 0x00b7_04ce);
        assert_eq!(crc24(b"123456789"), 0x0021_cf02);
    }
}
