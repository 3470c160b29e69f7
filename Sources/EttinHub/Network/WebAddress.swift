import Foundation

/// An absolute http or https address, taken apart.
struct WebAddress: Hashable, Sendable {
    /// The address as it is sent.
    let text: String
    let scheme: String
    let host: String
    let port: Int
    let user: String?
    let password: String?
    let query: String?

    init?(_ text: String) {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            scheme == "http" || scheme == "https", let host = parts.host, !host.isEmpty,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        self.text = text
        self.scheme = scheme
        self.host = host
        port = parts.port ?? (scheme == "https" ? 443 : 80)
        user = parts.user
        password = parts.password
        query = parts.query
    }

    /// Where a `Location` header of this address's answer leads.
    func following(_ location: String) -> WebAddress? {
        guard let base = URL(string: text), let target = URL(string: location, relativeTo: base) else { return nil }
        return WebAddress(target.absoluteString)
    }

    /// Whether both addresses are served by the same server, the only case in which a token may go along.
    func hasSameOrigin(as other: WebAddress) -> Bool {
        scheme == other.scheme && host.lowercased() == other.host.lowercased() && port == other.port
    }

    /// The host and, where it is not the usual one, the port.
    var displayedHost: String {
        port == (scheme == "https" ? 443 : 80) ? host : "\(host):\(port)"
    }

    /// A text that may be an address, without user, password and query, which can be secrets.
    static func withoutSecrets(_ text: String) -> String {
        var text =
            text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init) ?? ""
        if let at = text.lastIndex(of: "@") {
            let scheme = text.range(of: "://").map { String(text[..<$0.upperBound]) } ?? ""
            text = scheme + "…@" + text[text.index(after: at)...]
        }
        return text
    }
}

/// Percent-encodes everything but unreserved characters and those allowed on top.
func percentEncoded(_ text: String, allowing extra: String = "") -> String {
    var result = ""
    for byte in text.utf8 {
        let isUnreserved =
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                true
            default: extra.utf8.contains(byte)
            }
        if isUnreserved {
            result.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            let digits = String(byte, radix: 16, uppercase: true)
            result += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
        }
    }
    return result
}
