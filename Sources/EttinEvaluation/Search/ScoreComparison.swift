import Dispatch
import Synchronization
import Torch

/// Compares products with the best scores so far, on a thread beside those that make the next products.
///
/// Products are made on all threads, in tasks that are handed out one by one: one that has to share its processor takes
/// fewer. Comparing between products instead would keep all but one thread waiting, at a fifth of the time.
final class ScoreComparison {
    private let work: Work
    private let queue = DispatchQueue(label: "ettin.search")
    /// Products that wait or are being compared; more would only take memory.
    private let places = DispatchSemaphore(value: 2)

    /// Threads that make products, for each that compares them.
    private static let threadsPerComparison = 8

    /// - Parameter top: What takes the scores.
    init(_ top: TopScores) {
        work = Work(top: top)
    }

    deinit {
        // A semaphore must not go with a count below its first.
        queue.sync {}
    }

    /// Adds products, once there is room.
    ///
    /// - Parameters:
    ///   - scores: `[rows, columns]`, float32.
    ///   - rows: The rows of the results that they belong to.
    ///   - first: The place of the first column.
    func add(_ scores: Tensor, rows: Range<Int>, first: Int) {
        places.wait()
        let (work, places) = (work, places)
        let product = Product(scores: scores, rows: rows, first: first)
        queue.async {
            work.take(product)
            places.signal()
        }
    }

    /// Waits until all is compared.
    ///
    /// - Throws: `TorchError` when products could not be read.
    func finish() throws {
        queue.sync {}
        if let failure = work.failure.withLock({ $0 }) { throw failure }
    }

    /// Products on their way to the thread that compares them.
    ///
    /// Sendable, as nobody changes the tensor, and the thread that made it lets it go.
    private struct Product: @unchecked Sendable {
        let scores: Tensor
        let rows: Range<Int>
        let first: Int
    }

    /// What the comparing thread works on, one product at a time.
    private final class Work: @unchecked Sendable {
        let top: TopScores
        let failure = Mutex<(any Error)?>(nil)
        private var strip: [Float] = []

        /// Rows copied at a time: half a megabyte, which stays in the processor's own cache.
        private static let stripRows = 64

        init(top: TopScores) {
            self.top = top
        }

        func take(_ product: Product) {
            guard failure.withLock({ $0 == nil }) else { return }
            do {
                try withRecovery {
                    let width = product.scores.size(1)
                    for start in stride(from: 0, to: product.rows.count, by: Self.stripRows) {
                        let count = min(Self.stripRows, product.rows.count - start)
                        if strip.count < count * width { strip = [Float](repeating: 0, count: count * width) }
                        let rows = product.scores.narrowed(along: 0, from: start, count: count)
                        try strip.withUnsafeMutableBytes {
                            let size = count * width * MemoryLayout<Float>.stride
                            try rows.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<size]))
                        }
                        compare(product, from: start, count: count, width: width)
                    }
                }
            } catch {
                failure.withLock { $0 = error }
            }
        }

        private func compare(_ product: Product, from start: Int, count: Int, width: Int) {
            let threads = max(1, TorchRuntime.threadCount / ScoreComparison.threadsPerComparison)
            strip.withUnsafeBufferPointer { strip in
                let lines = Lines(values: strip, top: top)
                concurrentForEach(count, threads: threads) { row in
                    let line = UnsafeBufferPointer(rebasing: lines.values[row * width..<(row + 1) * width])
                    lines.top.take(line, row: product.rows.lowerBound + start + row, first: product.first)
                }
            }
        }
    }

    /// Scores and results, each row of which one thread reads and writes.
    private struct Lines: @unchecked Sendable {
        let values: UnsafeBufferPointer<Float>
        let top: TopScores
    }
}
