//! The configuration table of the CIR stages, `[site.pipeline.stage.cir]`.
//!
//! ```toml
//! method = "working-set"      # or "fista", "admm", "ista"; cir-dense: "fista"
//! lambda = "noise"            # sigma sqrt(2 ln G), or { fixed = 0.05 }: a fraction of the channel's amplitude
//! lambda_floor = 1e-3         # lower bound of a lambda found from noise
//! lambda_fallback = 0.1       # lambda where the noise is neither known nor estimable
//! gap_tolerance = 1e-3        # relative duality gap to reach
//! max_iterations = 500
//! warm_start = true           # start from the last cycle's taps
//! ```

use serde::{Deserialize, Deserializer, de};
use tapline_dsp::cir::{Lambda, Method, Settings};
use tapline_plugin_api::{StageError, guard::code};

/// Most iterations a configuration may ask for.
const ITERATIONS_MAX: u32 = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    method: Option<MethodName>,
    #[serde(default, deserialize_with = "lambda")]
    lambda: Option<Lambda>,
    lambda_floor: Option<f32>,
    lambda_fallback: Option<f32>,
    gap_tolerance: Option<f32>,
    max_iterations: Option<u32>,
    warm_start: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MethodName {
    Ista,
    Fista,
    Admm,
    WorkingSet,
}

/// Reads the table; what it leaves out is as in `defaults`.
///
/// # Errors
/// [`code::CONFIG`] naming the key, what was found and what is allowed.
pub(crate) fn parse(text: &str, defaults: Settings) -> Result<Settings, StageError> {
    let wrong = |message: String| StageError::new(code::CONFIG, format!("cir: {message}"));
    let table: Table = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let settings = Settings {
        method: table.method.map_or(defaults.method, |method| match method {
            MethodName::Ista => Method::Ista,
            MethodName::Fista => Method::Fista,
            MethodName::Admm => Method::Admm,
            MethodName::WorkingSet => Method::WorkingSet,
        }),
        lambda: table.lambda.unwrap_or(defaults.lambda),
        lambda_floor: table.lambda_floor.unwrap_or(defaults.lambda_floor),
        lambda_fallback: table.lambda_fallback.unwrap_or(defaults.lambda_fallback),
        gap_tolerance: table.gap_tolerance.unwrap_or(defaults.gap_tolerance),
        max_iterations: table.max_iterations.unwrap_or(defaults.max_iterations),
        warm_start: table.warm_start.unwrap_or(defaults.warm_start),
    };
    let range = |key: &str, found: f32, low: f32, high: f32| {
        if (low..=high).contains(&found) {
            Ok(())
        } else {
            Err(wrong(format!("`{key}` is {found}, allowed are {low} to {high}")))
        }
    };
    if let Lambda::Fixed(fixed) = settings.lambda {
        range("lambda.fixed", fixed, 1e-4, 1.0)?;
    }
    range("lambda_floor", settings.lambda_floor, 1e-4, 1.0)?;
    range("lambda_fallback", settings.lambda_fallback, 1e-4, 1.0)?;
    range("gap_tolerance", settings.gap_tolerance, 1e-6, 1.0)?;
    if !(1..=ITERATIONS_MAX).contains(&settings.max_iterations) {
        return Err(wrong(format!(
            "`max_iterations` is {}, allowed are 1 to {ITERATIONS_MAX}",
            settings.max_iterations
        )));
    }
    Ok(settings)
}

fn lambda<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Lambda>, D::Error> {
    struct Visitor;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fixed {
        fixed: f32,
    }

    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Lambda;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("\"noise\" or a table like { fixed = 0.05 }")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Lambda, E> {
            if name == "noise" {
                Ok(Lambda::Noise)
            } else {
                Err(E::invalid_value(de::Unexpected::Str(name), &self))
            }
        }

        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Lambda, A::Error> {
            let table = Fixed::deserialize(de::value::MapAccessDeserializer::new(map))?;
            Ok(Lambda::Fixed(table.fixed))
        }
    }

    from.deserialize_any(Visitor).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, expected: &str) {
        let message = parse(text, Settings::default()).unwrap_err().message.to_string();
        assert!(message.contains(expected), "{text:?} gave {message:?}");
    }

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(parse("", Settings::default()), Ok(Settings::default()));
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            method = "ista"
            lambda = { fixed = 0.05 }
            lambda_floor = 0.002
            lambda_fallback = 0.2
            gap_tolerance = 1e-4
            max_iterations = 100
            warm_start = false
        "#;
        let expected = Settings {
            method: Method::Ista,
            lambda: Lambda::Fixed(0.05),
            lambda_floor: 0.002,
            lambda_fallback: 0.2,
            gap_tolerance: 1e-4,
            max_iterations: 100,
            warm_start: false,
        };
        assert_eq!(parse(text, Settings::default()), Ok(expected));
        assert_eq!(parse("lambda = \"noise\"", expected).unwrap().lambda, Lambda::Noise);
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused("iterations = 5", "unknown field `iterations`, expected one of `method`");
        refused(
            "method = \"lasso\"",
            "unknown variant `lasso`, expected one of `ista`, `fista`, `admm`, `working-set`",
        );
        refused(
            "lambda = \"noisy\"",
            "expected \"noise\" or a table like { fixed = 0.05 }",
        );
        refused("lambda = { fixd = 1 }", "unknown field `fixd`");
        refused(
            "lambda = { fixed = 2.0 }",
            "`lambda.fixed` is 2, allowed are 0.0001 to 1",
        );
        refused("gap_tolerance = nan", "`gap_tolerance` is NaN");
        refused("max_iterations = 0", "`max_iterations` is 0, allowed are 1 to 100000");
        refused("max_iterations = -1", "max_iterations");
    }
}
