import EttinFiles

/// What takes in the bytes of a file as they arrive.
protocol ContentReceiver {
    /// How many bytes have arrived, from the start of the file.
    var received: Int { get }

    /// Takes the next bytes.
    mutating func append(_ part: [UInt8]) async throws

    /// Prepares for the bytes from the start once more.
    mutating func restart() throws
}

/// Moves the content of a file here, over as many connections as it takes.
///
/// A transfer that breaks off goes on with the byte behind the last one received.
struct ContentTransfer: Sendable {
    let session: HubSession
    /// The path in the repository, for messages.
    let path: String
    let metadata: FileMetadata
    /// An address on the Hub itself, from which a new location is had when the first one has expired: locations are
    /// signed for some minutes.
    let freshAddress: WebAddress

    private var action: String { "downloading \(path)" }

    func run(into receiver: inout some ContentReceiver) async throws {
        var attempts = RetryCounter(policy: session.policy)
        var address = metadata.location
        while receiver.received != metadata.size {
            let before = receiver.received
            do {
                try await receive(from: address, into: &receiver)
                // A body without a stated length can end early without an error.
                if metadata.size == nil || receiver.received == metadata.size { break }
                throw ConnectionFailure(host: address.displayedHost, reason: "the response ended early")
            } catch let failure as ConnectionFailure {
                if receiver.received > before { attempts.reset() }
                guard let delay = attempts.next(after: failure) else { throw failure.hubError }
                try await session.wait(delay, before: action, because: failure.reason)
            } catch let failure as PassingFailure {
                guard let delay = attempts.next(requested: failure.requestedDelay) else { throw failure.error }
                try await session.wait(delay, before: action, because: failure.reason)
            }
            address = freshAddress
        }
    }

    /// Makes one request and takes in what comes.
    private func receive(from start: WebAddress, into receiver: inout some ContentReceiver) async throws {
        let response = try await answer(from: start, offset: receiver.received)
        switch response.status {
        case 206:
            let range = response.headers.first(name: "Content-Range") ?? ""
            // A total that differs belongs to another content.
            let total = range.split(separator: "/").last.flatMap { Int($0) }
            guard range.hasPrefix("bytes \(receiver.received)-"), total == nil || total == metadata.size ?? total else {
                throw HubError.malformedAnswer(
                    action: action,
                    reason: "requested bytes from \(receiver.received), got \(quoted(range))"
                )
            }
        case 200: try receiver.restart()
        default:
            // What we have is no beginning of this content.
            try receiver.restart()
            throw PassingFailure(
                reason: "the server cannot resume there",
                requestedDelay: nil,
                error: .rejected(action: action, status: response.status, message: "")
            )
        }
        if let encoding = response.headers.first(name: "Content-Encoding"), encoding.lowercased() != "identity" {
            throw HubError.malformedAnswer(
                action: action,
                reason: "its Content-Encoding is \(quoted(encoding)), which was not requested"
            )
        }
        var reported = receiver.received
        defer { report(receiver.received) }
        while let part = try await response.body.next() {
            if let size = metadata.size, part.count > size - receiver.received {
                throw HubError.corruptDownload(path: path, expected: "\(size) bytes", found: "more")
            }
            try await receiver.append(part)
            if receiver.received - reported >= 1 << 20 {
                reported = receiver.received
                report(reported)
            }
        }
    }

    private func report(_ received: Int) {
        session.onEvent(.progress(path: path, completedBytes: received, totalBytes: metadata.size))
    }

    /// Follows redirections to an answer with content.
    ///
    /// The session sends the token to the Hub's own server only.
    private func answer(from start: WebAddress, offset: Int) async throws -> HubResponse {
        var request = HubRequest(.get, start, action: action)
        request.headers.add(name: "Accept-Encoding", value: "identity")
        if offset > 0 { request.headers.add(name: "Range", value: "bytes=\(offset)-") }
        for _ in 0..<10 {
            let response = try await session.sendOnce(request, usesToken: session.hasReadToken)
            if let location = response.location {
                guard let target = request.address.following(location) else {
                    throw HubError.malformedAnswer(
                        action: action,
                        reason: "it redirects to \(quoted(WebAddress.withoutSecrets(location)))"
                    )
                }
                request.address = target
                continue
            }
            if [200, 206, 416].contains(response.status) { return response }
            let requested = RetryPolicy.requestedDelay(response.headers)
            let error = await session.error(
                for: response,
                subject: RequestSubject(action: action, hasToken: session.hasReadToken)
            )
            // A signed address that has expired is refused by the store; the Hub then gives a new one.
            let hasExpired = response.status == 403 && !request.address.hasSameOrigin(as: session.endpoint)
            guard RetryPolicy.isTransient(response.status) || hasExpired else { throw error }
            throw PassingFailure(
                reason: "HTTP status \(response.status)",
                requestedDelay: requested,
                error: error
            )
        }
        throw HubError.malformedAnswer(action: action, reason: "too many redirects")
    }
}

/// An answer that may be better next time.
private struct PassingFailure: Error {
    let reason: String
    let requestedDelay: Duration?
    /// What it counts as when it does not pass.
    let error: HubError
}
