/// How examples of different lengths become rows of a bounded number of tokens.
///
/// > Source: TRL 1.16, `pack_dataset`.
package enum SequencePacking: String, Sendable, CaseIterable {
    /// Best fit decreasing: examples stay apart, and lose what is beyond the bound.
    case bestFit = "bfd"
    /// Best fit decreasing of consecutive pieces of examples.
    case bestFitSplit = "bfd_split"
    /// All tokens one after the other, cut wherever a row is full.
    case wrapped

    /// Examples that are packed together; `datasets` maps so many at a time.
    package static let groupSize = 1000

    /// Packs examples.
    ///
    /// - Parameters:
    ///   - lengths: The number of tokens of each example.
    ///   - maxLength: Maximum number of tokens of a row.
    /// - Returns: The rows, each with the places of its parts in the tokens of all examples, one after the other.
    package func rows(lengths: [Int], maxLength: Int) -> [[Range<Int>]] {
        precondition(maxLength > 0, "SequencePacking: rows of \(maxLength) tokens")
        var rows: [[Range<Int>]] = []
        var (group, start) = ([Range<Int>](), 0)
        for (number, length) in lengths.enumerated() {
            group.append(start..<start + length)
            start += length
            guard group.count == Self.groupSize || number == lengths.count - 1 else { continue }
            rows += self.rows(of: group, maxLength)
            group = []
        }
        return rows
    }

    private func rows(of group: [Range<Int>], _ maxLength: Int) -> [[Range<Int>]] {
        switch self {
        case .bestFit: Self.bins(group.map { $0.prefix(maxLength) }.filter { !$0.isEmpty }, maxLength)
        case .bestFitSplit: Self.bins(group.flatMap { Self.pieces(of: $0, maxLength) }, maxLength)
        case .wrapped:
            Self.pieces(of: (group.first?.lowerBound ?? 0)..<(group.last?.upperBound ?? 0), maxLength).map { [$0] }
        }
    }

    private static func pieces(of range: Range<Int>, _ maxLength: Int) -> [Range<Int>] {
        stride(from: range.lowerBound, to: range.upperBound, by: maxLength).map {
            $0..<min($0 + maxLength, range.upperBound)
        }
    }

    /// Puts each part, longest first, into the bin with the least room that takes it; of several, into the one that has
    /// had so little room for longest.
    private static func bins(_ parts: [Range<Int>], _ maxLength: Int) -> [[Range<Int>]] {
        let order = parts.indices.sorted { (parts[$1].count, $0) < (parts[$0].count, $1) }
        var bins: [[Range<Int>]] = []
        // Bins by their room, and the amounts of room that there are, rising.
        var binsByRoom: [Int: (numbers: [Int], first: Int)] = [:]
        var rooms: [Int] = []
        func place(of room: Int) -> Int {
            var (low, high) = (0, rooms.count)
            while low < high {
                let middle = (low + high) / 2
                if rooms[middle] < room { low = middle + 1 } else { high = middle }
            }
            return low
        }
        for part in order.map({ parts[$0] }) {
            var (number, room) = (bins.count, maxLength)
            let best = place(of: part.count)
            if best < rooms.count, let (numbers, first) = binsByRoom[rooms[best]] {
                (number, room) = (numbers[first], rooms[best])
                if first + 1 == numbers.count {
                    binsByRoom[room] = nil
                    rooms.remove(at: best)
                } else {
                    binsByRoom[room] = (numbers, first + 1)
                }
            } else {
                bins.append([])
            }
            bins[number].append(part)
            room -= part.count
            guard room > 0 else { continue }
            if binsByRoom[room] == nil { rooms.insert(room, at: place(of: room)) }
            binsByRoom[room, default: ([], 0)].numbers.append(number)
        }
        return bins
    }
}

extension Range<Int> {
    /// As much of a range as a number of elements.
    fileprivate func prefix(_ count: Int) -> Range<Int> { lowerBound..<Swift.min(lowerBound + count, upperBound) }
}
