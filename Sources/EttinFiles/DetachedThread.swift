#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Threads that nobody waits for.
package enum DetachedThread {
    /// Starts a thread.
    ///
    /// Foundation's `Thread` does not say when the system refuses it one, and its work is then never done.
    ///
    /// - Parameters:
    ///   - stackSize: The size of its stack in bytes; nil for the system's own, which is half a megabyte on Darwin.
    ///   - body: What the thread runs.
    /// - Returns: 0, or the system's error number, and then nothing has happened.
    package static func start(stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) -> Int32 {
        let context = UnsafeMutablePointer<ThreadBody>.allocate(capacity: 1)
        context.initialize(to: ThreadBody(run: body))
        let status = create(stackSize, with: UnsafeMutableRawPointer(context))
        if status != 0 {
            context.deinitialize(count: 1)
            context.deallocate()
        }
        return status
    }

    private static func create(_ stackSize: Int?, with context: UnsafeMutableRawPointer) -> Int32 {
        var attributes = pthread_attr_t()
        let status = pthread_attr_init(&attributes)
        guard status == 0 else { return status }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        return pthread_create(&thread, &attributes, runThread, context)
    }
}

private struct ThreadBody: Sendable {
    let run: @Sendable () -> Void
}

#if canImport(Darwin)
    private func runThread(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        run(context.assumingMemoryBound(to: ThreadBody.self))
        return nil
    }
#else
    private func runThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let context { run(context.assumingMemoryBound(to: ThreadBody.self)) }
        return nil
    }
#endif

private func run(_ context: UnsafeMutablePointer<ThreadBody>) {
    let body = context.move()
    context.deallocate()
    body.run()
}
