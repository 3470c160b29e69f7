import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// The way to a server.
enum ProxyRoute: Sendable, Hashable {
    /// None in between.
    case direct
    /// Through a connection that a SOCKS proxy opens.
    case socks(ProxySettings.Server)
    /// Through a tunnel of an HTTP proxy, which sees nothing of what passes.
    case tunnel(ProxySettings.Server)
    /// An HTTP proxy is told the whole address, and asks itself.
    case forwarding(ProxySettings.Server)
}

/// Requests that an HTTP proxy passes on: they go to the proxy, with the whole address in the request line.
///
/// AsyncHTTPClient knows tunnels alone. It sends these requests as if the proxy were the server, and a handler on the
/// connection completes the request line.
enum ForwardedRequests {
    /// Turns a request to a server into one to the proxy; the `Host` header still names the server.
    static func address(_ request: inout HTTPClientRequest, _ target: WebAddress, _ proxy: ProxySettings.Server) {
        let rest = target.text.dropFirst("http://".count).drop { $0 != "/" && $0 != "?" }
        let host = proxy.host.contains(":") && !proxy.host.hasPrefix("[") ? "[\(proxy.host)]" : proxy.host
        request.url = "http://\(host):\(proxy.port)\(rest)"
        request.headers.replaceOrAdd(name: "Host", value: target.displayedHost)
        if let authorization = proxy.authorization {
            request.headers.replaceOrAdd(name: "Proxy-Authorization", value: authorization.headerValue)
        }
    }

    /// Adds the handler to a new connection.
    static func prepare(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            // What the client writes passes it right before it is encoded.
            try pipeline.addHandler(
                WholeAddressHandler(),
                position: .after(pipeline.handler(type: HTTPRequestEncoder.self))
            )
        }
    }
}

/// Writes the whole address into request lines.
private final class WholeAddressHandler: ChannelOutboundHandler {
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .head(var head) = unwrapOutboundIn(data), let host = head.headers.first(name: "Host") else {
            return context.write(data, promise: promise)
        }
        head.uri = "http://\(host)\(head.uri)"
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}
