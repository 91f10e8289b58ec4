//! Volumes: from the task's `volumes` and a container's `volumeMounts` to mounts, with the files that they need.
//!
//! Files of ConfigMaps, Secrets and the downward API are written beside their place and renamed into it, so a
//! reader never sees half a file. Secrets and `medium: Memory` live below the run directory, which is a tmpfs.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use berth_client::k8s_openapi::api::core::v1::KeyToPath;
use berth_container::{Mount, MountKind, User};
use berth_types::template::{EmptyDir, HostPath};
use berth_types::{Container, Task, Volume, VolumeMount};

use super::sandbox::{Directories, make_dir};
use super::sources::{Data, Reference, Sources};
use super::{HookError, NodeFacts, fields};

const BAD_VOLUME: &str = "InvalidVolume";
const VOLUME_FAILED: &str = "VolumeFailed";
/// Kubernetes' mode of projected files.
const FILE_MODE: i32 = 0o644;

/// Makes what the container mounts, and says where it goes.
///
/// # Errors
/// When a volume is missing, senseless, or cannot be made.
pub fn prepare(
    task: &Task,
    container: &Container,
    node: &NodeFacts,
    dirs: &Directories,
    sources: &Sources,
    user: Option<&User>,
) -> Result<Vec<Mount>, HookError> {
    let mut mounts = Vec::new();
    for mount in &container.volume_mounts {
        let volume = task.spec.template.volumes.iter().find(|v| v.name == mount.name).ok_or_else(|| {
            HookError::invalid(
                BAD_VOLUME,
                format!("container {:?} mounts volume {:?}, which the task does not have", container.name, mount.name),
            )
        })?;
        if !mount.mount_path.starts_with('/') {
            return Err(HookError::invalid(BAD_VOLUME, format!("mountPath {:?} must be absolute", mount.mount_path)));
        }
        let kind = match tmpfs(task, volume) {
            Some(kind) if mount.sub_path.is_none() => kind?,
            _ => {
                let source = source(task, container, volume, node, dirs, sources, user)?;
                MountKind::Bind { sub_path: below(&source, mount)?, source }
            }
        };
        let fixed = volume.config_map.is_some() || volume.secret.is_some() || volume.downward_api.is_some();
        mounts.push(Mount { target: PathBuf::from(&mount.mount_path), read_only: mount.read_only || fixed, kind });
    }
    Ok(mounts)
}

/// A memory volume that only one container mounts is a tmpfs of its own, with its size enforced.
fn tmpfs(task: &Task, volume: &Volume) -> Option<Result<MountKind, HookError>> {
    let empty = volume.empty_dir.as_ref().filter(|e| e.medium.as_deref() == Some("Memory"))?;
    let spec = &task.spec.template;
    let all = spec.containers.iter().chain(&spec.init_containers);
    let users = all.flat_map(|c| &c.volume_mounts).filter(|m| m.name == volume.name).count();
    (users == 1).then(|| Ok(MountKind::Tmpfs { size_bytes: size_limit(empty)? }))
}

fn size_limit(empty: &EmptyDir) -> Result<Option<u64>, HookError> {
    let Some(limit) = &empty.size_limit else { return Ok(None) };
    let bytes = limit.units().map_err(|e| HookError::invalid(BAD_VOLUME, format!("sizeLimit: {e}")))?;
    Ok(u64::try_from(bytes).ok())
}

