/// The bytes of an answer, handed out as they arrive; who lets it go gives up the rest.
final class ResponseBody: Sendable {
    private let transfer: Transfer
    /// Keeps the thread alive that moves the bytes.
    private let network: NetworkThread

    init(_ transfer: Transfer, _ network: NetworkThread) {
        self.transfer = transfer
        self.network = network
    }

    deinit {
        transfer.cancel()
    }

    /// The next bytes; nil at the end. The network waits for who does not ask.
    ///
    /// - Throws: `ConnectionFailure` when it breaks off, `CancellationError`.
    func next() async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await transfer.nextBytes()
        } onCancel: {
            transfer.cancel()
        }
    }
}
