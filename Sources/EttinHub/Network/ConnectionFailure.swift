/// No answer, or only a part of one, with the reason in words.
struct ConnectionFailure: Error {
    let host: String
    let reason: String
    /// Whether a connection could not even be opened.
    var isRefusal = false
    /// Whether trying again cannot help, as with a certificate that is not trusted.
    var isPermanent = false

    var hubError: HubError { .unreachable(host: host, reason: reason) }

    static func proxyAsksForUser(host: String) -> ConnectionFailure {
        ConnectionFailure(
            host: host,
            reason: "the proxy requires a user name and password",
            isRefusal: true,
            isPermanent: true
        )
    }
}
