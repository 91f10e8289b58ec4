//! Expressions over claims and over the user that they make.

use std::sync::OnceLock;

use berth_cel::env::{DeclType, Env};
use berth_cel::types::Type;
use berth_cel::{Activation, Budget, PER_CALL_LIMIT, Program, Value as Cel};
use serde_json::Value;

/// What an expression may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// `claims`, of any type.
    Claims,
    /// `user`, with `username`, `uid`, `groups` and `extra`.
    User,
}

/// What an expression must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returns {
    Bool,
    /// A text, a list, or anything: it is looked at when it is there.
    Any,
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    pub text: String,
    over: Over,
    program: Program,
}

fn environment(over: Over) -> &'static Env {
    static CLAIMS: OnceLock<Env> = OnceLock::new();
    static USER: OnceLock<Env> = OnceLock::new();
    match over {
        Over::Claims => CLAIMS.get_or_init(|| Env::new().with("claims", DeclType::Dyn)),
        Over::User => USER.get_or_init(|| {
            let texts = || DeclType::list(DeclType::string());
            let fields = [
                ("username", DeclType::string()),
                ("uid", DeclType::string()),
                ("groups", texts()),
                ("extra", DeclType::map(texts())),
            ];
            Env::new().with("user", DeclType::object("kubernetes.UserInfo", fields))
        }),
    }
}

impl Expression {
    /// Compiles an expression; the error is upstream's words for what is wrong.
    pub(super) fn compile(text: &str, over: Over, returns: Returns) -> Result<Self, String> {
        let checked =
            berth_cel::compile(text, environment(over)).map_err(|issues| format!("compilation failed: {issues}"))?;
        if returns == Returns::Bool && checked.output != Type::Bool {
            return Err(format!("must evaluate to bool but got {}", checked.output));
        }
        let program =
            Program::new(&checked).map_err(|error| format!("program instantiation failed: {}", error.message))?;
        Ok(Self { text: text.to_owned(), over, program })
    }

    /// What it comes to, as JSON. Bounded in cost, whatever the claims are.
    pub(super) fn eval(&self, data: &Value) -> Result<Value, String> {
        let mut activation = Activation::new();
        activation.bind(if self.over == Over::Claims { "claims" } else { "user" }, Cel::json(data));
        let mut budget = Budget::new(PER_CALL_LIMIT, PER_CALL_LIMIT);
        let value = self.program.eval(&activation, &mut budget);
        // What went wrong may quote a claim: only the expression is told.
        value
            .map_err(|_| format!("expression '{}' resulted in an error", self.text))?
            .to_json()
            .map_err(|_| format!("expression '{}' has no value that could be a claim", self.text))
    }

    /// A text, or upstream's words for why it is none.
    pub(super) fn text(&self, data: &Value, what: &str) -> Result<String, String> {
        match self.eval(data)? {
            Value::String(text) => Ok(text),
            _ => Err(format!("{what} claim expression must return a string")),
        }
    }

    /// Texts: one, a list, or none; empty ones are left out.
    pub(super) fn texts(&self, data: &Value) -> Result<Vec<String>, String> {
        let bad = || "expression must return a string or a list of strings".to_owned();
        let found = match self.eval(data)? {
            Value::Null => Vec::new(),
            Value::String(text) => vec![text],
            Value::Array(items) => {
                let texts = items.into_iter().map(|item| item.as_str().map(str::to_owned));
                texts.collect::<Option<Vec<String>>>().ok_or_else(bad)?
            }
            _ => return Err(bad()),
        };
        Ok(found.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// Whether it mentions this claim.
    pub(super) fn uses_claim(&self, claim: &str) -> bool {
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let ends = |rest: &str| !rest.starts_with(in_word);
        let selected = [format!("claims.{claim}"), format!("claims.?{claim}")];
        let mut found =
            selected.iter().flat_map(|form| self.text.match_indices(form).map(move |(at, _)| at + form.len()));
        found.any(|end| ends(&self.text[end..]))
            || [format!("claims[\"{claim}\"]"), format!("claims['{claim}']")]
                .iter()
                .any(|f| self.text.contains(f.as_str()))
    }
}
