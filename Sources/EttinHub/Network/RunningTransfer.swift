import Ccurl
import EttinFiles
import Foundation

/// A transfer in the hands of libcurl; the network's thread alone uses it.
final class RunningTransfer {
    let handle: UnsafeMutableRawPointer
    private let transfer: Transfer
    private let stallTimeout: Duration
    private let headDeadline: ContinuousClock.Instant?
    private var content: RequestContent?
    private var headers: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>

    private var head = Transfer.Head()
    private var headBytes = 0
    private var isHeadComplete = false
    private var isHeadPublished = false
    /// What arrived since bytes were last published.
    private var arrived: [UInt8] = []
    private var sentBytes = 0
    private var isPaused = false
    private var lastActivity = ContinuousClock.now
    /// The error of ours that made libcurl give up.
    private var cause: (any Error)?

    /// How many bytes are worth waking up who waits for them.
    private static let publishedBytes = 1 << 17
    /// More than this is not the head of an answer.
    private static let headLimit = 1 << 20

    /// Prepares a transfer; nil when libcurl has no memory or does not know an option.
    init?(_ transfer: Transfer, settings: TransferSettings) {
        guard let handle = curl_easy_init() else { return nil }
        self.handle = handle
        self.transfer = transfer
        content = transfer.content
        stallTimeout = settings.stallTimeout
        headDeadline = transfer.request.headTimeout.map { .now + $0 }
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        guard configure(settings) else { return nil }
    }

    deinit {
        curl_easy_cleanup(handle)
        curl_slist_free_all(headers)
        errorText.deallocate()
    }

    // MARK: - Set-up

