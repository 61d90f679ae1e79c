//! The bounded XML reader: what it gives and what it refuses.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;

fn reason(document: &str) -> Option<(XmlReason, usize)> {
    read(document.as_bytes()).err().map(|error| (error.reason, error.offset))
}

#[test]
fn what_is_refused_and_where() {
    assert_eq!(reason("<a><b/></a>"), None);
    assert_eq!(reason("\u{feff}<a/>"), None);
    assert_eq!(reason("<!DOCTYPE a><a/>"), Some((XmlReason::Dtd, 0)));
    let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>";
    assert_eq!(reason(bomb), Some((XmlReason::Dtd, 0)));
    assert_eq!(reason("<a>&b;</a>").map(|(reason, _)| reason), Some(XmlReason::Entity));
    assert_eq!(reason("<a>&lt;&#x41;&quot;&apos;&amp;&gt;</a>"), None);
    assert_eq!(reason("<a>\n<p:b/></a>"), Some((XmlReason::Namespace, 5)));
    for name in [":b", "b:", "b:c:d"] {
        let document = alloc::format!("<a xmlns:b='u'><{name}/></a>");
        assert_eq!(reason(&document), Some((XmlReason::Namespace, 15)), "{name}");
        let attribute = alloc::format!("<a {name}=''/>");
        assert_eq!(reason(&attribute).map(|(reason, _)| reason), Some(XmlReason::Namespace));
    }
    for forbidden in ["xmlns='u' xmlns='v'", "xmlns:p=''", "xmlns:xmlns='u'", "xmlns:xml='u'"] {
        let document = alloc::format!("<a {forbidden}/>");
        assert_eq!(reason(&document).map(|(reason, _)| reason), Some(XmlReason::Namespace));
    }
    assert_eq!(reason("<a><b></a></b>").map(|(reason, _)| reason), Some(XmlReason::Malformed));
    for broken in ["", "text", "<a", "<a b='>", "<a><!-- </a>", "</a>", "<a/><a/>", "<a><![CDATA["]
    {
        assert_eq!(
            reason(broken).map(|(reason, _)| reason),
            Some(XmlReason::Malformed),
            "{broken}"
        );
    }
    assert_eq!(read(b"<a>\xff</a>").err().unwrap().reason, XmlReason::NotUtf8);
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| ["<a>".repeat(depth), "</a>".repeat(depth)].concat();
    assert_eq!(reason(&nested(MAX_DEPTH)), None);
    let deepest = MAX_DEPTH * 3;
    assert_eq!(reason(&nested(MAX_DEPTH + 1)), Some((XmlReason::TooDeep, deepest)));
    let many = ["<a>", &"<b/>".repeat(MAX_ELEMENTS), "</a>"].concat();
    assert_eq!(reason(&many).unwrap().0, XmlReason::TooManyElements);
    let comments = ["<a>", &"<!---->x".repeat(8_100), "</a>"].concat();
    assert_eq!(reason(&comments), None, "comments of a whole datagram");
    let attributes: Vec<String> =
        (0..=MAX_ATTRIBUTES).map(|n| alloc::format!(" a{n}='<'")).collect();
    let wide = ["<a", &attributes.concat(), "/>"].concat();
    assert_eq!(reason(&wide).unwrap().0, XmlReason::TooManyAttributes);
    let declaring = ["<a>", &"<b xmlns:x='y'/>".repeat(MAX_DECLARATIONS + 1), "</a>"].concat();
    assert_eq!(reason(&declaring).unwrap().0, XmlReason::TooManyDeclarations);
    let long = ["<a>", &" ".repeat(MAX_LENGTH), "</a>"].concat();
    assert_eq!(reason(&long), Some((XmlReason::TooLong, MAX_LENGTH)));
}

