//! What happens to drivers, told to whoever the host names: the module knows no event bus.

use std::{fmt, sync::Arc};

use serde_json::Value;

/// Takes the name of a happening, such as `driver.loaded`, and what there is to say of it. Called
/// on any thread; must not block.
pub type Listener = Arc<dyn Fn(&'static str, Value) + Send + Sync>;

/// Where happenings go. Cheap to clone.
#[derive(Clone, Default)]
pub struct News(Option<Listener>);

impl News {
    /// Tells `listener`.
    pub fn to(listener: Listener) -> Self {
        Self(Some(listener))
    }

    pub(crate) fn tell(&self, kind: &'static str, data: Value) {
        if let Some(listener) = &self.0 {
            listener(kind, data);
        }
    }
}

impl fmt::Debug for News {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("News")
    }
}
