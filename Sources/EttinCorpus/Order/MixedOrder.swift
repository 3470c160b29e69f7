// How the sources interleave.
//
// - Draw k of the q draws of a source sits at (k + ½) / q of the epoch; the draws of all sources are merged by that
//   number, equal ones in the order of the sources. Nothing is random and nothing is stored.
// - At any point of the epoch there is an x so that each source has given q·x draws, rounded. So after t of N positions
//   a source with the share w = q / N has given w·t draws, within ½ + w·S/2 for S sources: within ½ for rare ones, and
//   within a handful for the largest, of however many billions.
// - The state before a draw of the largest source follows from that draw in closed form. A position is found by a
//   binary search among those, and a few steps of the merge.

import EttinPrimitives

/// Several sources interleaved by weight, each shuffled by a computed permutation.
///
/// The samples of all sources are numbered consecutively, in the order of the sources. A source continues in the next
/// epoch where it stopped, and no sample of it comes again before all others came; each pass has its own permutation.
package struct MixedOrder: SampleOrder, Hashable {
    /// The number of positions of an epoch.
    package let count: Int
    /// The sources.
    package let sources: [MixtureSource]
    /// The number of the first sample of each source.
    package let offsets: [Int]
    private let seed: UInt64

    /// Creates an order.
    ///
    /// - Parameters:
    ///   - sources: The sources.
    ///   - seed: The seed of all permutations.
    package init(_ sources: [MixtureSource], seed: UInt64) {
        self.sources = sources
        self.seed = seed
        count = sources.reduce(0) { $0 + $1.drawn }
        var offset = 0
        offsets = sources.map { source in
            defer { offset += source.count }
            return offset
        }
    }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples.
    package func sequence(epoch: Int) -> any SampleSequence { Epoch(order: self, epoch: epoch) }

    fileprivate func permutation(source: Int, pass: Int) -> KeyedPermutation {
        KeyedPermutation(
            count: sources[source].count,
            random: RandomPurpose.order.generator(seed: seed, stream: UInt64(source) + 1),
            number: UInt64(pass)
        )
    }

    /// Which source is drawn at consecutive positions of any epoch.
    ///
    /// - Parameter positions: Positions of the epoch.
    /// - Returns: One number of a source for each position.
    /// - Complexity: O(S·log N) to find the first of N positions of S sources, O(S) for each further one.
    package func drawnSources(at positions: Range<Int>) -> [Int] {
        guard !positions.isEmpty else { return [] }
        var cursor = cursor(at: positions.lowerBound)
        return positions.map { _ in cursor.next().source }
    }

    fileprivate func cursor(at position: Int) -> Cursor {
        precondition(0 <= position && position < count, "position \(position) of \(count)")
        let quotas = sources.map(\.drawn)
        guard let largest = quotas.indices.max(by: { quotas[$0] < quotas[$1] }) else { return Cursor(quotas: quotas) }
        // The last draw of the largest source that is not behind the position, or the start of the epoch.
        var (before, after) = (-1, quotas[largest])
        while after - before > 1 {
            let middle = before + (after - before) / 2
            let rank = Cursor(quotas: quotas, beforeDraw: middle, of: largest).position
            if rank <= position { before = middle } else { after = middle }
        }
        var cursor =
            before < 0 ? Cursor(quotas: quotas) : Cursor(quotas: quotas, beforeDraw: before, of: largest)
        for _ in cursor.position..<position { _ = cursor.next() }
        return cursor
    }
}

extension MixedOrder {
    /// A place in the merge of the sources.
    fileprivate struct Cursor {
        private let quotas: [Int]
        private var taken: [Int]

        /// The start of the epoch.
        init(quotas: [Int]) {
            self.quotas = quotas
            taken = [Int](repeating: 0, count: quotas.count)
        }

        /// The place just before one draw of one source.
        init(quotas: [Int], beforeDraw draw: Int, of chosen: Int) {
            self.quotas = quotas
            let place = Int128(2 * draw + 1)
            let chosenQuota = Int128(quotas[chosen])
            taken = quotas.enumerated().map { source, quota in
                if source == chosen { return draw }
                // Draws j with (2j + 1) / quota below (2·draw + 1) / chosenQuota, or equal to it for earlier sources.
                let numerator = place * Int128(quota) - chosenQuota
                let ties: Int128 = source < chosen ? 2 * chosenQuota : 2 * chosenQuota - 1
                return quota == 0 ? 0 : Int((numerator + ties) / (2 * chosenQuota))
            }
        }

        var position: Int { taken.reduce(0, +) }

        mutating func next() -> (source: Int, draw: Int) {
            var best = -1
            for source in quotas.indices where taken[source] < quotas[source] {
                if best < 0 || isBefore(source, best) { best = source }
            }
            precondition(best >= 0, "the epoch has no further positions")
            defer { taken[best] += 1 }
            return (best, taken[best])
        }

        private func isBefore(_ first: Int, _ second: Int) -> Bool {
            let one = UInt(2 * taken[first] + 1).multipliedFullWidth(by: UInt(quotas[second]))
            let other = UInt(2 * taken[second] + 1).multipliedFullWidth(by: UInt(quotas[first]))
            return (one.high, one.low) < (other.high, other.low)
        }
    }

    private struct Epoch: SampleSequence {
        let order: MixedOrder
        let epoch: Int

        var count: Int { order.count }

        func samples(at positions: Range<Int>) -> [SampleReference] {
            guard !positions.isEmpty else { return [] }
            precondition(positions.upperBound <= count, "positions \(positions) of \(count)")
            var cursor = order.cursor(at: positions.lowerBound)
            var permutations = [(pass: Int, permutation: KeyedPermutation)?](repeating: nil, count: order.sources.count)
            return positions.map { _ in
                let (source, draw) = cursor.next()
                let (pass, place) = (epoch * order.sources[source].drawn + draw)
                    .quotientAndRemainder(dividingBy: order.sources[source].count)
                let permutation: KeyedPermutation
                if let known = permutations[source], known.pass == pass {
                    permutation = known.permutation
                } else {
                    permutation = order.permutation(source: source, pass: pass)
                    permutations[source] = (pass, permutation)
                }
                return SampleReference(index: order.offsets[source] + permutation.index(at: place), pass: pass)
            }
        }
    }
}
