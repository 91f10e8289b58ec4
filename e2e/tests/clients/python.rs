//! The Python client: typed kinds, rights, custom objects, watches, dynamic objects, leader election.

use berth_e2e::{Cluster, client, python_bin};

#[test]
fn the_python_client_tells_its_story() {
    let cluster = Cluster::up();
    cluster.run(&python_bin(), &["-B", &client("python/story.py")], None).ok().says("the story is told");
    cluster.purge();
}
