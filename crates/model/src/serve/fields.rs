//! The members of a JSON object, taken one by one, so that every error names its parameter and
//! nothing is left over unseen.

use serde_json::{Map, Value};

use super::ApiError;

/// A JSON object that is being read. A member that is null counts as absent.
pub struct Fields {
    path: String,
    members: Map<String, Value>,
}

impl Fields {
    /// The body of a request.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn of_body(bytes: &[u8]) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|cause| ApiError::invalid(format!("the body is not JSON: {cause}")))?;
        match value {
            Value::Object(members) => Ok(Self {
                path: String::new(),
                members,
            }),
            _ => Err(ApiError::invalid("the body must be a JSON object")),
        }
    }

    /// An object inside a body, found at `path`.
    ///
    /// # Errors
    /// It is no object.
    pub fn of_value(path: &str, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self {
                path: format!("{path}."),
                members,
            }),
            other => Err(wrong(path, "an object", &other)),
        }
    }

    /// The full name of a member.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// A member as it stands.
    pub fn value(&mut self, key: &str) -> Option<Value> {
        self.members.remove(key).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// The member is something else; so below.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.name(key), "a string", &other)),
        }
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Fields::text`].
    pub fn flag(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(&self.name(key), "a boolean", &other)),
        }
    }

    /// A whole number from `min` to `max`.
    ///
    /// # Errors
    /// As [`Fields::text`].
    pub fn count(&mut self, key: &str, min: usize, max: usize) -> Result<Option<usize>, ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let expected = format!("a whole number from {min} to {max}");
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .map(Some)
            .ok_or_else(|| wrong(&self.name(key), &expected, &value))
    }

    /// A whole number of 64 bits; a negative one stands for its two's complement.
    ///
    /// # Errors
    /// As [`Fields::text`].
    pub fn seed(&mut self, key: &str) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let bits = |number: i64| u64::from_ne_bytes(number.to_ne_bytes());
        value
            .as_u64()
            .or_else(|| value.as_i64().map(bits))
            .map(Some)
            .ok_or_else(|| wrong(&self.name(key), "a whole number of 64 bits", &value))
    }

    /// A number from `min` to `max`.
    ///
    /// # Errors
    /// As [`Fields::text`].
    pub fn number(&mut self, key: &str, min: f64, max: f64) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let expected = format!("a number from {min} to {max}");
        value
            .as_f64()
            .filter(|number| (min..=max).contains(number))
            .map(|number| Some(number as f32))
            .ok_or_else(|| wrong(&self.name(key), &expected, &value))
    }

    /// A list.
    ///
    /// # Errors
    /// As [`Fields::text`].
    pub fn list(&mut self, key: &str) -> Result<Option<Vec<Value>>, ApiError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(&self.name(key), "an array", &other)),
        }
    }

    /// Takes a parameter that changes nothing here, whatever its value.
    pub fn ignore(&mut self, keys: &[&str]) {
        for key in keys {
            self.members.remove(*key);
        }
    }

    /// Takes a parameter of which only null and the values of `neutral`, which change nothing, are
    /// supported.
    ///
    /// # Errors
    /// It has another value.
    pub fn only(&mut self, key: &str, neutral: &[Value]) -> Result<(), ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(());
        };
        let number = value.as_f64();
        if neutral.contains(&value)
            || (number.is_some() && neutral.iter().any(|other| other.as_f64() == number))
        {
            return Ok(());
        }
        let name = self.name(key);
        let allowed: Vec<String> = neutral.iter().map(Value::to_string).collect();
        let message = match allowed.is_empty() {
            true => format!("`{name}` is not supported by this server"),
            false => format!(
                "`{name}` is not supported by this server, except as {} or null",
                allowed.join(" or ")
            ),
        };
        Err(ApiError::unsupported(name, message))
    }

    /// Refuses what nobody took.
    ///
    /// # Errors
    /// Something is left; the first is named.
    pub fn finish(self) -> Result<(), ApiError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(key) => {
                let name = self.name(&key.chars().take(64).collect::<String>());
                let message = format!("unknown parameter: `{}`", name.escape_debug());
                Err(ApiError::parameter(name, message).with_code("unknown_parameter"))
            }
        }
    }
}

/// The error of a value that is not what was expected.
pub fn wrong(name: &str, expected: &str, found: &Value) -> ApiError {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    ApiError::parameter(name, format!("`{name}` must be {expected}, not {found}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: &Value) -> Fields {
        Fields::of_body(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_nobody_took_is_named() {
        let mut body = fields(&json!({"a": 1, "b": null}));
        assert_eq!(body.count("a", 0, 2).unwrap(), Some(1));
        let document = body.finish().unwrap_err().document();
        assert_eq!(document["error"]["param"], "b");
        assert_eq!(document["error"]["code"], "unknown_parameter");
    }

    #[test]
    fn numbers_outside_their_range_or_of_another_kind_are_refused() {
        for bad in [json!(3), json!(-1), json!(1.5), json!("1"), json!(true)] {
            assert!(fields(&json!({"a": bad})).count("a", 0, 2).is_err());
        }
        for bad in [json!(2.5), json!(-0.1), json!("1"), json!([])] {
            assert!(fields(&json!({"a": bad})).number("a", 0.0, 2.0).is_err());
        }
        let seed = fields(&json!({"a": -1})).seed("a").unwrap();
        assert_eq!(seed, Some(u64::MAX));
        assert!(fields(&json!({"a": 1.5})).seed("a").is_err());
    }

    #[test]
    fn a_neutral_value_of_an_unsupported_parameter_is_taken() {
        assert!(fields(&json!({"a": 0})).only("a", &[json!(0.0)]).is_ok());
        assert!(fields(&json!({"a": null})).only("a", &[]).is_ok());
        let refused = fields(&json!({"a": 0.5})).only("a", &[json!(0)]);
        assert_eq!(
            refused.unwrap_err().document()["error"]["code"],
            "unsupported_parameter"
        );
    }
}
