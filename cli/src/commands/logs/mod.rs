//! `berth logs`: what containers wrote, of all instances at once.

mod line;
mod reader;
mod select;

use std::time::Duration;

use berth_client::Session;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::ctx::Ctx;
use crate::failure::{Failure, Outcome, exit};
use crate::term::Paint;
use crate::text::age;
use line::Line;
use reader::{Reader, Wanted};
use select::{Scope, Source};

/// Lines that wait to be printed; readers of the network wait when the terminal is slow.
const LINES_MAX: usize = 1024;
/// Streams that are read at the same time: one connection each.
const SOURCES_MAX: usize = 200;

/// Options of `logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  berth logs -f hello                       all instances of service hello\n  \
                        berth logs task hello-7f9c4-0 -c web\n  berth logs service/hello --previous --tail 50\n  berth logs -l app=web --since 10m")]
pub(crate) struct Args {
    /// NAME of a service or task, KIND NAME, or KIND/NAME
    #[arg(value_name = "WHAT")]
    target: Vec<String>,
    /// Go on and print what is written
    #[arg(short, long)]
    follow: bool,
    /// Only this container
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// All containers: always so
    #[arg(long, hide = true)]
    all_containers: bool,
    /// Only the last lines of each container
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    tail: Option<i64>,
    /// Only what is newer than this, such as 10m
    #[arg(long, value_name = "TIME", value_parser = age::parse_argument, conflicts_with = "since_time")]
    since: Option<Duration>,
    /// Only what is newer than this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since_time: Option<Timestamp>,
    /// When each line was written
    #[arg(long)]
    timestamps: bool,
    /// Of the instance before: the one that ended
    #[arg(short, long)]
    previous: bool,
    /// Tasks with these labels
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "target")]
    selector: Option<String>,
    /// Name the instance in front of each line, also when there is one only
    #[arg(long, overrides_with = "no_prefix")]
    prefix: bool,
    /// Never name the instance
    #[arg(long)]
    no_prefix: bool,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<regex::bytes::Regex>,
}

pub(crate) async fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let session = ctx.session().await?;
    let scope = select::scope(ctx, &session, &args.target, args.selector.as_deref()).await?;
    let sources = select::sources(&session, &scope, args.container.as_deref(), args.previous).await?;
    if sources.len() > SOURCES_MAX {
        return Err(Failure::new(format!(
            "{} containers match; choose fewer with -l or -c (at most {SOURCES_MAX})",
            sources.len()
        )));
    }
    let since = args.since_time.or_else(|| {
        let back = k8s_openapi::jiff::SignedDuration::try_from(args.since?).ok()?;
        ctx.now().checked_sub(back).ok()
    });
    let wanted = Wanted { tail: args.tail.and_then(|t| u64::try_from(t).ok()), since };
    let mut printer = Printer::new(&args, ctx, &scope, &sources);
    if sources.is_empty() && !args.follow {
        ctx.term.say(scope.nothing(args.previous).as_str());
        return Ok(exit::OK);
    }
    let readers: Vec<Reader> = sources.into_iter().map(|s| Reader::new(session.clone(), s, wanted.clone())).collect();
    if !args.follow {
        return history(readers, ctx, &mut printer).await.map(|_| exit::OK);
    }
    follow(readers, ctx, &session, &scope, &args, &mut printer, since).await
}

/// Prints what is there, merged by time; gives the readers back, each at its end.
async fn history(readers: Vec<Reader>, ctx: &mut Ctx, printer: &mut Printer) -> Outcome<Vec<Reader>> {
    let single = readers.len() == 1;
    let mut streams = Vec::new();
    let mut tasks = JoinSet::new();
    for mut reader in readers {
        let (sender, receiver) = mpsc::channel(LINES_MAX);
        streams.push((receiver, None::<Line>, reader.source.clone()));
        tasks.spawn(async move {
            let result = reader.read_once(false, &sender).await;
            (reader, result)
        });
    }
    // Each stream is in order: the oldest of the first lines is the next one.
    loop {
        for (receiver, head, _) in &mut streams {
            if head.is_none() {
                *head = receiver.recv().await;
            }
        }
        let oldest = streams.iter().enumerate().filter_map(|(at, (_, head, _))| Some((head.as_ref()?.stamp, at))).min();
        let Some((_, at)) = oldest else { break };
        if let Some(line) = streams[at].1.take() {
            let source = streams[at].2.clone();
            printer.print(ctx, &source, &line)?;
        }
    }
    ctx.term.flush()?;
    let mut done = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let Ok((reader, result)) = ended else { continue };
        if let Err(error) = result {
            if single {
                return Err(error.into());
            }
            ctx.term.say(&format!("warning: {}: {error}", reader.source.title()));
        }
        done.push(reader);
    }
    Ok(done)
}