/// Style rule 12, issue section 2: hostile shapes of 64 KiB. Work is counted, not timed: the
/// scanner makes one step for each piece of markup, and no piece overlaps another.
#[test]
fn hostile_shapes_cost_linear_steps() {
    let half = MAX_LENGTH / 2;
    let shapes = [
        "<".repeat(MAX_LENGTH),
        "<a>".repeat(MAX_LENGTH / 3),
        "<a ".repeat(MAX_LENGTH / 3),
        "<!--".repeat(MAX_LENGTH / 4),
        ["<a b=\"", &"'".repeat(half), "\" "].concat(),
        ["<a>", &"&".repeat(half), "</a>"].concat(),
        ["<a>", &"<![CDATA[]]>".repeat(half / 12), "</a>"].concat(),
        ["<a>", &"]]>".repeat(half / 3), "</a>"].concat(),
    ];
    for shape in &shapes {
        let mut scanner = Scanner::new(shape);
        let mut steps = 0;
        while let Ok(Some(_)) = scanner.next_markup() {
            steps += 1;
        }
        assert!(steps <= shape.len() / 3, "{steps} steps");
        let _ = read(shape.as_bytes());
        let _ = Outline::read(shape.as_bytes());
        assert!(unescape(shape).len() <= shape.len());
    }
}

#[test]
fn text_is_escaped_and_back() {
    let all = "a<b>&\"'\tc\r\n\u{e9}\u{1f600}";
    let mut out = Vec::new();
    escape(all, &mut out);
    let written = String::from_utf8(out).unwrap();
    assert_eq!(written, "a&lt;b&gt;&amp;&quot;&apos;&#9;c&#13;&#10;\u{e9}\u{1f600}");
    assert_eq!(unescape(&written), all);
    assert_eq!(unescape("&#x41;&#66;&bogus;&#xD800;&; &"), "AB&bogus;&#xD800;&; &");
    let mut out = Vec::new();
    escape("\0\u{b}\u{ffff}", &mut out);
    assert_eq!(out, "\u{fffd}\u{fffd}\u{fffd}".as_bytes());
}

#[test]
fn attributes_are_found_by_place() {
    let text = "<?xml version='1.0'?><!-- <x> --><p:a b = 'c>d' xmlns:p=\"u\" e=\"\"/>";
    let tag = Outline::root_tag(text).unwrap();
    assert_eq!((tag.name, tag.empty, tag.split_name()), ("p:a", true, ("p", "a")));
    let found: Vec<_> = tag.attributes().map(|a| (a.name, a.value)).collect();
    assert_eq!(found, [("b", "c>d"), ("xmlns:p", "u"), ("e", "")]);
    let b = tag.attribute("b").unwrap();
    assert_eq!(text.get(b.value_at..b.value_at + b.value.len()), Some("c>d"));
    assert_eq!(text.get(tag.start..tag.end), text.get(text.find("<p:a").unwrap()..));
}

#[test]
fn an_outline_is_one_level_deep() {
    let text = "<a xmlns='u'> <b/><!-- <c/> --><d x='1'><d/></d><![CDATA[<e/>]]> tail</a>\n";
    let outline = Outline::read(text.as_bytes()).unwrap();
    let children: Vec<_> = outline.children.iter().map(|child| outline.text_of(child)).collect();
    assert_eq!(children, ["<b/>", "<d x='1'><d/></d>"]);
    assert!(outline.content().ends_with(" tail"));
    let first = outline.children.first().unwrap();
    assert_eq!(outline.local_name(first, "u"), Some("b"));
    assert_eq!(outline.local_name(first, "v"), None);
}

/// C121: a copied element means the same in its new place, whatever prefixes the two documents
/// bind.
#[test]
fn copies_carry_their_namespaces() {
    let source = "<r xmlns='u1' xmlns:p='u2' xmlns:q='u3' xmlns:un='u4'>\
        <p:x q:y='1'/><z xmlns='u5' p:v=''/><w/></r>";
    let outline = Outline::read(source.as_bytes()).unwrap();
    let copy = |place: usize, target: &[(&str, &str)]| {
        let mut out = Vec::new();
        outline.copy_child(outline.children.get(place).unwrap(), target, &mut out);
        String::from_utf8(out).unwrap()
    };
    let same = [("", "u1"), ("p", "u2"), ("q", "u3")];
    assert_eq!(copy(0, &same), "<p:x q:y='1'/>");
    let other = [("", "u1"), ("p", "other")];
    assert_eq!(copy(0, &other), "<p:x xmlns:p=\"u2\" xmlns:q=\"u3\" q:y='1'/>");
    assert_eq!(copy(1, &other), "<z xmlns:p=\"u2\" xmlns='u5' p:v=''/>");
    assert_eq!(copy(2, &[("", "else")]), "<w xmlns=\"u1\"/>");
}

