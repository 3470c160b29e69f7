/// What the values of an Arrow column are.
indirect enum ArrowType: Sendable {
    case null
    case boolean
    case integer(bits: Int, isSigned: Bool)
    /// A number of 2, 4 or 8 bytes.
    case real(byteCount: Int)
    case text(isLarge: Bool)
    case list(isLarge: Bool, ArrowColumn)
    case fixedList(count: Int, ArrowColumn)
    /// What is not read, with the parts below it and the bytes of a value where they are fixed.
    case other(ArrowColumn.Layout, [ArrowColumn])
}

/// A column of an Arrow schema, or a part of one.
struct ArrowColumn: Sendable {
    /// The buffers of what is not read.
    enum Layout: Sendable {
        /// Validity alone, as structures have it.
        case validity
        /// Validity and values.
        case fixed
        /// Validity and offsets, as maps have it.
        case offsets
        /// Validity, offsets and values.
        case variable

        var bufferCount: Int {
            switch self {
            case .validity: 1
            case .fixed, .offsets: 2
            case .variable: 3
            }
        }
    }

    let name: String
    let type: ArrowType
    /// The number of its node among those of a record batch, and of its first buffer.
    let node: Int
    let buffer: Int

    /// Reads the columns of a schema.
    static func all(_ schema: FlatTable) throws -> [ArrowColumn] {
        guard try schema.integer(0, default: Int16(0)) == 0 else {
            throw ArrowFailure(.unsupported, "is big-endian", expected: "a little-endian file")
        }
        var counter = Counter()
        return try schema.tables(1).map { try ArrowColumn($0, &counter, depth: 0) }
    }

    /// The numbers of the next node and buffer.
    private struct Counter {
        var node = 0
        var buffer = 0
    }

    private static let deepest = 32
    private static let most = 100_000

    private init(_ field: FlatTable, _ counter: inout Counter, depth: Int) throws {
        // Parts may be shared, and so be many more than the bytes that describe them.
        guard depth < Self.deepest, counter.node < Self.most else {
            throw ArrowFailure("has a schema of too many parts")
        }
        let name = try field.text(0) ?? ""
        self.name = name
        guard try !field.has(4) else {
            throw ArrowFailure(
                .unsupported,
                "has the dictionary-encoded column \(shown(name))",
                expected: "plain columns; save the data set with texts"
            )
        }
        node = counter.node
        buffer = counter.buffer
        counter.node += 1
        let kind = try field.integer(2, default: UInt8(0))
        let details = try field.table(3)
        var children: [ArrowColumn] = []
        let bufferCount =
            switch kind {
            case 1: 0
            case 13, 16: 1
            case 4, 5, 19, 20: 3
            default: 2
            }
        counter.buffer += bufferCount
        for child in try field.tables(5) { children.append(try ArrowColumn(child, &counter, depth: depth + 1)) }
        func only() throws -> ArrowColumn {
            guard children.count == 1 else {
                throw ArrowFailure("has the list \(shown(name)) of \(children.count) parts", expected: "one")
            }
            return children[0]
        }
        switch kind {
        case 1: type = .null
        case 2:
            let bits = try details?.integer(0, default: Int32(0)) ?? 0
            guard [8, 16, 32, 64].contains(bits) else {
                throw ArrowFailure("has whole numbers of \(bits) bits in \(shown(name))", expected: "8, 16, 32 or 64")
            }
            type = .integer(bits: Int(bits), isSigned: try details?.integer(1, default: UInt8(0)) != 0)
        case 3:
            let precision = try details?.integer(0, default: Int16(0)) ?? 0
            guard 0...2 ~= precision else {
                throw ArrowFailure("has numbers of precision \(precision) in \(shown(name))", expected: "0 to 2")
            }
            type = .real(byteCount: 2 << Int(precision))
        case 5, 20: type = .text(isLarge: kind == 20)
        case 6: type = .boolean
        case 12, 21: type = .list(isLarge: kind == 21, try only())
        case 16:
            let count = try details?.integer(0, default: Int32(0)) ?? 0
            guard count >= 0 else { throw ArrowFailure("has lists of \(count) values in \(shown(name))") }
            type = .fixedList(count: Int(count), try only())
        case 4, 19: type = .other(.variable, [])
        case 13: type = .other(.validity, children)
        case 17: type = .other(.offsets, children)
        case 7...11, 15, 18: type = .other(.fixed, [])
        default:
            throw ArrowFailure(
                .unsupported,
                "has the column \(shown(name)) of Arrow's type \(kind)",
                expected: "texts, numbers, Booleans or lists of those"
            )
        }
    }

    /// What a table says of the column.
    var kind: TableColumnKind {
        switch type {
        case .null: .null
        case .boolean: .boolean
        case .integer: .integer
        case .real: .real
        case .text: .text
        case .list, .fixedList: .list
        case .other: .other
        }
    }

    /// The numbers of all nodes and buffers of these columns.
    static func counts(_ columns: [ArrowColumn]) -> (nodes: Int, buffers: Int) {
        columns.reduce((0, 0)) { sum, column in
            let parts: [ArrowColumn]
            let buffers: Int
            switch column.type {
            case .null: (parts, buffers) = ([], 0)
            case .boolean, .integer, .real: (parts, buffers) = ([], 2)
            case .text: (parts, buffers) = ([], 3)
            case .list(_, let child): (parts, buffers) = ([child], 2)
            case .fixedList(_, let child): (parts, buffers) = ([child], 1)
            case .other(let layout, let children): (parts, buffers) = (children, layout.bufferCount)
            }
            let below = counts(parts)
            return (sum.nodes + 1 + below.nodes, sum.buffers + buffers + below.buffers)
        }
    }
}
