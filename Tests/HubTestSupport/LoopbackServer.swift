package import EttinHub
import Foundation
import Synchronization

/// A request as a server sees it.
package struct ServedRequest: Sendable {
    package let method: String
    package let path: String
    package let headers: HeaderFields
    package let body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }
}

/// What a server answers.
package struct ServedAnswer: Sendable {
    package var status: Int
    package var headers: HeaderFields
    package var body: [UInt8]
    /// The connection is cut behind so many bytes of the body.
    package var cutAfter: Int?
    /// Nothing more is sent behind so many bytes of the body, until the client goes.
    package var stallAfter: Int?
    /// What is sent as it stands, before the connection is closed.
    package var raw: [UInt8]?

    package init(
        status: Int = 200,
        headers: HeaderFields = [:],
        body: [UInt8] = [],
        cutAfter: Int? = nil,
        stallAfter: Int? = nil,
        raw: [UInt8]? = nil
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.cutAfter = cutAfter
        self.stallAfter = stallAfter
        self.raw = raw
    }
}

/// A server in this process on 127.0.0.1, which answers as a closure says and remembers what it was asked.
package final class LoopbackServer: Sendable {
    private let descriptor: Int32
    private let log = RequestLog()
    package let port: Int

    /// What was asked so far.
    package var requests: [ServedRequest] { log.requests.withLock { $0 } }
    /// How many connections were accepted.
    package var connectionCount: Int { log.connections.withLock { $0 } }

    package init(_ answer: @escaping @Sendable (ServedRequest) -> ServedAnswer) async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isOpen = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, pointer, &size) == 0
            }
        }
        guard descriptor >= 0, isOpen else { throw POSIXError(.EADDRINUSE) }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
        let log = log
        Thread.detachNewThread {
            while case let connection = accept(descriptor, nil, nil), connection >= 0 {
                log.connections.withLock { $0 += 1 }
                Thread.detachNewThread {
                    ServedConnection(descriptor: connection).serve { request in
                        log.requests.withLock { $0.append(request) }
                        return answer(request)
                    }
                }
            }
            close(descriptor)
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    package var endpoint: String { "http://127.0.0.1:\(port)" }
    /// The same server under another name, which is another host to clients.
    package var otherEndpoint: String { "http://localhost:\(port)" }

    /// A client of this server with a cache of its own, which waits for nothing long.
    package func client(cache: String, token: String? = nil, variables: [String: String] = [:]) throws -> HubClient {
        var variables = variables.merging(["HF_ENDPOINT": endpoint, "HF_HOME": cache]) { given, _ in given }
        variables["HF_TOKEN"] = token
        return try HubClient(
            environment: HubEnvironment(variables),
            retryPolicy: RetryPolicy(firstDelay: .milliseconds(1), longestDelay: .milliseconds(2))
        )
    }
}

/// What was asked, shared by all connections.
private final class RequestLog: Sendable {
    let requests = Mutex<[ServedRequest]>([])
    let connections = Mutex(0)
}

/// A connection of a client, served by a thread of its own.
private struct ServedConnection {
    let descriptor: Int32

    func serve(_ answer: (ServedRequest) -> ServedAnswer) {
        defer { close(descriptor) }
        var received: [UInt8] = []
        while let request = next(&received), send(answer(request), to: request) {}
    }

    private func next(_ received: inout [UInt8]) -> ServedRequest? {
        var lines: [String] = []
        while let line = line(&received) {
            guard line.isEmpty else {
                lines.append(line)
                continue
            }
            let words = lines.first?.split(separator: " ").map(String.init) ?? []
            guard words.count == 3 else { return nil }
            let headers = HeaderFields(
                lines.dropFirst().compactMap { line in
                    line.firstIndex(of: ":").map {
                        (String(line[..<$0]), line[line.index(after: $0)...].trimmingCharacters(in: .whitespaces))
                    }
                }
            )
            guard let body = body(headers, &received) else { return nil }
            return ServedRequest(method: words[0], path: words[1], headers: headers, body: body)
        }
        return nil
    }

    private func body(_ headers: HeaderFields, _ received: inout [UInt8]) -> [UInt8]? {
        guard headers.first(name: "Transfer-Encoding") == "chunked" else {
            return take(headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0, &received)
        }
        var body: [UInt8] = []
        while let size = line(&received).flatMap({ Int($0, radix: 16) }) {
            guard let part = take(size, &received), line(&received) == "" else { return nil }
            if size == 0 { return body }
            body += part
        }
        return nil
    }

    private func line(_ received: inout [UInt8]) -> String? {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                defer { received.removeFirst(end + 1) }
                return String(decoding: received[..<end], as: UTF8.self).trimmingCharacters(in: .newlines)
            }
            guard receive(&received) else { return nil }
        }
    }

    private func take(_ count: Int, _ received: inout [UInt8]) -> [UInt8]? {
        while received.count < count { guard receive(&received) else { return nil } }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }

    private func receive(_ received: inout [UInt8]) -> Bool {
        var part = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &part, part.count, 0)
        if count > 0 { received += part.prefix(count) }
        return count > 0
    }

    /// Sends an answer; whether the connection stays open.
    private func send(_ answer: ServedAnswer, to request: ServedRequest) -> Bool {
        if let raw = answer.raw {
            _ = write(raw)
            return false
        }
        var headers = answer.headers
        if !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: "\(answer.body.count)")
        }
        let head =
            "HTTP/1.1 \(answer.status) x\r\n" + headers.fields.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n"
        guard write(Array(head.utf8)), request.method != "HEAD" else { return request.method == "HEAD" }
        let end = answer.cutAfter ?? answer.stallAfter ?? answer.body.count
        guard write(Array(answer.body.prefix(end))), answer.cutAfter == nil else { return false }
        guard answer.stallAfter == nil else {
            var ignored: [UInt8] = []
            _ = receive(&ignored)
            return false
        }
        return true
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
