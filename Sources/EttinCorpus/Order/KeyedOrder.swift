import EttinPrimitives

/// Our own shuffled order: a computed permutation for each epoch.
///
/// It holds a handful of numbers whatever the size of the data set, and reaches any position at once, so resuming needs
/// no more than the epoch and the position.
public struct KeyedOrder: SampleOrder, Hashable {
    /// The number of positions of an epoch.
    public let count: Int
    private let seed: UInt64

    /// Creates an order.
    ///
    /// - Parameters:
    ///   - count: The number of samples.
    ///   - seed: The seed of all epochs.
    public init(count: Int, seed: UInt64) {
        precondition(count >= 0, "KeyedOrder: \(count) samples")
        self.count = count
        self.seed = seed
    }

    /// The permutation of an epoch, which also gives the position of a sample.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: The permutation.
    package func permutation(epoch: Int) -> KeyedPermutation {
        KeyedPermutation(
            count: count,
            random: RandomPurpose.order.generator(seed: seed, stream: 0),
            number: UInt64(epoch)
        )
    }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples.
    public func sequence(epoch: Int) -> any SampleSequence {
        Epoch(permutation: permutation(epoch: epoch), pass: epoch)
    }

    private struct Epoch: SampleSequence {
        let permutation: KeyedPermutation
        let pass: Int

        var count: Int { permutation.count }

        func samples(at positions: Range<Int>) -> [SampleReference] {
            positions.map { SampleReference(index: permutation.index(at: $0), pass: pass) }
        }
    }
}
