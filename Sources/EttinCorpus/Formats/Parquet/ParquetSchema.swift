/// A column of a Parquet file, at the lowest level of nesting.
package struct ParquetColumn: Hashable, Sendable {
    /// The names from the outermost to the innermost, with dots between them.
    package let path: String
    /// The physical type by its name in the format, such as `BYTE_ARRAY`.
    package let type: String
    /// Whether the column is declared as text.
    package let isText: Bool
}

/// A lowest element of the schema with what is needed to decode its values.
struct ParquetLeaf: Sendable {
    /// The position among all columns of the file.
    let index: Int
    let path: [String]
    let type: ParquetPhysicalType
    /// The bytes of a value of fixed length.
    let typeLength: Int
    let annotation: ParquetSchemaElement.Annotation
    let definitionLevel: Int
    let repetitionLevel: Int

    var name: String { path.joined(separator: ".") }
}

/// An element of the schema as a tree.
struct ParquetNode: Sendable {
    indirect enum Content: Sendable {
        case leaf(ParquetLeaf)
        case structure([ParquetNode])
        /// A list that is never null by itself, around its elements.
        case list(ParquetNode)
    }

    let name: String
    let content: Content
    /// The definition level from which on this element is there.
    let definitionLevel: Int
    /// The repetition level of another element of the list that this is.
    let repetitionLevel: Int
    /// Whether the only child is shown in place of a structure around it.
    let isTransparent: Bool
}

/// The schema of a file.
struct ParquetSchema: Sendable {
    private static let deepest = 32

    private(set) var fields: [ParquetNode] = []
    private(set) var leaves: [ParquetLeaf] = []

    /// Builds the tree from the list that the footer has.
    init(_ elements: [ParquetSchemaElement]) throws {
        guard let root = elements.first, let count = root.childCount, root.type == nil else {
            throw ParquetFailure("has a schema without a root")
        }
        var position = 1
        fields = try (0..<max(0, min(count, elements.count))).map { _ in
            try node(elements, &position, inside: [], definition: 0, repetition: 0, listName: nil)
        }
        guard position == elements.count, fields.count == count else {
            throw ParquetFailure("has a schema of \(elements.count) elements, of which \(position) belong to the root")
        }
    }

    private mutating func node(
        _ elements: [ParquetSchemaElement],
        _ position: inout Int,
        inside parents: [String],
        definition: Int,
        repetition: Int,
        listName: String?
    ) throws -> ParquetNode {
        guard position < elements.count, parents.count < Self.deepest else {
            let isDeep = parents.count >= Self.deepest
            throw ParquetFailure("has a schema that \(isDeep ? "is nested too deep" : "is cut off")")
        }
        let element = elements[position]
        position += 1
        guard (0...2).contains(element.repetition) else {
            throw ParquetFailure(
                "has the repetition \(element.repetition) at \(shown(element.name))",
                expected: "0 to 2"
            )
        }
        let isRepeated = element.repetition == 2
        let definition = definition + (element.repetition == 0 ? 0 : 1)
        let repetition = repetition + (isRepeated ? 1 : 0)
        let path = parents + [element.name]
        let content: ParquetNode.Content
        if let rawType = element.type {
            guard let type = ParquetPhysicalType(rawValue: rawType) else {
                throw ParquetFailure(
                    .unsupported,
                    "has the unknown physical type \(rawType) at \(shown(element.name))",
                    expected: "a type from 0 to 7"
                )
            }
            let length = type == .fixedLengthByteArray ? element.typeLength ?? 0 : 0
            guard type != .fixedLengthByteArray || length > 0 else {
                throw ParquetFailure("has values of \(length) bytes at \(shown(element.name))")
            }
            let leaf = ParquetLeaf(
                index: leaves.count,
                path: path,
                type: type,
                typeLength: length,
                annotation: element.annotation,
                definitionLevel: definition,
                repetitionLevel: repetition
            )
            leaves.append(leaf)
            content = .leaf(leaf)
        } else {
            guard let count = element.childCount, count > 0 else {
                throw ParquetFailure("has neither type nor children at \(shown(element.name))")
            }
            var children: [ParquetNode] = []
            // A count beyond the schema ends at its end.
            while children.count < count {
                let child = try node(
                    elements,
                    &position,
                    inside: path,
                    definition: definition,
                    repetition: repetition,
                    listName: element.annotation == .list ? element.name : nil
                )
                children.append(child)
            }
            content = .structure(children)
        }
        let inner = ParquetNode(
            name: element.name,
            content: content,
            definitionLevel: definition,
            repetitionLevel: repetition,
            isTransparent: Self.wrapsRepeated(element, content)
                || isRepeated && Self.wrapsElement(element, content, listName: listName)
        )
        guard isRepeated else { return inner }
        return ParquetNode(
            name: element.name,
            content: .list(inner),
            definitionLevel: definition,
            repetitionLevel: repetition,
            isTransparent: false
        )
    }

    /// Whether an element is a list or map in the three-level form, whose one child is the repeated element.
    private static func wrapsRepeated(_ element: ParquetSchemaElement, _ content: ParquetNode.Content) -> Bool {
        guard element.annotation == .list || element.annotation == .map, case .structure(let children) = content,
            children.count == 1, case .list = children[0].content
        else { return false }
        return true
    }

    /// Whether a repeated element of a list is only a wrapper of the list's elements, which it is not in the forms that
    /// older writers have.
    private static func wrapsElement(
        _ element: ParquetSchemaElement,
        _ content: ParquetNode.Content,
        listName: String?
    ) -> Bool {
        guard let listName, case .structure(let children) = content, children.count == 1 else { return false }
        if case .list = children[0].content { return false }
        return element.name != "array" && element.name != listName + "_tuple"
    }

    /// The nodes from an outermost field down to the one that a dotted path names; nil when there is none.
    func find(_ path: String) -> [ParquetNode]? { Self.find(path[...], in: fields) }

    private static func find(_ path: Substring, in nodes: [ParquetNode]) -> [ParquetNode]? {
        for node in nodes {
            // Names may have dots themselves.
            if path.utf8.elementsEqual(node.name.utf8) { return [node] }
            guard path.utf8.starts(with: "\(node.name).".utf8) else { continue }
            guard case .structure(let children) = node.content, !node.isTransparent else { continue }
            let rest = path.utf8.index(path.startIndex, offsetBy: node.name.utf8.count + 1)
            if let found = find(path[rest...], in: children) { return [node] + found }
        }
        return nil
    }
}
