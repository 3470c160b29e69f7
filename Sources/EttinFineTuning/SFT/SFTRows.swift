package import EttinTables
import EttinTraining

/// Examples as token ids, and the rows that they make: one each, or several packed into one.
///
/// Ids of all examples lie in one array, with a flag for each that says whether it counts in the loss.
package struct SFTRows: TrainingRows {
    /// What messages call the data.
    package let name: String
    /// The name of the data set in the recipe; nil for the only one.
    package let dataset: String?
    /// The columns that were read.
    package let columnNames: [String]
    /// What is worth telling the user, a sentence each.
    package let warnings: [String]
    /// Rows are none of a table.
    package var table: (any TextTable)? { nil }

    private let tokens: SFTTokens
    /// Where the parts of each row are; see ``parts(ofRow:)``.
    private let parts: [Range<Int>]
    private let starts: [Int32]
    /// Where the rows come from: the first example of each.
    private let places: @Sendable (_ token: Int) -> String

    /// Takes examples.
    ///
    /// - Parameters:
    ///   - tokens: The token ids of all examples.
    ///   - rows: The parts of each row, in the tokens of all examples.
    ///   - source: What the rows are of.
    ///   - columnNames: The columns that were read.
    ///   - warnings: What is worth telling the user.
    ///   - places: Where the example of a token is, for messages.
    package init(
        _ tokens: SFTTokens,
        rows: [[Range<Int>]],
        _ source: (name: String, dataset: String?),
        columnNames: [String],
        warnings: [String],
        places: @escaping @Sendable (_ token: Int) -> String
    ) {
        self.tokens = tokens
        parts = rows.flatMap(\.self)
        var starts: [Int32] = [0]
        starts.reserveCapacity(rows.count + 1)
        for row in rows { starts.append(starts[starts.count - 1] + Int32(row.count)) }
        self.starts = starts
        (name, dataset) = source
        self.columnNames = columnNames
        self.warnings = warnings
        self.places = places
    }

    /// The number of rows.
    package var rowCount: Int { starts.count - 1 }

    /// The parts of a row.
    ///
    /// - Parameter row: The number of the row.
    /// - Returns: Token ids and labels of each part; the label of a token that does not count is -100.
    package func parts(ofRow row: Int) -> [(ids: ArraySlice<Int32>, labels: [Int32])] {
        parts[Int(starts[row])..<Int(starts[row + 1])].map { (tokens.ids[$0], tokens.labels(in: $0)) }
    }

    /// Where the first example of a row is, for messages.
    package func place(ofRow row: Int) -> String { places(parts[Int(starts[row])].lowerBound) }

    /// The hashes of the token ids of each row.
    package func valueHashes() throws -> ValueHashes {
        ValueHashes(
            columnCount: 1,
            hashes: (0..<rowCount).map { row in
                self.parts(ofRow: row).reduce(into: 0xCBF2_9CE4_8422_2325) { hash, part in
                    for id in part.ids { hash = (hash ^ UInt64(truncatingIfNeeded: id)) &* 0x100_0000_01B3 }
                }
            }
        )
    }

    /// Refused: there are labels of tokens alone.
    package func rowsByLabel() throws -> [[Int32]] {
        throw TrainingError(
            .invalidOption,
            "batch_sampler",
            found: "is group_by_label, but \(name) has a label for each token",
            expected: "batch_sampler or no_duplicates"
        )
    }
}

/// The token ids of examples, one after the other, and what of them counts in the loss.
package struct SFTTokens: Sendable {
    /// The label of a token that does not count.
    package static let ignored: Int32 = -100

    /// The token ids.
    package private(set) var ids: [Int32] = []
    /// Whether each token counts; nil while all do.
    private var counts: [Bool]?
    /// The labels, where the data had some of its own that are no ids.
    private var labels: [Int32]?
    /// The number of tokens of each example.
    package private(set) var lengths: [Int] = []

    package init() {}

    /// Adds an example.
    ///
    /// - Parameter example: The example.
    package mutating func append(_ example: SFTExample) {
        let start = ids.count
        ids += example.ids
        lengths.append(example.ids.count)
        if labels == nil, !example.hasOwnLabels {
            append(counting: example.labels?.map { $0 != Self.ignored }, count: example.ids.count, after: start)
            return
        }
        if labels == nil {
            labels = (0..<start).map { counts?[$0] == false ? Self.ignored : ids[$0] }
            counts = nil
        }
        labels? += example.labels ?? example.ids
    }

    private mutating func append(counting flags: [Bool]?, count: Int, after start: Int) {
        if counts == nil {
            guard let flags, !flags.allSatisfy(\.self) else { return }
            counts = Array(repeating: true, count: start)
        }
        counts? += flags ?? Array(repeating: true, count: count)
    }

    /// The labels of some tokens.
    ///
    /// - Parameter range: The places of the tokens.
    /// - Returns: The labels, -100 for none.
    package func labels(in range: Range<Int>) -> [Int32] {
        if let labels { return Array(labels[range]) }
        guard let counts else { return Array(ids[range]) }
        return range.map { counts[$0] ? ids[$0] : Self.ignored }
    }

    /// Whether a token counts in the loss.
    package func isLabelled(_ place: Int) -> Bool { labels.map { $0[place] != Self.ignored } ?? counts?[place] ?? true }
}

/// An example as token ids.
package struct SFTExample: Sendable {
    /// The token ids.
    package var ids: [Int32]
    /// The labels, -100 for tokens that do not count; nil where all are the ids.
    package var labels: [Int32]?
    /// Whether a label is something else than the id of its token.
    package var hasOwnLabels = false

    /// Keeps some of the tokens.
    ///
    /// - Parameters:
    ///   - count: The most tokens to keep.
    ///   - keepsEnd: Whether those at the end are kept, rather than those at the beginning.
    package mutating func truncate(to count: Int, keepingEnd keepsEnd: Bool) {
        guard ids.count > count else { return }
        ids = keepsEnd ? Array(ids.suffix(count)) : Array(ids.prefix(count))
        labels = labels.map { keepsEnd ? Array($0.suffix(count)) : Array($0.prefix(count)) }
    }

    /// Whether a token counts.
    package var hasLabel: Bool { labels.map { $0.contains { $0 != SFTTokens.ignored } } ?? !ids.isEmpty }
}
