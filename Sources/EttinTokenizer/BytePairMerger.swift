/// Joins the symbols of one word by the merge rules: always the pair of lowest rank, leftmost first.
struct BytePairMerger: ~Copyable {
    /// The symbols, on input one per byte, on output the tokens.
    var symbols = Scratch<Int32>()
    /// For each symbol how long it is; only kept up when asked for.
    var lengths = Scratch<Int32>()

    /// Up to this many symbols, searching all pairs for the lowest rank beats a heap.
    private static let linearLimit = 96

    private var values = Scratch<UInt64>()
    private var previous = Scratch<Int32>()
    private var next = Scratch<Int32>()
    private var heap: [Candidate] = []

    struct Candidate {
        /// Rank in the upper half, position in the lower: the order in which merges happen.
        let order: UInt64
        let left: Int32
        let right: Int32
        let merged: Int32
    }

    /// Merges `symbols` in place.
    ///
    /// - Parameters:
    ///   - table: The rules.
    ///   - tracksLengths: Whether `lengths` has an entry per symbol, to be summed up.
    mutating func merge(_ table: MergeTable, tracksLengths: Bool) {
        guard symbols.count > 1 else { return }
        if symbols.count <= Self.linearLimit {
            mergeLinearly(table, tracksLengths: tracksLengths)
        } else {
            mergeWithHeap(table, tracksLengths: tracksLengths)
        }
    }

    private mutating func mergeLinearly(_ table: MergeTable, tracksLengths: Bool) {
        var count = symbols.count
        values.removeAll()
        values.reserve(count)
        values.count = count
        let symbolPointer = symbols.pointer
        let valuePointer = values.pointer
        for position in 0..<count - 1 {
            valuePointer[position] = table.value(symbolPointer[position], symbolPointer[position + 1])
        }
        while count > 1 {
            var best = MergeTable.none
            var bestPosition = 0
            for position in 0..<count - 1 where valuePointer[position] < best {
                best = valuePointer[position]
                bestPosition = position
            }
            guard best != MergeTable.none else { break }
            symbolPointer[bestPosition] = Int32(truncatingIfNeeded: best)
            if tracksLengths { lengths.pointer[bestPosition] += lengths.pointer[bestPosition + 1] }
            count -= 1
            for position in bestPosition + 1..<max(bestPosition + 1, count) {
                symbolPointer[position] = symbolPointer[position + 1]
                valuePointer[position] = valuePointer[position + 1]
                if tracksLengths { lengths.pointer[position] = lengths.pointer[position + 1] }
            }
            if bestPosition > 0 {
                valuePointer[bestPosition - 1] =
                    table.value(symbolPointer[bestPosition - 1], symbolPointer[bestPosition])
            }
            if bestPosition + 1 < count {
                valuePointer[bestPosition] = table.value(symbolPointer[bestPosition], symbolPointer[bestPosition + 1])
            }
        }
        symbols.count = count
        if tracksLengths { lengths.count = count }
    }

    private mutating func mergeWithHeap(_ table: MergeTable, tracksLengths: Bool) {
        let count = symbols.count
        previous.removeAll()
        next.removeAll()
        heap.removeAll(keepingCapacity: true)
        for position in 0..<count {
            previous.append(Int32(position - 1))
            next.append(position + 1 < count ? Int32(position + 1) : -1)
        }
        // Symbols that were joined to the one before them are marked by −1; ids are never negative.
        for position in 0..<count - 1 { push(table, position, position + 1) }
        while let candidate = popLowest() {
            let position = Int(truncatingIfNeeded: candidate.order & 0xFFFF_FFFF)
            guard symbols[position] == candidate.left, next[position] >= 0 else { continue }
            let joined = Int(next[position])
            guard symbols[joined] == candidate.right else { continue }
            symbols[position] = candidate.merged
            symbols[joined] = -1
            if tracksLengths { lengths[position] += lengths[joined] }
            let following = next[joined]
            next[position] = following
            if following >= 0 {
                previous[Int(following)] = Int32(position)
                push(table, position, Int(following))
            }
            if previous[position] >= 0 { push(table, Int(previous[position]), position) }
        }
        var kept = 0
        for position in 0..<count where symbols[position] >= 0 {
            symbols[kept] = symbols[position]
            if tracksLengths { lengths[kept] = lengths[position] }
            kept += 1
        }
        symbols.count = kept
        if tracksLengths { lengths.count = kept }
    }

    // MARK: - Heap

    private mutating func push(_ table: MergeTable, _ left: Int, _ right: Int) {
        let value = table.value(symbols[left], symbols[right])
        guard value != MergeTable.none else { return }
        let candidate = Candidate(
            order: (value & 0xFFFF_FFFF_0000_0000) | UInt64(left),
            left: symbols[left],
            right: symbols[right],
            merged: Int32(truncatingIfNeeded: value)
        )
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[parent].order > candidate.order else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = candidate
    }

    private mutating func popLowest() -> Candidate? {
        guard let lowest = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return lowest }
        var parent = 0
        while true {
            var child = parent * 2 + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].order < heap[child].order { child += 1 }
            guard heap[child].order < last.order else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return lowest
    }
}
