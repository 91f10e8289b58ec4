//! Puts one container's [`ContainerSpec`] together from the other hooks.

use std::path::PathBuf;

use berth_container::{ContainerSpec, Limits, Log, Namespaces};
use berth_types::{Container, Quantity, ResourceList, Task};

use super::expand::expand;
use super::sandbox::Directories;
use super::sources::Sources;
use super::{HookError, NodeFacts, env, security, volumes};

/// The shell of `shell:` lines.
const SHELL: &str = "/bin/sh";
/// Longest host name that the kernel takes.
const HOSTNAME_BYTES_MAX: usize = 63;

/// What is the same for all containers of the node.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A log file is rotated at this size, bytes.
    pub log_max_bytes: u64,
    /// Rotated files that are kept.
    pub log_max_files: u32,
    /// Hidden from containers: the agent's own state and keys.
    pub masked_paths: Vec<PathBuf>,
    /// What tasks may have of the node; nothing: not known.
    pub allocatable: ResourceList,
    /// The agent runs as root.
    pub is_root: bool,
    /// What tasks are told of the node.
    pub node: NodeFacts,
}

/// The id of a container: the same for each attempt, a harmless path component, readable for people.
pub fn container_id(uid: &str, container: &str) -> String {
    format!("{uid}.{container}")
}

