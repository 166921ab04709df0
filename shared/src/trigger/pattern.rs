//! Which documents a rule is about: a subset of EventBridge's event patterns, with its meanings.
//!
//! Every field that a pattern names must match; a field matches if one of the values listed for it does. A field of an event that is a list
//! matches if one of its entries does, and entries that are objects match as a whole. Numbers are compared by what they are, not by how they
//! are written.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// How deep a pattern may be nested.
const MOST_DEPTH: usize = 16;

/// Which documents match. The default matches all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pattern(Vec<(String, Node)>);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// The fields of an object below.
    Below(Pattern),
    /// One of these.
    AnyOf(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Is(Scalar),
    Text(TextTest),
    /// There, and none of these.
    AnythingBut(But),
    Numeric(Vec<(Operator, f64)>),
    Exists(bool),
}

#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
enum TextTest {
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
}

#[derive(Debug, Clone, PartialEq)]
enum But {
    Values(Vec<Scalar>),
    Text(TextTest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// Why an object is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} {rule}")]
pub(super) struct PatternError {
    pub(super) at: String,
    pub(super) rule: String,
}

impl Pattern {
    /// Reads a pattern, which stands at the path `at`.
    ///
    /// # Errors
    /// When it is none: with the path to the mistake.
    pub(super) fn parse(object: &Map<String, Value>, at: &str) -> Result<Self, PatternError> {
        Self::below(object, at, 0)
    }

    fn below(object: &Map<String, Value>, at: &str, depth: usize) -> Result<Self, PatternError> {
        if depth == MOST_DEPTH {
            return Err(wrong(at, "is nested deeper than 16 levels"));
        }
        let fields = object.iter().map(|(name, value)| {
            let at = format!("{at}.{name}");
            let node = match value {
                Value::Object(below) if below.is_empty() => return Err(wrong(&at, "is an empty object")),
                Value::Object(below) => Node::Below(Self::below(below, &at, depth + 1)?),
                Value::Array(list) if list.is_empty() => return Err(wrong(&at, "is an empty list")),
                Value::Array(list) => Node::AnyOf(list.iter().map(|value| test(value, &at)).collect::<Result<_, _>>()?),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(wrong(&at, "is neither a list nor an object"));
                }
            };
            Ok((name.clone(), node))
        });
        fields.collect::<Result<_, _>>().map(Self)
    }

    /// Whether `document` matches.
    #[must_use]
    pub(super) fn matches(&self, document: &Map<String, Value>) -> bool {
        self.0.iter().all(|(name, node)| node.matches(document.get(name)))
    }
}

impl Node {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Below(pattern) => {
                let mut objects = Vec::new();
                collect(value, &mut |value| objects.extend(value.as_object()));
                match objects.as_slice() {
                    // What is not there has no fields.
                    [] => pattern.matches(&Map::new()),
                    objects => objects.iter().any(|object| pattern.matches(object)),
                }
            }
            Self::AnyOf(tests) => {
                // An object is no value, nor is an empty list.
                let mut values = Vec::new();
                collect(value, &mut |value| values.extend(Some(value).filter(|value| !value.is_object())));
                tests.iter().any(|test| match test {
                    Test::Exists(false) => values.is_empty(),
                    Test::Exists(true) => !values.is_empty(),
                    Test::Is(_) | Test::Text(_) | Test::AnythingBut(_) | Test::Numeric(_) => {
                        values.iter().any(|value| test.matches(value))
                    }
                })
            }
        }
    }
}

/// A value, or the entries of a list and of lists in it.
fn collect<'a>(value: Option<&'a Value>, each: &mut impl FnMut(&'a Value)) {
    match value {
        Some(Value::Array(list)) => list.iter().for_each(|entry| collect(Some(entry), each)),
        Some(value) => each(value),
        None => {}
    }
}

