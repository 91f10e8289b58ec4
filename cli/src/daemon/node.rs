//! The agent of this process: its settings from the command line.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_types::{PortRange, Quantity};

use super::{paths, process};
use crate::failure::{Failure, Outcome};

/// Options about the node.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// Name of the node [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// The address that others reach this node by
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) advertise: Option<IpAddr>,
    /// A fact for constraints, such as rack=r1; may be repeated
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = parse_pair)]
    attributes: Vec<(String, String)>,
    /// A label of the node, such as disk=ssd; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_pair)]
    labels: Vec<(String, String)>,
    /// What the node offers instead of what was found, such as cpu=4 or memory=8Gi; may be repeated
    #[arg(long = "resource", value_name = "NAME=AMOUNT", value_parser = parse_pair)]
    resources: Vec<(String, String)>,
    /// Ports that may be allotted to tasks, such as 31000-32000; may be repeated
    #[arg(long = "ports", value_name = "FROM-TO", value_parser = parse_range)]
    ports: Vec<PortRange>,
    /// For state of running tasks [default: /run/berth as root, else $XDG_RUNTIME_DIR/berth]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
}

impl NodeArgs {
    pub(crate) fn name(&self) -> String {
        self.node_name.clone().unwrap_or_else(process::host_name)
    }

    pub(crate) fn run_dir(&self, data_dir: &Path) -> Outcome<PathBuf> {
        let dir = self.run_dir.clone().unwrap_or_else(|| paths::default_run_dir(data_dir));
        Ok(std::path::absolute(dir)?)
    }

    /// What the agent's certificate must name.
    pub(crate) fn names(&self, listen: SocketAddr) -> Vec<String> {
        let mut names = vec![self.name(), process::host_name(), "localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = if listen.ip().is_unspecified() { berth_agent::node::facts::address() } else { listen.ip() };
        names.push(self.advertise.unwrap_or(own).to_string());
        names.sort();
        names.dedup();
        names
    }

    /// What a certificate that the cluster approves by itself may name: the node and its own addresses.
    pub(crate) fn own_names(&self, listen: SocketAddr) -> Vec<String> {
        let node = self.name();
        let is_own = |name: &String| *name == node || name == "localhost" || name.parse::<IpAddr>().is_ok();
        self.names(listen).into_iter().filter(is_own).collect()
    }

    /// The agent's settings.
    ///
    /// # Errors
    /// When an amount is none.
    pub(crate) fn config(
        &self,
        cluster_dir: &Path,
        data_dir: &Path,
        listen: SocketAddr,
        tls: Arc<rustls::ServerConfig>,
    ) -> Outcome<berth_agent::Config> {
        let mut config = berth_agent::Config::new(self.name(), data_dir, self.run_dir(cluster_dir)?, tls);
        config.listen = listen;
        config.advertise = self.advertise;
        config.attributes = self.attributes.iter().cloned().collect();
        config.labels = self.labels.iter().cloned().collect();
        if !self.ports.is_empty() {
            config.port_ranges.clone_from(&self.ports);
        }
        let amounts = self.resources.iter().map(|(name, amount)| {
            let amount: Quantity = amount.parse().map_err(|e| Failure::usage(format!("--resource {name}: {e}")))?;
            Ok((name.clone(), amount))
        });
        config.resources = amounts.collect::<Outcome<BTreeMap<_, _>>>()?;
        config.cgroup_parent = paths::cgroup_parent(cluster_dir);
        // Keys and tokens of the cluster are none of the tasks' business.
        config.masked_paths = vec![cluster_dir.to_owned()];
        config.version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(config)
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() {
        return Err("write KEY=VALUE".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn parse_range(text: &str) -> Result<PortRange, String> {
    let wrong = || "write FROM-TO, such as 31000-32000".to_owned();
    let (begin, end) = text.split_once('-').ok_or_else(wrong)?;
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|p| *p > 0).map(i32::from).ok_or_else(wrong);
    let range = PortRange { begin: port(begin)?, end: port(end)? };
    if range.begin > range.end { Err(wrong()) } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_pairs_are_read_or_refused() {
        assert_eq!(parse_range("100-200"), Ok(PortRange { begin: 100, end: 200 }));
        for bad in ["", "5", "9-8", "0-5", "1-70000"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_pair("=x").is_err());
    }
}
