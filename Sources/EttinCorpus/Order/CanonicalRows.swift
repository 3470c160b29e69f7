/// The positions of an epoch as one row for each canonical node, read column by column.
struct CanonicalRows: Sendable, Hashable {
    private let samples: Int
    private let nodes: Int
    // The longest row without padding.
    private let length: Int
    // Columns at the end that repeat earlier ones, so that the physical nodes of a row get equally many.
    private let padding: Int
    private let physicalPerRow: Int
    private let repeatsAll: Bool

    init(samples: Int, nodes: Int, physicalNodes: Int) throws {
        self.samples = samples
        self.nodes = nodes
        length = (samples + nodes - 1) / nodes
        physicalPerRow = max(1, physicalNodes / nodes)
        padding = (physicalPerRow - length % physicalPerRow) % physicalPerRow
        // Too few samples to give every node a row: all of them are repeated instead.
        repeatsAll = samples < nodes || (samples == nodes && nodes < physicalNodes)
        guard repeatsAll || paddingSource.count == padding || paddingSource.count == 1 else {
            throw CorpusError(
                .invalidOption,
                file: "num_physical_nodes",
                found: "is \(physicalNodes), too many for rows of \(length) samples",
                expected: "fewer machines, or more samples"
            )
        }
    }

    var count: Int { nodes * (length + padding) }

    // The columns that the padding repeats.
    private var paddingSource: Range<Int> {
        let width = length + padding
        let end = width - padding - physicalPerRow + 1
        return max(0, end - padding)..<max(0, end)
    }

    func position(at place: Int) -> Int {
        if repeatsAll {
            let (column, row) = place.quotientAndRemainder(dividingBy: nodes)
            return (row * (length + padding) + column) % samples
        }
        var (column, row) = place.quotientAndRemainder(dividingBy: nodes)
        if column >= length {
            let source = paddingSource
            column = source.lowerBound + (source.count == 1 ? 0 : column - length)
        }
        let start = row * samples / nodes
        let rowLength = (row + 1) * samples / nodes - start
        return start + min(column, rowLength - 1)
    }
}
