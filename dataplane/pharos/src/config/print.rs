//! `pharos config`: the default configuration as commented TOML.

use super::schema::Section;
use super::settings::{Settings, for_each_table};

/// The values of `settings` with the documentation of each; what is unset stands as a comment.
pub(crate) fn print(settings: &Settings) -> String {
    let mut out = String::from(
        "# Configuration of Pharos: every parameter with its default. Leave out what you do not\n\
         # change. Times are seconds unless a parameter says otherwise. A row is the number of\n\
         # the parameter in the feature inventory of the modules that Pharos replaces.\n",
    );
    section(&mut out, None, &settings.server);
    macro_rules! tables {
        ($($table:ident: $type:ident),*) => {
            $(section(&mut out, Some(stringify!($table)), &settings.$table);)*
        };
    }
    for_each_table!(tables);
    out
}

fn section<S: Section>(out: &mut String, table: Option<&str>, values: &S) {
    if let Some(name) = table {
        out.push('\n');
        comment(out, S::ABOUT);
        out.push_str(&format!("[{name}]\n"));
    }
    for (field, value) in S::FIELDS.iter().zip(values.show()) {
        out.push('\n');
        comment(out, field.doc);
        if let Some(why) = field.inert {
            out.push_str(&format!("# No effect: {why}.\n"));
        }
        match (value, field.example) {
            (Some(value), _) => out.push_str(&format!("{} = {value}\n", field.name)),
            (None, example) => {
                out.push_str(&format!("# {} = {}\n", field.name, example.unwrap_or("...")));
            }
        }
    }
}

fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        out.push_str(&format!("#{line}\n"));
    }
}
