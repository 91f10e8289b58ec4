//! Quotas are counted when they are new, and again when what they bound comes and goes.

use berth_controllers::quota::parts;
use serde_json::{Value, json};

use crate::harness::Cluster;

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const TASKS: &str = "/apis/berth.dev/v1/namespaces/default/tasks";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[tokio::test]
async fn what_is_there_is_counted_and_what_is_gone_given_back() {
    let cluster = Cluster::start(parts).await;
    cluster.create(MAPS, map("a")).await;
    cluster.create(MAPS, map("b")).await;
    let task = json!({"apiVersion": "berth.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": {"containers": [
        {"name": "c", "shell": "true", "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}}]}});
    cluster.create(TASKS, task).await;
    let hard =
        json!({"count/configmaps": "5", "requests.cpu": "1", "limits.memory": "1Gi", "count/tasks.berth.dev": "3"});
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster.create(QUOTAS, quota).await;
    let path = format!("{QUOTAS}/q");
    let used = |map_count: &'static str, cpu: &'static str| {
        move |quota: &Value| {
            quota["status"]["used"]["count/configmaps"] == map_count && quota["status"]["used"]["requests.cpu"] == cpu
        }
    };
    let base = usize::from(cluster.get(&format!("{MAPS}/kube-root-ca.crt")).await.is_some());
    let (two, one): (&'static str, &'static str) = if base == 0 { ("2", "1") } else { ("3", "2") };
    cluster.until(&path, "the first count", used(two, "250m")).await;
    let counted = cluster.get(&path).await.unwrap();
    assert_eq!(counted["status"]["hard"], hard);
    assert_eq!(counted["status"]["used"]["limits.memory"], "64Mi");
    cluster.delete(&format!("{MAPS}/a"), "Background").await;
    cluster.delete(&format!("{TASKS}/t"), "Background").await;
    cluster.until(&path, "the count after the deletions", used(one, "0")).await;
}