impl Test {
    /// Whether a value that is neither list nor object passes.
    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Is(scalar) => scalar.is(value),
            Self::Text(test) => value.as_str().is_some_and(|text| test.matches(text)),
            Self::AnythingBut(But::Values(values)) => !values.iter().any(|scalar| scalar.is(value)),
            Self::AnythingBut(But::Text(test)) => !value.as_str().is_some_and(|text| test.matches(text)),
            Self::Numeric(bounds) => value
                .as_f64()
                .is_some_and(|number| bounds.iter().all(|(operator, bound)| operator.holds(number, *bound))),
            Self::Exists(exists) => *exists,
        }
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(own), Value::Bool(other)) => own == other,
            (Self::Text(own), Value::String(other)) => own == other,
            (Self::Number(own), Value::Number(other)) => {
                own == other || (own.is_f64() || other.is_f64()) && own.as_f64() == other.as_f64()
            }
            (Self::Null | Self::Bool(_) | Self::Text(_) | Self::Number(_), _) => false,
        }
    }

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Number(number) => Some(Self::Number(number.clone())),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl TextTest {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Prefix(start) => text.starts_with(start.as_str()),
            Self::Suffix(end) => text.ends_with(end.as_str()),
            Self::EqualsIgnoreCase(other) => text.to_lowercase() == other.to_lowercase(),
        }
    }

    /// The test of that name; `None` when it is no test on texts.
    fn of(name: &str, argument: &Value, at: &str) -> Option<Result<Self, PatternError>> {
        let test = match name {
            "prefix" => Self::Prefix,
            "suffix" => Self::Suffix,
            "equals-ignore-case" => Self::EqualsIgnoreCase,
            _ => return None,
        };
        let text =
            argument.as_str().map(str::to_owned).ok_or_else(|| wrong(at, format!("has a {name} that is no text")));
        Some(text.map(test))
    }
}

impl Operator {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "=" => Self::Equal,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    fn holds(self, number: f64, bound: f64) -> bool {
        let order = number.partial_cmp(&bound);
        match self {
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Equal => order == Some(Ordering::Equal),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
        }
    }
}

fn wrong(at: &str, rule: impl Into<String>) -> PatternError {
    PatternError { at: at.to_owned(), rule: rule.into() }
}

fn test(value: &Value, at: &str) -> Result<Test, PatternError> {
    let Value::Object(object) = value else {
        return Scalar::of(value).map(Test::Is).ok_or_else(|| wrong(at, "has a list in its list"));
    };
    let mut operators = object.iter();
    let (Some((name, argument)), None) = (operators.next(), operators.next()) else {
        return Err(wrong(at, "has an object that is not one operator"));
    };
    if let Some(test) = TextTest::of(name, argument, at) {
        return test.map(Test::Text);
    }
    match name.as_str() {
        "exists" => argument
            .as_bool()
            .map(Test::Exists)
            .ok_or_else(|| wrong(at, "has an exists that is neither true nor false")),
        "numeric" => numeric(argument, at).map(Test::Numeric),
        "anything-but" => anything_but(argument, at).map(Test::AnythingBut),
        other => Err(wrong(at, format!("has an operator that is not known: {other}"))),
    }
}

fn numeric(argument: &Value, at: &str) -> Result<Vec<(Operator, f64)>, PatternError> {
    let rule = "has a numeric that is not one or two comparisons, each an operator (<, <=, =, >=, >) and a number";
    let list = argument.as_array().filter(|list| matches!(list.len(), 2 | 4)).ok_or_else(|| wrong(at, rule))?;
    let comparisons = list.chunks_exact(2).map(|pair| match pair {
        [Value::String(word), Value::Number(bound)] => Operator::of(word).zip(bound.as_f64()),
        _ => None,
    });
    comparisons.collect::<Option<_>>().ok_or_else(|| wrong(at, rule))
}

