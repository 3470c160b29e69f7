import EttinFiles
import EttinJSON

/// The columns of a shard, in the order in which samples hold them.
package struct MDSSchema: Hashable, Sendable {
    /// One column.
    package struct Column: Hashable, Sendable {
        /// The name.
        package let name: String
        /// How its values become bytes.
        package let encoding: MDSEncoding
        let fixedByteCount: Int?

        init(_ name: String, _ encoding: MDSEncoding) {
            self.name = name
            self.encoding = encoding
            fixedByteCount = encoding.fixedByteCount
        }

        /// Compares names by bytes.
        package static func == (left: Column, right: Column) -> Bool {
            ExactName(left.name) == ExactName(right.name) && left.encoding == right.encoding
        }

        /// Feeds name and encoding to a hasher in agreement with `==`.
        package func hash(into hasher: inout Hasher) {
            hasher.combine(ExactName(name))
            hasher.combine(encoding)
        }
    }

    /// The columns.
    package let columns: [Column]

    /// Creates a schema for writing: columns are ordered by name.
    ///
    /// - Parameter columns: Names and encodings in any order.
    /// - Throws: `CorpusError` when there is no column or a name occurs twice.
    package init(_ columns: [(name: String, encoding: MDSEncoding)]) throws {
        let sorted = columns.sorted { ExactName($0.name) < ExactName($1.name) }
        for (left, right) in zip(sorted, sorted.dropFirst()) where ExactName(left.name) == ExactName(right.name) {
            throw CorpusError(.invalidOption, file: "columns", item: shown(left.name), found: "occurs twice")
        }
        guard !sorted.isEmpty else {
            throw CorpusError(.invalidOption, file: "columns", found: "are empty", expected: "at least one")
        }
        self.init(inFileOrder: sorted.map { Column($0.name, $0.encoding) })
    }

    /// Keeps the order of a file, which need not be sorted.
    init(inFileOrder columns: [Column]) {
        self.columns = columns
    }

    /// The position of a column; nil when there is none of that name.
    ///
    /// - Parameter name: The name, compared by bytes.
    /// - Returns: The position in `columns`.
    package func position(of name: String) -> Int? {
        columns.firstIndex { ExactName($0.name) == ExactName(name) }
    }

    /// The most samples that a shard of so many bytes can hold: each has an offset, and what its columns take at least.
    func mostSamples(inShardOf byteCount: Int) -> Int {
        // A value whose size is its own has 4 bytes of length.
        let sampleBytes = columns.map { $0.fixedByteCount ?? 4 }.checkedSum() ?? .max
        // Behind the number of samples stands one offset more than there are samples.
        return max(0, byteCount - 8) / max(1, sampleBytes.adding(checked: 4) ?? .max)
    }

    /// The members that shards and `index.json` use for the columns.
    var members: [(String, JSONValue)] {
        [
            ("column_encodings", .array(columns.map { .string($0.encoding.name) })),
            ("column_names", .array(columns.map { .string($0.name) })),
            ("column_sizes", .array(columns.map { $0.fixedByteCount.map { JSONValue($0) } ?? .null })),
        ]
    }

    /// Appends the bytes of a sample, whose values are in the order of the columns.
    func encode(_ values: [MDSValue], into bytes: inout [UInt8]) throws(MDSSampleFault) {
        guard values.count == columns.count else {
            throw MDSSampleFault(column: nil, found: "has \(values.count) values", expected: "\(columns.count)")
        }
        let start = bytes.count
        let variableCount = columns.count { $0.fixedByteCount == nil }
        bytes += repeatElement(0, count: 4 * variableCount)
        var lengthPosition = start
        for (column, value) in zip(columns, values) {
            let valueStart = bytes.count
            do {
                try column.encoding.encode(value, into: &bytes)
            } catch {
                throw MDSSampleFault(column: column.name, found: error.found, expected: error.expected)
            }
            guard column.fixedByteCount == nil else { continue }
            let count = bytes.count - valueStart
            guard let stored = UInt32(exactly: count) else {
                throw MDSSampleFault(column: column.name, found: "has \(count) bytes", expected: "less than 4 GiB")
            }
            for (index, byte) in stored.littleEndianBytes.enumerated() { bytes[lengthPosition + index] = byte }
            lengthPosition += 4
        }
    }
}

/// What is wrong with a sample; the caller adds file and position.
struct MDSSampleFault: Error {
    let column: String?
    let found: String
    let expected: String
}
