/// Puts the entries of columns together to the nested values that they were taken from.
///
/// > Source: Melnik et al., "Dremel: Interactive Analysis of Web-Scale Datasets", section 4.3.
struct ParquetAssembler {
    private indirect enum Content {
        case leaf(ParquetColumnReader)
        case structure([ParquetAssembler])
        /// With the reader of the elements, where these are plain values.
        case list(ParquetAssembler, plain: ParquetColumnReader?)
    }

    /// The most elements of a list, which is in memory whole; runs could promise any number of them in a few bytes.
    private static let longestList = 1 << 24

    private let name: String
    private let definitionLevel: Int
    private let repetitionLevel: Int
    private let isTransparent: Bool
    private let content: Content
    /// The readers of all columns below.
    private let readers: [ParquetColumnReader]

    /// Prepares reading all of a node.
    init(_ node: ParquetNode, _ open: (ParquetLeaf) throws -> ParquetColumnReader) throws {
        let content: Content
        let readers: [ParquetColumnReader]
        switch node.content {
        case .leaf(let leaf):
            readers = [try open(leaf)]
            content = .leaf(readers[0])
        case .structure(let children):
            let parts = try children.map { try ParquetAssembler($0, open) }
            readers = parts.flatMap(\.readers)
            content = .structure(parts)
        case .list(let element):
            let part = try ParquetAssembler(element, open)
            readers = part.readers
            content = .list(part, plain: part.plainReader)
        }
        self.init(node, content, readers, isTransparent: node.isTransparent)
    }

    /// Prepares reading the last of several nodes that lie within one another; the value stands for it alone.
    init(path: ArraySlice<ParquetNode>, _ open: (ParquetLeaf) throws -> ParquetColumnReader) throws {
        guard let node = path.first else { preconditionFailure("ParquetAssembler: a path has a node") }
        guard path.count > 1 else {
            try self.init(node, open)
            return
        }
        let part = try ParquetAssembler(path: path.dropFirst(), open)
        self.init(node, .structure([part]), part.readers, isTransparent: true)
    }

    private init(_ node: ParquetNode, _ content: Content, _ readers: [ParquetColumnReader], isTransparent: Bool) {
        name = node.name
        definitionLevel = node.definitionLevel
        repetitionLevel = node.repetitionLevel
        self.isTransparent = isTransparent
        self.content = content
        self.readers = readers
    }

    /// The reader of a node whose value is that of one column.
    private var plainReader: ParquetColumnReader? {
        switch content {
        case .leaf(let reader): reader
        case .structure(let parts) where isTransparent && parts.count == 1: parts[0].plainReader
        case .structure, .list: nil
        }
    }

    /// The value of the next row.
    func next() throws -> ParquetValue { try next(repetition: 0, definedTo: 0) }

    /// Checks that no row is left.
    func finish() throws {
        for reader in readers where try reader.peek() != nil {
            throw ParquetFailure("has more values than the row group has rows")
        }
    }

    /// The next value; its first entries must have this repetition level, and what is around it is there.
    private func next(repetition: Int, definedTo definition: Int) throws -> ParquetValue {
        switch content {
        case .leaf(let reader):
            _ = try level(reader, repetition, definition)
            return try reader.take() ?? .null
        case .structure(let parts):
            guard try level(readers[0], repetition, definition) >= definitionLevel else {
                try passAbsent(repetition, definition)
                return .null
            }
            if isTransparent { return try parts[0].next(repetition: repetition, definedTo: definitionLevel) }
            return .structure(
                try parts.map {
                    let value = try $0.next(repetition: repetition, definedTo: definitionLevel)
                    return ParquetValue.Field(name: $0.name, value: value)
                }
            )
        case .list(let element, let plain):
            guard try level(readers[0], repetition, definition) >= definitionLevel else {
                try passAbsent(repetition, definition)
                return .list([])
            }
            var values = [try element.next(repetition: repetition, definedTo: definitionLevel)]
            while true {
                // Lists of token ids are long: most of them at once.
                plain?.takeIntegers(repetition: repetitionLevel, into: &values)
                guard let next = try readers[0].peek(), next.repetition == repetitionLevel else { break }
                guard values.count <= Self.longestList else {
                    throw ParquetFailure(
                        .unsupported,
                        "has a list of more than \(Self.longestList) values",
                        expected: "shorter lists"
                    )
                }
                values.append(try element.next(repetition: repetitionLevel, definedTo: definitionLevel))
            }
            return .list(values)
        }
    }

    /// The definition level of the next entry, which must begin what is expected.
    private func level(_ reader: ParquetColumnReader, _ repetition: Int, _ definition: Int) throws -> Int {
        guard let next = try reader.peek() else { throw ParquetFailure("has fewer values than the row group has rows") }
        guard next.repetition == repetition, next.definition >= definition else {
            throw ParquetFailure(
                "has the levels \(next.repetition) and \(next.definition)",
                expected: "repetition \(repetition) and a definition of \(definition) or more"
            )
        }
        return next.definition
    }

    /// Passes over the one entry that each column has for what is not there.
    private func passAbsent(_ repetition: Int, _ definition: Int) throws {
        for reader in readers {
            guard try level(reader, repetition, definition) < definitionLevel else {
                throw ParquetFailure("has a value where the columns beside it have none")
            }
            _ = try reader.take()
        }
    }
}