/// The volume's directory or file on the node, made if need be.
fn source(
    task: &Task,
    container: &Container,
    volume: &Volume,
    node: &NodeFacts,
    dirs: &Directories,
    sources: &Sources,
    user: Option<&User>,
) -> Result<PathBuf, HookError> {
    let namespace = task.metadata.namespace.as_deref().unwrap_or("default");
    let failed = |error: io::Error| HookError::invalid(VOLUME_FAILED, format!("volume {:?}: {error}", volume.name));
    let in_memory =
        volume.secret.is_some() || volume.empty_dir.as_ref().is_some_and(|e| e.medium.as_deref() == Some("Memory"));
    let path = if in_memory { &dirs.memory } else { &dirs.volumes }.join(&volume.name);
    if let Some(host) = &volume.host_path {
        return host_path(host);
    }
    if volume.empty_dir.is_some() {
        // World-writable as kubelet's: containers of one task may run as different users.
        make_dir(&path, 0o777).map_err(failed)?;
        return Ok(path);
    }
    let files = if let Some(map) = &volume.config_map {
        let reference = Reference::ConfigMap(map.name.clone());
        let data = sources.require(namespace, &reference, map.optional == Some(true))?;
        select(data, map.items.as_deref(), map.default_mode, &reference, map.optional == Some(true))?
    } else if let Some(secret) = &volume.secret {
        let name = secret.secret_name.clone().ok_or_else(|| {
            HookError::invalid(BAD_VOLUME, format!("volume {:?} needs secret.secretName", volume.name))
        })?;
        let reference = Reference::Secret(name);
        let data = sources.require(namespace, &reference, secret.optional == Some(true))?;
        select(data, secret.items.as_deref(), secret.default_mode, &reference, secret.optional == Some(true))?
    } else if let Some(downward) = &volume.downward_api {
        let mut files = Vec::new();
        for item in downward.items.iter().flatten() {
            let text = match (&item.field_ref, &item.resource_field_ref) {
                (Some(selector), _) => fields::field(task, node, selector)?,
                (None, Some(selector)) => fields::resource(task, node, container, selector)?,
                (None, None) => {
                    return Err(HookError::invalid(
                        BAD_VOLUME,
                        format!("downwardAPI file {:?} needs fieldRef or resourceFieldRef", item.path),
                    ));
                }
            };
            files.push(File {
                path: relative(&item.path)?,
                mode: mode(item.mode.or(downward.default_mode))?,
                bytes: text.into_bytes(),
            });
        }
        files
    } else {
        return Err(HookError::invalid(
            BAD_VOLUME,
            format!("volume {:?} needs one of emptyDir, hostPath, configMap, secret, downwardAPI", volume.name),
        ));
    };
    make_dir(&path, 0o755).map_err(failed)?;
    for file in &files {
        file.write(&path, user).map_err(failed)?;
    }
    Ok(path)
}

struct File {
    path: PathBuf,
    mode: u32,
    bytes: Vec<u8>,
}

impl File {
    /// Writes beside, then renames: a file is there whole or not at all.
    fn write(&self, root: &Path, user: Option<&User>) -> io::Result<()> {
        let target = root.join(&self.path);
        if let Some(parent) = target.parent().filter(|p| *p != root) {
            make_dir(parent, 0o755)?;
        }
        let beside =
            target.with_file_name(format!(".{}.new", target.file_name().unwrap_or_default().to_string_lossy()));
        let _ = fs::remove_file(&beside);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(&self.bytes)?;
        file.set_permissions(fs::Permissions::from_mode(self.mode))?;
        if let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) {
            // The group may read where the mode lets it: the container runs without root's rights over files.
            std::os::unix::fs::chown(&beside, Some(user.uid), Some(user.gid))?;
        }
        fs::rename(beside, target)
    }
}

fn select(
    data: Option<&Data>,
    items: Option<&[KeyToPath]>,
    default_mode: Option<i32>,
    reference: &Reference,
    optional: bool,
) -> Result<Vec<File>, HookError> {
    let Some(data) = data else { return Ok(Vec::new()) };
    let Some(items) = items.filter(|i| !i.is_empty()) else {
        return data
            .iter()
            .map(|(key, bytes)| Ok(File { path: relative(key)?, mode: mode(default_mode)?, bytes: bytes.clone() }))
            .collect();
    };
    let mut files = Vec::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => files.push(File {
                path: relative(&item.path)?,
                mode: mode(item.mode.or(default_mode))?,
                bytes: bytes.clone(),
            }),
            None if optional => {}
            None => {
                return Err(HookError::waiting(
                    "KeyNotFound",
                    format!("{} has no key {:?}", reference.describe(), item.key),
                ));
            }
        }
    }
    Ok(files)
}

fn mode(mode: Option<i32>) -> Result<u32, HookError> {
    let mode = mode.unwrap_or(FILE_MODE);
    u32::try_from(mode)
        .ok()
        .filter(|m| *m <= 0o777)
        .ok_or_else(|| HookError::invalid(BAD_VOLUME, format!("file mode {mode} must be between 0 and 0777 (511)")))
}

