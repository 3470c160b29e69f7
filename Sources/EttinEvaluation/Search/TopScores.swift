/// The highest scores of each row of a block, kept while scores stream by.
///
/// A row holds up to twice as many entries as are wanted. A score is compared with the row's threshold, the lowest of the
/// best so far; what passes is appended, and a full row is cut down to its best, which raises the threshold. Each score
/// is read once, and the time for what passes does not grow with the count.
///
/// An entry is one integer that orders as the search does: the score's bits, made to order as it does, above the place.
final class TopScores {
    /// Which of two equal scores comes first.
    let ties: TieRule
    private let count: Int
    private let capacity: Int
    private let rows: Int
    private let entries: UnsafeMutablePointer<UInt64>
    private let filled: UnsafeMutablePointer<Int>
    private let thresholds: UnsafeMutablePointer<UInt64>

    /// - Parameters:
    ///   - count: How many scores are wanted of each row; at least 1.
    ///   - rows: The number of rows.
    ///   - ties: Which of two equal scores comes first.
    init(count: Int, rows: Int, ties: TieRule) {
        self.count = count
        self.rows = rows
        self.ties = ties
        // A few more than twice, so that searches for few results do not cut down all the time.
        capacity = count + max(count, 32)
        entries = .allocate(capacity: max(1, rows * capacity))
        filled = .allocate(capacity: max(1, rows))
        thresholds = .allocate(capacity: max(1, rows))
        filled.initialize(repeating: 0, count: rows)
        thresholds.initialize(repeating: 0, count: rows)
    }

    deinit {
        entries.deallocate()
        filled.deallocate()
        thresholds.deallocate()
    }

    /// Takes scores of a row in; different threads may do so for different rows.
    ///
    /// - Parameters:
    ///   - scores: The scores of consecutive places; those that are NaN are passed over.
    ///   - row: The row.
    ///   - first: The place of the first score.
    func take(_ scores: UnsafeBufferPointer<Float>, row: Int, first: Int) {
        guard let base = scores.baseAddress else { return }
        let memory = UnsafeRawPointer(base)
        var column = 0
        var threshold = Self.score(thresholds[row])
        // Most chunks hold nothing that passes: one comparison of vectors tells.
        let chunk = 32
        while column + chunk <= scores.count {
            let start = memory + column * MemoryLayout<Float>.stride
            let low = start.loadUnaligned(as: SIMD16<Float>.self)
            let high = (start + MemoryLayout<SIMD16<Float>>.size).loadUnaligned(as: SIMD16<Float>.self)
            if any((low .>= threshold) .| (high .>= threshold)) {
                for place in column..<column + chunk where base[place] >= threshold {
                    threshold = append(base[place], place: first + place, row: row)
                }
            }
            column += chunk
        }
        while column < scores.count {
            if base[column] >= threshold {
                threshold = append(base[column], place: first + column, row: row)
            }
            column += 1
        }
    }

    /// The best entries of a row, best first.
    func hits(row: Int) -> [SearchHit] {
        let start = entries + row * capacity
        let best = UnsafeMutableBufferPointer(start: start, count: filled[row]).sorted(by: >).prefix(count)
        return best.map { SearchHit(index: place($0), score: Self.score($0)) }
    }

    /// Appends what passes the threshold, and returns the threshold that is then the row's.
    private func append(_ score: Float, place: Int, row: Int) -> Float {
        let entry = UInt64(Self.ordered(score)) << 32 | UInt64(ties == .ascendingIndex ? ~UInt32(place) : UInt32(place))
        guard entry > thresholds[row] else { return Self.score(thresholds[row]) }
        let start = entries + row * capacity
        start[filled[row]] = entry
        filled[row] += 1
        if filled[row] == capacity {
            Self.partition(UnsafeMutableBufferPointer(start: start, count: capacity), best: count)
            filled[row] = count
            thresholds[row] = start[count - 1]
        }
        return Self.score(thresholds[row])
    }

    private func place(_ entry: UInt64) -> Int {
        let low = UInt32(truncatingIfNeeded: entry)
        return Int(ties == .ascendingIndex ? ~low : low)
    }

    /// Bits that order as scores do; both zeros are one.
    private static func ordered(_ score: Float) -> UInt32 {
        let bits = (score + 0).bitPattern
        return bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
    }

    /// The score of an entry; of none, as thresholds are at first, minus infinity.
    private static func score(_ entry: UInt64) -> Float {
        guard entry > 0 else { return -.infinity }
        let ordered = UInt32(truncatingIfNeeded: entry >> 32)
        return Float(bitPattern: ordered & 0x8000_0000 == 0 ? ~ordered : ordered & 0x7FFF_FFFF)
    }

    /// Moves the largest entries to the front, the smallest of them last.
    static func partition(_ entries: UnsafeMutableBufferPointer<UInt64>, best: Int) {
        let target = best - 1
        var (low, high) = (0, entries.count - 1)
        while low < high {
            // The middle of three keeps sorted input from taking quadratic time.
            let (a, b, c) = (entries[low], entries[(low + high) / 2], entries[high])
            let pivot = max(min(a, b), min(max(a, b), c))
            var (left, right) = (low, high)
            while left <= right {
                while entries[left] > pivot { left += 1 }
                while entries[right] < pivot { right -= 1 }
                if left <= right {
                    entries.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if target <= right {
                high = right
            } else if target >= left {
                low = left
            } else {
                return
            }
        }
    }
}
