import AsyncHTTPClient
import EttinFiles
import NIOCore
import NIOHTTP1

/// One request, and what it is for.
struct HubRequest: Sendable {
    enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// A part of a file, read while it is sent, with a report of the position reached.
        case file(path: String, range: Range<Int>, onSent: @Sendable (Int) -> Void)
        /// A commit.
        case lines(CommitLines)
    }

    var method: HTTPMethod
    var address: WebAddress
    var headers: HTTPHeaders = [:]
    var body = Body.none
    /// What messages call it, for example `reading the revisions of model a/b`.
    var action: String
    /// How long to wait for the head of the answer.
    var headTimeout: Duration?

    init(_ method: HTTPMethod, _ address: WebAddress, action: String) {
        self.method = method
        self.address = address
        self.action = action
    }

    func http() throws -> HTTPClientRequest {
        var request = HTTPClientRequest(url: address.text)
        request.method = method
        request.headers = headers
        switch body {
        case .none: break
        case .bytes(let bytes): request.body = .bytes(ByteBuffer(bytes: bytes))
        case .file(let path, let range, let onSent):
            let file = try HubError.translating { try OpenFile(path, .read) }
            let parts = FileParts(file: file, range: range, onSent: onSent)
            request.body = .stream(parts, length: .known(Int64(range.count)))
        case .lines(let lines): request.body = .stream(lines, length: .unknown)
        }
        return request
    }
}

/// The bytes of a part of a file, in pieces.
private struct FileParts: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let file: OpenFile
    let range: Range<Int>
    let onSent: @Sendable (Int) -> Void

    func makeAsyncIterator() -> Iterator { Iterator(parts: self, rest: range) }

    struct Iterator: AsyncIteratorProtocol {
        let parts: FileParts
        var rest: Range<Int>

        mutating func next() async throws -> ByteBuffer? {
            // A piece is sent when the next one is asked for.
            if rest.lowerBound > parts.range.lowerBound { parts.onSent(rest.lowerBound) }
            guard !rest.isEmpty else { return nil }
            let count = Swift.min(rest.count, 1 << 18)
            let bytes = try HubError.translating { try parts.file.read(at: rest.lowerBound, count: count) }
            guard !bytes.isEmpty else {
                throw HubError.file(path: parts.file.path, reason: "it became shorter while it was uploaded")
            }
            rest = rest.lowerBound + bytes.count..<rest.upperBound
            return ByteBuffer(bytes: bytes)
        }
    }
}

/// The head of an answer, and its body as a stream.
struct HubResponse: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: HTTPClientResponse.Body
    /// The address that answered.
    let address: WebAddress

    /// A header with an absolute or relative address to go on to, when the answer is a redirection.
    var location: String? {
        [301, 302, 303, 307, 308].contains(status) ? headers.first(name: "Location") : nil
    }

    /// Reads the whole body.
    func bytes(limit: Int, action: String) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await part in body {
            bytes.append(contentsOf: part.readableBytesView)
            guard bytes.count <= limit else {
                throw HubError.malformedAnswer(action: action, reason: "it is longer than \(limit) bytes")
            }
        }
        return bytes
    }
}
