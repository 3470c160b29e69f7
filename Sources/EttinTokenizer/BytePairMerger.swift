/// Joins the symbols of one word by the merge rules: always the pair of lowest rank, leftmost first.
struct BytePairMerger: ~Copyable {
    /// The symbols, on input one per byte, on output the tokens.
    var symbols = Scratch<Int32>()
    /// For each symbol how long it is; only kept up when asked for.
    var lengths = Scratch<Int32>()

    /// Up to this many symbols, searching all pairs for the lowest rank beats a heap.
    private static let linearLimit = 96

    /// Up to this many merges are looked for at once, and more in words that are longer.
    var leastHeap = 1 << 16

    private var values = Scratch<UInt64>()
    /// Merges to come, lowest first: rank in the upper half, position in the lower, which is the order of merging.
    private var heap = Scratch<UInt64>()

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

    // Merging with a heap keeps no links between symbols: a slot whose symbol was joined to an earlier one is negative,
    // and the slots behind the first and at the end of a joined symbol hold how many slots it has. The heap has no more
    // than a part of all merges; when those are done, the symbols are searched for the next ones. A word of many megabytes
    // without this would take 24 bytes for each of its bytes.

    private mutating func mergeWithHeap(_ table: MergeTable, tracksLengths: Bool) {
        let count = symbols.count
        var limit = UInt64.max
        repeat {
            limit = fillHeap(table)
            while let order = popLowest() {
                let position = Int(truncatingIfNeeded: order & 0xFFFF_FFFF)
                guard symbols[position] >= 0 else { continue }
                let joined = next(position)
                guard joined < count else { continue }
                let value = table.value(symbols[position], symbols[joined])
                // The neighbours are others by now.
                guard value &>> 32 == order &>> 32 else { continue }
                if tracksLengths { lengths[position] += lengths[joined] }
                let following = next(joined)
                let slots = Int32(truncatingIfNeeded: following - position)
                symbols[position] = Int32(truncatingIfNeeded: value)
                symbols[joined] = -slots
                symbols[position + 1] = -slots
                symbols[following - 1] = -slots
                if following < count { push(table, position, following, below: limit) }
                if position > 0 {
                    let last = symbols[position - 1]
                    push(table, last >= 0 ? position - 1 : position + Int(last), position, below: limit)
                }
            }
        } while limit != .max
        heap.removeAll()
        var kept = 0
        for position in 0..<count where symbols[position] >= 0 {
            symbols[kept] = symbols[position]
            if tracksLengths { lengths[kept] = lengths[position] }
            kept += 1
        }
        symbols.count = kept
        if tracksLengths { lengths.count = kept }
    }

    /// The slot of the symbol behind one; the number of slots behind the last.
    @inline(__always)
    private func next(_ position: Int) -> Int {
        guard position + 1 < symbols.count, symbols[position + 1] < 0 else { return position + 1 }
        return position - Int(symbols[position + 1])
    }

    // MARK: - Heap

    /// Fills the heap with the merges that come first.
    ///
    /// - Returns: The merge up to which they are all there; `UInt64.max` when none is left out.
    private mutating func fillHeap(_ table: MergeTable) -> UInt64 {
        let most = max(leastHeap, symbols.count / 4)
        heap.removeAll()
        forEachMerge(table) { merger, order in
            merger.heap.append(order)
            return merger.heap.count <= most
        }
        var limit = UInt64.max
        if heap.count > most {
            limit = firstLimit(table, most)
            heap.removeAll()
            heap.reserve(most)
            forEachMerge(table) { merger, order in
                if order < limit { merger.heap.append(order) }
                return true
            }
        }
        for parent in (0..<heap.count / 2).reversed() { sink(heap[parent], from: parent) }
        return limit
    }

    /// The first merge that the heap has no room for; all merges of a rank, or the leftmost of the lowest rank.
    private mutating func firstLimit(_ table: MergeTable, _ most: Int) -> UInt64 {
        var counts = [Int](repeating: 0, count: table.merges.count)
        forEachMerge(table) { _, order in
            counts[Int(order &>> 32)] += 1
            return true
        }
        var sum = 0
        for (rank, count) in counts.enumerated() where count > 0 {
            guard sum + count > most else {
                sum += count
                continue
            }
            guard sum == 0 else { return UInt64(rank) &<< 32 }
            var last = UInt64.max
            forEachMerge(table) { _, order in
                guard order &>> 32 == UInt64(rank) else { return true }
                sum += 1
                last = order
                return sum <= most
            }
            return last
        }
        return .max
    }

    /// Calls `body` with all merges that are possible, from left to right, until it returns false.
    private mutating func forEachMerge(
        _ table: MergeTable,
        _ body: (inout BytePairMerger, UInt64) -> Bool
    ) {
        var position = 0
        while position < symbols.count {
            let following = next(position)
            guard following < symbols.count else { return }
            let value = table.value(symbols[position], symbols[following])
            if value != MergeTable.none,
                !body(&self, (value & 0xFFFF_FFFF_0000_0000) | UInt64(position))
            {
                return
            }
            position = following
        }
    }

    private mutating func push(_ table: MergeTable, _ left: Int, _ right: Int, below limit: UInt64) {
        let value = table.value(symbols[left], symbols[right])
        guard value != MergeTable.none else { return }
        let order = (value & 0xFFFF_FFFF_0000_0000) | UInt64(left)
        guard order < limit else { return }
        heap.append(order)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[parent] > order else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = order
    }

    private mutating func popLowest() -> UInt64? {
        guard heap.count > 0 else { return nil }
        let lowest = heap[0]
        heap.count -= 1
        if heap.count > 0 { sink(heap[heap.count], from: 0) }
        return lowest
    }

    /// Puts an entry at a place or below, in place of the one that was there.
    private func sink(_ order: UInt64, from place: Int) {
        var parent = place
        while true {
            var child = parent * 2 + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < order else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = order
    }
}
