/// A sample of a data set, and which visit to it this is.
public struct SampleReference: Sendable, Hashable {
    /// The number of the sample in the data set.
    public let index: Int
    /// How often the data set was begun before: the epoch, or the pass over a source of a mixture.
    ///
    /// Masks depend on it, so that a sample is masked anew at every visit.
    public let pass: Int

    /// Creates a reference.
    ///
    /// - Parameters:
    ///   - index: The number of the sample.
    ///   - pass: How often the data set was begun before.
    public init(index: Int, pass: Int) {
        self.index = index
        self.pass = pass
    }
}

/// The order in which the samples of a data set are seen, for every epoch.
///
/// The order is global: it knows neither ranks nor workers, which take their parts of it.
public protocol SampleOrder: Sendable {
    /// The number of positions of an epoch.
    var count: Int { get }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples, a pure function of the order and the epoch.
    func sequence(epoch: Int) -> any SampleSequence
}

/// The samples of an epoch by position.
public protocol SampleSequence: Sendable {
    /// The number of positions.
    var count: Int { get }

    /// The samples at consecutive positions.
    ///
    /// - Parameter positions: Positions of the epoch.
    /// - Returns: One sample for each position.
    func samples(at positions: Range<Int>) -> [SampleReference]
}

extension SampleSequence {
    /// The sample at one position.
    ///
    /// - Parameter position: A position of the epoch.
    /// - Returns: The sample.
    public func sample(at position: Int) -> SampleReference {
        samples(at: position..<position + 1)[0]
    }
}

/// An order that leaves the samples where they are.
public struct SequentialOrder: SampleOrder {
    /// The number of positions of an epoch.
    public let count: Int

    /// Creates an order.
    ///
    /// - Parameter count: The number of samples.
    public init(count: Int) {
        precondition(count >= 0, "SequentialOrder: \(count) samples")
        self.count = count
    }

    /// The order of one epoch.
    ///
    /// - Parameter epoch: The number of the epoch, from 0.
    /// - Returns: Its samples.
    public func sequence(epoch: Int) -> any SampleSequence { Epoch(count: count, pass: epoch) }

    private struct Epoch: SampleSequence {
        let count: Int
        let pass: Int

        func samples(at positions: Range<Int>) -> [SampleReference] {
            precondition((0..<count).contains(positions) || positions.isEmpty, "positions \(positions) of \(count)")
            return positions.map { SampleReference(index: $0, pass: pass) }
        }
    }
}
