import Dispatch
import Synchronization

/// Work that several threads do while its results are taken in the order of its inputs.
enum OrderedWork {
    /// One piece of work and, later, its result.
    private final class Slot<Output: Sendable>: Sendable {
        private let result = Mutex<Result<Output, any Error>?>(nil)
        private let isDone = DispatchSemaphore(value: 0)

        func fill(_ result: sending Result<Output, any Error>) {
            self.result.withLock { $0 = result }
            isDone.signal()
        }

        func wait() throws -> Output? {
            isDone.wait()
            return try result.withLock { try $0?.get() }
        }
    }

    /// Calls `produce` until it returns nil and `consume` with what `transform` made of each product, in order.
    ///
    /// `produce` and `consume` run on the calling thread, so that they may share state; only `transform` runs on others.
    /// A few products per thread are under way at a time, which bounds the memory. The first error in order ends it all.
    static func run<Input: Sendable, Output: Sendable>(
        threads: Int,
        produce: () throws -> Input?,
        transform: @escaping @Sendable (Input) throws -> Output,
        consume: (Output) throws -> Void
    ) throws {
        let queues = (0..<max(1, threads)).map { DispatchQueue(label: "ettin.corpus.\($0)") }
        var underWay: [Slot<Output>] = []
        var started = 0
        var isExhausted = false
        // What has begun is waited for, also after an error: its inputs may belong to the caller.
        defer { for slot in underWay { _ = try? slot.wait() } }
        while true {
            while !isExhausted, underWay.count < queues.count * 3 {
                guard let input = try produce() else {
                    isExhausted = true
                    break
                }
                let slot = Slot<Output>()
                queues[started % queues.count].async {
                    slot.fill(Result { try transform(input) })
                }
                underWay.append(slot)
                started += 1
            }
            guard !underWay.isEmpty else { return }
            let slot = underWay.removeFirst()
            if let output = try slot.wait() { try consume(output) }
        }
    }
}