    private func configure(_ settings: TransferSettings) -> Bool {
        let request = transfer.request
        let own = Unmanaged.passUnretained(self).toOpaque()
        let text = { ccurl_set_text(self.handle, $0, $1) }
        let number = { ccurl_set_number(self.handle, $0, $1) }
        var codes = [
            text(CURLOPT_URL, request.address.text),
            // Each transfer has its own connection, so that a slow one holds up no other.
            number(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)),
            number(CURLOPT_NOSIGNAL, 1),
            ccurl_set_quick_exit(handle),
            number(CURLOPT_TCP_KEEPALIVE, 1),
            number(CURLOPT_BUFFERSIZE, 1 << 18),
            number(CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeout.milliseconds),
            number(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
            // libcurl sends a request again when a connection that it had kept turns out to be closed.
            number(CURLOPT_FRESH_CONNECT, request.isRepeatable ? 0 : 1),
            // The environment was read by us.
            text(CURLOPT_PROXY, ""),
            text(CURLOPT_NOPROXY, ""),
            ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText),
            ccurl_set_bytes_function(handle, CURLOPT_HEADERFUNCTION, takeHeader),
            ccurl_set_pointer(handle, CURLOPT_HEADERDATA, own),
            ccurl_set_bytes_function(handle, CURLOPT_WRITEFUNCTION, takeBytes),
            ccurl_set_pointer(handle, CURLOPT_WRITEDATA, own),
        ]
        if let file = settings.certificateFile { codes.append(text(CURLOPT_CAINFO, file)) }
        if let proxy = transfer.route {
            codes += [
                text(CURLOPT_PROXY, proxy.host),
                number(CURLOPT_PROXYPORT, proxy.port),
                number(CURLOPT_PROXYTYPE, proxy.kind.option),
                number(CURLOPT_PROXYAUTH, ccurl_authentication_basic),
            ]
            if let user = proxy.user {
                codes += [
                    text(CURLOPT_PROXYUSERNAME, user), text(CURLOPT_PROXYPASSWORD, proxy.password ?? ""),
                ]
            }
            if let file = settings.certificateFile { codes.append(text(CURLOPT_PROXY_CAINFO, file)) }
        }
        codes += method(own)
        codes.append(ccurl_set_headers(handle, headerList()))
        return codes.allSatisfy { $0 == CURLE_OK }
    }

    private func method(_ own: UnsafeMutableRawPointer) -> [CURLcode] {
        var codes: [CURLcode]
        let size = curl_off_t(content.map { $0.size ?? -1 } ?? 0)
        switch transfer.request.method {
        case .get: return [ccurl_set_number(handle, CURLOPT_HTTPGET, 1)]
        case .head: return [ccurl_set_number(handle, CURLOPT_NOBODY, 1)]
        case .post:
            codes = [
                ccurl_set_number(handle, CURLOPT_POST, 1), ccurl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, size),
            ]
        case .put:
            codes = [
                ccurl_set_number(handle, CURLOPT_UPLOAD, 1), ccurl_set_size(handle, CURLOPT_INFILESIZE_LARGE, size),
            ]
        }
        codes += [
            ccurl_set_bytes_function(handle, CURLOPT_READFUNCTION, giveBytes),
            ccurl_set_pointer(handle, CURLOPT_READDATA, own),
            ccurl_set_seek_function(handle, rewind),
            ccurl_set_pointer(handle, CURLOPT_SEEKDATA, own),
        ]
        return codes
    }

    private func headerList() -> UnsafeMutablePointer<curl_slist>? {
        func add(_ line: String) { headers = curl_slist_append(headers, line) ?? headers }
        for field in transfer.request.headers.fields {
            // libcurl takes a name with a colon alone as the wish not to send it.
            add(field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)")
        }
        if content != nil {
            // The body goes along at once; waiting for a "100 Continue" costs a second where it is not known.
            add("Expect:")
            if content?.size == nil { add("Transfer-Encoding: chunked") }
        }
        return headers
    }

    // MARK: - Progress

    /// Takes a line of the head; whether libcurl is to go on.
    fileprivate func add(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        lastActivity = .now
        headBytes += bytes.count
        guard headBytes <= Self.headLimit else {
            return refuse("its header is longer than \(Self.headLimit) bytes")
        }
        // Behind the body come trailers, which nobody needs.
        guard !isHeadComplete else { return true }
        let line = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
        if line.hasPrefix("HTTP/") {
            let status = line.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) }
            head = Transfer.Head(status: status ?? 0)
        } else if line.isEmpty {
            // What begins with 1 announces the answer proper.
            isHeadComplete = head.status >= 200
            let length = head.headers.first(name: "Content-Length")
            if let length, Int(length) == nil { return refuse("its Content-Length is \(quoted(cleaned(length)))") }
        } else if let colon = line.firstIndex(of: ":") {
            head.headers.add(
                name: String(line[..<colon]),
                value: line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            )
        }
        return true
    }

    private func refuse(_ reason: String) -> Bool {
        cause = HubError.malformedAnswer(action: transfer.request.action, reason: reason)
        return false
    }

    /// Takes bytes of the body; whether there was room for them.
    fileprivate func add(_ bytes: UnsafeRawBufferPointer) -> Bool {
        lastActivity = .now
        publishHead()
        guard transfer.hasRoom() else {
            isPaused = true
            return false
        }
        if arrived.isEmpty { arrived.reserveCapacity(Self.publishedBytes + bytes.count) }
        arrived.append(contentsOf: bytes)
        if arrived.count >= Self.publishedBytes { publishBytes() }
        return true
    }

    /// Gives bytes of the request's body; nil when they cannot be read.
    fileprivate func give(_ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        lastActivity = .now
        do {
            let bytes = try content?.next(buffer.count) ?? []
            buffer.copyBytes(from: bytes)
            sentBytes += bytes.count
            return bytes.count
        } catch {
            cause = error
            return nil
        }
    }

    fileprivate func rewindContent() {
        content?.rewind()
        sentBytes = 0
    }

    /// Lets bytes arrive again.
    func resume() {
        guard isPaused else { return }
        isPaused = false
        lastActivity = .now
        curl_easy_pause(handle, CURLPAUSE_CONT)
    }

    /// Hands over what is there.
    func flush() {
        publishHead()
        publishBytes()
    }

    private func publishHead() {
        guard isHeadComplete, !isHeadPublished else { return }
        isHeadPublished = true
        transfer.publish(head)
    }

    private func publishBytes() {
        guard !arrived.isEmpty else { return }
        transfer.publish(arrived)
        arrived = []
    }

    // MARK: - The end

    /// Whether it has stood still for too long, in which case it has ended.
    func hasStalled(at now: ContinuousClock.Instant) -> Bool {
        guard !isPaused else { return false }
        let isHeadLate = !isHeadComplete && headDeadline.map { $0 <= now } == true
        // Until there is a connection, its own limit holds.
        guard isHeadLate || (now - lastActivity > stallTimeout && ccurl_is_connected(handle)) else { return false }
        let isSending = content.map { $0.size.map { sentBytes < $0 } ?? false } ?? false
        transfer.end(.failure(failure(isSending ? "the upload stalled" : "no response in time")))
        return true
    }

    func finish(_ code: CURLcode) {
        flush()
        if let cause {
            transfer.end(.failure(cause))
        } else if code == CURLE_OK, !isHeadComplete {
            transfer.end(.failure(failure("the response has no final status")))
        } else if code != CURLE_OK {
            transfer.end(.failure(failure(code)))
        } else {
            transfer.end(.success(()))
        }
    }

    private func failure(_ reason: String, isRefusal: Bool = false, isPermanent: Bool = false) -> ConnectionFailure {
        ConnectionFailure(
            host: transfer.request.address.displayedHost,
            reason: reason,
            isRefusal: isRefusal,
            isPermanent: isPermanent
        )
    }

    /// Puts an error of libcurl into words.
    private func failure(_ code: CURLcode) -> ConnectionFailure {
        var (proxyStatus, systemError) = (0, 0)
        ccurl_get_number(handle, CURLINFO_HTTP_CONNECTCODE, &proxyStatus)
        ccurl_get_number(handle, CURLINFO_OS_ERRNO, &systemError)
        if proxyStatus == 407 { return .proxyAsksForUser(host: transfer.request.address.displayedHost) }
        if proxyStatus >= 300 { return failure("the proxy refused to connect", isRefusal: true) }
        let system = systemError == 0 ? nil : String(cString: strerror(Int32(systemError)))
        let text = String(cString: errorText)
        let words = cleaned(text.isEmpty ? String(cString: curl_easy_strerror(code)) : text)
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: return failure("the host name cannot be resolved", isRefusal: true)
        case CURLE_COULDNT_RESOLVE_PROXY: return failure("the proxy's host name cannot be resolved", isRefusal: true)
        case CURLE_COULDNT_CONNECT: return failure("connection failed (\(system ?? words))", isRefusal: true)
        case CURLE_PROXY: return failure("the proxy refused to connect (\(words))", isRefusal: true)
        case CURLE_OPERATION_TIMEDOUT: return failure("the connection timed out", isRefusal: true)
        case CURLE_SSL_CONNECT_ERROR: return failure("TLS failed (\(words))", isRefusal: true)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR:
            return failure(
                "TLS failed (\(words)); if your network uses its own certificate authority, set SSL_CERT_FILE",
                isRefusal: true,
                isPermanent: true
            )
        case CURLE_GOT_NOTHING: return failure("the connection was closed")
        case CURLE_PARTIAL_FILE: return failure("the connection was cut")
        case CURLE_RECV_ERROR, CURLE_SEND_ERROR: return failure("the connection broke (\(system ?? words))")
        default: return failure(words)
        }
    }
}

