//! An OpenID provider: the person opens an address in a browser, the provider sends the browser back to a port of this
//! machine (RFC 8252). No browser is started here.

use std::path::PathBuf;
use std::time::Duration;

use berth_identity::oidc::login::{Begun, Client, LoginFlowError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};

/// How long a person may take at the provider.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a browser may take for its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Longest head of a browser's request.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Where the browser comes back to.
const CALLBACK: &str = "/callback";

/// Options about the provider.
#[derive(Debug, clap::Args)]
pub(crate) struct ProviderArgs {
    /// The provider, as the API server knows it
    #[arg(
        long,
        value_name = "URL",
        env = "BERTH_OIDC_ISSUER_URL",
        requires = "oidc",
        help_heading = "OpenID provider"
    )]
    oidc_issuer_url: Option<String>,
    /// What the provider calls this program
    #[arg(long, value_name = "ID", env = "BERTH_OIDC_CLIENT_ID", requires = "oidc", help_heading = "OpenID provider")]
    oidc_client_id: Option<String>,
    /// A file with the program's secret, if the provider wants one
    #[arg(long, value_name = "FILE", requires = "oidc", help_heading = "OpenID provider")]
    oidc_client_secret_file: Option<PathBuf>,
    /// What to ask for beside openid, such as email or groups; may be repeated
    #[arg(long, value_name = "SCOPE", requires = "oidc", help_heading = "OpenID provider")]
    oidc_extra_scope: Vec<String>,
    /// The provider's authority (PEM) [default: the machine's]
    #[arg(long, value_name = "FILE", requires = "oidc", help_heading = "OpenID provider")]
    oidc_ca_file: Option<PathBuf>,
    /// Port of this machine that the browser comes back to; 0 takes any
    #[arg(long, value_name = "PORT", default_value_t = 0, help_heading = "OpenID provider")]
    oidc_listen_port: u16,
}

/// An ID token, once the person has logged in at the provider.
///
/// # Errors
/// When the provider cannot be asked, refuses, or nobody comes back in time.
pub(super) async fn id_token(args: &ProviderArgs, ctx: &mut Ctx) -> Outcome<String> {
    let (Some(issuer_url), Some(client_id)) = (args.oidc_issuer_url.clone(), args.oidc_client_id.clone()) else {
        return Err(Failure::usage("say which provider: --oidc-issuer-url URL --oidc-client-id ID")
            .hint("or by BERTH_OIDC_ISSUER_URL and BERTH_OIDC_CLIENT_ID"));
    };
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|e| Failure::new(format!("could not read {}: {e}", path.display())))
    };
    let secret = args.oidc_client_secret_file.as_ref().map(read).transpose()?;
    let client = Client {
        issuer_url,
        client_id,
        client_secret: secret.map(|secret| secret.trim_end().to_owned()),
        scopes: args.oidc_extra_scope.clone(),
        ca_pem: args.oidc_ca_file.as_ref().map(read).transpose()?,
    };
    let listener = TcpListener::bind(("127.0.0.1", args.oidc_listen_port))
        .await
        .map_err(|e| Failure::new(format!("could not listen on port {}: {e}", args.oidc_listen_port)))?;
    let redirect = format!("http://127.0.0.1:{}{CALLBACK}", listener.local_addr()?.port());
    let begun = client.begin(&redirect).await.map_err(|e| failed(&e))?;
    ctx.term.say("open this address in a browser on this machine:");
    ctx.term.say("");
    ctx.term.say(&format!("  {}", crate::term::harmless(&begun.url)));
    ctx.term.say("");
    let waited = tokio::time::timeout(PATIENCE, comes_back(&listener, &begun)).await;
    let code = waited
        .map_err(|_| Failure::new("nobody came back from the provider within 5 minutes").code(exit::TIMED_OUT))??;
    begun.finish(&code).await.map_err(|e| failed(&e))
}

fn failed(error: &LoginFlowError) -> Failure {
    Failure::new(format!("could not log in at the provider: {}", crate::daemon::chain(error)))
}

/// Waits for the browser; others who knock are sent away.
async fn comes_back(listener: &TcpListener, begun: &Begun) -> Outcome<String> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let Ok(Some(target)) = tokio::time::timeout(REQUEST_WITHIN, target(&mut stream)).await else { continue };
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let code = if path == CALLBACK { begun.code(query) } else { Err(LoginFlowError::State) };
        let (status, text) = match &code {
            Ok(_) => ("200 OK", "You are logged in. This window can be closed."),
            Err(LoginFlowError::State) => ("404 Not Found", "This is not what was waited for."),
            Err(_) => ("403 Forbidden", "The provider refused. The terminal tells more."),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
        let _ = tokio::time::timeout(REQUEST_WITHIN, stream.write_all(answer.as_bytes())).await;
        let _ = stream.shutdown().await;
        match code {
            Ok(code) => return Ok(code),
            Err(LoginFlowError::State) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// The target of a GET; `None` when it is none.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let line = head.lines().next()?;
    Some(line.strip_prefix("GET ")?.split(' ').next()?.to_owned())
}
