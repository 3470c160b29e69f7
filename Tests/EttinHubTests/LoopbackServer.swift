import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

@testable import EttinHub

/// A request as a server sees it.
struct ServedRequest: Sendable {
    let method: HTTPMethod
    let path: String
    let headers: HTTPHeaders
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// What a server answers.
struct ServedAnswer: Sendable {
    var status = HTTPResponseStatus.ok
    var headers: HTTPHeaders = [:]
    var body: [UInt8] = []
    /// The connection is cut behind so many bytes of the body.
    var cutAfter: Int?
}

/// A server in this process on 127.0.0.1, which answers as a closure says and remembers what it was asked.
final class LoopbackServer: Sendable {
    private let channel: any Channel
    private let log = RequestLog()

    /// What was asked so far.
    var requests: [ServedRequest] { log.requests.withLock { $0 } }

    init(_ answer: @escaping @Sendable (ServedRequest) -> ServedAnswer) async throws {
        let log = self.log
        channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(AnswerHandler(answer: answer, log: log))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit {
        channel.close(promise: nil)
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var endpoint: String { "http://127.0.0.1:\(port)" }
    /// The same server under another name, which is another host to clients.
    var otherEndpoint: String { "http://localhost:\(port)" }

    /// A client of this server with a cache of its own, which waits for nothing long.
    func client(cache: String, token: String? = nil, variables: [String: String] = [:]) throws -> HubClient {
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
}

private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: @Sendable (ServedRequest) -> ServedAnswer
    private let log: RequestLog
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(answer: @escaping @Sendable (ServedRequest) -> ServedAnswer, log: RequestLog) {
        self.answer = answer
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            let request = ServedRequest(method: head.method, path: head.uri, headers: head.headers, body: body)
            log.requests.withLock { $0.append(request) }
            send(answer(request), to: request, context: context)
        }
    }

    private func send(_ answer: ServedAnswer, to request: ServedRequest, context: ChannelHandlerContext) {
        var headers = answer.headers
        if !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: "\(answer.body.count)")
        }
        let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let body = request.method == .HEAD ? [] : answer.body.prefix(answer.cutAfter ?? answer.body.count)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        guard answer.cutAfter == nil || request.method == .HEAD else {
            context.flush()
            return context.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
