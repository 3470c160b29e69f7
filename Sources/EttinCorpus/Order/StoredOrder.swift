/// An order of an epoch that was computed as a whole, as the originals' are.
///
/// - Complexity: Four bytes a sample, eight from 2³² samples on.
package struct StoredSequence: SampleSequence {
    private enum Storage: Sendable {
        case narrow([UInt32])
        case wide([Int])
    }

    private let storage: Storage
    private let pass: Int

    init(_ indices: [UInt32], pass: Int) {
        storage = .narrow(indices)
        self.pass = pass
    }

    init(_ indices: [Int], pass: Int) {
        storage = .wide(indices)
        self.pass = pass
    }

    /// The number of positions.
    package var count: Int {
        switch storage {
        case .narrow(let indices): indices.count
        case .wide(let indices): indices.count
        }
    }

    /// All samples in order.
    package var indices: [Int] {
        switch storage {
        case .narrow(let indices): indices.map { Int($0) }
        case .wide(let indices): indices
        }
    }

    /// The samples at consecutive positions.
    ///
    /// - Parameter positions: Positions of the epoch.
    /// - Returns: One sample for each position.
    package func samples(at positions: Range<Int>) -> [SampleReference] {
        switch storage {
        case .narrow(let indices): indices[positions].map { SampleReference(index: Int($0), pass: pass) }
        case .wide(let indices): indices[positions].map { SampleReference(index: $0, pass: pass) }
        }
    }
}

/// NumPy's permutation of all samples, seeded with the sum of seed and epoch.
///
/// It is drawn by `PCG64DXSM`; this is the order that Ettin was trained in.
public struct NumPyPermutationOrder: SampleOrder, Hashable {
    /// The number of positions of an epoch.
    public let count: Int
    private let seed: UInt64
    private let variant: PCG64.Variant

    /// Creates an order.
    ///
    /// - Parameters:
    ///   - count: The number of samples.
    ///   - seed: The `shuffle_seed` of the recipe.
    public init(count: Int, seed: UInt64) { self.init(count: count, seed: seed, variant: .dxsm) }

    /// Creates an order.
    ///
    /// - Parameters:
    ///   - count: The number of samples.
    ///   - seed: The `shuffle_seed` of the recipe.
    ///   - variant: The generator; with that of `default_rng` the order is streaming's `naive`.
    package init(count: Int, seed: UInt64, variant: PCG64.Variant) {
        precondition(count >= 0, "NumPyPermutationOrder: \(count) samples")
        self.count = count
        self.seed = seed
        self.variant = variant
    }

    /// The permutation of an epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: All samples in order.
    package func permutation(epoch: Int) -> StoredSequence {
        var generator = NumPyGenerator(seed: seed + UInt64(epoch), variant: variant)
        return count <= UInt32.max
            ? StoredSequence(generator.permutation(count, as: UInt32.self), pass: epoch)
            : StoredSequence(generator.permutation(count, as: Int.self), pass: epoch)
    }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples.
    public func sequence(epoch: Int) -> any SampleSequence { permutation(epoch: epoch) }
}
