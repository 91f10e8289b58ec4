//! Where a webhook listens: read once from its `clientConfig`.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;

const HTTPS_PORT: u16 = 443;

/// How the address is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dial {
    /// A host name or an address.
    Host { host: String, port: u16 },
    /// The tasks of a Service.
    Service { namespace: String, name: String, port: u16 },
}

/// A server that can be called.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub dial: Dial,
    /// Begins with `/`.
    pub path_and_query: String,
    pub tls: Arc<ClientConfig>,
    /// Whom the certificate must be made out to.
    pub server_name: ServerName<'static>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("dial", &self.dial).field("path", &self.path_and_query).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Reads a `clientConfig`: `{url | service, caBundle}`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(crate) fn of_client_config(config: &Value) -> Result<Self, String> {
        let bundle = match config["caBundle"].as_str() {
            None | Some("") => Vec::new(),
            Some(text) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|error| format!("caBundle is not base64: {error}"))?,
        };
        let tls = super::client_tls(&bundle)?;
        let service = &config["service"];
        if service.is_object() {
            let text = |field: &str| service[field].as_str().unwrap_or_default();
            let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(HTTPS_PORT);
            return Self::of_service(text("namespace"), text("name"), port, text("path"), tls);
        }
        Self::of_url(config["url"].as_str().unwrap_or_default(), tls)
    }

    /// A Service's tasks, whose certificate is made out to `name.namespace.svc`.
    pub(crate) fn of_service(
        namespace: &str,
        name: &str,
        port: u16,
        path: &str,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, String> {
        if namespace.is_empty() || name.is_empty() {
            return Err("clientConfig.service must have a namespace and a name".to_owned());
        }
        let server_name = ServerName::try_from(format!("{name}.{namespace}.svc"))
            .map_err(|_| format!("{name}.{namespace}.svc is no host name"))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            dial: Dial::Service { namespace: namespace.to_owned(), name: name.to_owned(), port },
            path_and_query: format!("{slash}{path}"),
            tls,
            server_name,
        })
    }

    fn of_url(url: &str, tls: Arc<ClientConfig>) -> Result<Self, String> {
        let parsed: http::Uri = url.parse().map_err(|error| format!("url {url:?}: {error}"))?;
        if parsed.scheme_str() != Some("https") {
            return Err(format!("url {url:?}: 'https' is the only allowed URL scheme"));
        }
        let authority = parsed.authority().ok_or_else(|| format!("url {url:?}: host must be specified"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(format!("url {url:?}: host must be specified, without user information"));
        }
        let server_name =
            ServerName::try_from(host.clone()).map_err(|_| format!("url {url:?}: {host} is no host name"))?;
        let path = parsed.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self {
            dial: Dial::Host { host, port: authority.port_u16().unwrap_or(HTTPS_PORT) },
            path_and_query: if path.is_empty() { "/".to_owned() } else { path },
            tls,
            server_name,
        })
    }

    /// What stands in `Host` and in errors.
    pub(crate) fn authority(&self) -> String {
        match &self.dial {
            Dial::Host { host, port: HTTPS_PORT } if host.contains(':') => format!("[{host}]"),
            Dial::Host { host, port: HTTPS_PORT } => host.clone(),
            Dial::Host { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Dial::Host { host, port } => format!("{host}:{port}"),
            Dial::Service { namespace, name, port } => format!("{name}.{namespace}.svc:{port}"),
        }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("https://{}{target}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<String, String> {
        let endpoint = Endpoint::of_client_config(&config)?;
        Ok(endpoint.url(&endpoint.path_and_query))
    }

    #[test]
    fn a_url_or_a_service_is_an_endpoint() {
        assert_eq!(read(json!({"url": "https://a.example:8443/x?y=1"})).unwrap(), "https://a.example:8443/x?y=1");
        assert_eq!(read(json!({"url": "https://[::1]:9"})).unwrap(), "https://[::1]:9/");
        let service = json!({"service": {"namespace": "ns", "name": "hook", "path": "mutate"}});
        assert_eq!(read(service).unwrap(), "https://hook.ns.svc:443/mutate");
    }

    #[test]
    fn what_is_no_endpoint_is_told() {
        for url in ["http://a.example", "https://u:p@a.example", "https://", ""] {
            assert!(read(json!({"url": url})).is_err(), "{url}");
        }
        assert!(read(json!({"url": "https://a.example", "caBundle": "bm90IGEgY2VydA=="})).is_err());
    }
}
