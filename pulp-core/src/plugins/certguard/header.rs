//! The client’s certificate, out of the request’s header.

use percent_encoding::percent_decode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::prelude::*;

const NAME: &str = "x-client-cert";

/// Certificates with post-quantum keys take some 11 KiB.
const LONGEST: usize = 16 << 10;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The first certificate in the header: PEM, with percent-encoding, or with spaces where its lines end.
pub(crate) fn client_certificate(request: &GuardRequest<'_>) -> Result<CertificateDer<'static>, Denied> {
    let missing = || Denied("A client certificate was not received via the `X-CLIENT-CERT` header.".to_owned());
    let sent = request.headers.get(NAME).ok_or_else(missing)?.as_bytes();
    if sent.len() > LONGEST {
        return Err(Denied(format!("The `X-CLIENT-CERT` header has more than {LONGEST} bytes.")));
    }
    certificate(sent).ok_or_else(|| Denied("[('PEM routines', '', 'no start line')]".to_owned()))
}

pub(crate) fn certificate(sent: &[u8]) -> Option<CertificateDer<'static>> {
    let text = percent_decode(sent).decode_utf8().ok()?;
    if text.contains('\n') {
        return CertificateDer::from_pem_slice(text.as_bytes()).ok();
    }
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body = body.strip_prefix(' ')?.strip_suffix(' ')?;
    CertificateDer::from_pem_slice(format!("{BEGIN}\n{}\n{END}\n", body.replace(' ', "\n")).as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_comes_in_several_shapes() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAEC\nAw==\n-----END CERTIFICATE-----\n";
        let expected = [0, 1, 2, 3];
        let encoded = percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC).to_string();
        for good in [encoded.as_str(), pem, &pem.replace('\n', " "), pem.replace('\n', " ").trim(), &format!("{encoded}{encoded}")] {
            assert_eq!(certificate(good.as_bytes()).as_deref(), Some(&expected[..]), "{good}");
        }
        for bad in ["", "junk", "AAECAw==", &pem.replace('\n', ""), &pem.replace('\n', "\t"), "-----BEGIN CERTIFICATE----- x", "%ff%fe"] {
            assert_eq!(certificate(bad.as_bytes()), None, "{bad}");
        }
    }
}