fn anything_but(argument: &Value, at: &str) -> Result<But, PatternError> {
    let rule = "has an anything-but that is no text, no number, no list of only texts or only numbers, and no \
                prefix, suffix or equals-ignore-case";
    if let Value::Object(object) = argument {
        let mut operators = object.iter();
        return match (operators.next(), operators.next()) {
            (Some((name, argument)), None) => {
                TextTest::of(name, argument, at).ok_or_else(|| wrong(at, rule))?.map(But::Text)
            }
            _ => Err(wrong(at, rule)),
        };
    }
    let list = argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice);
    let alike = list.iter().all(Value::is_string) || list.iter().all(Value::is_number);
    if list.is_empty() || !alike {
        return Err(wrong(at, rule));
    }
    Ok(But::Values(list.iter().filter_map(Scalar::of).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("{value} is no object") };
        object
    }

    fn matches(pattern: Value, document: Value) -> bool {
        Pattern::parse(&object(pattern), "match").unwrap().matches(&object(document))
    }

    fn told(pattern: Value) -> String {
        Pattern::parse(&object(pattern), "match").unwrap_err().to_string()
    }

    #[test]
    fn every_field_must_match_and_one_value_of_each_is_enough() {
        let pattern = json!({"league": ["mlb", "nba"], "final": [true], "note": [null]});
        assert!(matches(pattern.clone(), json!({"league": "nba", "final": true, "note": null, "more": 1})));
        assert!(!matches(pattern.clone(), json!({"league": "nba", "final": false, "note": null})));
        assert!(!matches(pattern.clone(), json!({"league": "NBA", "final": true, "note": null})));
        assert!(!matches(pattern, json!({"league": "nba", "final": true})), "null is not the same as nothing");
        assert!(matches(json!({}), json!({"anything": 1})));
        assert!(matches(json!({"x": [""]}), json!({"x": ""})));
        assert!(!matches(json!({"x": ["1"]}), json!({"x": 1})), "a text is no number");
    }

    #[test]
    fn a_list_matches_by_one_of_its_entries() {
        let pattern = json!({"tags": ["b", "c"]});
        assert!(matches(pattern.clone(), json!({"tags": ["a", "b"]})));
        assert!(matches(pattern.clone(), json!({"tags": [["c"]]})));
        assert!(!matches(pattern.clone(), json!({"tags": ["a"]})));
        assert!(!matches(pattern, json!({"tags": []})));
    }

    #[test]
    fn fields_below_match_in_one_and_the_same_object() {
        let pattern = json!({"game": {"team": ["sox"], "runs": [{"numeric": [">", 3]}]}});
        assert!(matches(pattern.clone(), json!({"game": {"team": "sox", "runs": 4}})));
        assert!(!matches(pattern.clone(), json!({"game": "sox"})));
        assert!(!matches(pattern.clone(), json!({})));
        let of =
            |sox: u32, royals: u32| json!({"game": [{"team": "sox", "runs": sox}, {"team": "royals", "runs": royals}]});
        assert!(matches(pattern.clone(), of(4, 1)));
        assert!(!matches(pattern, of(1, 4)));
    }

    #[test]
    fn exists_looks_at_values_and_not_at_objects() {
        let (there, gone) = (json!({"a": {"b": [{"exists": true}]}}), json!({"a": {"b": [{"exists": false}]}}));
        for (document, exists) in [
            (json!({"a": {"b": 1}}), true),
            (json!({"a": {"b": null}}), true),
            (json!({"a": {"b": [1]}}), true),
            (json!({"a": {"b": []}}), false),
            (json!({"a": {"b": {"c": 1}}}), false),
            (json!({"a": 1}), false),
            (json!({}), false),
        ] {
            assert_eq!(matches(there.clone(), document.clone()), exists, "{document}");
            assert_eq!(matches(gone.clone(), document.clone()), !exists, "{document}");
        }
        assert!(matches(json!({"x": ["a", {"exists": false}]}), json!({})));
    }

    #[test]
    fn numbers_are_compared_by_what_they_are() {
        assert!(matches(json!({"n": [300]}), json!({"n": 300.0})));
        assert!(!matches(json!({"n": [9_007_199_254_740_993_u64]}), json!({"n": 9_007_199_254_740_992_u64})));
        let range = json!({"n": [{"numeric": [">", 0, "<=", 5]}]});
        for (n, inside) in
            [(json!(0), false), (json!(0.5), true), (json!(5), true), (json!(5.1), false), (json!("3"), false)]
        {
            assert_eq!(matches(range.clone(), json!({"n": n})), inside, "{n}");
        }
        assert!(matches(json!({"n": [{"numeric": ["=", 3.018e2]}]}), json!({"n": 301.8})));
        assert!(matches(json!({"n": [{"numeric": [">=", 1, "<", 2]}]}), json!({"n": 1})));
    }

    #[test]
    fn anything_but_needs_a_value_that_is_another() {
        let but = |argument: Value| json!({"x": [{"anything-but": argument}]});
        assert!(matches(but(json!("a")), json!({"x": "b"})));
        assert!(!matches(but(json!("a")), json!({"x": "a"})));
        assert!(!matches(but(json!(["a", "b"])), json!({"x": "b"})));
        assert!(matches(but(json!(["a", "b"])), json!({"x": 7})));
        assert!(!matches(but(json!([7])), json!({"x": 7.0})));
        assert!(!matches(but(json!("a")), json!({})), "what is not there is nothing else");
        assert!(matches(but(json!("a")), json!({"x": ["a", "b"]})), "one of the entries is another");
        assert!(!matches(but(json!({"prefix": "us-"})), json!({"x": "us-east-1"})));
        assert!(matches(but(json!({"suffix": ".png"})), json!({"x": "a.jpg"})));
    }

    #[test]
    fn texts_are_told_by_their_beginning_end_and_letters() {
        assert!(matches(json!({"y": [{"prefix": "a"}]}), json!({"y": "abc"})));
        assert!(!matches(json!({"y": [{"prefix": "a"}]}), json!({"y": 1})));
        assert!(matches(json!({"y": [{"suffix": "c"}]}), json!({"y": "abc"})));
        assert!(matches(json!({"y": [{"equals-ignore-case": "ÄBC"}]}), json!({"y": "äbc"})));
    }

    #[test]
    fn what_is_no_pattern_is_told_with_its_place() {
        assert_eq!(told(json!({"a": {"b": "x"}})), "match.a.b is neither a list nor an object");
        assert_eq!(told(json!({"a": []})), "match.a is an empty list");
        assert_eq!(told(json!({"a": {}})), "match.a is an empty object");
        assert_eq!(told(json!({"a": [["x"]]})), "match.a has a list in its list");
        assert_eq!(told(json!({"a": [{"wildcard": "*"}]})), "match.a has an operator that is not known: wildcard");
        assert_eq!(
            told(json!({"a": [{"prefix": "x", "suffix": "y"}]})),
            "match.a has an object that is not one operator"
        );
        assert_eq!(told(json!({"a": [{"prefix": 1}]})), "match.a has a prefix that is no text");
        assert_eq!(told(json!({"a": [{"exists": 1}]})), "match.a has an exists that is neither true nor false");
        for numeric in [json!([]), json!([">"]), json!([">", "1"]), json!(["!", 1]), json!([">", 1, "<"]), json!(1)] {
            assert!(told(json!({"a": [{"numeric": numeric}]})).starts_with("match.a has a numeric that is not"));
        }
        for but in [json!([]), json!(["a", 1]), json!(null), json!({"exists": true}), json!({})] {
            assert!(told(json!({"a": [{"anything-but": but}]})).starts_with("match.a has an anything-but that is no"));
        }
        let deep = (0..20).fold(json!(["x"]), |below, _| json!({"a": below}));
        assert!(told(deep).ends_with(" is nested deeper than 16 levels"));
    }

    proptest! {
        #[test]
        fn a_value_is_itself_and_exists(text in ".{0,8}", number in any::<i64>()) {
            for value in [json!(text), json!(number)] {
                let document = object(json!({"x": value}));
                let pattern = |test: Value| Pattern::parse(&object(json!({"x": [test]})), "match").unwrap();
                prop_assert!(pattern(value.clone()).matches(&document));
                let (exists, another) = (pattern(json!({"exists": true})), pattern(json!({"anything-but": value})));
                prop_assert!(exists.matches(&document) && !another.matches(&document));
            }
        }
    }
}
