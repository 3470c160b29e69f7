import EttinFiles
import Foundation
import Synchronization

/// A thread that an actor computes on, so that no forward pass blocks the threads that all tasks share.
///
/// libtorch keeps grad mode, its last error and its pool of workers per thread; here they belong to one model. The thread
/// ends with this object.
final class ModelThread: SerialExecutor {
    private let queue = WorkQueue()

    /// Starts the thread.
    ///
    /// - Throws: ``InferenceError/noThread(reason:)`` when the system refuses one.
    init() throws {
        // Darwin's own half a megabyte is less than libtorch may need.
        let status = DetachedThread.start(stackSize: 8 << 20) { [queue] in
            Thread.current.name = Self.name
            queue.run()
        }
        guard status == 0 else { throw InferenceError.noThread(reason: String(cString: strerror(status))) }
    }

    deinit {
        queue.close()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // The reference to self keeps the executor alive while one of its jobs runs, which may release the actor.
        queue.add { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Runs a body on the thread, after everything that waits for it.
    ///
    /// - Parameter body: What blocks, such as loading a model.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws.
    func run<Result>(_ body: @escaping @Sendable () throws -> sending Result) async throws -> sending Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.add {
                do {
                    continuation.resume(returning: try body())
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    /// The name of the threads, as debuggers and `/proc` show it.
    static let name = "ettin-model"
}

/// Work in the order in which it came, for one thread.
///
/// Not checked: `work` and `isClosed` are used with `condition` locked.
private final class WorkQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var work: [@Sendable () -> Void] = []
    private var isClosed = false

    func add(_ body: @escaping @Sendable () -> Void) {
        condition.lock()
        work.append(body)
        condition.signal()
        condition.unlock()
    }

    /// Lets the thread end once it has nothing to do.
    func close() {
        condition.lock()
        isClosed = true
        condition.signal()
        condition.unlock()
    }

    func run() {
        while let bodies = next() {
            for body in bodies { body() }
        }
    }

    private func next() -> [@Sendable () -> Void]? {
        condition.lock()
        defer { condition.unlock() }
        while work.isEmpty, !isClosed { condition.wait() }
        guard !work.isEmpty else { return nil }
        defer { work = [] }
        return work
    }
}
