//! Keeps up with files: keys that an operator rotates, users that are added and go, providers.

use std::sync::Arc;
use std::time::Duration;

use berth_identity::password::Users;
use berth_identity::service_account::KeySet;

use super::state::{Identity, Oidc, now};
use crate::inner::Inner;

/// How old the server's picture of a file may be.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reads the files again and again until the server stops. Errors leave what was known, and are told once.
pub(crate) async fn follow(server: Arc<Inner>) {
    let identity = &server.identity;
    if identity.keys_dir.is_none() && identity.users_file.is_none() && matches!(identity.oidc, Oidc::Fixed(_)) {
        return;
    }
    let mut told = String::new();
    loop {
        tokio::select! {
            () = server.stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let again = Arc::clone(&server);
        let Ok(done) = tokio::task::spawn_blocking(move || again.identity.reread()).await else { continue };
        let problem = done.err().unwrap_or_default();
        if problem != told && !problem.is_empty() {
            tracing::error!(problem, "a file of identities cannot be used; what was read before stays");
        }
        told = problem;
    }
}

impl Identity {
    /// Reads everything again.
    fn reread(&self) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        if let Oidc::File(file) = &self.oidc
            && file.reload().map_err(|error| text(&error))?
        {
            self.believed.clear();
            self.set_anonymous();
            tracing::info!("read the authentication configuration anew");
        }
        if let Some(path) = &self.users_file {
            self.users.store(Arc::new(Users::open(path).map_err(|error| text(&error))?));
        }
        if let Some(dir) = &self.keys_dir {
            let is_due = KeySet::is_due(dir, now()).map_err(|error| text(&error))?;
            let read = if is_due { KeySet::rotate(dir, now()) } else { KeySet::open(dir, now()) };
            let keys = read.map_err(|error| text(&error))?;
            let names = |keys: &KeySet| keys.verifying().iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
            if names(&keys) != names(&self.keys.load()) {
                self.keys.store(Arc::new(keys));
                self.believed.clear();
                tracing::info!("read the keys of tokens anew");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::IdentityConfig;
    use super::super::tokens::Tokens;
    use super::*;

    #[test]
    fn what_changes_in_files_is_known_after_another_look() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, users) = (dir.path().join("keys"), dir.path().join("users.yaml"));
        let config = IdentityConfig {
            token_keys: Some(keys.clone()),
            users_file: Some(users.clone()),
            ..IdentityConfig::default()
        };
        let identity = Identity::open(Tokens::default(), &config).unwrap();
        assert_eq!(identity.users.load().iter().count(), 0);
        let mut changed = Users::default();
        changed.add("alice", "correct horse", &[]).unwrap();
        changed.save(&users).unwrap();
        let before = identity.keys.load().signing().kid().to_owned();
        KeySet::rotate(&keys, now()).unwrap();
        identity.reread().unwrap();
        assert!(identity.users.load().get("alice").is_some());
        assert_ne!(identity.keys.load().signing().kid(), before);
        std::fs::write(&users, "users: nonsense").unwrap();
        assert!(identity.reread().is_err());
        assert!(identity.users.load().get("alice").is_some(), "what was read before stays");
    }
}
