//! The JavaScript client: typed kinds, generic objects, patches, server-side apply, watches, informers.

use std::os::unix::fs::symlink;

use berth_e2e::{Cluster, client_text, node_bin, node_modules};

#[test]
fn the_javascript_client_tells_its_story() {
    let cluster = Cluster::up();
    // A program finds its packages beside itself.
    let program = cluster.path("story.mjs");
    std::fs::write(&program, client_text("js/story.mjs")).unwrap();
    symlink(node_modules().canonicalize().unwrap(), cluster.path("node_modules")).unwrap();
    cluster.run(&node_bin(), &[&program.display().to_string()], None).ok().says("the story is told");
    cluster.purge();
}
