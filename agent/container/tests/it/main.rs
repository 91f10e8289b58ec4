fn main() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == "__shim") {
        std::process::exit(berth_container::shim_main(args));
    }
    let dir = std::path::PathBuf::from("/tmp/berth-try");
    let c = berth_container::Containerizer::new(berth_container::Config {
        run_dir: dir.join("run"), cgroup_parent: "berth-try".into(),
        shim: berth_container::Shim { exe: std::env::current_exe().unwrap(), args: vec!["__shim".into()] } }).unwrap();
    println!("{:#?}", c.capabilities());
    std::fs::create_dir_all(dir.join("box")).unwrap();
    let cmd = std::env::args().nth(1).unwrap();
    let mut spec = berth_container::ContainerSpec::new("a", vec!["/bin/sh".into(), "-c".into(), cmd], dir.join("box"));
    spec.limits.memory_limit_bytes = Some(64<<20);
    spec.limits.pids_limit = Some(50);
    spec.limits.cpu_milli_limit = Some(500);
    let t = std::time::Instant::now();
    let r = c.launch(&spec);
    println!("{r:?} {:?}", t.elapsed());
    println!("{:?}", c.wait("a"));
    c.purge().unwrap();
    for f in ["stdout", "stderr"] { println!("{f}: {}", std::fs::read_to_string(dir.join("box").join(f)).unwrap()); }
    let _ = std::fs::remove_dir_all(dir);
}
