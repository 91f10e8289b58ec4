//! Starting a container: ours against `crun run` of the same command, interleaved.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use berth_container::{Config, ContainerSpec, Containerizer, Limits, Shim};

use crate::report::{Report, ms, percentile};

const ROUNDS: usize = 40;
/// Above this the machine is busy and kernel waits swamp what is measured.
const QUIET: Duration = Duration::from_micros(700);

/// p99 of spawning a trivial process: the gate for a fair reading.
fn noise() -> Duration {
    let mut samples = vec![];
    for _ in 0..300 {
        let begin = Instant::now();
        let _ = Command::new("/bin/true").stdin(Stdio::null()).status();
        samples.push(begin.elapsed());
    }
    let p50 = percentile(&mut samples, 50);
    percentile(&mut samples, 99).saturating_sub(p50)
}

pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("berth-bench-").tempdir()?;
    let containerizer = Containerizer::new(Config {
        run_dir: scratch.path().join("run"),
        cgroup_parent: format!("berth-bench-{}", std::process::id()),
        shim: Shim { exe: berth_e2e::berth_bin(), args: vec!["__shim".to_owned()] },
    })?;
    let bundle = crun_bundle(scratch.path())?;
    let gate = noise();
    let (mut ours, mut whole, mut theirs) = (vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let sandbox = scratch.path().join(format!("sandbox-{round}"));
        std::fs::create_dir_all(&sandbox)?;
        let mut spec = ContainerSpec::new(format!("bench-{round}"), vec!["/bin/true".to_owned()], sandbox);
        spec.limits = Limits { memory_limit_bytes: Some(64 << 20), pids_limit: Some(64), ..Limits::default() };
        let begin = Instant::now();
        containerizer.launch(&spec)?;
        ours.push(begin.elapsed());
        containerizer.wait(&spec.id)?;
        containerizer.destroy(&spec.id)?;
        whole.push(begin.elapsed());

        let begin = Instant::now();
        let status = Command::new("crun")
            .args(["run", "--bundle"])
            .arg(&bundle)
            .arg(format!("berth-bench-{}-{round}", std::process::id()))
            .stdin(Stdio::null())
            .output()
            .context("crun; make deps installs it")?;
        anyhow::ensure!(status.status.success(), "crun: {}", String::from_utf8_lossy(&status.stderr));
        theirs.push(begin.elapsed());
    }
    let crun = percentile(&mut theirs, 50);
    let start = percentile(&mut ours, 50);
    let all = percentile(&mut whole, 50);
    let window = if gate < QUIET { "quiet window" } else { "BUSY window" };
    report.add(
        "task start: agent told to process executing",
        format!("p50 {}, 1/{:.1} of crun", ms(start), crun.as_secs_f64() / start.as_secs_f64()),
        format!("crun run p50 {}; {window}: spawn p99-p50 {}", ms(crun), ms(gate)),
        "at most 1/3 of crun run",
    );
    report.add(
        "the same, to its end and all removed",
        format!("p50 {}, 1/{:.1} of crun", ms(all), crun.as_secs_f64() / all.as_secs_f64()),
        format!("crun run p50 {}", ms(crun)),
        "none set",
    );
    containerizer.purge()?;
    Ok(())
}

/// A bundle for crun: what `crun spec` gives (its mounts, masked paths, capabilities and namespaces), with the same
/// command, limits and files as ours. Only the network namespace is taken out: our containers share the node's.
fn crun_bundle(scratch: &Path) -> anyhow::Result<std::path::PathBuf> {
    const NODE_FILES: [&str; 4] = ["/bin", "/lib", "/lib64", "/usr"];
    let bundle = scratch.join("bundle");
    let root = bundle.join("rootfs");
    for directory in ["bin", "proc", "dev", "sys", "lib", "lib64", "usr"] {
        std::fs::create_dir_all(root.join(directory))?;
    }
    let made = Command::new("crun").arg("spec").current_dir(&bundle).status().context("crun; make deps installs it")?;
    anyhow::ensure!(made.success(), "crun spec failed");
    let path = bundle.join("config.json");
    let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(["/bin/true"]);
    spec["root"]["readonly"] = true.into();
    let mounts = spec["mounts"].as_array_mut().context("crun spec without mounts")?;
    mounts.extend(NODE_FILES.map(
        |path| serde_json::json!({"destination": path, "source": path, "type": "bind", "options": ["rbind", "ro"]}),
    ));
    let namespaces = spec["linux"]["namespaces"].as_array_mut().context("crun spec without namespaces")?;
    namespaces.retain(|namespace| namespace["type"] != "network");
    spec["linux"]["resources"]["memory"] = serde_json::json!({"limit": 64 << 20});
    spec["linux"]["resources"]["pids"] = serde_json::json!({"limit": 64});
    std::fs::write(path, spec.to_string())?;
    Ok(bundle)
}
