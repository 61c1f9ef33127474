//! Route templates that a layer is given, and advice when there are none.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counts requests without a route, as long as there is none with one.
#[derive(Default)]
pub(super) struct Unrouted(AtomicU32);

impl Unrouted {
    /// After how many requests routes are advised.
    const LEAST: u32 = 100;
    const WRONG: u32 = u32::MAX;

    /// A request has a route.
    #[inline]
    pub(super) fn is_wrong(&self) {
        if self.0.load(Relaxed) != Self::WRONG {
            self.0.store(Self::WRONG, Relaxed);
        }
    }

    /// A request has no route. Advises routes once, in the log.
    #[inline]
    pub(super) fn count(&self) {
        if self.0.load(Relaxed) < Self::LEAST && self.0.fetch_add(1, Relaxed).wrapping_add(1) == Self::LEAST {
            #[cfg(feature = "tracing")]
            ::tracing::warn!(
                target: "pm::tower",
                "no request has a route, so kinds are methods only: set TasksLayer::routes or TasksLayer::route"
            );
        }
    }
}

/// Returns the first template that fits a path.
pub(super) fn route<'t>(templates: &'t [String], path: &str) -> Option<&'t str> {
    templates.iter().find(|template| fits(template, path)).map(String::as_str)
}

/// Compares segment by segment: `{name}` fits one that is not empty, `{*name}` all that remain.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) if name.starts_with('*') => return !found.is_empty(),
                Some(_) if !found.is_empty() => {}
                None if wanted == found => {}
                _ => return false,
            },
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_template_that_fits_is_the_route() {
        let templates = ["/", "/hosts", "/hosts/all", "/hosts/{id}", "/files/{*path}"].map(str::to_owned);
        for (path, expected) in [
            ("/", Some("/")),
            ("/hosts", Some("/hosts")),
            ("/hosts/all", Some("/hosts/all")),
            ("/hosts/db1", Some("/hosts/{id}")),
            ("/files/a/b/c", Some("/files/{*path}")),
            ("/files/", None),
            ("/files", None),
            ("/hosts/", None),
            ("/hosts/db1/disks", None),
            ("", None),
            ("/other", None),
        ] {
            assert_eq!(route(&templates, path), expected, "{path}");
        }
    }
}
