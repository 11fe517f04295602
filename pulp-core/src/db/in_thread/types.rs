//! What the values of SQLite can be read as.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::error::BoxDynError;
use sqlx::types::Json;
use sqlx::{Decode, Type};
use uuid::Uuid;

use super::driver::InThread;
use super::row::{Cell, Kind};

/// Says which kinds of values a type is read from.
macro_rules! kinds {
    ($($type:ty: $first:ident $(| $more:ident)*;)+) => {$(
        impl Type<InThread> for $type {
            fn type_info() -> Kind {
                Kind::$first
            }

            fn compatible(kind: &Kind) -> bool {
                matches!(kind, Kind::$first $(| Kind::$more)*)
            }
        }
    )+};
}

kinds! {
    bool: Integer;
    i32: Integer;
    i64: Integer;
    f64: Real | Integer;
    str: Text;
    String: Text;
    [u8]: Blob | Text;
    Vec<u8>: Blob | Text;
    Uuid: Blob;
    DateTime<Utc>: Text;
}

impl<T> Type<InThread> for Json<T> {
    fn type_info() -> Kind {
        Kind::Text
    }

    fn compatible(kind: &Kind) -> bool {
        matches!(kind, Kind::Text)
    }
}

fn another(cell: Cell<'_>) -> BoxDynError {
    format!("{cell:?} is of another type").into()
}

fn integer(cell: Cell<'_>) -> Result<i64, BoxDynError> {
    match cell {
        Cell::Integer(number) => Ok(number),
        other => Err(another(other)),
    }
}

fn text(cell: Cell<'_>) -> Result<&str, BoxDynError> {
    match cell {
        Cell::Text(text) => Ok(text),
        other => Err(another(other)),
    }
}

fn bytes(cell: Cell<'_>) -> Result<&[u8], BoxDynError> {
    match cell {
        Cell::Blob(bytes) => Ok(bytes),
        Cell::Text(text) => Ok(text.as_bytes()),
        other => Err(another(other)),
    }
}

impl Decode<'_, InThread> for bool {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        Ok(integer(cell)? != 0)
    }
}

impl Decode<'_, InThread> for i32 {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        Ok(integer(cell)?.try_into()?)
    }
}

impl Decode<'_, InThread> for i64 {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        integer(cell)
    }
}

impl Decode<'_, InThread> for f64 {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        match cell {
            Cell::Real(number) => Ok(number),
            // An aggregate of whole numbers; exact up to 2^53.
            Cell::Integer(number) => Ok(number as Self),
            other => Err(another(other)),
        }
    }
}

impl<'r> Decode<'r, InThread> for &'r str {
    fn decode(cell: Cell<'r>) -> Result<Self, BoxDynError> {
        text(cell)
    }
}

impl Decode<'_, InThread> for String {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        text(cell).map(str::to_owned)
    }
}

impl<'r> Decode<'r, InThread> for &'r [u8] {
    fn decode(cell: Cell<'r>) -> Result<Self, BoxDynError> {
        bytes(cell)
    }
}

impl Decode<'_, InThread> for Vec<u8> {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        bytes(cell).map(<[u8]>::to_vec)
    }
}

impl Decode<'_, InThread> for Uuid {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        Ok(Self::from_slice(bytes(cell)?)?)
    }
}

impl Decode<'_, InThread> for DateTime<Utc> {
    fn decode(cell: Cell<'_>) -> Result<Self, BoxDynError> {
        let text = text(cell)?;
        DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc()).map_err(|error| format!("`{text}` is no moment: {error}").into())
    }
}

impl<'r, T: Deserialize<'r> + 'r> Decode<'r, InThread> for Json<T> {
    fn decode(cell: Cell<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(text(cell)?)?))
    }
}
