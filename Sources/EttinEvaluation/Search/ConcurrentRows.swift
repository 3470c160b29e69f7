import Dispatch
import Synchronization
import Torch

/// Rows for a thread, below which another one would start too late to help.
private let rowsWorthAThread = 8

/// Runs a body for each row, on as many threads as operators use.
///
/// - Parameters:
///   - count: The number of rows.
///   - threads: The largest number of threads to use.
///   - body: What to do with a row; different threads take different rows.
func concurrentForEach(
    _ count: Int,
    threads: Int = TorchRuntime.threadCount,
    _ body: @Sendable (Int) -> Void
) {
    let threads = min(threads, count / rowsWorthAThread)
    guard threads > 1 else { return (0..<count).forEach(body) }
    DispatchQueue.concurrentPerform(iterations: threads) { thread in
        (thread * count / threads..<(thread + 1) * count / threads).forEach(body)
    }
}

/// Computes a value for each row, on as many threads as operators use.
///
/// - Parameters:
///   - count: The number of rows.
///   - body: What gives the value of a row.
/// - Returns: The values, in order.
func concurrentMap<Element: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Element) -> [Element] {
    let threads = max(1, min(TorchRuntime.threadCount, count / rowsWorthAThread))
    let parts = Mutex<[Int: [Element]]>([:])
    DispatchQueue.concurrentPerform(iterations: threads) { thread in
        let part = (thread * count / threads..<(thread + 1) * count / threads).map(body)
        parts.withLock { $0[thread] = part }
    }
    return parts.withLock { parts in (0..<threads).flatMap { parts[$0] ?? [] } }
}