// MARK: - What libcurl calls

private func running(_ own: UnsafeMutableRawPointer?) -> RunningTransfer? {
    own.map { Unmanaged<RunningTransfer>.fromOpaque($0).takeUnretainedValue() }
}

private func takeHeader(
    _ bytes: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ own: UnsafeMutableRawPointer?
) -> Int {
    let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return running(own)?.add(headerLine: line) == true ? line.count : 0
}

private func takeBytes(
    _ bytes: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ own: UnsafeMutableRawPointer?
) -> Int {
    let part = UnsafeRawBufferPointer(start: bytes, count: size * count)
    return running(own)?.add(part) == true ? part.count : ccurl_write_pause
}

private func giveBytes(
    _ buffer: UnsafeMutablePointer<CChar>?,
    _ size: Int,
    _ count: Int,
    _ own: UnsafeMutableRawPointer?
) -> Int {
    running(own)?.give(UnsafeMutableRawBufferPointer(start: buffer, count: size * count)) ?? ccurl_read_abort
}

private func rewind(_ own: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard offset == 0, origin == SEEK_SET, let running = running(own) else { return CURL_SEEKFUNC_CANTSEEK }
    running.rewindContent()
    return CURL_SEEKFUNC_OK
}

extension ProxySettings.Server.Kind {
    fileprivate var option: Int {
        switch self {
        case .http: Int(CURLPROXY_HTTP.rawValue)
        case .https: Int(CURLPROXY_HTTPS.rawValue)
        // The proxy looks up the names.
        case .socks5: Int(CURLPROXY_SOCKS5_HOSTNAME.rawValue)
        }
    }
}

extension Duration {
    /// Whole milliseconds, at least one.
    fileprivate var milliseconds: Int {
        max(1, Int(self / .milliseconds(1)))
    }
}
