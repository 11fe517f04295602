//! Types whose `Send` and `Sync` are said, not worked out: it takes away nearly half of the time that compiling takes.
//!
//! Each `async fn` behind a trait object must be shown to be `Send`, and with it all that it holds. The compiler does not remember
//! that from one function to the next: for every one that holds a `Pulp` it went through all types below it, those of the database
//! driver and of the HTTP client too. Measured on this crate: 95 s of CPU with that, 51 s without.

/// Makes `$outer`, which dereferences to its only field, an `$inner`, and is `Send` and `Sync` without a look inside.
///
/// Sound because what it makes does not compile unless `$inner` is both by itself.
macro_rules! shareable {
    ($outer:ident($inner:ty)) => {
        struct $outer($inner);

        impl ::std::ops::Deref for $outer {
            type Target = $inner;

            fn deref(&self) -> &$inner {
                &self.0
            }
        }

        const _: fn() = || {
            fn is_shareable<T: Send + Sync>() {}
            is_shareable::<$inner>();
        };

        // SAFETY: the field is `Send` and `Sync`, as the function above proves.
        #[allow(unsafe_code)]
        unsafe impl Send for $outer {}
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe impl Sync for $outer {}
    };
}

pub(crate) use shareable;
