//! `berth certificate list|approve|deny`: requests for certificates, decided by a person.

use berth_client::session::{JSON, TABLE};
use http::Method;
use serde_json::{Value, json};

use super::shared::{self, text};
use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::output::table::{TablePrinter, View};

const PATH: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// A decision is written again when somebody else changed the request in between, so often.
const TRIES: usize = 5;

/// Options of `certificate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: CertificateVerb,
}

#[derive(Debug, clap::Subcommand)]
enum CertificateVerb {
    /// List requests
    List,
    /// Let requests be signed
    Approve(Names),
    /// Refuse requests
    Deny(Names),
}

#[derive(Debug, clap::Args)]
struct Names {
    /// Names of requests
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Why, for those who read the request
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Approved,
    Denied,
}

impl Decision {
    fn condition(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Denied => "Denied",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Approved => "BerthApprove",
            Self::Denied => "BerthDeny",
        }
    }
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    match args.verb {
        CertificateVerb::List => list(ctx).await,
        CertificateVerb::Approve(names) => decide(&names, Decision::Approved, ctx).await,
        CertificateVerb::Deny(names) => decide(&names, Decision::Denied, ctx).await,
    }
}

async fn list(ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let table = shared::list(&session, PATH, &[], TABLE).await?;
    let colour = ctx.term.colour_out;
    let view = View { wide: false, namespaces: false, labels: false, no_headings: false, colour };
    let mut printer = TablePrinter::new(view, String::new());
    printer.learn(&table);
    let mut grid = printer.grid();
    printer.add(&mut grid, &table);
    if grid.is_empty() {
        ctx.term.say("no requests for certificates");
        return Ok(exit::OK);
    }
    ctx.term.data(&grid.render())?;
    Ok(exit::OK)
}

async fn decide(args: &Names, decision: Decision, ctx: &mut Ctx) -> Outcome {
    for name in &args.names {
        let word = decision.condition().to_lowercase();
        if settle(args, name, decision, ctx).await? {
            ctx.term.line(&format!("certificatesigningrequest/{name} {word}"))?;
        } else {
            ctx.term.line(&format!("certificatesigningrequest/{name} was {word} already"))?;
        }
    }
    Ok(exit::OK)
}

/// Decides one request; whether anything was left to decide.
async fn settle(args: &Names, name: &str, decision: Decision, ctx: &mut Ctx) -> Outcome<bool> {
    let session = ctx.session().await?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
    let missing =
        || Failure::not_found(format!("there is no request {name:?}")).hint("list them: berth certificate list");
    if !plain {
        return Err(missing());
    }
    let mut tries = 0;
    loop {
        let path = format!("{PATH}/{name}");
        let mut request = session.get(&path).await.map_err(|e| if e.is_not_found() { missing() } else { e.into() })?;
        if !add(&mut request, decision, args.message.as_deref())? {
            return Ok(false);
        }
        tries += 1;
        match session.write(Method::PUT, &format!("{path}/approval"), JSON, &request).await {
            Ok(_) => return Ok(true),
            Err(error) if error.code() == 409 && tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Adds the decision to a request; whether it was not there.
fn add(request: &mut Value, decision: Decision, message: Option<&str>) -> Outcome<bool> {
    let name = shared::name(request).to_owned();
    let status = &mut request["status"];
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let conditions = status["conditions"].as_array_mut().ok_or_else(|| Failure::new("the request cannot be read"))?;
    let has = |wanted: Decision| conditions.iter().any(|c| text(c, &["type"]) == wanted.condition());
    if has(decision) {
        return Ok(false);
    }
    let other = if decision == Decision::Approved { Decision::Denied } else { Decision::Approved };
    if has(other) {
        let word = other.condition().to_lowercase();
        return Err(Failure::new(format!("the request {name} is {word}, and stays so"))
            .hint("who asked may ask again with another request"));
    }
    let word = decision.condition().to_lowercase();
    let message = message.map_or_else(|| format!("This request was {word} by berth certificate."), str::to_owned);
    conditions.push(json!({
        "type": decision.condition(), "status": "True", "reason": decision.reason(), "message": message,
    }));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_decided_once() {
        let mut request = json!({"metadata": {"name": "r"}});
        assert!(add(&mut request, Decision::Approved, None).unwrap());
        assert_eq!(request["status"]["conditions"][0]["type"], "Approved");
        assert!(!add(&mut request, Decision::Approved, None).unwrap());
        assert_eq!(
            add(&mut request, Decision::Denied, None).unwrap_err().message,
            "the request r is approved, and stays so"
        );
    }
}
