/// The body of a response, handed out as it arrives; releasing it cancels the rest.
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

    /// The next bytes; nil at the end.
    ///
    /// The connection is paused while nobody asks.
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
