//! The OpenMetrics text form: families with their type and help, samples with escaped
//! labels, an end. What may not come in: what is measured.

use std::fmt::{Display, Write};

/// A report in the making.
#[derive(Default)]
pub(super) struct Text(String);

/// The media type of the form.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Text {
    /// Opens a family. All its samples follow before the next one.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# TYPE {name} {kind}\n"));
        if let Some((_, unit)) = name.rsplit_once('_').filter(|(_, unit)| *unit == "seconds") {
            self.put(format_args!("# UNIT {name} {unit}\n"));
        }
        self.put(format_args!("# HELP {name} {help}\n"));
    }

    /// One sample; the name with its suffix.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.put(format_args!("{name}"));
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.put(format_args!("{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' }));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{close} {value}\n"));
    }

    /// The whole.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }

    fn put(&mut self, piece: std::fmt::Arguments<'_>) {
        self.0.write_fmt(piece).expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_a_unit_is_named() {
        let mut text = Text::default();
        text.family("x_seconds", "gauge", "How long");
        text.sample("x_seconds", &[("a", "q\"b\\c\nd"), ("b", "")], 1.5);
        assert_eq!(
            text.end(),
            "# TYPE x_seconds gauge\n# UNIT x_seconds seconds\n# HELP x_seconds How long\n\
             x_seconds{a=\"q\\\"b\\\\c\\nd\",b=\"\"} 1.5\n# EOF\n"
        );
    }
}
