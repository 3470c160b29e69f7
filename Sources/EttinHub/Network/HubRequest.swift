import EttinFiles

/// One request, and what it is for.
struct HubRequest: Sendable {
    /// The methods; raw values are their names.
    enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
    }

    enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// A part of a file, read while it is sent, with a report of the position reached.
        case file(path: String, range: Range<Int>, onSent: @Sendable (Int) -> Void)
        /// A commit.
        case lines(CommitLines)
    }

    var method: Method
    var address: WebAddress
    var headers: HeaderFields = [:]
    var body = Body.none
    /// What messages call it, for example `reading the revisions of model a/b`.
    var action: String
    /// How long to wait for the head of the answer.
    var headTimeout: Duration?
    /// Whether the server may receive it twice.
    var isRepeatable = true

    init(_ method: Method, _ address: WebAddress, action: String) {
        self.method = method
        self.address = address
        self.action = action
    }
}

/// The head of an answer, and its body as a stream.
struct HubResponse: Sendable {
    let status: Int
    let headers: HeaderFields
    let body: ResponseBody
    /// The address that answered.
    let address: WebAddress

    /// A header with an absolute or relative address to go on to, when the answer is a redirection.
    var location: String? {
        [301, 302, 303, 307, 308].contains(status) ? headers.first(name: "Location") : nil
    }

    /// Reads the whole body.
    func bytes(limit: Int, action: String) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let part = try await body.next() {
            bytes.append(contentsOf: part)
            guard bytes.count <= limit else {
                throw HubError.malformedAnswer(action: action, reason: "it is longer than \(limit) bytes")
            }
        }
        return bytes
    }
}
