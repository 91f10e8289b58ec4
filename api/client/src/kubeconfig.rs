//! Where the API server is and who we are: finds and reads kubeconfig files.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};

/// Why there is no usable kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// No file anywhere.
    #[error("no kubeconfig found (looked for {looked_for})")]
    Missing {
        /// The places, in the order that they were tried.
        looked_for: String,
    },
    /// The file that was named is not there or cannot be read.
    #[error("could not read kubeconfig {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is no kubeconfig, or names what it does not hold.
    #[error("kubeconfig {} cannot be used: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What a user may say about where the API is.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// The default data directory's `admin.kubeconfig`, tried when `KUBECONFIG` is not set.
    pub admin: Option<PathBuf>,
}

/// Where the API is, and who we are to it.
#[derive(Clone, Debug)]
pub struct Target {
    /// For building a client.
    pub config: kube::Config,
    /// Address, for messages.
    pub server: String,
    /// Namespace of the context, `default` unless told.
    pub namespace: String,
    /// The file that said so.
    pub path: PathBuf,
    /// Name of the context that was used.
    pub context: String,
}

impl Location {
    /// The file to read: the flag, `KUBECONFIG`, the local cluster's, `~/.kube/config`.
    ///
    /// # Errors
    /// When none of them is there.
    pub fn find(&self) -> Result<PathBuf, KubeconfigError> {
        let variable = env::var_os("KUBECONFIG").filter(|v| !v.is_empty());
        let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
        self.choose(variable.as_deref().map(Path::new), home.as_deref(), &|path| path.exists())
    }

    fn choose(
        &self,
        variable: Option<&Path>,
        home: Option<&Path>,
        exists: &dyn Fn(&Path) -> bool,
    ) -> Result<PathBuf, KubeconfigError> {
        if let Some(path) = &self.kubeconfig {
            return Ok(path.clone());
        }
        if let Some(paths) = variable {
            // A list, as for kubectl; the first file that is there wins.
            let paths: Vec<PathBuf> =
                env::split_paths(paths.as_os_str()).filter(|p| !p.as_os_str().is_empty()).collect();
            let there = paths.iter().find(|p| exists(p)).or_else(|| paths.first());
            if let Some(path) = there {
                return Ok(path.clone());
            }
        }
        let candidates = [self.admin.as_deref(), home];
        if let Some(path) = candidates.into_iter().flatten().find(|p| exists(p)) {
            return Ok(path.to_owned());
        }
        let mut looked_for = "--kubeconfig, $KUBECONFIG".to_owned();
        for path in candidates.into_iter().flatten() {
            let _ = write!(looked_for, ", {}", path.display());
        }
        Err(KubeconfigError::Missing { looked_for })
    }

    /// Finds and reads the file, and picks the context.
    ///
    /// # Errors
    /// When there is no file, or it cannot be used.
    pub async fn load(&self) -> Result<Target, KubeconfigError> {
        let path = self.find()?;
        let unreadable = |reason: String| KubeconfigError::Unreadable { path: path.clone(), reason };
        let invalid = |reason: String| KubeconfigError::Invalid { path: path.clone(), reason };
        if let Err(error) = std::fs::metadata(&path) {
            return Err(unreadable(match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => error.to_string(),
            }));
        }
        // The parser quotes the lines around its error; those of a wrong file are nobody's business.
        let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
        let file = Kubeconfig::read_from(&path).map_err(|e| unreadable(first_line(innermost(&e))))?;
        let known = || {
            let names: Vec<&str> = file.contexts.iter().map(|c| c.name.as_str()).collect();
            if names.is_empty() { "it holds no context".to_owned() } else { format!("it holds: {}", names.join(", ")) }
        };
        let context = self.context.clone().or_else(|| file.current_context.clone()).filter(|c| !c.is_empty());
        let Some(context) = context else {
            return Err(invalid(format!("it names no current-context ({}); choose one with --context", known())));
        };
        if !file.contexts.iter().any(|c| c.name == context) {
            return Err(invalid(format!("there is no context {context:?} ({})", known())));
        }
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let mut config =
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| invalid(innermost(&e)))?;
        // Our own policy (see `retry`) tells busy from dead and never repeats a write.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        Ok(Target { server, namespace: config.default_namespace.clone(), path, context, config })
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = source.to_string();
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(location: &Location, variable: Option<&str>, there: &[&str]) -> Result<PathBuf, KubeconfigError> {
        let exists = |path: &Path| there.iter().any(|t| Path::new(t) == path);
        location.choose(variable.map(Path::new), Some(Path::new("/home/me/.kube/config")), &exists)
    }

    #[test]
    fn flag_then_variable_then_local_cluster_then_home() {
        let all = ["/a", "/b", "/admin", "/home/me/.kube/config"];
        let mut location =
            Location { kubeconfig: Some("/a".into()), admin: Some("/admin".into()), ..Location::default() };
        assert_eq!(choose(&location, Some("/b"), &all).unwrap(), Path::new("/a"));
        location.kubeconfig = None;
        assert_eq!(choose(&location, Some("/x:/b"), &all).unwrap(), Path::new("/b"));
        assert_eq!(choose(&location, Some("/x"), &all).unwrap(), Path::new("/x"));
        assert_eq!(choose(&location, None, &all).unwrap(), Path::new("/admin"));
        assert_eq!(choose(&location, None, &all[3..]).unwrap(), Path::new("/home/me/.kube/config"));
        let error = choose(&location, None, &[]).unwrap_err().to_string();
        assert_eq!(error, "no kubeconfig found (looked for --kubeconfig, $KUBECONFIG, /admin, /home/me/.kube/config)");
    }

    #[tokio::test]
    async fn a_missing_context_names_those_that_are_there() {
        let folder = std::env::temp_dir().join(format!("berth-kubeconfig-{}", std::process::id()));
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: berth\nclusters: []\nusers: []\ncontexts:\n- name: berth\n  context: {cluster: berth}\n";
        std::fs::write(&folder, text).unwrap();
        let location =
            Location { kubeconfig: Some(folder.clone()), context: Some("other".into()), ..Location::default() };
        let error = location.load().await.unwrap_err().to_string();
        std::fs::remove_file(&folder).unwrap();
        assert!(error.ends_with(r#"there is no context "other" (it holds: berth)"#), "{error}");
    }
}