/// A path that stays inside its volume.
fn relative(path: &str) -> Result<PathBuf, HookError> {
    let fine = !path.is_empty()
        && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
        && !path.contains('\0');
    fine.then(|| PathBuf::from(path))
        .ok_or_else(|| HookError::invalid(BAD_VOLUME, format!("path {path:?} must be relative and without '..'")))
}

/// The mount's `subPath` inside the volume, made when it is missing. Symbolic links on the way are refused: a container
/// may have made them, and may make one in this moment, so each step is taken from the directory before it. The
/// containerizer walks the way again and follows none either.
fn below(source: &Path, mount: &VolumeMount) -> Result<Option<PathBuf>, HookError> {
    use rustix::fs::{CWD, FileType, Mode, OFlags};
    use rustix::io::Errno;
    let Some(sub) = mount.sub_path.as_deref().filter(|s| !s.is_empty()) else { return Ok(None) };
    let path = relative(sub)?;
    let failed = |e: Errno| {
        HookError::invalid(VOLUME_FAILED, format!("subPath {sub:?} of volume {:?}: {}", mount.name, io::Error::from(e)))
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(CWD, source, flags, Mode::empty()).map_err(failed)?;
    for part in path.components() {
        let part: &Path = part.as_ref();
        let open = || rustix::fs::openat(&at, part, flags | OFlags::NOFOLLOW, Mode::empty());
        let next = match open() {
            Err(Errno::NOENT) => match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
                Err(error) if error != Errno::EXIST => Err(error),
                _ => open(),
            },
            other => other,
        };
        at = next.map_err(failed)?;
        let stat = rustix::fs::fstat(&at).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode).is_symlink() {
            return Err(HookError::invalid(
                BAD_VOLUME,
                format!("subPath {sub:?} of volume {:?} leads through a symbolic link", mount.name),
            ));
        }
    }
    Ok(Some(path))
}

