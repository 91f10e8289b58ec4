//! A probe that runs a command inside the container.

use crate::runtime::{ExecSpec, Output, Runtime};

/// How much of the output a failure's message keeps.
const MESSAGE_BYTES: usize = 1024;

/// Runs the command; any code but 0 is a failure. Dropping the future ends the command.
pub(super) async fn knock(runtime: &dyn Runtime, id: &str, argv: &[String]) -> Result<(), String> {
    let spec = ExecSpec { argv: argv.to_vec(), tty: false, stdin: false };
    let mut session = runtime.exec(id, spec).await.map_err(|e| e.to_string())?;
    let mut kept = Vec::new();
    while let Some(Output::Stdout(bytes) | Output::Stderr(bytes)) = session.output.recv().await {
        let room = MESSAGE_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    let code = session.exit.await.map_err(|e| e.to_string())?;
    drop(session.input);
    if code == 0 {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&kept).trim().to_owned();
    Err(format!("{} exited with code {code}{}{said}", argv.join(" "), if said.is_empty() { "" } else { ": " }))
}
