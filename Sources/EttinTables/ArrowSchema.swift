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
    /// Named parts, which are read as JSON alone.
    case structure([ArrowColumn])
    /// What is not read.
    case other
}

/// A column of an Arrow schema, or a part of one.
struct ArrowColumn: Sendable {
    let name: String
    let type: ArrowType
    /// The number of its node among those of a record batch, and of its first buffer.
    let node: Int
    let buffer: Int

    /// The columns of a schema, and how many nodes and buffers a record batch has.
    static func all(_ schema: FlatTable) throws -> (columns: [ArrowColumn], nodeCount: Int, bufferCount: Int) {
        guard try schema.integer(0, default: Int16(0)) == 0 else {
            throw ArrowFailure(.unsupported, "is big-endian", expected: "a little-endian file")
        }
        var counter = Counter()
        let columns = try schema.tables(1).map { try ArrowColumn($0, &counter, depth: 0) }
        return (columns, counter.node, counter.buffer)
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
        case 13: type = .structure(children)
        case 4, 7...11, 15, 17...19: type = .other
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
        case .structure, .other: .other
        }
    }
}
