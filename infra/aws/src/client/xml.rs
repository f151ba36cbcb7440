//! Answers in XML, read once into a small tree. Namespaces and attributes say nothing here and are dropped.

/// Elements inside of each other, most.
const DEPTH_MAX: usize = 64;
/// Nodes of one document, most: a stack with its 500 resources has about ten thousand.
const NODES_MAX: u32 = 200_000;

/// An element, with what stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xml {
    /// Its name, without a namespace.
    pub name: String,
    /// The text directly in it.
    pub text: String,
    /// The elements in it, in order.
    pub children: Vec<Xml>,
}

impl Xml {
    /// Reads a document; gives its outermost element.
    pub fn parse(text: &str) -> Result<Self, String> {
        let options = roxmltree::ParsingOptions { nodes_limit: NODES_MAX, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(text, options)
            .map_err(|error| format!("the answer is not XML: {error}"))?;
        element(document.root_element(), DEPTH_MAX)
    }

    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at a path below it, such as `AssumeRoleResult/Credentials`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| element.child(name))
    }

    /// The text at a path below it.
    pub fn text_of(&self, path: &str) -> Option<String> {
        self.at(path).map(|element| element.text.clone())
    }

    /// The elements `member` of the list at a path below it; none when it is not there.
    pub fn members(&self, path: &str) -> impl Iterator<Item = &Self> {
        let list = self.at(path).map(|list| list.children.as_slice()).unwrap_or_default();
        list.iter().filter(|child| child.name == "member")
    }
}

fn element(node: roxmltree::Node<'_, '_>, depth: usize) -> Result<Xml, String> {
    if depth == 0 {
        return Err(format!("the answer is nested deeper than {DEPTH_MAX} elements"));
    }
    let children = node.children().filter(roxmltree::Node::is_element);
    Ok(Xml {
        name: node.tag_name().name().to_owned(),
        text: node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect(),
        children: children.map(|child| element(child, depth - 1)).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_walked_by_paths() {
        let xml = Xml::parse(
            "<R xmlns=\"urn:x\"><A><B>one &lt; two</B><L><member>1</member><x/><member>2</member></L></A></R>",
        )
        .unwrap();
        assert_eq!(xml.text_of("A/B").as_deref(), Some("one < two"));
        assert_eq!(xml.text_of("A/C"), None);
        assert_eq!(xml.members("A/L").map(|member| member.text.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(xml.members("nowhere").count(), 0);
    }

    #[test]
    fn what_is_none_or_too_deep_is_refused() {
        assert!(Xml::parse("<html>").is_err());
        assert!(Xml::parse(&format!("{}{}", "<a>".repeat(65), "</a>".repeat(65))).is_err());
        assert!(Xml::parse(&format!("{}{}", "<a>".repeat(64), "</a>".repeat(64))).is_ok());
    }
}
