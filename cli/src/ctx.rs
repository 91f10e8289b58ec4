//! What every command is handed: streams, a clock, the connection, the kinds. Tests hand in their own.

use std::path::PathBuf;

use berth_client::{Location, Session};
use k8s_openapi::jiff::Timestamp;

use crate::daemon::paths;
use crate::failure::{Failure, Outcome};
use crate::kinds::Kinds;
use crate::term::Term;

/// Flags that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Globals {
    /// File that says where the API is [default: $KUBECONFIG, the local cluster's, ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) context: Option<String>,
    /// Namespace to work in
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub(crate) namespace: Option<String>,
    /// Act as this user, such as ann or system:serviceaccount:shop:bot; you need the right to
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Global options")]
    pub(crate) impersonate: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", help_heading = "Global options")]
    pub(crate) impersonate_groups: Vec<String>,
}

/// The command's surroundings.
pub(crate) struct Ctx {
    pub(crate) term: Term,
    pub(crate) globals: Globals,
    pub(crate) kinds: Kinds,
    clock: fn() -> Timestamp,
    connected: Option<(Session, String)>,
}

impl Ctx {
    pub(crate) fn new(term: Term, globals: Globals) -> Self {
        Self { term, globals, kinds: Kinds::default(), clock: Timestamp::now, connected: None }
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The connection. Made on first use; nothing is sent by it.
    ///
    /// # Errors
    /// When there is no usable kubeconfig.
    pub(crate) async fn session(&mut self) -> Outcome<Session> {
        Ok(self.connect().await?.0)
    }

    /// The namespace to work in: the flag's, the context's, or `default`.
    pub(crate) async fn namespace(&mut self) -> Outcome<String> {
        match &self.globals.namespace {
            Some(namespace) => Ok(namespace.clone()),
            None => Ok(self.connect().await?.1),
        }
    }

    async fn connect(&mut self) -> Outcome<(Session, String)> {
        if let Some(connected) = &self.connected {
            return Ok(connected.clone());
        }
        let mut target = self.location().load().await.map_err(berth_client::ClientError::from)?;
        if self.globals.impersonate.is_none() && !self.globals.impersonate_groups.is_empty() {
            return Err(Failure::usage("--as-group goes with --as USER"));
        }
        if let Some(user) = &self.globals.impersonate {
            target.config.auth_info.impersonate = Some(user.clone());
            target.config.auth_info.impersonate_groups = Some(self.globals.impersonate_groups.clone());
        }
        let connected = (Session::connect(&target)?, target.namespace);
        Ok(self.connected.insert(connected).clone())
    }

    /// Where the kubeconfig is looked for.
    pub(crate) fn location(&self) -> Location {
        Location {
            kubeconfig: self.globals.kubeconfig.clone(),
            context: self.globals.context.clone(),
            admin: Some(paths::default_data_dir().join(paths::ADMIN_KUBECONFIG)),
        }
    }
}
