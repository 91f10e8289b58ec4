//! `/metrics`, `/livez` and `/readyz` of parts that have no HTTP server of their own.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections at the same time: a scraper and a person or two.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a request that are read: its first line is what matters.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// How long a client may take for its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A pause after the system refused a connection: it will not be better at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    ready: impl Fn() -> bool + Send + Sync + 'static,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) {
    let listener = match listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "health is not served"),
    };
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let answers = Arc::new((ready, metrics));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let _slot = slot;
                    let _ = tokio::time::timeout(REQUEST_TIMEOUT, answer(stream, &answers.0, &answers.1)).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer(
    mut stream: TcpStream,
    ready: &impl Fn() -> bool,
    metrics: &impl Fn() -> String,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            count => request.extend_from_slice(&part[..count]),
        }
    }
    let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
    let (status, body) = route(&line, ready, metrics);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn route(line: &str, ready: &impl Fn() -> bool, metrics: &impl Fn() -> String) -> (&'static str, String) {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "GET" {
        return ("405 Method Not Allowed", "GET only\n".to_owned());
    }
    match target.split('?').next().unwrap_or_default() {
        "/livez" | "/healthz" => ("200 OK", "ok".to_owned()),
        "/readyz" if ready() => (
            "200 OK",
            if target.contains("verbose") {
                "[+]informers ok\nreadyz check passed\n".to_owned()
            } else {
                "ok".to_owned()
            },
        ),
        "/readyz" => ("503 Service Unavailable", "[-]informers not listed yet\nreadyz check failed\n".to_owned()),
        "/metrics" => ("200 OK", metrics()),
        _ => ("404 Not Found", "there are /livez, /readyz and /metrics\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_answers() {
        let ask = |line: &str, ready: bool| route(line, &|| ready, &|| "m 1\n".to_owned());
        assert_eq!(ask("GET /metrics HTTP/1.1", false), ("200 OK", "m 1\n".to_owned()));
        assert_eq!(ask("GET /readyz HTTP/1.1", true).0, "200 OK");
        assert_eq!(ask("GET /readyz?verbose HTTP/1.1", false).0, "503 Service Unavailable");
        assert_eq!(ask("POST /livez HTTP/1.1", true).0, "405 Method Not Allowed");
        assert_eq!(ask("GET / HTTP/1.1", true).0, "404 Not Found");
    }
}
