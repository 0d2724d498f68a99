//! Shadow limits: what they would have refused is counted, and told with the request.

use crate::config::Config;
use mixer_host::metrics::{define, increment, Type};
use mixer_host::properties;

/// The counters of those that have one, by the name of their quota or domain.
pub struct Shadows(Vec<(String, Option<u32>)>);

impl Shadows {
    /// To be called when the plugin is configured.
    pub fn define(config: &Config) -> Self {
        let quotas = config.quotas.iter().filter(|q| q.shadow).map(|q| &q.name);
        let domains = config.domains.iter().filter(|d| d.has_shadows());
        let names = quotas.chain(domains.map(|d| &d.name));
        Self(names.map(|name| (name.clone(), counter(name))).collect())
    }

    pub fn count(&self, names: &[&str]) {
        let known = self
            .0
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        for id in known.filter_map(|(_, id)| *id) {
            increment(id, 1);
        }
    }

    /// Counts them, and leaves their names for those that come later with this request.
    pub fn tell(&self, names: &[&str]) {
        self.count(names);
        properties::set("mixer.quota.shadow", &names.join(","));
    }
}

/// With its label as Istio's proxies write them.
fn counter(name: &str) -> Option<u32> {
    let label = name.replace('%', "%25").replace(';', "%3B");
    let name = format!("quota=.={label};.;mixer_quota_shadow_refused_total");
    define(Type::Counter, &name)
}
