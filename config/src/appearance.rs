//! How the pages look: the folder that overlays the built-in templates, and the logo.
//! Both are read here, so that a missing or wrong file is a problem at its key. What may
//! not come in: what a template means; the gateway reads it.

use crate::{
    load::Surroundings,
    problem::{At, Book},
    section::Field,
};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A file of `[login] templates`.
#[derive(Clone, Debug)]
pub struct Template {
    /// `login.html`
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// `[login] logo`
#[derive(Clone)]
pub struct Logo {
    /// What the file's first bytes say it is.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

/// A template is shorter than this.
const LARGEST_TEMPLATE: u64 = 256 * 1024;

/// The logo stands in every page, so it has to be small.
const LARGEST_LOGO: u64 = 64 * 1024;

/// The templates of a folder: `style.css` and what ends in `.html`, in the order of their
/// names. Folders in it and other files are the operator's own.
pub(crate) fn templates(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Vec<Template> {
    let Some(text) = field.text(book) else { return Vec::new() };
    let folder = around.folder_at(field.at()).join(text);
    let mut names = match names(&folder) {
        Ok(names) => names,
        Err(error) => {
            let message = format!("{}: {} cannot be read: {error}", field.label(), folder.display());
            book.refuse_with(field.at(), message, "name a folder with the templates that replace ours");
            return Vec::new();
        }
    };
    names.sort();
    names.into_iter().filter_map(|name| template(&folder, name, field.at(), book)).collect()
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_template(&name) && folder.join(&name).is_file() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Pages, the style sheet, and the mails that are text.
fn is_template(name: &str) -> bool {
    name.ends_with(".html") || name == "style.css" || (name.starts_with("mail_") && name.ends_with(".txt"))
}

fn template(folder: &Path, name: String, at: &At, book: &mut Book<'_>) -> Option<Template> {
    let path = folder.join(&name);
    let text = match bounded(&path, LARGEST_TEMPLATE) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned()),
        Err(why) => Err(why),
    };
    match text {
        Ok(text) => Some(Template { name, path, text }),
        Err(why) => {
            book.refuse(at, format!("[login] templates: {} {why}", path.display()));
            None
        }
    }
}

/// The logo, if it is an image of a kind that every browser shows.
pub(crate) fn logo(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<Logo> {
    let path = around.folder_at(field.at()).join(field.text(book)?);
    let shown = path.display();
    let bytes = match bounded(&path, LARGEST_LOGO) {
        Ok(bytes) => bytes,
        Err(why) => {
            book.refuse(field.at(), format!("{}: {shown} {why}", field.label()));
            return None;
        }
    };
    let Some(content_type) = content_type(&bytes) else {
        let message = format!("{}: {shown} is no image that browsers show", field.label());
        book.refuse_with(field.at(), message, "name a file in SVG, PNG, JPEG or WebP");
        return None;
    };
    Some(Logo { content_type, bytes })
}

/// By the first bytes, not by the name: that is what a browser goes by.
fn content_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => {
            let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim_start();
            let xml = ["<svg", "<?xml", "<!--", "<!DOCTYPE svg"].iter().any(|start| text.starts_with(start));
            (xml && text.contains("<svg")).then_some("image/svg+xml")
        }
    }
}

/// A whole file, or what is wrong with it.
fn bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    // A pipe would be waited for.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(format!("is larger than {} KiB", most / 1024));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        assert_eq!(content_type(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(content_type(b"\xff\xd8\xff\xe0.."), Some("image/jpeg"));
        assert_eq!(content_type(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some("image/webp"));
        for svg in ["<svg xmlns='x'/>", "\u{feff} <?xml version='1.0'?><svg/>", "<!-- mine -->\n<svg/>"] {
            assert_eq!(content_type(svg.as_bytes()), Some("image/svg+xml"), "{svg}");
        }
        for other in [&b""[..], b"GIF89a", b"<html><svg>", b"<?xml?><html/>", b"\x89PNG", b"\xff\xfe<svg"] {
            assert_eq!(content_type(other), None, "{other:?}");
        }
    }
}
