import Ccurl
import Foundation

/// How failed requests are retried.
public struct RetryPolicy: Sendable, Hashable {
    /// Maximum number of retries of a request; received data resets the count.
    public var maximumRetries: Int
    /// Maximum number of retries when no connection can be made.
    public var maximumConnectionRetries: Int
    /// Delay before the first retry; it doubles with each further one.
    public var firstDelay: Duration
    /// Maximum delay, unless the server asks for a longer one.
    public var longestDelay: Duration
    /// Maximum delay a server may ask for; a request that would have to wait longer fails.
    public var longestRequestedDelay: Duration

    /// Creates a policy.
    ///
    /// - Parameters:
    ///   - maximumRetries: Maximum number of retries of a request.
    ///   - maximumConnectionRetries: Maximum number of retries when no connection can be made.
    ///   - firstDelay: Delay before the first retry.
    ///   - longestDelay: Maximum delay, unless the server asks for a longer one.
    ///   - longestRequestedDelay: Maximum delay a server may ask for.
    public init(
        maximumRetries: Int = 5,
        maximumConnectionRetries: Int = 2,
        firstDelay: Duration = .seconds(1),
        longestDelay: Duration = .seconds(8),
        longestRequestedDelay: Duration = .seconds(300)
    ) {
        self.maximumRetries = maximumRetries
        self.maximumConnectionRetries = maximumConnectionRetries
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
        self.longestRequestedDelay = longestRequestedDelay
    }

    /// Whether a status means that the same request may succeed later.
    static func isTransient(_ status: Int) -> Bool {
        [408, 429, 500, 502, 503, 504].contains(status)
    }

    /// The wait before a retry; nil when the server asks for more patience than we have.
    ///
    /// Our own waits vary by a quarter, so that many clients that failed together do not return together.
    func delay(retry: Int, requested: Duration?) -> Duration? {
        if let requested { return requested <= longestRequestedDelay ? requested : nil }
        var delay = firstDelay
        for _ in 0..<retry where delay < longestDelay { delay *= 2 }
        return min(delay, longestDelay) * Double.random(in: 0.75...1.25)
    }

    /// The wait that a server asks for in `Retry-After` (seconds or a date) or in the `t` of `RateLimit`.
    static func requestedDelay(_ headers: HeaderFields, now: Date = Date()) -> Duration? {
        if let value = headers.first(name: "Retry-After") {
            if let seconds = Int(value), seconds >= 0, seconds < 1 << 32 { return .seconds(seconds) }
            let date = curl_getdate(value, nil)
            if date >= 0 { return .seconds(max(0, Double(date) - now.timeIntervalSince1970.rounded(.down))) }
        }
        // RateLimit: "api";r=0;t=55
        let parts = headers.first(name: "RateLimit")?.split(separator: ";") ?? []
        let reset = parts.first { $0.hasPrefix("t=") }.flatMap { Int($0.dropFirst(2)) }
        return parts.contains("r=0") ? reset.map { .seconds(max(0, $0)) } : nil
    }
}
