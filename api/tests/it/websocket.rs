//! A watch over a websocket, as browsers open it.

use futures::StreamExt;
use http::Request;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::*;
use crate::tls::{Running, running};

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn connect(running: &Running, path: &str, origin: Option<&str>) -> Result<Socket, Box<Error>> {
    let admin = running.pki.client("admin", "admin", &["system:masters"]).unwrap();
    let tls = tokio_rustls::TlsConnector::from(running.pki.client_config(&admin).unwrap());
    let stream = tokio::net::TcpStream::connect(running.address).await.unwrap();
    let stream = tls.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
    let mut request: Request<()> = format!("wss://{}{path}", running.address).into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    client_async(request, stream).await.map(|(socket, _)| socket).map_err(Box::new)
}

async fn event(socket: &mut Socket) -> Value {
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_event_is_a_text_message_and_the_end_is_a_close() {
    let running = running().await;
    post(&running.server, CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=3");
    let mut socket = connect(&running, &path, Some("https://dash.example.com")).await.unwrap();
    let first = event(&mut socket).await;
    assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&"ADDED".into(), &"a".into()));
    post(&running.server, CONFIG_MAPS, &config_map("b")).await.expect(201);
    let second = event(&mut socket).await;
    assert_eq!(second["object"]["metadata"]["name"], "b");
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(_))) | None => break,
            Some(Ok(_)) => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }
    running.stop.cancel();
}

#[tokio::test]
async fn without_an_origin_or_a_right_it_is_refused() {
    let running = running().await;
    let path = format!("{CONFIG_MAPS}?watch=1");
    let refused = connect(&running, &path, None).await.unwrap_err();
    assert!(matches!(&*refused, Error::Http(answer) if answer.status() == 403), "{refused}");
    let refused = connect(&running, "/apis/nowhere.io/v1/things?watch=1", Some("https://x")).await.unwrap_err();
    assert!(matches!(&*refused, Error::Http(answer) if answer.status() == 404), "{refused}");
    running.stop.cancel();
}
