//! `berth user add|remove|list|passwd`: the users file of a data directory. A running server sees a change within
//! seconds; sessions of changed users end.

use std::path::PathBuf;

use berth_identity::password::{Users, UsersError};

use super::login::password_twice;
use crate::ctx::Ctx;
use crate::daemon::paths;
use crate::failure::{Failure, Outcome, exit};
use crate::output::table::Grid;

/// Options of `user`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: UserVerb,
    /// The cluster's data directory [default: /var/lib/berth as root, else ~/.local/state/berth]
    #[arg(long, global = true, value_name = "DIR", env = "BERTH_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The users file [default: users.yaml in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    users_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum UserVerb {
    /// Add a user with a password
    Add {
        /// Name of the user
        #[arg(value_name = "NAME")]
        name: String,
        /// A group of the user; may be repeated
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user
    Remove {
        /// Name of the user
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List users and their groups
    List,
    /// Set a user's password
    Passwd {
        /// Name of the user
        #[arg(value_name = "NAME")]
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

pub(crate) fn run(args: Args, ctx: &mut Ctx) -> Outcome {
    let data_dir = args.data_dir.unwrap_or_else(paths::default_data_dir);
    let path = args.users_file.unwrap_or_else(|| data_dir.join(paths::USERS_FILE));
    if !path.parent().is_some_and(std::path::Path::exists) {
        return Err(Failure::not_found(format!("there is no cluster in {}", data_dir.display()))
            .hint("run this where the API server runs, and name its directory with --data-dir"));
    }
    let mut users = Users::open(&path).map_err(failed)?;
    let said = match args.verb {
        UserVerb::Add { name, groups, password_stdin } => {
            if users.get(&name).is_some() {
                return Err(Failure::new(format!("user {name:?} is there already"))
                    .hint(format!("set another password: berth user passwd {name}")));
            }
            users.add(&name, &password_twice(password_stdin)?, &groups).map_err(failed)?;
            format!("user {name} added")
        }
        UserVerb::Remove { name } => {
            users.remove(&name).map_err(failed)?;
            format!("user {name} removed")
        }
        UserVerb::Passwd { name, password_stdin } => {
            if users.get(&name).is_none() {
                return Err(Failure::not_found(format!("there is no user {name:?}")).hint("list them: berth user list"));
            }
            users.set_password(&name, &password_twice(password_stdin)?).map_err(failed)?;
            format!("user {name} has a new password")
        }
        UserVerb::List => {
            let mut grid = Grid::new(["name", "groups", "state"]);
            for user in users.iter() {
                let state = if user.disabled { "disabled" } else { "enabled" };
                grid.row(vec![user.name.clone(), user.groups.join(", "), state.to_owned()]);
            }
            if grid.is_empty() {
                ctx.term.say("no users; add one: berth user add NAME");
            } else {
                ctx.term.data(&grid.render())?;
            }
            return Ok(exit::OK);
        }
    };
    users.save(&path).map_err(failed)?;
    ctx.term.line(&said)?;
    Ok(exit::OK)
}

fn failed(error: UsersError) -> Failure {
    let is_absent = matches!(&error, UsersError::User { reason, .. } if reason == "is not there");
    let failure = Failure::new(crate::daemon::chain(&error));
    if is_absent { failure.code(exit::NOT_FOUND).hint("list them: berth user list") } else { failure }
}