fn host_path(host: &HostPath) -> Result<PathBuf, HookError> {
    let path = PathBuf::from(&host.path);
    if !path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
        return Err(HookError::invalid(
            BAD_VOLUME,
            format!("hostPath {:?} must be absolute and without '..'", host.path),
        ));
    }
    let failed = |error: io::Error| HookError::invalid(VOLUME_FAILED, format!("hostPath {:?}: {error}", host.path));
    let kind = host.type_.as_deref().unwrap_or_default();
    match kind {
        "DirectoryOrCreate" if !path.exists() => make_dir(&path, 0o755).map_err(failed)?,
        "FileOrCreate" if !path.exists() => {
            fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(&path).map_err(failed)?;
        }
        _ => {}
    }
    let meta = fs::metadata(&path).map_err(failed)?;
    let fits = match kind {
        "" => true,
        "Directory" | "DirectoryOrCreate" => meta.is_dir(),
        "File" | "FileOrCreate" => meta.is_file(),
        "Socket" => meta.file_type().is_socket(),
        "CharDevice" => meta.file_type().is_char_device(),
        "BlockDevice" => meta.file_type().is_block_device(),
        other => return Err(HookError::invalid(BAD_VOLUME, format!("hostPath type {other:?} is not known"))),
    };
    if !fits {
        return Err(HookError::invalid(VOLUME_FAILED, format!("hostPath {:?} is not a {kind}", host.path)));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        dir: tempfile::TempDir,
        task: Task,
        sources: Sources,
    }

    fn case(volume: serde_json::Value, mount: serde_json::Value) -> Case {
        let task = serde_json::from_value(serde_json::json!({
            "apiVersion": "berth.dev/v1", "kind": "Task",
            "metadata": {"name": "t", "namespace": "n", "uid": "u", "labels": {"a": "b"}},
            "spec": {"volumes": [volume], "containers": [{"name": "c", "volumeMounts": [mount]}]}
        }))
        .unwrap();
        let data: Data = [("a.conf".to_owned(), b"A".to_vec()), ("b".to_owned(), b"B".to_vec())].into();
        let sources = Sources::from_pairs([
            (Reference::ConfigMap("cfg".into()), data.clone()),
            (Reference::Secret("sec".into()), data),
        ]);
        Case { dir: tempfile::tempdir().unwrap(), task, sources }
    }

    impl Case {
        fn prepare(&self) -> Result<Vec<Mount>, HookError> {
            let dirs =
                Directories::of(&self.task, &self.dir.path().join("data"), &self.dir.path().join("run")).unwrap();
            let container = &self.task.spec.template.containers[0];
            prepare(&self.task, container, &NodeFacts::default(), &dirs, &self.sources, None)
        }

        fn source(&self) -> PathBuf {
            match self.prepare().unwrap().remove(0).kind {
                MountKind::Bind { source, .. } => source,
                other => panic!("not a bind mount: {other:?}"),
            }
        }
    }

    fn mount() -> serde_json::Value {
        serde_json::json!({"name": "v", "mountPath": "/v"})
    }

    #[test]
    fn a_config_map_becomes_files_and_may_be_made_again() {
        let case = case(serde_json::json!({"name": "v", "configMap": {"name": "cfg", "defaultMode": 256}}), mount());
        let source = case.source();
        assert_eq!(fs::read(source.join("a.conf")).unwrap(), b"A");
        assert_eq!(fs::metadata(source.join("a.conf")).unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(case.source(), source);
        assert!(case.prepare().unwrap()[0].read_only);
        assert!(fs::read_dir(&source).unwrap().all(|f| !f.unwrap().file_name().to_string_lossy().ends_with(".new")));
    }

    #[test]
    fn secrets_live_in_memory_and_items_choose_their_paths() {
        let items = serde_json::json!([{"key": "b", "path": "deep/b.txt", "mode": 384}]);
        let case = case(serde_json::json!({"name": "v", "secret": {"secretName": "sec", "items": items}}), mount());
        let source = case.source();
        assert!(source.starts_with(case.dir.path().join("run")));
        assert_eq!(fs::read(source.join("deep/b.txt")).unwrap(), b"B");
        assert!(!source.join("a.conf").exists());
    }

    #[test]
    fn labels_become_a_file() {
        let items = serde_json::json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]);
        let case = case(serde_json::json!({"name": "v", "downwardAPI": {"items": items}}), mount());
        assert_eq!(fs::read_to_string(case.source().join("labels")).unwrap(), "a=\"b\"");
    }

    #[test]
    fn memory_of_one_container_is_a_bounded_tmpfs() {
        let volume = serde_json::json!({"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}});
        let mounts = case(volume, mount()).prepare().unwrap();
        assert_eq!(mounts[0].kind, MountKind::Tmpfs { size_bytes: Some(1 << 20) });
    }

    #[test]
    fn paths_cannot_leave_a_volume() {
        let items = serde_json::json!([{"key": "b", "path": "../b"}]);
        let volume = serde_json::json!({"name": "v", "configMap": {"name": "cfg", "items": items}});
        assert!(case(volume, mount()).prepare().is_err());
        let sub = serde_json::json!({"name": "v", "mountPath": "/v", "subPath": "../x"});
        assert!(case(serde_json::json!({"name": "v", "emptyDir": {}}), sub).prepare().is_err());
    }

    #[test]
    fn a_link_in_a_sub_path_is_refused() {
        let sub = serde_json::json!({"name": "v", "mountPath": "/v", "subPath": "link/x"});
        let case = case(serde_json::json!({"name": "v", "emptyDir": {}}), sub);
        let root = case.dir.path().join("data/volumes/u/v");
        fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        assert!(case.prepare().unwrap_err().to_string().contains("symbolic link"));
    }

    #[test]
    fn host_paths_are_checked_by_type() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let host = |kind: &str| HostPath { path: path.display().to_string(), type_: Some(kind.into()) };
        assert!(host_path(&host("Directory")).is_err());
        assert_eq!(host_path(&host("DirectoryOrCreate")).unwrap(), path);
        assert!(host_path(&host("File")).is_err());
        assert!(host_path(&HostPath { path: "/a/../b".into(), type_: None }).is_err());
    }
}