async fn follow(
    readers: Vec<Reader>,
    ctx: &mut Ctx,
    session: &Session,
    scope: &Scope,
    args: &Args,
    printer: &mut Printer,
    since: Option<Timestamp>,
) -> Outcome {
    // The past of several instances is merged by time first; then each goes on from where its past ended.
    let readers = if readers.len() > 1 { history(readers, ctx, printer).await? } else { readers };
    let (sender, mut lines) = mpsc::channel::<(Source, Line)>(LINES_MAX);
    let mut running = JoinSet::new();
    let mut known: Vec<Source> = readers.iter().map(|r| r.source.clone()).collect();
    for reader in readers {
        running.spawn(reader.follow(sender.clone()));
    }
    let mut tasks = scope.watch(session);
    loop {
        tokio::select! {
            Some((source, line)) = lines.recv() => {
                printer.print(ctx, &source, &line)?;
                while let Ok((source, line)) = lines.try_recv() {
                    printer.print(ctx, &source, &line)?;
                }
                ctx.term.flush()?;
            }
            change = tasks.next() => {
                let objects = change?;
                for source in select::started(&objects, args.container.as_deref()) {
                    if !known.contains(&source) && known.len() < SOURCES_MAX * 10 {
                        known.push(source.clone());
                        let wanted = Wanted { tail: None, since };
                        running.spawn(Reader::new(session.clone(), source, wanted).follow(sender.clone()));
                    }
                }
            }
            Some(ended) = running.join_next() => {
                if let Ok(Err(error)) = ended {
                    ctx.term.say(&format!("warning: {error}"));
                }
                if running.is_empty() && scope.is_over(session).await {
                    while let Ok((source, line)) = lines.try_recv() {
                        printer.print(ctx, &source, &line)?;
                    }
                    return Ok(exit::OK);
                }
            }
        }
    }
}

/// Writes lines, with the instance in front where there may be several.
struct Printer {
    prefixed: bool,
    containers: bool,
    timestamps: bool,
    colour: bool,
    grep: Option<regex::bytes::Regex>,
    seen: Vec<(String, String)>,
}

impl Printer {
    fn new(args: &Args, ctx: &Ctx, scope: &Scope, sources: &[Source]) -> Self {
        let several = sources.len() > 1 || args.follow && scope.is_group();
        let first = sources.first().map(|s| s.container.as_str());
        Self {
            prefixed: (several || args.prefix) && !args.no_prefix,
            containers: sources.iter().any(|s| Some(s.container.as_str()) != first),
            timestamps: args.timestamps,
            colour: ctx.term.colour_out,
            grep: args.grep.clone(),
            seen: vec![],
        }
    }

    fn print(&mut self, ctx: &mut Ctx, source: &Source, line: &Line) -> Outcome<()> {
        if self.grep.as_ref().is_some_and(|grep| !grep.is_match(&line.text)) {
            return Ok(());
        }
        if self.prefixed {
            let prefix = self.prefix(source);
            ctx.term.data(&prefix)?;
        }
        if self.timestamps
            && let Some(stamp) = &line.raw_stamp
        {
            ctx.term.data(&format!("{stamp} "))?;
        }
        ctx.term.bytes(&line.text)?;
        Ok(ctx.term.bytes(b"\n")?)
    }

    fn prefix(&mut self, source: &Source) -> String {
        let key = (source.task.clone(), source.container.clone());
        let at = self.seen.iter().position(|s| *s == key).unwrap_or_else(|| {
            self.seen.push(key);
            self.seen.len() - 1
        });
        let text = if self.containers { format!("{}/{}", source.task, source.container) } else { source.task.clone() };
        format!("{} | ", crate::term::painted(self.colour, Paint::Wheel(at), &text))
    }
}
