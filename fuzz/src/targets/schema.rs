//! Schemas that somebody wrote, and objects under them: defaults and pruning are done once, and an object that did not
//! change is not blamed.

use berth_schema::Structural;

use crate::input;
use crate::shape::weight;

/// The most that defaults may add: what the server allows a whole object.
const DEFAULTED_BYTES_MAX: usize = 8 << 20;

pub(crate) fn run(bytes: &[u8]) {
    let Some([schema, object]) = input::parts::<2>(bytes) else { return };
    let Some(schema) = input::json(schema) else { return };
    let problems = Structural::check_definition(&schema, "spec.schema", false);
    let told: usize = problems.iter().map(|problem| problem.to_string().len()).sum();
    assert!(told <= 64 * bytes.len() + 4096, "{told} bytes of problems");
    let compiled = match Structural::compile(&schema) {
        Ok(compiled) => compiled,
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal has a reason");
            Structural::compile_accepted(&schema)
        }
    };
    let _ = (compiled.explain(&["spec"]), compiled.explain(&[]));
    let _ = Structural::compile_builtin(&schema).explain(&["spec", "a"]);
    let Some(mut object) = input::json(object).filter(serde_json::Value::is_object) else { return };
    if !compiled.default(&mut object) {
        return;
    }
    assert!(weight(&object).1 <= DEFAULTED_BYTES_MAX);
    let once = object.clone();
    assert!(compiled.default(&mut object));
    assert_eq!(object, once, "defaults are filled in once");
    let unknown = compiled.prune(&mut object);
    let pruned = object.clone();
    assert!(compiled.prune(&mut object).is_empty(), "what is pruned has nothing unknown");
    assert_eq!(object, pruned);
    assert_eq!(unknown.is_empty(), once == pruned, "what was dropped is told");
    let mut errors = compiled.validate(&object, None);
    let mut warnings = Vec::new();
    compiled.check_rules(&object, None, &mut errors, &mut warnings);
    let told: usize = errors.iter().map(|error| error.to_string().len()).sum();
    assert!(told <= 256 * bytes.len() + 64 * 1024, "{told} bytes of errors");
    assert!(compiled.validate(&object, Some(&object)).is_empty(), "nothing changed, and somebody is blamed");
}