/// C121: no default namespace in the source stays none under a target that has one.
#[test]
fn copies_keep_having_no_namespace() {
    let outline = Outline::read(b"<p:r xmlns:p='u'><x/></p:r>").unwrap();
    let mut out = Vec::new();
    let child = outline.children.first().unwrap();
    outline.copy_child(child, &[("", "u")], &mut out);
    assert_eq!(out, b"<x xmlns=\"\"/>");
}

/// Elements as both readers tell them: depth, namespace, local name, the attribute `id`.
type Told = Vec<(usize, String, String, Option<String>)>;

/// What the plain reader says, when it says anything.
fn plain(text: &str) -> Option<Told> {
    let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut reader = plain::Plain::new(text.as_bytes())?;
    let (mut told, mut depth) = (Vec::new(), 0);
    loop {
        match reader.next()? {
            plain::Step::Open(element) => {
                depth += 1;
                assert_eq!(depth, element.depth);
                let (namespace, local) = (owned(element.namespace), owned(element.local));
                told.push((depth, namespace, local, element.attribute("id").map(owned)));
            }
            plain::Step::Close(closed) => {
                assert_eq!(depth, closed);
                depth -= 1;
            }
            plain::Step::End => return Some(told),
        }
    }
}

/// What the tree says.
fn tree(text: &str) -> Result<Told, XmlError> {
    let document = read(text.as_bytes())?;
    let elements = document.descendants().filter(roxmltree::Node::is_element);
    let tell = |node: roxmltree::Node<'_, '_>| {
        let (depth, name) = (node.ancestors().count() - 1, node.tag_name());
        let namespace = name.namespace().unwrap_or_default().into();
        (depth, namespace, name.name().into(), node.attribute("id").map(String::from))
    };
    Ok(elements.map(tell).collect())
}

const PLAIN: [&str; 7] = [
    "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n<a xmlns='u' id='1'>t</a>\r\n",
    "<?xml version=\"1.0\"?><p:a xmlns:p='u' p:z='0' id=\"it's\"><b/>\u{e9}<p:c id = '' /></p:a>",
    "<a xmlns='u' xmlns:p='v'><p:b xmlns='w'><c/></p:b><c p:id='' xml:lang='en'/>&amp;'\"</a>",
    "<a.-_1 xmlns:x='u'><x:b xmlns:x='v'><x:c/></x:b><x:b/></a.-_1>",
    "<a xmlns:p='u' xmlns:q='u'><b p:c='1' q:d='2' e='3' id='4'/> </a>",
    "<a><b><c><d/></c></b>\t<e f='>'/></a>",
    "<a id='\u{20ac}' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:b='c'/>",
];

/// Pieces that turn a plain document into something else.
const PIECES: [&str; 35] = [
    "<",
    ">",
    "/",
    "</",
    "/>",
    "=",
    "'",
    "\"",
    "&",
    ";",
    ":",
    " ",
    "\n",
    "\0",
    "]]>",
    "&lt;",
    "&#9;",
    "&b;",
    "<!-- -->",
    "<![CDATA[]]>",
    "<?p?>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE a>",
    " id='5'",
    " xmlns='v'",
    " xmlns:p='v'",
    " xmlns:p=''",
    " xmlns:xml='v'",
    " p:c='6'",
    " p:id='7'",
    "p:",
    "xmlns:",
    " xmlns:r='http://www.w3.org/XML/1998/namespace'",
    "\u{feff}",
    "\u{ffff}",
];

/// Where the plain reader says anything, the tree says the same.
#[test]
fn plain_documents_are_read_alike() {
    for text in PLAIN {
        let told = plain(&text.replace(" = ", "=").replace("f='>'", ""));
        assert!(told.is_some(), "{text}");
    }
    for text in PLAIN {
        let places = || (0..=text.len()).filter(|at| text.is_char_boundary(*at));
        let mut broken = Vec::new();
        for at in places() {
            let (head, tail) = text.split_at(at);
            broken.extend(PIECES.map(|piece| [head, piece, tail].concat()));
            // Without the next bytes, and with some of them twice.
            for end in places().filter(|end| *end > at && *end <= at + 24) {
                broken.push([head, &text[end..]].concat());
                broken.push([&text[..end], tail].concat());
            }
        }
        for text in &broken {
            if let Some(told) = plain(text) {
                assert_eq!(Ok(told), tree(text), "{text}");
            }
        }
    }
}
