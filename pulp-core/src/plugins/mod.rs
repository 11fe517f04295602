//! The bundled content types, each behind a feature. They use the [prelude](crate::prelude) only, as a third party’s would.

#[cfg(feature = "certguard")]
pub mod certguard;
#[cfg(feature = "file")]
pub mod file;
pub mod openpgp;