/// All that the runtime needs; makes directories and files on the way. May run twice.
///
/// # Errors
/// What is missing or senseless, by name.
pub fn container_spec(
    task: &Task,
    container: &Container,
    dirs: &Directories,
    settings: &Settings,
    sources: &Sources,
) -> Result<ContainerSpec, HookError> {
    refuse_unsupported(task, container)?;
    let uid = task.metadata.uid.as_deref().unwrap_or_default();
    let id = container_id(uid, &container.name);
    let user = security::user(task, container, settings.is_root)?;
    dirs.make(user.as_ref()).map_err(|e| {
        HookError::invalid("SandboxFailed", format!("could not make the sandbox {}: {e}", dirs.sandbox.display()))
    })?;
    let variables = env::environment(task, container, &id, &settings.node, &dirs.sandbox, sources)?;
    let argv = argv(container, |name| variables.get(name).map(String::as_str))?;
    let mut spec = ContainerSpec::new(id, argv, &dirs.sandbox);
    spec.mounts = volumes::prepare(task, container, &settings.node, dirs, sources, user.as_ref())?;
    spec.env = variables.into_iter().collect();
    spec.cwd = container.working_dir.as_ref().map(PathBuf::from);
    spec.user = user;
    security::restrict(&mut spec, task, container);
    spec.hostname = Some(hostname(task));
    spec.masked_paths.clone_from(&settings.masked_paths);
    spec.limits = limits(container)?;
    let template = &task.spec.template;
    spec.namespaces = Namespaces {
        host_network: true,
        host_pid: template.host_pid == Some(true),
        host_ipc: template.host_ipc == Some(true),
    };
    spec.log =
        Log { dir: dirs.logs(&container.name), max_bytes: settings.log_max_bytes, max_files: settings.log_max_files };
    spec.labels = [
        ("namespace", task.metadata.namespace.clone().unwrap_or_default()),
        ("task", task.metadata.name.clone().unwrap_or_default()),
        ("uid", uid.to_owned()),
        ("container", container.name.clone()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    Ok(spec)
}

fn refuse_unsupported(task: &Task, container: &Container) -> Result<(), HookError> {
    if let Some(image) = &container.image {
        return Err(HookError::invalid(
            "ImageNotSupported",
            format!(
                "image {image:?}: this node runs commands on its own files and cannot run images yet; remove `image` and give `shell` or `command`"
            ),
        ));
    }
    match task.spec.template.runtime.as_deref() {
        None | Some("" | "native") => Ok(()),
        Some(other) => Err(HookError::invalid(
            "RuntimeNotSupported",
            format!("runtime {other:?} is not offered by this node: it has native"),
        )),
    }
}

fn argv<'a>(container: &Container, lookup: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<String>, HookError> {
    if let Some(line) = container.shell.as_deref().filter(|line| !line.trim().is_empty()) {
        // The shell expands variables itself; arguments become $0, $1, … as `sh -c` has it.
        let mut argv = vec![SHELL.to_owned(), "-c".to_owned(), line.to_owned()];
        if !container.args.is_empty() {
            argv.push(SHELL.to_owned());
            argv.extend(container.args.iter().map(|a| expand(a, &lookup)));
        }
        return Ok(argv);
    }
    if container.command.is_empty() {
        return Err(HookError::invalid(
            "NoCommand",
            format!(
                "container {:?} has nothing to run: give `shell` (a command line) or `command` (a program and its arguments)",
                container.name
            ),
        ));
    }
    Ok(container.command.iter().chain(&container.args).map(|a| expand(a, &lookup)).collect())
}

fn hostname(task: &Task) -> String {
    let name = task.spec.template.hostname.clone().or_else(|| task.metadata.name.clone()).unwrap_or_default();
    let mut name: String = name.chars().filter(char::is_ascii).take(HOSTNAME_BYTES_MAX).collect();
    name.truncate(name.trim_end_matches(['-', '.']).len());
    name
}

fn limits(container: &Container) -> Result<Limits, HookError> {
    let amount =
        |list: &ResourceList, name: &str, read: fn(&Quantity) -> Result<i64, berth_types::quantity::QuantityError>| {
            let value = list.get(name).map(read).transpose();
            let value = value.map_err(|e| {
                HookError::invalid("InvalidResources", format!("container {:?}, {name}: {e}", container.name))
            })?;
            Ok::<_, HookError>(value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0))
        };
    let resources = &container.resources;
    let cpu_milli_limit = amount(&resources.limits, "cpu", Quantity::milli)?;
    let memory_limit_bytes = amount(&resources.limits, "memory", Quantity::units)?;
    Ok(Limits {
        cpu_milli_request: amount(&resources.requests, "cpu", Quantity::milli)?.or(cpu_milli_limit),
        cpu_milli_limit,
        memory_request_bytes: amount(&resources.requests, "memory", Quantity::units)?.or(memory_limit_bytes),
        memory_limit_bytes,
        pids_limit: amount(&resources.limits, "pids", Quantity::units)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec_of(container: serde_json::Value) -> Result<ContainerSpec, HookError> {
        let dir = tempfile::tempdir().unwrap();
        let task: Task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": "web-0", "namespace": "shop", "uid": "u-1"}, "spec": {"containers": [container]}
        }))
        .unwrap();
        let dirs = Directories::of(&task, dir.path(), dir.path()).unwrap();
        container_spec(&task, &task.spec.template.containers[0], &dirs, &Settings::default(), &Sources::default())
    }

    #[test]
    fn a_shell_line_is_run_by_the_shell_and_a_command_is_expanded() {
        let spec =
            spec_of(serde_json::json!({"name": "c", "shell": "echo $PORT0", "args": ["$(BERTH_TASK)"]})).unwrap();
        assert_eq!(spec.argv, ["/bin/sh", "-c", "echo $PORT0", "/bin/sh", "web-0"]);
        let spec =
            spec_of(serde_json::json!({"name": "c", "command": ["run", "$(BERTH_TASK)"], "args": ["$$(X)"]})).unwrap();
        assert_eq!(spec.argv, ["run", "web-0", "$(X)"]);
        assert_eq!((spec.id.as_str(), spec.hostname.as_deref()), ("u-1.c", Some("web-0")));
        assert!(spec.validate().is_ok());
    }

    #[test]
    fn what_cannot_run_says_what_to_do() {
        let image = spec_of(serde_json::json!({"name": "c", "image": "nginx"})).unwrap_err();
        assert!(
            matches!(&image, HookError::Invalid { reason: "ImageNotSupported", message } if message.contains("shell"))
        );
        assert!(matches!(
            spec_of(serde_json::json!({"name": "c"})),
            Err(HookError::Invalid { reason: "NoCommand", .. })
        ));
    }

    #[test]
    fn limits_are_numbers_of_the_kernel() {
        let resources =
            serde_json::json!({"limits": {"cpu": "500m", "memory": "64Mi", "pids": 20}, "requests": {"cpu": "0.1"}});
        let spec = spec_of(serde_json::json!({"name": "c", "shell": "x", "resources": resources})).unwrap();
        assert_eq!(spec.limits.cpu_milli_request, Some(100));
        assert_eq!(spec.limits.cpu_milli_limit, Some(500));
        assert_eq!(spec.limits.memory_limit_bytes, Some(64 << 20));
        assert_eq!(spec.limits.pids_limit, Some(20));
    }
}
