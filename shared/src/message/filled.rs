//! A message that is a template, filled for one recipient.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::template::{Names, TemplateError, Unfilled, fill};
use super::{Message, Text, Vendors};

impl Message {
    /// The names that the places of its texts ask for.
    ///
    /// # Errors
    /// When a text is no template.
    pub fn names(&self) -> Result<Names, TemplateError> {
        let mut names = Names::default();
        self.clone().each_text(&mut |text| names.take(text))?;
        Ok(names)
    }

    /// The message with its places filled: by the values that everybody has, then by what `own` knows. What fills a place is not looked into.
    ///
    /// # Errors
    /// When a value without a default is missing, or a text is no template.
    pub fn filled<'v>(&'v self, own: impl Fn(&str) -> Option<&'v str>) -> Result<Self, Unfilled> {
        let value_of = |name: &str| self.values.as_ref().and_then(|shared| shared.get(name)).or_else(|| own(name));
        let mut filled = Self { values: None, ..self.clone() };
        filled.each_text(&mut |text| {
            if let Cow::Owned(full) = fill(text, &value_of)? {
                *text = full;
            }
            Ok::<(), Unfilled>(())
        })?;
        Ok(filled)
    }

    /// Every text that may hold places.
    fn each_text<E>(&mut self, each: &mut impl FnMut(&mut String) -> Result<(), E>) -> Result<(), E> {
        let Self { text, data, vendors, origin: _, badge: _, behaviour: _, media: _, roads: _, values: _ } = self;
        of_text(text, each)?;
        of_members(data, each)?;
        of_vendors(vendors, each)
    }
}

fn of_text<E>(text: &mut Text, each: &mut impl FnMut(&mut String) -> Result<(), E>) -> Result<(), E> {
    let Text { title, subtitle, body, big, localised, cohorts, languages, experiment: _, language: _ } = text;
    let cohorts = cohorts.iter_mut().flat_map(|copy| [&mut copy.title, &mut copy.body]);
    let languages = languages.iter_mut().flat_map(|translation| [&mut translation.title, &mut translation.body]);
    let own = [title, subtitle, body, big].into_iter().chain(cohorts).chain(languages).flatten();
    own.chain(localised.iter_mut().flat_map(|text| &mut text.args)).try_for_each(each)
}

fn of_vendors<E>(vendors: &mut Vendors, each: &mut impl FnMut(&mut String) -> Result<(), E>) -> Result<(), E> {
    let Vendors { ios, android, fcm, huawei, xiaomi, oppo, vivo, flyme, honor } = vendors;
    if let Some(ios) = ios {
        ios.subtitle.iter_mut().try_for_each(&mut *each)?;
        [&mut ios.aps, &mut ios.data].into_iter().flatten().try_for_each(|members| of_members(members, each))?;
    }
    let with_more = [huawei, honor].into_iter().flatten().map(|block| &mut block.common);
    let with_more = with_more.chain(vivo.iter_mut().map(|block| &mut block.common));
    let blocks = [android, fcm, xiaomi, oppo, flyme].into_iter().flatten().chain(with_more);
    blocks.filter_map(|block| block.data.as_mut()).try_for_each(|members| of_members(members, each))
}

fn of_members<E>(
    members: &mut Map<String, Value>,
    each: &mut impl FnMut(&mut String) -> Result<(), E>,
) -> Result<(), E> {
    members.values_mut().try_for_each(|value| of_value(value, each))
}

fn of_value<E>(value: &mut Value, each: &mut impl FnMut(&mut String) -> Result<(), E>) -> Result<(), E> {
    match value {
        Value::String(text) => each(text),
        Value::Array(list) => list.iter_mut().try_for_each(|item| of_value(item, each)),
        Value::Object(members) => of_members(members, each),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn message(parts: &Value) -> Message {
        let mut whole = json!({"origin": {"app": "demo", "dialect": "kinvey", "message": "m1"}});
        whole.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn every_text_is_filled_and_names_of_members_are_not() {
        let with = |text: &str| {
            let block = json!({"sound": "{{s}}", "data": {"{{k}}": text, "list": [text, {"deep": text}], "n": 1}});
            message(&json!({
                "text": {
                    "title": text, "subtitle": text, "body": text, "big": text, "localised": {"key": "k", "args": [text]},
                    "cohorts": [{"weight": 1, "title": text, "body": text}],
                    "languages": [{"language": "de", "title": text, "body": text}],
                },
                "data": {"a": text},
                "vendors": {
                    "ios": {"subtitle": text, "aps": {"alert": {"title": text}}, "data": {"a": text}},
                    "android": block, "fcm": block, "huawei": block, "xiaomi": block, "oppo": block, "vivo": block,
                    "flyme": block, "honor": block,
                },
                "values": {"shared": "S"},
            }))
        };
        let own = |name: &str| (name == "own").then_some("O");
        let filled = with("{{shared}}{{own}}{{other|D}}").filled(own).unwrap();
        assert_eq!(filled, Message { values: None, ..with("SOD") });
        let names = with("{{shared}}{{own}}{{other|D}}").names().unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["other", "own", "shared"]);
    }

    #[test]
    fn what_everybody_has_goes_first_and_what_nobody_has_is_named() {
        let message = message(&json!({"text": {"body": "{{name}}"}, "values": {"name": "{{own}}"}}));
        assert_eq!(message.filled(|_| Some("own")).unwrap().text.body.unwrap(), "{{own}}");
        let missing = Message { values: None, ..message }.filled(|_| None).unwrap_err();
        assert_eq!(missing.to_string(), "the value name is missing");
    }
}
